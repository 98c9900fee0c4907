/**
 * Our client beside the platform's two: the same suite for all, then what only ours promises.
 */
import { Contact, Hosts, TokenService } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import * as UndiciHttpClient from "@effect-dingtalk/http/UndiciHttpClient"
import { Cookies, Headers, HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import type { HttpClientError, HttpClientResponse, HttpMethod } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  Config,
  ConfigProvider,
  Duration,
  Effect,
  Either,
  Exit,
  FastCheck,
  Fiber,
  Layer,
  Option,
  Redacted,
  Scope,
  Stream,
  Tracer
} from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import type { TLSSocket } from "node:tls"
import { inspect } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Zlib from "node:zlib"
import * as Undici from "undici"
import * as Certificates from "./certificates.js"
import { clients } from "./clients.js"
import * as ConnectProxy from "./ConnectProxy.js"
import * as RawServer from "./RawServer.js"

const listen = <S extends Net.Server>(server: S) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly port: number; readonly open: () => number }>((resume) => {
      const sockets = new Set<Net.Socket>()
      server.on("connection", (socket: Net.Socket) => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket)).on("error", () => {})
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, port, open: () => sockets.size }))
      })
      server.on("dingtalk-close", () => {
        for (const socket of sockets) socket.destroy()
      })
    }),
    () =>
      Effect.sync(() => {
        server.emit("dingtalk-close")
        server.close()
      })
  )

const serve = (handler: Http.RequestListener) => listen(Http.createServer(handler))

/** Answers with what it was sent: the body as it is, the rest in headers. */
const echo: Http.RequestListener = (request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
    const body = Buffer.concat(chunks)
    response.setHeader("x-method", request.method ?? "")
    response.setHeader("x-url", request.url ?? "")
    response.setHeader("x-type", request.headers["content-type"] ?? "")
    response.setHeader("x-length", request.headers["content-length"] ?? "")
    response.end(body)
  })
}

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.sleep("5 millis"), { until: condition, times: 600 }).pipe(
    Effect.flatMap(() => condition() ? Effect.void : Effect.dieMessage("it never came about"))
  )

const PROXY_NAMES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"]

/** Just these, until the scope closes. Of the whole process: what runs beside it calls this machine only. */
const environment = (variables: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = { ...process.env }
      for (const name of PROXY_NAMES) delete process.env[name]
      Object.assign(process.env, variables)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const name of PROXY_NAMES) {
          if (before[name] === undefined) delete process.env[name]
          else process.env[name] = before[name]
        }
      })
  )

interface Seen {
  readonly name: string
  readonly kind: string
  readonly parent: string | undefined
  readonly attributes: Record<string, unknown>
}

/** Runs an effect under a tracer that keeps what it is told. */
const seen = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<ReadonlyArray<Seen>, E, R> =>
  Effect.suspend(() => {
    const spans: Array<Seen> = []
    const tracer = Tracer.make({
      context: (f) => f(),
      span: (name, parent, context, links, startTime, kind) => {
        const attributes: Record<string, unknown> = {}
        spans.push({ name, kind, parent: Option.getOrUndefined(parent)?.spanId, attributes })
        return {
          _tag: "Span",
          name,
          parent,
          context,
          links,
          kind,
          sampled: true,
          spanId: `span${spans.length}`,
          traceId: "trace",
          status: { _tag: "Started", startTime },
          attributes: new Map(),
          end: () => {},
          event: () => {},
          addLinks: () => {},
          attribute: (key, value) => {
            attributes[key] = value
          }
        }
      }
    })
    return Effect.as(Effect.withTracer(effect, tracer), spans)
  })

const raw = (answer: string | ((socket: Net.Socket, request: string, nth: number) => void)) =>
  RawServer.make(typeof answer === "string" ? (socket) => socket.write(answer) : answer)

type HttpClientResponseError = Extract<HttpClientError.HttpClientError, { readonly _tag: "ResponseError" }>

const readText = (response: HttpClientResponse.HttpClientResponse) => response.text
const readJson = (response: HttpClientResponse.HttpClientResponse) => response.json
const readBuffer = (response: HttpClientResponse.HttpClientResponse) => response.arrayBuffer
const readStream = (response: HttpClientResponse.HttpClientResponse) => Stream.runDrain(response.stream)

/** Where a caller would look: the error's cause, and its causes. */
const codeOf = (error: unknown): string | undefined => {
  let at: any = error
  while (at !== undefined && at !== null) {
    if (typeof at.code === "string") return at.code
    at = at.cause
  }
  return undefined
}

const METHODS: ReadonlyArray<HttpMethod.HttpMethod> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
const BIG = Buffer.alloc(10 * 1024 * 1024, "0123456789abcdef钉钉")

