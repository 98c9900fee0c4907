import type { DingTalk } from "@effect-dingtalk/core"
import { Contact, TokenService } from "@effect-dingtalk/core"
import { DingTalkHttp } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer } from "effect"
import type * as Net from "node:net"
import { transports } from "./clients.js"
import * as RawServer from "./RawServer.js"

const over = (
  server: RawServer.RawServer,
  transport: (typeof transports)[number][1],
  deadline: Duration.DurationInput = "5 seconds"
): Layer.Layer<DingTalk.DingTalk> =>
  // Without retries, so that each answer is seen as the one error that it is.
  DingTalkHttp.layer({ deadline, limiter: false, retry: false }).pipe(
    Layer.provide(TokenService.layerTest("sentinel-token")),
    Layer.provide(transport({ hosts: server.hosts, maxBodyBytes: 100_000 }))
  )

const user = `{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","unionid":"u","name":"John"}}`
const repeated = (text: string, times: number) => text.repeat(times)

interface Garbage {
  readonly name: string
  readonly answer: (socket: Net.Socket) => void
  readonly tag: string
  readonly reason?: string
  readonly status?: number
  readonly says: RegExp
}

const write = (text: string) => (socket: Net.Socket) => {
  socket.write(text)
}

const html = (status: string, body: string) =>
  `HTTP/1.1 ${status}\r\ncontent-type: text/html\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

const garbage: ReadonlyArray<Garbage> = [
  {
    name: "an HTML page with 200",
    answer: write(html("200 OK", "<html><body>Welcome to the hotel's Wi-Fi</body></html>")),
    tag: "TransportError",
    reason: "Decode",
    says: /HTML/
  },
  {
    name: "an HTML page with 502",
    answer: write(html("502 Bad Gateway", "<html>Bad Gateway</html>")),
    tag: "Unavailable",
    status: 502,
    says: /busy or broken/
  },
  {
    name: "the guard's page after too many calls",
    answer: write(
      html("200 OK", "<html><script>window._config_={\"action\":\"deny\"}</script>/_____tmd_____/punish</html>")
    ),
    tag: "IpBanned",
    says: /300 s/
  },
  {
    name: "the guard's JSON after too many calls",
    answer: write(RawServer.json(`{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"xxx"}`)),
    tag: "IpBanned",
    says: /300 s/
  },
  {
    name: "an empty body",
    answer: write(RawServer.json("")),
    tag: "TransportError",
    reason: "Decode",
    says: /no body/
  },
  {
    name: "a body cut before its announced end",
    answer: (socket) => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${user.length}\r\n\r\n${user.slice(0, 40)}`),
    tag: "TransportError",
    reason: "Network",
    says: /cut/
  },
  {
    name: "a chunked body cut in the middle",
    answer: (socket) =>
      socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n14\r\n${user.slice(0, 20)}\r\n`),
    tag: "TransportError",
    reason: "Network",
    says: /cut/
  },
  {
    name: "JSON that ends too early",
    answer: write(RawServer.json(user.slice(0, 40))),
    tag: "TransportError",
    reason: "Decode",
    says: /not JSON/
  },
  {
    name: "a body that hangs",
    answer: write(`HTTP/1.1 200 OK\r\ncontent-length: ${user.length}\r\n\r\n${user.slice(0, 40)}`),
    tag: "TransportError",
    reason: "Timeout",
    says: /no answer within 300ms/
  },
  {
    name: "a chunked body that hangs",
    answer: write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n14\r\n${user.slice(0, 20)}\r\n`),
    tag: "TransportError",
    reason: "Timeout",
    says: /no answer within 300ms/
  },
  {
    name: "no answer at all",
    answer: () => {},
    tag: "TransportError",
    reason: "Timeout",
    says: /no answer within 300ms/
  },
  {
    name: "headers that never end",
    answer: write("HTTP/1.1 200 OK\r\ncontent-ty"),
    tag: "TransportError",
    reason: "Timeout",
    says: /no answer within/
  },
  {
    name: "a reset",
    answer: (socket) => socket.resetAndDestroy(),
    tag: "TransportError",
    reason: "Network",
    says: /connection/
  },
  {
    name: "a connection closed without a word",
    answer: (socket) => socket.end(),
    tag: "TransportError",
    reason: "Network",
    says: /connection/
  },
  {
    name: "what is not HTTP",
    answer: (socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n"),
    tag: "TransportError",
    reason: "Network",
    says: /connection/
  },
  {
    name: "a redirect",
    answer: write("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"),
    tag: "TransportError",
    reason: "Decode",
    status: 302,
    says: /redirect/
  },
  {
    name: "a permanent redirect that keeps the method",
    answer: write("HTTP/1.1 308 Permanent Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"),
    tag: "TransportError",
    reason: "Decode",
    status: 308,
    says: /redirect/
  },
  {
    name: "an announced length of 1 GB",
    answer: write(`HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n${user}`),
    tag: "TransportError",
    reason: "Decode",
    says: /longer than 100000 bytes/
  },
  {
    name: "a body without end",
    answer: (socket) => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
      const chunk = `2710\r\n${repeated("x", 10_000)}\r\n`
      const more = () => {
        while (!socket.destroyed && socket.write(chunk)) {
          // until the socket's buffer is full
        }
      }
      socket.on("drain", more)
      more()
    },
    tag: "TransportError",
    reason: "Decode",
    says: /longer than 100000 bytes/
  },
  {
    name: "a 200 with the wrong shape",
    answer: write(RawServer.json(`{"errcode":0,"result":{"userid":["zhangsan"],"unionid":"u"}}`)),
    tag: "TransportError",
    reason: "Decode",
    says: /result\.userid expected a string, got a list/
  },
  {
    name: "null",
    answer: write(RawServer.json("null")),
    tag: "TransportError",
    reason: "Decode",
    says: /not an object/
  },
  {
    name: "a number",
    answer: write(RawServer.json("42")),
    tag: "TransportError",
    reason: "Decode",
    says: /not an object/
  },
  {
    name: "a result that is null",
    answer: write(RawServer.json(`{"errcode":0,"errmsg":"ok","result":null}`)),
    tag: "TransportError",
    reason: "Decode",
    says: /result expected an object, got null/
  },
  {
    name: "bytes that are not UTF-8",
    answer: write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\x80\x81\xff\xfe"),
    tag: "TransportError",
    reason: "Decode",
    says: /not JSON/
  },
  {
    name: "429 without a body",
    answer: write("HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n"),
    tag: "RateLimited",
    says: /3 s/
  },
  {
    name: "503 without a body",
    answer: write("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"),
    tag: "Unavailable",
    says: /busy or broken/
  }
]

