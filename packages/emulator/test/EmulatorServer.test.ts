import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Redacted, Scope } from "effect"
import * as Net from "node:net"
import { Emulator, EmulatorServer, Fault } from "../src/index.js"

const server = (options?: EmulatorServer.Options) =>
  EmulatorServer.layer(options).pipe(Layer.provideMerge(Emulator.layer()))

const url = Effect.map(EmulatorServer.EmulatorServer, (server) => server.url)

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: Headers
}

const request = (url: string, init?: RequestInit): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { redirect: "manual", signal, ...init })
    return { status: response.status, body: await response.text(), headers: response.headers }
  })

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  request(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

const token = (url: string) =>
  Effect.map(
    post(`${url}/v1.0/oauth2/accessToken`, { appKey: "dingquickstart", appSecret: "quickstart-secret" }),
    ({ body }) => JSON.parse(body).accessToken as string
  )

/** Raw bytes in, what comes back until the other side closes or `millis` pass out. */
const raw = (url: string, bytes: string, millis = 500) =>
  Effect.async<string>((resume) => {
    const { hostname, port } = new URL(url)
    let text = ""
    const socket = Net.connect(Number(port), hostname, () => socket.write(bytes))
    const done = () => {
      socket.destroy()
      resume(Effect.succeed(text))
    }
    socket.on("data", (data) => text += data)
    socket.on("error", done).on("close", done)
    setTimeout(done, millis)
  })

describe("EmulatorServer", () => {
  it.live("two at once know nothing of each other", () =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const one = yield* Effect.provide(url, yield* Layer.buildWithScope(server(), scope))
      const two = yield* Effect.provide(url, yield* Layer.buildWithScope(server(), scope))
      assert.notStrictEqual(one, two)
      const mine = yield* token(one)
      const there = yield* post(`${two}/topapi/v2/user/get?access_token=${mine}`, { userid: "zhangsan" })
      assert.include(there.body, "\"40014\"")
      const here = yield* post(`${one}/topapi/v2/user/get?access_token=${mine}`, { userid: "zhangsan" })
      assert.include(here.body, "\"order\":179997318850453160}")
      assert.strictEqual(here.headers.get("server"), "DingTalk/1.0.0")
      assert.isNotNull(here.headers.get("date"))
    }).pipe(Effect.scoped))

  it.live("closes at once, with idle connections and with a request under way", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(server(), scope)
      const [base, emulator] = yield* Effect.provide(Effect.all([url, Emulator.Emulator]), context)
      yield* token(base)
      yield* emulator.failNext(Fault.delay("1 minute"))
      const waiting = yield* Effect.fork(Effect.exit(request(`${base}/gettoken`)))
      yield* raw(base, "POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nslow", 50).pipe(Effect.fork)
      yield* Effect.sleep("100 millis")
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.isBelow(Duration.toMillis(took), 500)
      assert.isTrue(Exit.isFailure(yield* waiting))
      yield* Effect.provide(
        url,
        yield* Layer.buildWithScope(server({ port: Number(new URL(base).port) }), yield* Effect.scope)
      )
    }).pipe(Effect.scoped))

  it.live("a taken port and a foreign host are failures", () =>
    Effect.gen(function*() {
      const base = yield* url
      const port = Number(new URL(base).port)
      const taken = yield* Effect.flip(Effect.scoped(Layer.build(server({ port }))))
      assert.strictEqual(taken._tag, "ServeError")
      const foreign = yield* Effect.flip(Effect.scoped(Layer.build(server({ host: "0.0.0.0" }))))
      assert.include(String((foreign.cause as Error).message), "loopback")
    }).pipe(Effect.provide(server())))

  it.live("whoever gives up takes the request along", () =>
    Effect.gen(function*() {
      const base = yield* url
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.delay("1 minute"))
      yield* request(`${base}/gettoken`).pipe(Effect.timeoutOption("100 millis"))
      yield* Effect.sleep("50 millis")
      assert.deepStrictEqual((yield* emulator.requests).map(({ status }) => status), [undefined])
    }).pipe(Effect.provide(server())))

  it.live("garbage does no harm", () =>
    Effect.gen(function*() {
      const base = yield* url
      const big = yield* post(`${base}/v1.0/oauth2/accessToken`, "x".repeat(3 * 1024 * 1024))
      assert.strictEqual(big.status, 413)
      assert.strictEqual((yield* post(`${base}/topapi/v2/user/get`, "你".repeat(400_000))).status, 413)
      assert.strictEqual((yield* post(`${base}/topapi/v2/user/get`, " ".repeat(1024 * 1024))).status, 200)
      const chunked = yield* request(`${base}/v1.0/oauth2/accessToken`, {
        method: "POST",
        duplex: "half",
        headers: { "content-type": "application/json" },
        body: new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("{\"appKey\":\"dingquickstart\","))
            controller.enqueue(new TextEncoder().encode("\"appSecret\":\"quickstart-secret\"}"))
            controller.close()
          }
        })
      } as RequestInit)
      assert.strictEqual(chunked.status, 200)
      const binary = yield* request(`${base}/v1.0/oauth2/accessToken`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: new Uint8Array([0xff, 0xfe, 0x00, 0x80])
      })
      assert.strictEqual(binary.status, 400)
      for (
        const [line, status] of [
          ["HEAD /v1.0/oauth2/accessToken", "404"],
          ["OPTIONS *", "200"],
          ["GET /%", "200"],
          ["GET /v1.0/contact/users/%E4%BD%A0%zz", "400"],
          ["GET http://evil.example/v1.0/oauth2/accessToken", "200"],
          ["GET //oauth2/auth?client_id=%00", "200"],
          ["GET /_emulator/state", "403"],
          ["BREW /x", "400"]
        ] as const
      ) {
        const text = yield* raw(base, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
        assert.strictEqual(text.slice(9, 12), status, line)
      }
      const upgrade = yield* raw(
        base,
        "GET /gettoken HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
      )
      assert.include(upgrade, "40035")
      yield* raw(base, "POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nslow", 50)
      yield* raw(base, "\u0000\u0001 nonsense\r\n\r\n", 50)
      assert.match(yield* token(base), /^[0-9a-f]{32}$/)
    }).pipe(Effect.provide(server())))
})