for (const [name, layer] of clients) {
  const scoped = (title: string, body: () => Effect.Effect<void, unknown, HttpClient.HttpClient | Scope.Scope>) =>
    it.scopedLive(title, () => Effect.provide(body(), layer))
  const isFetch = name.startsWith("Fetch")
  const isUndici = name.startsWith("Node")

  describe(name, () => {
    scoped("every method", () =>
      Effect.gen(function*() {
        const { url } = yield* serve(echo)
        for (const method of METHODS) {
          const response = yield* HttpClient.execute(HttpClientRequest.make(method)(`${url}/a?b=c`))
          assert.strictEqual(response.status, 200)
          assert.strictEqual(response.headers["x-method"], method)
          assert.strictEqual(response.headers["x-url"], "/a?b=c")
          assert.strictEqual(yield* response.text, "")
        }
      }))

    scoped("every kind of body", () =>
      Effect.gen(function*() {
        const { url } = yield* serve(echo)
        const stream = Stream.make("a", "", "钉", "c").pipe(Stream.encodeText, Stream.rechunk(1))
        const bodies: ReadonlyArray<readonly [HttpBody.HttpBody, RegExp, string, string]> = [
          [HttpBody.empty, /^$/, "", "0"],
          [HttpBody.text("钉钉", "text/plain; charset=utf-8"), /^钉钉$/, "text/plain; charset=utf-8", "6"],
          [HttpBody.uint8Array(new Uint8Array(0)), /^$/, "application/octet-stream", "0"],
          [
            HttpBody.uint8Array(new TextEncoder().encode("xaby").subarray(1, 3)),
            /^ab$/,
            "application/octet-stream",
            "2"
          ],
          [HttpBody.raw("raw 钉", { contentType: "text/x" }), /^raw 钉$/, "text/x", "7"],
          [HttpBody.stream(stream, "text/y"), /^a钉c$/, "text/y", ""],
          // fetch sends no stream but in chunks.
          [HttpBody.stream(stream, "text/y", 5), /^a钉c$/, "text/y", isFetch ? "" : "5"]
        ]
        for (const [body, text, type, length] of bodies) {
          const response = yield* HttpClientRequest.post(url, { body }).pipe(HttpClient.execute)
          assert.match(yield* response.text, text)
          assert.strictEqual(response.headers["x-type"]?.split("; boundary")[0], type)
          assert.strictEqual(response.headers["x-length"], length)
        }
      }))

    // The platform's hands a form to undici's dispatcher, which of 7.30 fails on forms that do not come by its `fetch`.
    if (!isUndici) {
      scoped("a form", () =>
        Effect.gen(function*() {
          const { url } = yield* serve(echo)
          const form = new FormData()
          form.append("media", new Blob(["钉"]), "a.txt")
          const response = yield* HttpClientRequest.post(url, { body: HttpBody.formData(form) }).pipe(
            HttpClient.execute
          )
          const text = yield* response.text
          assert.match(text, /name="media"; filename="a.txt"[^]*\r\n\r\n钉\r\n/)
          assert.match(response.headers["x-type"]!, /^multipart\/form-data; boundary=/)
          assert.strictEqual(response.headers["x-length"], String(Buffer.byteLength(text)))
        }))
    }

    scoped("headers: names in lower case, repeated ones joined, cookies apart", () =>
      Effect.gen(function*() {
        const server = yield* raw(
          "HTTP/1.1 200 OK\r\nX-Multi: a\r\nX-MULTI: b\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2; Max-Age=10\r\n" +
            "X-Empty:\r\nX-Latin: \u00c3\u00a9\r\nContent-Length: 2\r\n\r\nok"
        )
        const response = yield* HttpClient.get(server.url, { headers: { "X-Ours": "é", accept: "*/*" } })
        assert.strictEqual(response.headers["x-multi"], "a, b")
        assert.strictEqual(response.headers["x-empty"], "")
        assert.strictEqual(Headers.get(response.headers, "X-Multi").pipe(Option.getOrNull), "a, b")
        assert.isTrue(Headers.isHeaders(response.headers))
        assert.deepStrictEqual(Cookies.toRecord(response.cookies), { a: "1", b: "2" })
        assert.strictEqual(yield* response.text, "ok")
        assert.match(server.requests[0]!, /^GET \/ HTTP\/1.1\r\n/)
        assert.match(server.requests[0]!, /\r\nx-ours: /i)
      }))

    scoped("a body in pieces, read in every way, again and again", () =>
      Effect.gen(function*() {
        const server = yield* raw((socket) => {
          socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
          const parts = [`{"a":"\xe9`, `\x92\x89"`, `}`]
          parts.forEach((part, i) =>
            setTimeout(() => {
              socket.write(`${part.length.toString(16)}\r\n${part}\r\n${i === 2 ? "0\r\n\r\n" : ""}`, "latin1")
            }, 5 * i)
          )
        })
        const response = yield* HttpClient.get(server.url)
        assert.deepStrictEqual(yield* response.json, { a: "钉" })
        assert.strictEqual(yield* response.text, `{"a":"钉"}`)
        assert.deepStrictEqual(yield* response.json, { a: "钉" })

        const both = yield* HttpClient.get(server.url)
        const texts = yield* Effect.all([both.text, both.text, both.json], { concurrency: "unbounded" })
        assert.deepStrictEqual(texts, [`{"a":"钉"}`, `{"a":"钉"}`, { a: "钉" }])

        const bytes = yield* Effect.flatMap(HttpClient.get(server.url), (response) => response.arrayBuffer)
        assert.strictEqual(Buffer.from(bytes).toString(), `{"a":"钉"}`)
        const chunks = yield* Stream.runCollect(Stream.unwrap(Effect.map(HttpClient.get(server.url), (_) => _.stream)))
        assert.strictEqual(Buffer.concat(Chunk.toReadonlyArray(chunks)).toString(), `{"a":"钉"}`)
      }))

    scoped(
      "url parameters, no body, what is not JSON, a byte order mark, and bytes that are not UTF-8",
      () =>
        Effect.gen(function*() {
          const server = yield* raw((socket, request) => {
            const body = decodeURIComponent(/^GET \/\?(\S*)/.exec(request)?.[1] ?? "")
            const bytes = body === "bytes" ? Buffer.from([0x61, 0xff, 0x62]) : Buffer.from(body)
            socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`)
            socket.write(bytes)
          })
          const get = (body: string) => HttpClient.get(`${server.url}/?${encodeURIComponent(body)}`)
          assert.deepStrictEqual(yield* Effect.flatMap(get("a=1&b=2&a=3"), (_) => _.urlParamsBody), [
            ["a", "1"],
            ["b", "2"],
            ["a", "3"]
          ])
          assert.strictEqual(yield* Effect.flatMap(get(""), (_) => _.json), null)
          assert.strictEqual(yield* Effect.flatMap(get("\ufeffa"), (_) => _.text), "a")
          assert.strictEqual(yield* Effect.flatMap(get("bytes"), (_) => _.text), "a\ufffdb")
          const error = yield* Effect.flip(Effect.flatMap(get("{"), (_) => _.json))
          assert.isTrue(
            error._tag === "ResponseError" && error.reason === "Decode" && error.cause instanceof SyntaxError
          )
          assert.strictEqual((error as HttpClientResponseError).response.status, 200)
        })
    )

    scoped("10 MB out and back", () =>
      Effect.gen(function*() {
        const { url } = yield* serve(echo)
        const request = HttpClientRequest.post(url).pipe(HttpClientRequest.bodyUint8Array(BIG))
        const back = yield* Effect.flatMap(HttpClient.execute(request), (response) => response.arrayBuffer)
        assert.isTrue(BIG.equals(Buffer.from(back)))
        const text = yield* Effect.flatMap(HttpClient.execute(request), (response) => response.text)
        assert.strictEqual(text, BIG.toString())
        const size = yield* Stream.unwrap(Effect.map(HttpClient.execute(request), (response) => response.stream)).pipe(
          Stream.runFold(0, (size, chunk) => size + chunk.length)
        )
        assert.strictEqual(size, BIG.length)
      }))

    scoped("10 MB out as a stream, no faster than the server takes it", () =>
      Effect.gen(function*() {
        let read = 0
        let isReading = false
        const { url } = yield* serve((request, response) => {
          request.pause()
          setTimeout(() => {
            isReading = true
            request.on("data", (chunk: Buffer) => read += chunk.length).on("end", () => response.end(String(read)))
            request.resume()
          }, 100)
        })
        let produced = 0
        let producedUnread = 0
        const chunk = BIG.subarray(0, 64 * 1024)
        const body = Stream.repeatEffect(Effect.sync(() => {
          produced += chunk.length
          if (!isReading) producedUnread = produced
          return chunk
        })).pipe(Stream.rechunk(1), Stream.take(160))
        const response = yield* HttpClientRequest.post(url).pipe(
          HttpClientRequest.setBody(HttpBody.stream(body)),
          HttpClient.execute
        )
        assert.strictEqual(yield* response.text, String(160 * chunk.length))
        assert.isBelow(producedUnread, 9 * 1024 * 1024)
      }))

    scoped("a slow reader holds the server back", () =>
      Effect.gen(function*() {
        let written = 0
        const { url } = yield* serve((_, response) => {
          const chunk = BIG.subarray(0, 64 * 1024)
          const more = () => {
            while (written < 64 * 1024 * 1024) {
              written += chunk.length
              if (!response.write(chunk)) return void response.once("drain", more)
            }
            response.end()
          }
          more()
        })
        const taken = yield* Stream.unwrap(Effect.map(HttpClient.get(url), (response) => response.stream)).pipe(
          Stream.tap(() => Effect.sleep("20 millis")),
          Stream.take(5),
          Stream.runCount
        )
        assert.strictEqual(taken, 5)
        assert.isBelow(written, 32 * 1024 * 1024)
      }))

    scoped("a stream that is left early closes its socket, and the pool stays good", () =>
      Effect.gen(function*() {
        const server = yield* raw((socket, request) => {
          if (request.startsWith("GET /short")) return void socket.write(RawServer.json("1"))
          socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        })
        for (let i = 0; i < 5; i++) {
          const head = yield* Stream.unwrap(Effect.map(HttpClient.get(server.url), (response) => response.stream)).pipe(
            Stream.runHead
          )
          assert.strictEqual(Buffer.from(Option.getOrThrow(head)).toString(), "abc")
        }
        yield* until(() => server.open() === 0)
        const response = yield* HttpClient.get(`${server.url}/short`)
        assert.strictEqual(yield* response.json, 1)
      }))

    scoped("interruption before the headers and in the body closes the socket at once", () =>
      Effect.gen(function*() {
        const server = yield* raw((socket, request) => {
          if (request.startsWith("GET /body")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        })
        for (const path of ["/headers", "/body"]) {
          const before = server.requests.length
          const fiber = yield* Effect.fork(
            Effect.flatMap(HttpClient.get(`${server.url}${path}`), (response) => response.text)
          )
          yield* until(() => server.requests.length > before)
          yield* Effect.sleep("30 millis")
          assert.strictEqual(server.open(), 1)
          const exit = yield* Fiber.interrupt(fiber)
          assert.isTrue(Exit.isInterrupted(exit))
          yield* until(() => server.open() === 0)
        }
      }))

    scoped("a timeout around the body alone closes the socket", () =>
      Effect.gen(function*() {
        const server = yield* raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        const response = yield* HttpClient.get(server.url)
        const result = yield* Effect.timeoutOption(response.text, "30 millis")
        assert.isTrue(Option.isNone(result))
        yield* until(() => server.open() === 0)
      }))

    scoped("interruption after the end disturbs nothing", () =>
      Effect.gen(function*() {
        const server = yield* raw(RawServer.json("1"))
        const fiber = yield* HttpClient.get(server.url).pipe(
          Effect.flatMap((response) => response.json),
          Effect.zipLeft(Effect.never),
          Effect.fork
        )
        yield* until(() => server.requests.length === 1)
        yield* Effect.sleep("30 millis")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* Effect.flatMap(HttpClient.get(server.url), (response) => response.json), 1)
        assert.strictEqual(server.connections(), 1)
      }))

    scoped("withScope aborts what its scope leaves unread, and what is still on the way", () =>
      Effect.gen(function*() {
        const server = yield* raw((socket, request) => {
          if (request.startsWith("GET /body")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        })
        const client = Effect.map(HttpClient.HttpClient, HttpClient.withScope)
        const status = yield* Effect.scoped(
          Effect.flatMap(
            client,
            (client) => Effect.map(client.get(`${server.url}/body`), (response) => response.status)
          )
        )
        assert.strictEqual(status, 200)
        yield* until(() => server.open() === 0)

        const scope = yield* Scope.make()
        const fiber = yield* Effect.fork(
          Effect.flatMap(client, (client) => client.get(server.url)).pipe(Scope.extend(scope))
        )
        yield* until(() => server.requests.length === 2)
        yield* Scope.close(scope, Exit.void)
        yield* until(() => server.open() === 0)
        yield* Fiber.interrupt(fiber)
      }))

    scoped("early hints are passed over; 204, 304 and HEAD have no body", () =>
      Effect.gen(function*() {
        const server = yield* raw((socket, request) => {
          if (request.startsWith("HEAD")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
          else if (request.startsWith("GET /204")) socket.write("HTTP/1.1 204 No Content\r\n\r\n")
          else if (request.startsWith("GET /304")) socket.write("HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n")
          else socket.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${RawServer.json("1")}`)
        })
        const hinted = yield* HttpClient.get(server.url)
        assert.strictEqual(hinted.status, 200)
        assert.isFalse(Headers.has(hinted.headers, "link"))
        assert.strictEqual(yield* hinted.json, 1)
        for (const status of [204, 304]) {
          const response = yield* HttpClient.get(`${server.url}/${status}`)
          assert.strictEqual(response.status, status)
          assert.strictEqual(yield* response.text, "")
        }
        const head = yield* HttpClient.head(server.url)
        assert.strictEqual(head.headers["content-length"], "9")
        assert.strictEqual(yield* head.text, "")
      }))

    scoped(
      isFetch ? "a redirect is followed, as fetch does unasked" : "a redirect is an answer",
      () =>
        Effect.gen(function*() {
          const server = yield* raw((socket, request) => {
            socket.write(
              request.startsWith("GET /x ")
                ? RawServer.json("1")
                : "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"
            )
          })
          const response = yield* HttpClient.get(server.url)
          assert.strictEqual(response.status, isFetch ? 200 : 302)
          assert.strictEqual(response.headers["location"], isFetch ? undefined : "/x")
          assert.strictEqual(yield* response.text, isFetch ? "1" : "")
          assert.deepStrictEqual(
            server.requests.map((request) => request.slice(0, request.indexOf(" HTTP"))),
            isFetch ? ["GET /", "GET /x"] : ["GET /"]
          )
        })
    )

    scoped("errors: of the right kind, with the cause's own code", () =>
      Effect.gen(function*() {
        const gone = yield* Effect.scoped(Effect.map(raw(""), (server) => server.url))
        const refused = yield* Effect.flip(HttpClient.get(gone))
        assert.isTrue(refused._tag === "RequestError" && refused.reason === "Transport")
        assert.strictEqual(codeOf(refused), "ECONNREFUSED")

        const server = yield* raw((socket, request) => {
          if (request.startsWith("GET /cut")) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
          else if (request.startsWith("GET /garbage")) socket.end("SSH-2.0\r\n")
          else socket.resetAndDestroy()
        })
        const reset = yield* Effect.flip(HttpClient.get(server.url))
        assert.isTrue(reset._tag === "RequestError" && reset.reason === "Transport")
        assert.include(["ECONNRESET", "UND_ERR_SOCKET"], codeOf(reset))
        const garbage = yield* Effect.flip(HttpClient.get(`${server.url}/garbage`))
        assert.isTrue(garbage._tag === "RequestError" && garbage.reason === "Transport")
        for (const read of [readText, readJson, readBuffer, readStream]) {
          const cut = yield* Effect.flip(Effect.flatMap(HttpClient.get(`${server.url}/cut`), read))
          assert.isTrue(cut._tag === "ResponseError" && cut.reason === "Decode")
          assert.match(codeOf(cut)!, /^UND_ERR_(SOCKET|RES_CONTENT_LENGTH_MISMATCH)$/)
        }
        const invalid = yield* Effect.flip(HttpClient.get("http://:0:0/"))
        assert.isTrue(invalid._tag === "RequestError" && invalid.reason === "InvalidUrl")
        assert.strictEqual(codeOf(invalid), "ERR_INVALID_URL")
      }))

    scoped(
      "calls one after another share a connection, also after errors of the application",
      () =>
        Effect.gen(function*() {
          const server = yield* raw((socket, _, nth) =>
            socket.write(RawServer.json(`{"nth":${nth}}`, { status: nth % 2 === 0 ? "500 Oh" : "200 OK" }))
          )
          for (let i = 1; i <= 20; i++) {
            const response = yield* HttpClient.get(server.url)
            assert.deepStrictEqual(yield* response.json, { nth: i })
          }
          assert.isAtMost(server.connections(), 2)
        })
    )

    scoped("200 calls at once, each with its own answer", () =>
      Effect.gen(function*() {
        const { url } = yield* serve((request, response) => {
          setTimeout(() => response.end(request.url), Math.random() * 20)
        })
        const texts = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i),
          (i) => Effect.flatMap(HttpClient.get(`${url}/${i}`), (response) => response.text),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(texts, texts.map((_, i) => `/${i}`))
      }))

    scoped(
      isUndici
        ? "compressed answers are handed over as they came"
        : "compressed answers are decoded, whole and as a stream",
      () =>
        Effect.gen(function*() {
          const text = BIG.subarray(0, 1024 * 1024).toString()
          const encoded: Record<string, Buffer> = {
            "gzip": Zlib.gzipSync(text),
            "x-gzip": Zlib.gzipSync(text),
            "GZIP": Zlib.gzipSync(text),
            "br": Zlib.brotliCompressSync(text),
            "deflate": Zlib.deflateSync(text),
            "br, gzip": Zlib.gzipSync(Zlib.brotliCompressSync(text))
          }
          const { url } = yield* serve((request, response) => {
            const encoding = decodeURIComponent(request.url!.slice(1))
            response.setHeader("content-encoding", encoding)
            response.end(encoded[encoding] ?? "")
          })
          for (const encoding of Object.keys(encoded)) {
            const get = HttpClient.get(`${url}/${encodeURIComponent(encoding)}`)
            const expected = isUndici ? encoded[encoding]! : Buffer.from(text)
            const whole = yield* Effect.flatMap(get, readBuffer)
            assert.isTrue(expected.equals(Buffer.from(whole)), encoding)
            const chunks = yield* Stream.runCollect(Stream.unwrap(Effect.map(get, (response) => response.stream)))
            assert.isTrue(expected.equals(Buffer.concat(Chunk.toReadonlyArray(chunks))), encoding)
            if (!isUndici) assert.isTrue((yield* Effect.flatMap(get, readText)) === text, encoding)
          }
        })
    )
  })
}