for (const [name, transport] of transports) {
  describe(name, () => {
    for (const { answer, reason, says, status, tag, ...kind } of garbage) {
      it.scopedLive(`${kind.name}: a typed error within the deadline, and no connection left over`, () =>
        Effect.gen(function*() {
          const server = yield* RawServer.make(answer)
          // Short only where it is what ends the call: a busy machine takes its time for the others.
          const layer = yield* Layer.memoize(over(server, transport, reason === "Timeout" ? "300 millis" : "5 seconds"))
          const call = Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(layer))
          const [took, error] = yield* Effect.timed(Effect.flip(call))
          assert.strictEqual(error._tag, tag)
          if (reason !== undefined) assert.strictEqual("reason" in error ? error.reason : undefined, reason)
          if (status !== undefined) assert.strictEqual(error.status, status)
          assert.match(error.message, says)
          assert.isBelow(Duration.toMillis(took), 5000)

          const exits = yield* Effect.all(Array.from({ length: 60 }, () => Effect.exit(call)), { concurrency: 10 })
          assert.isTrue(exits.every((exit) => Exit.isFailure(exit) && exit.cause._tag === "Fail"), "never a defect")
          // What stays open is idle in undici's pool, which grows to twice what was in flight at once, and not further.
          yield* Effect.sleep("50 millis")
          assert.isAtMost(server.open(), 25)
        }))
    }

    it.scopedLive("an interrupted call closes its socket", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make(() => {})
        const call = Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(over(server, transport, "1 minute")))
        const fiber = yield* Effect.fork(call)
        yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => server.requests.length === 1 })
        assert.strictEqual(server.open(), 1)
        yield* Fiber.interrupt(fiber)
        yield* Effect.repeat(Effect.sleep("5 millis"), { until: () => server.open() === 0, times: 200 })
        assert.strictEqual(server.open(), 0)
      }))

    it.scopedLive("nothing listening: a network error that names the host and the system's code", () =>
      Effect.gen(function*() {
        const server = yield* Effect.scoped(RawServer.make(() => {}))
        const error = yield* Effect.flip(
          Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(over(server, transport)))
        )
        assert.isTrue(error._tag === "TransportError" && error.reason === "Network" && error.isRetryable)
        assert.include(error.message, "ECONNREFUSED")
        assert.include(error.message, new URL(server.url).host)
        assert.notInclude(error.message, "topapi")
      }))

    it.scopedLive("the token never leaves for the place that a redirect names", () =>
      Effect.gen(function*() {
        const elsewhere = yield* RawServer.make((socket) => socket.write(RawServer.json(user)))
        const server = yield* RawServer.make((socket) => {
          socket.write(`HTTP/1.1 307 Temporary Redirect\r\nlocation: ${elsewhere.url}/x\r\ncontent-length: 0\r\n\r\n`)
        })
        yield* Effect.flip(Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(over(server, transport))))
        assert.strictEqual(server.requests.length, 1)
        assert.strictEqual(elsewhere.requests.length, 0)
      }))

    it.scopedLive("calls one after another share a connection", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make((socket) => socket.write(RawServer.json(user)))
        yield* Effect.repeatN(Contact.getUser({ userid: "zhangsan" }), 19).pipe(
          Effect.provide(over(server, transport, "5 seconds"))
        )
        assert.strictEqual(server.requests.length, 20)
        assert.isAtMost(server.connections(), 2)
      }))

    it.scopedLive("a chunked answer without a length is read like any other", () =>
      Effect.gen(function*() {
        const hex = Buffer.byteLength(user).toString(16)
        const server = yield* RawServer.make((socket) =>
          socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${hex}\r\n${user}\r\n0\r\n\r\n`)
        )
        const { name } = yield* Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(over(server, transport)))
        assert.strictEqual(name, "John")
      }))

    it.scopedLive("a platform that repeats the token in its message does not get it into the error", () =>
      Effect.gen(function*() {
        const server = yield* RawServer.make((socket) =>
          socket.write(RawServer.json(`{"errcode":40035,"errmsg":"bad parameter in ?access_token=sentinel-token"}`))
        )
        const error = yield* Effect.flip(
          Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(over(server, transport)))
        )
        assert.strictEqual(error._tag, "InvalidRequest")
        assert.include(error.message, "<redacted>")
        assert.notInclude(error.message, "sentinel-token")
      }))
  })
}