describe("the page at the root", () => {
  it.live("is for browsers alone", () =>
    Effect.gen(function*() {
      const base = yield* url
      const emulator = yield* Emulator.Emulator
      yield* emulator.addApplication({ clientId: "<own>", clientSecret: Redacted.make("not-for-the-page") })
      yield* request(`${base}/gettoken?appkey=dingquickstart&appsecret=quickstart-secret`)
      const browser = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" }
      const shown = yield* request(`${base}/`, { headers: browser })
      assert.strictEqual(shown.status, 200)
      for (
        const part of [
          "dingquickstart",
          "quickstart-secret",
          "api.dingtalk.com",
          "href=\"/_emulator\"",
          "/oauth2/auth?client_id=dingquickstart",
          "appsecret=&lt;redacted&gt;",
          "&lt;own&gt;"
        ]
      ) assert.include(shown.body, part)
      assert.notInclude(shown.body, "not-for-the-page")
      const link = /href="(\/oauth2\/auth[^"]*)"/.exec(shown.body)![1]!.replaceAll("&amp;", "&")
      assert.strictEqual((yield* request(base + link)).status, 200)
      const plain = yield* request(`${base}/`)
      assert.deepInclude(JSON.parse(plain.body), { errcode: 404 })
      const foreign = yield* raw(base, "GET / HTTP/1.1\r\nHost: evil.example\r\nAccept: text/html\r\n\r\n", 200)
      assert.include(foreign, "\"errcode\":404")
    }).pipe(Effect.provide(server())))
})