describe("UndiciHttpClient", () => {
  const ours = UndiciHttpClient.layer()
  const scoped = (
    title: string,
    body: () => Effect.Effect<void, unknown, HttpClient.HttpClient | Scope.Scope>,
    layer: Layer.Layer<HttpClient.HttpClient> = ours
  ) => it.scopedLive(title, () => Effect.provide(body(), layer))

  scoped(
    "more calls than connections wait their turn, and one that is interrupted there costs no connection",
    () =>
      Effect.gen(function*() {
        const server = yield* raw((socket, _, nth) => {
          setTimeout(() => socket.write(RawServer.json(String(nth))), 10)
        })
        const get = Effect.flatMap(HttpClient.get(server.url), (response) => response.json)
        const fibers = yield* Effect.forEach(Array.from({ length: 40 }), () => Effect.fork(get))
        yield* until(() => server.requests.length > 0)
        const interrupted = fibers.filter((_, i) => i % 2 === 1 && i > 4)
        for (const fiber of interrupted) assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        for (const fiber of fibers) if (!interrupted.includes(fiber)) yield* Fiber.join(fiber)
        assert.strictEqual(server.connections(), 4)
        assert.isAtMost(server.requests.length, 40 - interrupted.length + 4)
      }),
    UndiciHttpClient.layer({ connections: 4 })
  )

  scoped("interruption while the connection is being made", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(HttpClient.get("http://127.0.0.1:9/"))
      yield* Effect.sleep("20 millis")
      const [took, exit] = yield* Effect.timed(Fiber.interrupt(fiber))
      assert.isTrue(Exit.isInterrupted(exit))
      assert.isBelow(Duration.toMillis(took), 200)
    }), UndiciHttpClient.layer({ agent: { connect: () => {} } }))

  it.scopedLive("the pool closes with its scope, idle or busy, and whoever is still under way learns why", () =>
    Effect.gen(function*() {
      const server = yield* raw((socket, request) => {
        if (request.startsWith("GET /idle")) socket.write(RawServer.json("1"))
      })
      const idle = yield* Effect.timed(Effect.scoped(
        Effect.flatMap(
          UndiciHttpClient.make(),
          (client) => Effect.flatMap(client.get(`${server.url}/idle`), (response) => response.json)
        )
      ))
      assert.isBelow(Duration.toMillis(idle[0]), 300)
      yield* until(() => server.open() === 0)

      const scope = yield* Scope.make()
      const client = yield* Scope.extend(UndiciHttpClient.make(), scope)
      const fiber = yield* Effect.fork(Effect.flip(client.get(`${server.url}/busy`)))
      yield* until(() => server.requests.length === 2)
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(took), 2000)
      const error = yield* Fiber.join(fiber)
      assert.isTrue(error._tag === "RequestError" && error.reason === "Transport")
      assert.strictEqual(codeOf(error), "UND_ERR_DESTROYED")
      yield* until(() => server.open() === 0)
      const late = yield* Effect.flip(client.get(`${server.url}/idle`))
      assert.match(codeOf(late)!, /^UND_ERR_(DESTROYED|CLOSED)$/)
    }))

  scoped(
    "an answer that nobody reads gives its connection back by itself when it is small",
    () =>
      Effect.gen(function*() {
        const server = yield* raw(RawServer.json("1"))
        for (let i = 0; i < 20; i++) yield* HttpClient.get(server.url)
        assert.isAtMost(server.connections(), 2)
      })
  )

  scoped("an unfinished answer that nobody can read any more is aborted", () =>
    Effect.gen(function*() {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as () => void
      const server = yield* raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
      yield* Effect.asVoid(HttpClient.get(server.url))
      yield* Effect.asVoid(Effect.withTracerEnabled(HttpClient.get(server.url), false))
      assert.strictEqual(server.open(), 2)
      yield* Effect.repeat(Effect.zipLeft(Effect.sleep("10 millis"), Effect.sync(collect)), {
        until: () => server.open() === 0,
        times: 100
      })
      assert.strictEqual(server.open(), 0)
    }))

  it.scopedLive("a compressed answer of a call, with no bound on its length", () =>
    Effect.gen(function*() {
      const body = Zlib.gzipSync(`{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","name":"Z","unionid":"u"}}`)
      const server = yield* raw((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`)
        socket.write(body)
      })
      const user = yield* Contact.getUser({ userid: "zhangsan" }).pipe(
        Effect.provide(
          DingTalkHttp.layer({ deadline: "3 seconds" }).pipe(
            Layer.provide(TokenService.layerTest("t")),
            Layer.provide(HttpTransport.layer({ hosts: server.hosts, maxBodyBytes: Infinity })),
            Layer.provide(ours)
          )
        )
      )
      assert.strictEqual(user.userid, "zhangsan")
    }))

  scoped("to print an answer does not read it", () =>
    Effect.gen(function*() {
      const server = yield* raw((socket) => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n")
        setTimeout(() => socket.write("42"), 20)
      })
      const response = yield* HttpClient.get(server.url)
      assert.notProperty(response.toJSON(), "body")
      const chunks = yield* Stream.runCollect(response.stream)
      assert.strictEqual(Buffer.concat(Chunk.toReadonlyArray(chunks)).toString(), "42")
      const again = yield* Effect.flip(response.text)
      assert.match(again.message, /read as a stream already/)
      const read = yield* HttpClient.get(server.url)
      assert.strictEqual(yield* read.json, 42)
      assert.propertyVal(read.toJSON(), "body", 42)
      assert.strictEqual(yield* Effect.map(read.arrayBuffer, (bytes) => bytes.byteLength), 2)
      assert.strictEqual(yield* Stream.runCount(read.stream), 1)
    }))

  scoped("forms in the answer", () =>
    Effect.gen(function*() {
      const body = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n"
      const server = yield* raw((socket, request) => {
        const text = request.startsWith("GET /bad") ? "oh" : body
        socket.write(
          `HTTP/1.1 200 OK\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: ${text.length}\r\n\r\n${text}`
        )
      })
      const response = yield* HttpClient.get(server.url)
      assert.strictEqual((yield* response.formData).get("a"), "1")
      assert.strictEqual((yield* response.formData).get("a"), "1")
      const error = yield* Effect.flip(Effect.flatMap(HttpClient.get(`${server.url}/bad`), (_) => _.formData))
      assert.strictEqual(error.reason, "Decode")
    }))

  scoped(
    "compressed answers: broken, empty, unknown, endless, raw deflate, and behind a slow reader",
    () =>
      Effect.gen(function*() {
        const text = BIG.toString()
        let written = 0
        const { url } = yield* serve((request, response) => {
          switch (request.url) {
            case "/broken":
              return void response.setHeader("content-encoding", "gzip").end("not gzip")
            case "/cut":
              return void response.setHeader("content-encoding", "gzip").end(Zlib.gzipSync("abc").subarray(0, 15))
            case "/empty":
              return void response.setHeader("content-encoding", "gzip").end()
            case "/unknown":
              return void response.setHeader("content-encoding", "zip, gzip").end("as it came")
            case "/raw":
              return void response.setHeader("content-encoding", "deflate").end(Zlib.deflateRawSync(text))
            case "/big":
              return void response.setHeader("content-encoding", "gzip").end(Zlib.gzipSync(text))
            default: {
              response.setHeader("content-encoding", "gzip")
              const pipe = Zlib.createGzip({ level: 0 })
              pipe.pipe(response)
              const more = () => {
                while (written < 64 * 1024 * 1024) {
                  written += 65536
                  if (!pipe.write(BIG.subarray(0, 65536))) return void pipe.once("drain", more)
                }
              }
              more()
            }
          }
        })
        const get = (path: string) => HttpClient.get(`${url}/${path}`)
        const streamed = (path: string) => Stream.unwrap(Effect.map(get(path), (response) => response.stream))
        for (const path of ["broken", "cut"]) {
          const whole = yield* Effect.flip(Effect.flatMap(get(path), readText))
          assert.isTrue(whole._tag === "ResponseError" && whole.reason === "Decode")
          const pieces = yield* Effect.flip(Stream.runDrain(streamed(path)))
          assert.isTrue(pieces._tag === "ResponseError" && pieces.reason === "Decode")
          assert.match(codeOf(pieces)!, /^Z_/)
        }
        assert.strictEqual(yield* Effect.flatMap(get("empty"), readText), "")
        assert.strictEqual(yield* Stream.runCount(streamed("empty")), 0)
        assert.strictEqual(yield* Effect.flatMap(get("unknown"), readText), "as it came")
        assert.strictEqual(yield* Stream.mkString(Stream.decodeText(streamed("unknown"))), "as it came")
        assert.isTrue((yield* Effect.flatMap(get("raw"), readText)) === text)
        assert.isTrue((yield* Stream.mkString(Stream.decodeText(streamed("raw")))) === text)
        assert.isTrue((yield* Stream.mkString(Stream.decodeText(streamed("big")))) === text)
        const slow = streamed("endless").pipe(Stream.tap(() => Effect.sleep("10 millis")), Stream.take(5))
        assert.strictEqual(yield* Stream.runCount(slow), 5)
        assert.isBelow(written, 32 * 1024 * 1024)
        // Nor does an interruption leave anything behind, while it waits or while it reads.
        const fiber = yield* Effect.fork(Stream.runDrain(Stream.concat(streamed("endless"), Stream.never)))
        yield* Effect.sleep("30 millis")
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      })
  )

  scoped("bodies that cannot be sent", () =>
    Effect.gen(function*() {
      let started = 0
      let stopped = 0
      const server = yield* raw((socket) => socket.write(RawServer.json("1")))
      const post = (body: HttpBody.HttpBody, headers: Record<string, string> = {}) =>
        Effect.flip(HttpClient.post(server.url, { body, headers }))
      const broken = yield* post(HttpBody.stream(Stream.concat(
        Stream.make(new Uint8Array(3)),
        Stream.fail("out of paper")
      )))
      assert.isTrue(broken._tag === "RequestError" && broken.reason === "Encode")
      assert.strictEqual(broken.cause, "out of paper")
      for (
        const error of [
          yield* post(HttpBody.raw(42)),
          yield* post(HttpBody.raw("abc", { contentLength: 7 })),
          yield* post(HttpBody.empty, { "bad name": "x" }),
          yield* post(HttpBody.empty, { "x-bad": "a\r\nb" })
        ]
      ) {
        assert.isTrue(error._tag === "RequestError" && error.reason === "Encode", String(error))
      }
      const silent = yield* raw(() => {})
      const fiber = yield* HttpClient.post(silent.url, {
        body: HttpBody.stream(
          Stream.never.pipe(
            Stream.onStart(Effect.sync(() => started++)),
            Stream.ensuring(Effect.sync(() => stopped++))
          )
        )
      }).pipe(Effect.fork)
      yield* until(() => started === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => stopped === 1)
      assert.strictEqual(yield* Effect.flatMap(HttpClient.get(server.url), readJson), 1)
      const ftp = yield* Effect.flip(HttpClient.get("ftp://127.0.0.1/"))
      assert.strictEqual(ftp.reason, "InvalidUrl")
    }))

  it.scopedLive("spans and trace headers are those of the platform's client", () =>
    Effect.gen(function*() {
      const server = yield* raw(RawServer.json("1", { headers: "x-a: 1\r\nset-cookie: a=b\r\n" }))
      const platform = yield* Effect.map(Layer.build(NodeHttpClient.layerUndici), (_) => _)
      const mine = yield* Layer.build(ours)
      const request = HttpClientRequest.post(`${server.url}/a/b?c=d`, {
        headers: { authorization: "secret", "x-b": "2" }
      })
        .pipe(HttpClientRequest.appendUrlParam("e", "f g"), HttpClientRequest.setHash("h"))
      const plain = HttpClientRequest.get(server.url)
      const programs: ReadonlyArray<(client: HttpClient.HttpClient) => Effect.Effect<unknown, unknown>> = [
        (client) => client.execute(request),
        (client) => client.execute(plain),
        (client) => client.get("http://[::1"),
        (client) => client.get("http://127.0.0.1:1/"),
        (client) => HttpClient.withTracerPropagation(client, false).execute(request),
        (client) => HttpClient.withTracerDisabledWhen(client, () => true).execute(request),
        (client) => HttpClient.withSpanNameGenerator(client, (request) => `our ${request.method}`).execute(request),
        (client) => Effect.withTracerEnabled(client.execute(request), false),
        (client) => Effect.locally(client.execute(request), Headers.currentRedactedNames, ["x-b", "x-a"]),
        (client) => Effect.withSpan(HttpClient.withScope(client).execute(request).pipe(Effect.scoped), "outer")
      ]
      for (const program of programs) {
        const before = server.requests.length
        const theirs = yield* seen(
          Effect.exit(Effect.provide(Effect.flatMap(HttpClient.HttpClient, program), platform))
        )
        const between = server.requests.length
        const own = yield* seen(Effect.exit(Effect.provide(Effect.flatMap(HttpClient.HttpClient, program), mine)))
        assert.deepStrictEqual(own, theirs)
        // Theirs sends the fragment too.
        assert.deepStrictEqual(
          server.requests.slice(between),
          server.requests.slice(before, between).map((request) => request.replace("#h ", " "))
        )
      }
      const named = Layer.succeed(HttpClient.SpanNameGenerator, () => "of the layer")
      const spans = yield* seen(Effect.provide(HttpClient.execute(plain), Layer.provide(ours, named)))
      assert.deepStrictEqual(spans.map((span) => span.name), ["of the layer"])
    }))

  it.scopedLive(
    "whatever is sent and answered, all is seen as with the platform's client",
    () =>
      Effect.gen(function*() {
        let answer = ""
        const server = yield* raw((socket) => socket.write(answer))
        const platform = yield* Layer.build(NodeHttpClient.layerUndici)
        const mine = yield* Layer.build(ours)
        const token = FastCheck.stringMatching(/^[a-z][a-z0-9-]{0,9}$/).filter((name) =>
          !/^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-length|content-encoding)$/
            .test(name)
        )
        const value = FastCheck.stringMatching(/^[!-~]{0,12}$/)
        const headers = FastCheck.array(FastCheck.tuple(token, value), { maxLength: 5 })
        const path = FastCheck.oneof(
          FastCheck.stringMatching(/^(\/[\w.~!$&'()*+,;=:@%-]{0,6}){1,4}(\?[\w/?.'=&%-]{0,9})?$/),
          FastCheck.string({ unit: "binary", maxLength: 8 }).map((text) => `/${text.replace(/#/g, "")}`),
          FastCheck.constantFrom(
            "",
            "/",
            "?a",
            "/.",
            "/..",
            "/a/../b",
            "/%2e%2E/x",
            "//",
            "/a/.b",
            "/a.b./c",
            "/\\x",
            " "
          )
        )
        const exchanges = FastCheck.record({
          method: FastCheck.constantFrom(...METHODS),
          path,
          sent: headers,
          params: FastCheck.array(FastCheck.tuple(value, FastCheck.string({ maxLength: 4 })), { maxLength: 2 }),
          body: FastCheck.option(FastCheck.string({ unit: "binary", maxLength: 20 }), { freq: 2 }),
          status: FastCheck.constantFrom(200, 201, 204, 299, 302, 304, 400, 403, 404, 429, 500, 503),
          answered: headers,
          text: FastCheck.oneof(FastCheck.json({ maxDepth: 2 }), FastCheck.string({ unit: "binary", maxLength: 20 }))
        })
        const observe = (request: HttpClientRequest.HttpClientRequest) =>
          Effect.gen(function*() {
            const response = yield* HttpClient.execute(request)
            return {
              status: response.status,
              headers: { ...response.headers },
              cookies: Cookies.toSetCookieHeaders(response.cookies),
              text: yield* response.text,
              json: yield* Effect.either(Effect.mapError(response.json, (error) => error.message)),
              params: yield* response.urlParamsBody
            }
          }).pipe(Effect.mapError((error) => [error._tag, error.reason, codeOf(error)]), Effect.either)

        for (const sample of FastCheck.sample(exchanges, { numRuns: 300, seed: 42 })) {
          const hasBody = sample.status !== 204 && sample.status !== 304
          answer = `HTTP/1.1 ${sample.status} X\r\n${sample.answered.map(([k, v]) => `${k}: ${v}\r\n`).join("")}` +
            (hasBody ? `content-length: ${Buffer.byteLength(sample.text)}\r\n` : "") +
            `\r\n${hasBody && sample.method !== "HEAD" ? sample.text : ""}`
          const base = HttpClientRequest.make(sample.method)(`${server.url}${sample.path}` as string, {
            headers: sample.sent,
            urlParams: sample.params
          } as {})
          const request = sample.body === null || sample.method === "GET" || sample.method === "HEAD"
            ? base
            : HttpClientRequest.bodyText(base, sample.body)
          const before = server.requests.length
          const theirs = yield* Effect.provide(observe(request), platform)
          const between = server.requests.length
          const own = yield* Effect.provide(observe(request), mine)
          assert.deepStrictEqual(own, theirs, JSON.stringify(sample))
          const trace = /^(b3|traceparent): .*\r\n/gm
          assert.deepStrictEqual(
            server.requests.slice(between).map((text) => text.replace(trace, "")),
            server.requests.slice(before, between).map((text) => text.replace(trace, "")),
            JSON.stringify(sample)
          )
        }
      }),
    60_000
  )

  it.scopedLive("a proxy: from the options, from the environment, past it for NO_PROXY and the machine itself", () =>
    Effect.gen(function*() {
      const server = yield* raw(RawServer.json("1"))
      const target = new URL(server.url)
      const asked: Array<string> = []
      const proxy = Http.createServer()
      proxy.on("connect", (request, socket) => {
        asked.push(`${request.url} ${request.headers["proxy-authorization"] ?? ""}`)
        const upstream = Net.connect(Number(target.port), target.hostname, () => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
          upstream.pipe(socket).pipe(upstream)
        })
        upstream.on("error", () => {})
        socket.on("error", () => {})
      })
      const { port } = yield* listen(proxy)
      const url = `http://user:pass@127.0.0.1:${port}`
      const through = (options: UndiciHttpClient.Options, to = "http://dingtalk.invalid/x") =>
        Effect.flatMap(HttpClient.get(to), readJson).pipe(Effect.provide(UndiciHttpClient.layer(options)))

      assert.strictEqual(yield* through({ proxy: Redacted.make(url) }), 1)
      assert.strictEqual(yield* through({ proxy: url }), 1)
      const basic = `Basic ${Buffer.from("user:pass").toString("base64")}`
      assert.deepStrictEqual(asked, [`dingtalk.invalid:80 ${basic}`, `dingtalk.invalid:80 ${basic}`])
      assert.strictEqual(yield* through({ proxy: url }, server.url), 1)

      yield* environment({ HTTP_PROXY: url, NO_PROXY: "example.invalid" })
      assert.strictEqual(yield* through({}), 1)
      assert.strictEqual(asked.length, 3)
      assert.strictEqual(codeOf(yield* Effect.flip(through({ proxy: false }))), "ENOTFOUND")
      assert.strictEqual(codeOf(yield* Effect.flip(through({}, "http://example.invalid/"))), "ENOTFOUND")
      assert.strictEqual(asked.length, 3)
    }))

  describe("TLS", () => {
    const secured = (handler: Http.RequestListener) =>
      Effect.map(
        listen(Https.createServer({ ...Certificates.host }, handler)),
        ({ port }) => ({ port, url: `https://127.0.0.1:${port}` })
      )
    const trusting = { connect: { ca: Certificates.host.cert } }
    const get = (url: string, options: UndiciHttpClient.Options, headers: Record<string, string> = {}) =>
      Effect.flatMap(HttpClient.get(url, { headers }), readText).pipe(Effect.provide(UndiciHttpClient.layer(options)))
    const failing = (url: string, options: UndiciHttpClient.Options) =>
      Effect.map(Effect.flip(get(url, options)), (error) => {
        assert.isTrue(error._tag === "RequestError" && error.reason === "Transport", String(error))
        return error
      })
    const TARGET = "https://oapi.dingtalk.invalid/x"

    it.scopedLive("an unknown authority is an error with a code, a known one is none", () =>
      Effect.gen(function*() {
        const { url } = yield* secured((_, response) => response.end("hello"))
        const error = yield* failing(url, {})
        assert.strictEqual(codeOf(error), "DEPTH_ZERO_SELF_SIGNED_CERT")
        assert.strictEqual(yield* get(url, { agent: trusting }), "hello")
        const other = yield* failing(url, { agent: { connect: { ca: Certificates.proxy.cert } } })
        assert.strictEqual(codeOf(other), "DEPTH_ZERO_SELF_SIGNED_CERT")
        const named = yield* failing(url, { agent: { connect: { ...trusting.connect, servername: "a.example" } } })
        assert.strictEqual(codeOf(named), "ERR_TLS_CERT_ALTNAME_INVALID")
      }))

    it.scopedLive("HTTPS_PROXY: through a tunnel that shows the proxy nothing but its credentials and the host", () =>
      Effect.gen(function*() {
        const seenHeaders: Array<Http.IncomingHttpHeaders> = []
        const target = yield* secured((request, response) => {
          seenHeaders.push(request.headers)
          response.end("hello")
        })
        const proxy = yield* ConnectProxy.make(target)
        yield* environment({ HTTPS_PROXY: `http://user:pa%24s@127.0.0.1:${proxy.port}` })
        const token = "a-token-of-the-app"
        assert.strictEqual(yield* get(TARGET, { agent: trusting }, { "x-acs-dingtalk-access-token": token }), "hello")
        assert.strictEqual(yield* get("https://oapi.dingtalk.invalid:8443/", { agent: trusting }), "hello")
        assert.deepStrictEqual(proxy.asked.map((asked) => [asked.target, asked.authorization]), [
          ["oapi.dingtalk.invalid:443", `Basic ${Buffer.from("user:pa$s").toString("base64")}`],
          ["oapi.dingtalk.invalid:8443", `Basic ${Buffer.from("user:pa$s").toString("base64")}`]
        ])
        const bytes = Buffer.concat(proxy.asked[0]!.sent)
        // A record of TLS's handshake.
        assert.strictEqual(bytes[0], 0x16)
        for (const secret of [token, "GET /x", "x-acs-dingtalk"]) assert.isFalse(bytes.includes(secret), secret)
        assert.strictEqual(seenHeaders[0]!["x-acs-dingtalk-access-token"], token)
        for (const headers of seenHeaders) assert.notProperty(headers, "proxy-authorization")

        // A call of the library, which goes without Effect.
        const calling = HttpTransport.layer({
          hosts: Either.getOrThrow(Hosts.single("https://oapi.dingtalk.invalid"))
        })
        const denied = yield* Effect.flip(Contact.getUser({ userid: "zhangsan" })).pipe(
          Effect.provide(
            DingTalkHttp.layer({ deadline: "3 seconds" }).pipe(
              Layer.provide(TokenService.layerTest(token)),
              Layer.provide(calling),
              Layer.provide(UndiciHttpClient.layer({ agent: trusting }))
            )
          )
        )
        assert.match(String(denied), /text that is not JSON/)
        assert.isFalse(Buffer.concat(proxy.asked[2]!.sent).includes(token))
        assert.strictEqual(seenHeaders.length, 3)

        // Past it what NO_PROXY names, with the same TLS.
        process.env["NO_PROXY"] = "localhost"
        assert.strictEqual(yield* get(`https://localhost:${target.port}/`, { agent: trusting }), "hello")
        assert.strictEqual(codeOf(yield* failing(target.url, {})), "DEPTH_ZERO_SELF_SIGNED_CERT")
        assert.strictEqual(proxy.asked.length, 3)
      }))

    it.scopedLive("through a proxy: what `connect` says of TLS, and what `requestTls` says before it", () =>
      Effect.gen(function*() {
        let authorized: unknown
        const asking = Https.createServer(
          { ...Certificates.host, ca: Certificates.proxy.cert, requestCert: true, rejectUnauthorized: false },
          (request, response) => {
            authorized = (request.socket as TLSSocket).authorized
            response.end("hello")
          }
        )
        const target = yield* listen(asking)
        const proxy = `http://127.0.0.1:${(yield* ConnectProxy.make(target)).port}`
        assert.strictEqual(codeOf(yield* failing(TARGET, { proxy })), "DEPTH_ZERO_SELF_SIGNED_CERT")
        assert.strictEqual(yield* get(TARGET, { proxy, agent: { connect: { rejectUnauthorized: false } } }), "hello")
        assert.isFalse(authorized)
        const client = { ...trusting.connect, cert: Certificates.proxy.cert, key: Certificates.proxy.key }
        assert.strictEqual(yield* get(TARGET, { proxy, agent: { connect: client } }), "hello")
        assert.isTrue(authorized)
        assert.strictEqual(
          yield* get(TARGET, { proxy, agent: { ...trusting, connections: 1 }, connections: 1 }),
          "hello"
        )
        assert.strictEqual(
          codeOf(yield* failing("https://a.example/", { proxy, agent: trusting })),
          "ERR_TLS_CERT_ALTNAME_INVALID"
        )
        const servername = { connect: { ...trusting.connect, servername: "api.dingtalk.invalid" } }
        assert.strictEqual(yield* get("https://a.example/", { proxy, agent: servername }), "hello")
        const before = { connect: { ca: Certificates.proxy.cert }, requestTls: trusting.connect }
        assert.strictEqual(yield* get(TARGET, { proxy, agent: before }), "hello")
        const factory = (origin: string | URL, options: object) => new Undici.Pool(origin, options)
        assert.strictEqual(yield* get(TARGET, { proxy, agent: { ...trusting, factory } }), "hello")
      }))

    it.scopedLive("a proxy that speaks TLS has a trust of its own, and never sees a client certificate", () =>
      Effect.gen(function*() {
        const target = yield* secured((_, response) => response.end("hello"))
        const secure = yield* ConnectProxy.make({ ...target, identity: Certificates.proxy })
        const proxy = `https://user:secret@localhost:${secure.port}`
        const loose = yield* failing(TARGET, {
          proxy,
          agent: { connect: { ...trusting.connect, rejectUnauthorized: false } }
        })
        assert.strictEqual(codeOf(loose), "DEPTH_ZERO_SELF_SIGNED_CERT")
        assert.strictEqual(secure.asked.length, 0)
        const agent = { ...trusting, proxyTls: { ca: Certificates.proxy.cert } }
        assert.strictEqual(yield* get(TARGET, { proxy, agent }), "hello")
        assert.strictEqual(secure.asked[0]!.target, "oapi.dingtalk.invalid:443")
      }))

    it.scopedLive("a connector of one's own speaks through the tunnel", () =>
      Effect.gen(function*() {
        const target = yield* secured((_, response) => response.end("hello"))
        const plain = yield* serve((_, response) => response.end("plain"))
        const behind = yield* ConnectProxy.make(target)
        const proxy = `http://127.0.0.1:${behind.port}`
        const connector = Undici.buildConnector(trusting.connect)
        const asked: Array<string> = []
        const connect: Undici.buildConnector.connector = (options, callback) => {
          asked.push(`${options.protocol}//${options.host} ${options.httpSocket !== undefined}`)
          connector(options, callback)
        }
        assert.strictEqual(yield* get(TARGET, { proxy, agent: { connect } }), "hello")
        assert.strictEqual(yield* get(target.url, { proxy, agent: { connect } }), "hello")
        const refusing: Undici.buildConnector.connector = (_, callback) => callback(new Error("not this one"), null)
        const refused = yield* failing(TARGET, { proxy, agent: { connect: refusing } })
        assert.match(String(refused.cause), /not this one/)
        assert.strictEqual(
          yield* get(TARGET, { proxy, agent: { connect: refusing, requestTls: trusting.connect } }),
          "hello"
        )
        assert.deepStrictEqual(asked, [
          "https://oapi.dingtalk.invalid true",
          `https://127.0.0.1:${target.port} false`
        ])
        assert.deepStrictEqual(behind.asked.map((_) => _.target), Array(3).fill("oapi.dingtalk.invalid:443"))
        const other = yield* ConnectProxy.make(plain)
        const http = { proxy: `http://127.0.0.1:${other.port}`, agent: { connect: refusing } }
        assert.strictEqual(yield* get("http://oapi.dingtalk.invalid/", http), "plain")
      }))

    it.scopedLive("a proxy that hangs up, or says nothing, or leads nowhere, is an error in time", () =>
      Effect.gen(function*() {
        const target = yield* secured((_, response) => response.end("hello"))
        const quick: UndiciHttpClient.Options = { connectTimeout: "300 millis", agent: trusting }
        for (const manner of ["gone", "silent", "mute"] as const) {
          const behind = yield* ConnectProxy.make({ ...target, manner })
          const proxy = `http://user:secret@127.0.0.1:${behind.port}`
          const options = manner === "gone" ? { agent: trusting, proxy } : { ...quick, proxy }
          const error = yield* failing(TARGET, options).pipe(Effect.timeout("8 seconds"))
          assert.strictEqual(codeOf(error), manner === "gone" ? "ECONNRESET" : "UND_ERR_CONNECT_TIMEOUT")
          assert.notInclude(inspect(error, { depth: 20, showHidden: true }), "secret")
          // Not again and again.
          assert.isAtMost(behind.asked.length, 1)
        }
        // A socket that takes connections and says nothing is not yet a proxy that speaks TLS.
        const deaf = yield* listen(Net.createServer())
        const error = yield* failing(TARGET, { ...quick, proxy: `https://localhost:${deaf.port}` }).pipe(
          Effect.timeout("5 seconds")
        )
        assert.strictEqual(codeOf(error), "UND_ERR_CONNECT_TIMEOUT")
      }))

    it.scopedLive("no error repeats the password of a proxy", () =>
      Effect.gen(function*() {
        const target = yield* secured((_, response) => response.end("hello"))
        const refusing = yield* listen(
          Http.createServer().on("connect", (_, socket) =>
            socket.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"))
        )
        const gone = yield* Effect.scoped(Effect.map(ConnectProxy.make(target), (proxy) =>
          proxy.port))
        for (const port of [refusing.port, gone]) {
          const error = yield* failing(TARGET, { proxy: `http://user:secret@127.0.0.1:${port}` })
          assert.strictEqual(codeOf(error), port === gone ? "ECONNREFUSED" : "UND_ERR_ABORTED")
          assert.notInclude(inspect(error, { depth: 20, showHidden: true }), "secret")
          assert.notInclude(
            inspect(error, { depth: 20, showHidden: true }),
            Buffer.from("user:secret").toString("base64")
          )
        }
        const opened = yield* ConnectProxy.make(target)
        for (
          const proxy of ["http://user:secret@", "http://user:sec%ret@127.0.0.1:1", "ftp://user:secret@127.0.0.1:1"]
        ) {
          const exit = yield* Effect.exit(get(TARGET, { proxy }))
          const text = inspect(exit, { depth: 20, showHidden: true })
          assert.match(text, /proxy is not the URL of a proxy/)
          assert.notMatch(text, /sec%?ret/)
        }
        // As curl takes it.
        assert.strictEqual(yield* get(TARGET, { proxy: `localhost:${opened.port}`, agent: trusting }), "hello")
      }))

    it.scopedLive("requests that share their headers do not share a host behind a proxy", () =>
      Effect.gen(function*() {
        const { port } = yield* serve((request, response) => response.end(request.headers.host))
        const proxy = `http://127.0.0.1:${(yield* ConnectProxy.make({ port })).port}`
        const both = Effect.forEach(
          ["http://a.example/", "http://b.example/"],
          (url) => Effect.flatMap(HttpClient.get(url), readText)
        ).pipe(Effect.provide(UndiciHttpClient.layer({ proxy })), Effect.withTracerEnabled(false))
        assert.deepStrictEqual(yield* both, ["a.example", "b.example"])
        assert.deepStrictEqual(Object.keys(Headers.empty), [])
      }))
  })

  describe("keep-alive", () => {
    /** A server that says how long it keeps connections, and how many calls each of them carried. */
    const keeping = (hint: string) =>
      Effect.map(
        raw((socket) => socket.write(RawServer.json("1", { headers: hint }))),
        (server) => ({ server, get: Effect.flatMap(HttpClient.get(server.url), readJson) })
      )
    const HINT = "connection: keep-alive\r\nkeep-alive: timeout=600\r\n"

    scoped("an idle connection is used again within `keepAliveTimeout`", () =>
      Effect.gen(function*() {
        const { get, server } = yield* keeping("")
        for (let i = 0; i < 3; i++) {
          yield* get
          yield* Effect.sleep("50 millis")
        }
        assert.strictEqual(server.connections(), 1)
        assert.strictEqual(server.open(), 1)
      }), UndiciHttpClient.layer({ keepAliveTimeout: "1 minute" }))

    scoped("and is closed after it", () =>
      Effect.gen(function*() {
        const { get, server } = yield* keeping("")
        yield* get
        yield* until(() => server.open() === 0)
        yield* get
        assert.strictEqual(server.connections(), 2)
      }), UndiciHttpClient.layer({ keepAliveTimeout: "200 millis" }))

    scoped("a server's hint counts for more", () =>
      Effect.gen(function*() {
        const { get, server } = yield* keeping(HINT)
        yield* get
        yield* Effect.sleep("300 millis")
        yield* get
        assert.strictEqual(server.connections(), 1)
      }), UndiciHttpClient.layer({ keepAliveTimeout: "50 millis" }))

    scoped("but for no more than `keepAliveMaxTimeout`", () =>
      Effect.gen(function*() {
        const { get, server } = yield* keeping(HINT)
        yield* get
        yield* until(() => server.open() === 0)
        yield* get
        assert.strictEqual(server.connections(), 2)
      }), UndiciHttpClient.layer({ keepAliveTimeout: "1 minute", keepAliveMaxTimeout: "200 millis" }))

    scoped("2 seconds are taken off the hint: nothing is left of one that short", () =>
      Effect.gen(function*() {
        const short = yield* keeping("connection: keep-alive\r\nkeep-alive: timeout=2\r\n")
        yield* short.get
        yield* short.get
        assert.strictEqual(short.server.connections(), 2)
        const longer = yield* keeping("connection: keep-alive\r\nkeep-alive: timeout=3\r\n")
        const [kept] = yield* Effect.timed(
          Effect.zipRight(longer.get, until(() => longer.server.open() === 0))
        )
        assert.isAbove(Duration.toMillis(kept), 950)
        assert.isBelow(Duration.toMillis(kept), 2900)
      }))

    scoped("longer than a timer can be is as long as it can be", () =>
      Effect.gen(function*() {
        const { get, server } = yield* keeping(HINT)
        const plain = yield* keeping("")
        for (const call of [get, plain.get]) {
          yield* call
          yield* Effect.sleep("100 millis")
          yield* call
        }
        assert.strictEqual(server.connections(), 1)
        assert.strictEqual(plain.server.connections(), 1)
      }), UndiciHttpClient.layer({ keepAliveTimeout: "60 days", keepAliveMaxTimeout: Duration.infinity }))
  })

  it.scopedLive("a dispatcher of one's own, and options from a Config", () =>
    Effect.gen(function*() {
      const mock = new Undici.MockAgent()
      mock.disableNetConnect()
      mock.get("http://mock.invalid").intercept({ path: "/x" }).reply(200, { a: 1 }, {
        headers: { "X-A": "1", "content-type": "application/json" }
      }).persist()
      const response = yield* HttpClient.get("http://mock.invalid/x").pipe(
        Effect.provide(UndiciHttpClient.layerDispatcher(mock))
      )
      assert.deepStrictEqual([yield* response.json, response.headers["x-a"]], [{ a: 1 }, "1"])
      const client = UndiciHttpClient.fromDispatcher(mock.compose(Undici.interceptors.retry()))
      assert.deepStrictEqual(yield* Effect.flatMap(client.get("http://mock.invalid/x"), readJson), { a: 1 })
      const none = yield* Effect.flip(client.get("http://mock.invalid/y"))
      assert.isTrue(none._tag === "RequestError" && none.reason === "Transport")
      yield* Effect.promise(() => mock.close())

      const server = yield* raw(RawServer.json("1"))
      const configured = UndiciHttpClient.layerConfig({
        connections: Config.integer("CONNECTIONS"),
        connectTimeout: Config.duration("CONNECT"),
        proxy: Config.redacted("PROXY").pipe(Config.orElse(() => Config.succeed(undefined)))
      }).pipe(Layer.provide(Layer.setConfigProvider(
        ConfigProvider.fromMap(new Map([["CONNECTIONS", "1"], ["CONNECT", "5 seconds"]]))
      )))
      const get = Effect.flatMap(HttpClient.get(server.url), readJson)
      yield* Effect.all(Array.from({ length: 5 }, () => get), { concurrency: "unbounded" }).pipe(
        Effect.provide(configured)
      )
      assert.strictEqual(server.connections(), 1)
    }))
})