describe("the control plane", () => {
  it.live("does what the service does", () =>
    Effect.gen(function*() {
      const base = yield* url
      const control = (path: string, body: unknown = {}) =>
        Effect.map(post(`${base}/_emulator/${path}`, body), ({ body, status }) => {
          assert.strictEqual(status, 200, body)
          return JSON.parse(body)
        })
      const getUser = (accessToken: string, userid: string) =>
        Effect.map(
          post(`${base}/topapi/v2/user/get?access_token=${accessToken}`, { userid }),
          ({ body }) => JSON.parse(body)
        )
      const first = yield* token(base)
      yield* control("clock/advance", { seconds: 7300 })
      assert.strictEqual((yield* getUser(first, "lisi")).sub_code, "40014")
      const second = yield* token(base)
      yield* control("tokens/expire", { token: second })
      assert.strictEqual((yield* getUser(second, "lisi")).sub_code, "40014")
      yield* control("tokens/expire")
      const third = yield* token(base)
      yield* control("permissions/revoke", { permission: "qyapi_get_member" })
      assert.strictEqual((yield* getUser(third, "lisi")).sub_code, "60011")
      yield* control("permissions/grant", { permission: "qyapi_get_member" })
      yield* control("users/add", {
        userid: "ann",
        unionid: "u-ann",
        name: "Ann",
        dept_order_list: [{ dept_id: 1, order: "179997318850453161" }]
      })
      yield* control("users/update", { userid: "ann", name: "Anna" })
      const ann = yield* post(`${base}/topapi/v2/user/get?access_token=${third}`, { userid: "ann" })
      assert.include(ann.body, "\"name\":\"Anna\",\"dept_order_list\":[{\"dept_id\":1,\"order\":179997318850453161}]")
      yield* control("users/remove", { userid: "ann" })
      assert.strictEqual((yield* getUser(third, "ann")).errcode, 60121)
      yield* control("faults", { fault: { _tag: "Busy" }, matching: { endpoint: "contact.getUser" } })
      assert.strictEqual((yield* getUser(third, "lisi")).errcode, -1)
      yield* control("tokens/lifetime", { seconds: 60 })
      yield* control("applications/add", { clientId: "other", clientSecret: "other-secret" })
      const { clientSecret } = yield* control("applications/rotate-secret", { clientId: "other" })
      const other = yield* post(`${base}/v1.0/oauth2/accessToken`, { appKey: "other", appSecret: clientSecret })
      assert.strictEqual(JSON.parse(other.body).expireIn, 7200)
      const { authCode } = yield* control("consent", { userid: "lisi", scope: "openid corpid" })
      const session = yield* post(`${base}/v1.0/oauth2/userAccessToken`, {
        clientId: "dingquickstart",
        clientSecret: "quickstart-secret",
        grantType: "authorization_code",
        code: authCode
      })
      assert.strictEqual(JSON.parse(session.body).expireIn, 60)
      for (const shown of ["state", "requests"]) {
        const { body, status } = yield* request(`${base}/_emulator/${shown}`)
        assert.strictEqual(status, 200)
        for (const hidden of ["quickstart-secret", clientSecret, authCode, third]) assert.notInclude(body, hidden)
      }
      assert.include((yield* request(`${base}/_emulator/requests`)).body, "\"contact.getUser\":")
      yield* request(`${base}/_emulator/requests`, { method: "DELETE" })
      assert.deepStrictEqual(JSON.parse((yield* request(`${base}/_emulator/requests`)).body), {
        counts: {},
        requests: []
      })
    }).pipe(Effect.provide(server())))

  it.live("lists itself, and updates an application", () =>
    Effect.gen(function*() {
      const base = yield* url
      for (const path of ["/_emulator", "/_emulator/"]) {
        const { body, status } = yield* request(base + path)
        assert.strictEqual(status, 200)
        const { controls } = JSON.parse(body)
        assert.deepInclude(controls, { method: "GET", path: "/_emulator/state" })
        assert.deepInclude(controls, {
          method: "POST",
          path: "/_emulator/permissions/revoke",
          fields: ["permission", "clientId?"]
        })
        assert.deepInclude(controls, { method: "POST", path: "/_emulator/stop", fields: [] })
      }
      const update = (body: unknown) => post(`${base}/_emulator/applications/update`, body)
      const patch = {
        contactRange: ["lisi"],
        redirectUris: ["https://my.example/back"],
        permissions: ["qyapi_get_member"],
        tokenLifetime: 60,
        ipWhiteList: ["10.0.0.1"]
      }
      assert.strictEqual((yield* update({ clientId: "dingquickstart", ...patch })).status, 200)
      const shown = Effect.map(request(`${base}/_emulator/state`), ({ body }) => JSON.parse(body).applications[0])
      assert.deepInclude(yield* shown, { ...patch, name: "Quickstart", enabled: true })
      assert.strictEqual((yield* update({ ipWhiteList: null, enabled: false })).status, 200)
      const { ipWhiteList, ...rest } = yield* shown
      assert.strictEqual(ipWhiteList, undefined)
      assert.deepInclude(rest, { contactRange: ["lisi"], enabled: false, tokenLifetime: 60 })
    }).pipe(Effect.provide(server())))

  it.live("stops, and the answer still arrives", () =>
    Effect.gen(function*() {
      const { stopped, url } = yield* EmulatorServer.EmulatorServer
      assert.strictEqual((yield* post(`${url}/_emulator/stop`, {}, { origin: "https://evil.example" })).status, 403)
      assert.strictEqual((yield* request(`${url}/_emulator/stop`)).status, 405)
      assert.deepStrictEqual((yield* post(`${url}/_emulator/stop`, "")).status, 200)
      yield* Effect.timeout(stopped, "1 second")
      const gone = yield* Effect.promise(() => fetch(url).then(() => "answered", () => "gone"))
      assert.strictEqual(gone, "gone")
    }).pipe(Effect.provide(server())))

  it.live("says which field is wrong", () =>
    Effect.gen(function*() {
      const base = yield* url
      for (
        const [path, body, field] of [
          ["clock/advance", {}, "seconds"],
          ["clock/advance", { seconds: "x" }, "seconds"],
          ["clock/advance", { seconds: -1 }, "seconds"],
          ["clock/advance", { second: 1, seconds: 1 }, "second"],
          ["clock/advance", "{", "body"],
          ["clock/advance", "[]", "body"],
          ["permissions/grant", { permission: "x", clientId: "nobody" }, "clientId"],
          ["permissions/revoke", { permission: "qyapi_get_membr" }, "permission"],
          ["tokens/expire", { token: "nonsense" }, "token"],
          ["tokens/revoke", { token: "nonsense" }, "token"],
          ["users/add", { userid: "lisi", unionid: "x", name: "x" }, "userid"],
          ["users/add", { userid: "x", unionid: "l4siHjQliSzpw0YWxxxxx", name: "x" }, "unionid"],
          ["users/update", { userid: "nobody", name: "x" }, "userid"],
          ["users/remove", { userid: "nobody" }, "userid"],
          ["applications/add", { clientId: "dingquickstart", clientSecret: "x" }, "clientId"],
          ["applications/update", { clientId: "nobody", enabled: false }, "clientId"],
          ["applications/update", { redirectUris: ["x"] }, "redirectUris.0"],
          ["applications/update", { secret: "x" }, "secret"],
          [
            "users/add",
            { userid: "x", unionid: "y", name: "z", dept_order_list: [{ dept_id: 1 }] },
            "dept_order_list.0.order"
          ],
          ["users/update", { name: "x" }, "userid"],
          ["consent", { userid: "nobody" }, "userid"],
          ["faults", { fault: { _tag: "Nonsense" } }, "fault._tag"],
          ["faults", { fault: { _tag: "Respond", status: 99, headers: {}, body: "" } }, "fault.status"]
        ] as const
      ) {
        const answer = yield* post(`${base}/_emulator/${path}`, body)
        assert.strictEqual(answer.status, 400, answer.body)
        assert.strictEqual(JSON.parse(answer.body).field, field, answer.body)
      }
      assert.strictEqual((yield* request(`${base}/_emulator/clock/advance`)).status, 405)
      const revoked = yield* post(`${base}/_emulator/permissions/revoke`, { permission: "qyapi_get_membr" })
      assert.include(revoked.body, "qyapi_get_membr is not granted; granted are: qyapi_get_member, Contact.User.Read")
      assert.include(
        (yield* post(`${base}/_emulator/consent`, { userid: "x" })).body,
        "there are: zhangsan, manager240"
      )
      assert.strictEqual((yield* request(`${base}/_emulator/nonsense`)).status, 404)
      const foreign = yield* post(`${base}/_emulator/clock/advance`, { seconds: 1 }, { origin: "https://evil.example" })
      assert.strictEqual(foreign.status, 403)
      assert.strictEqual((yield* post(`${base}/_emulator/clock/advance`, { seconds: 1e12 })).status, 200)
      assert.strictEqual((yield* post(`${base}/_emulator/faults`, { fault: { _tag: "Throttled" } })).status, 200)
      assert.include((yield* request(`${base}/gettoken`)).body, "90018")
    }).pipe(Effect.provide(server())))
})
