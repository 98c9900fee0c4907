import type { AccessToken } from "@effect-dingtalk/core"
import {
  Contact,
  DingTalk,
  DingTalkError,
  Endpoint,
  Hosts,
  OAuth2,
  TokenService,
  Transport,
  UserSession,
  WireRequest
} from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, Fiber, Layer, Option, Redacted, Schema, TestClock, Tracer } from "effect"

const GetSpace = Endpoint.api("drive.getSpace", {
  method: "GET",
  path: "/v1.0/drive/space",
  payload: Schema.Struct({}),
  success: Schema.Struct({ spaceName: Schema.String })
})

const expired = (endpoint: string) => new DingTalkError.TokenExpired({ endpoint, code: "88", subCode: "40014" })

/** Tokens `token-1`, `token-2`, … : a new one each time that the one in use is invalidated. */
const tokensOf = (prefix: string) => {
  const log: Array<string> = []
  let nth = 1
  let current: AccessToken.AccessToken = { value: Redacted.make(`${prefix}-1`), expiresAt: Infinity }
  return {
    log,
    source: {
      get: Effect.sync(() => {
        log.push("get")
        return current
      }),
      invalidate: (rejected: Redacted.Redacted) =>
        Effect.sync(() => {
          log.push(`invalidate ${Redacted.value(rejected)}`)
          if (Redacted.value(rejected) !== Redacted.value(current.value)) return
          current = { value: Redacted.make(`${prefix}-${++nth}`), expiresAt: Infinity }
        })
    }
  }
}

/** A transport that says which token it was given, and answers with `answer`. */
const transportOf = (
  answer: (token: string | undefined, sent: number) => Effect.Effect<unknown, DingTalkError.DingTalkError>
) => {
  const sent: Array<string> = []
  return {
    sent,
    layer: Layer.succeed(Transport.Transport, {
      hosts: Hosts.com,
      prepare: (endpoint, payload) =>
        Either.map(WireRequest.encode(endpoint, payload), () => (token?: Redacted.Redacted) =>
          Effect.suspend(() => {
            const text = token === undefined ? undefined : Redacted.value(token)
            sent.push(`${endpoint.name} ${text ?? "without"}`)
            return answer(text, sent.length)
          })) as any
    })
  }
}

const run = <A, E>(
  effect: Effect.Effect<A, E, DingTalk.DingTalk | UserSession.UserSession>,
  parts: {
    readonly transport: Layer.Layer<Transport.Transport>
    readonly app?: AccessToken.Source<never>
    readonly user?: AccessToken.Source<never>
    readonly deadline?: string
  }
) =>
  effect.pipe(
    Effect.provide(
      DingTalkHttp.layer({ deadline: (parts.deadline ?? "30 seconds") as "30 seconds" }).pipe(
        Layer.provide(parts.transport),
        Layer.provide(Layer.succeed(TokenService.TokenService, parts.app ?? tokensOf("app").source)),
        Layer.merge(Layer.succeed(UserSession.UserSession, parts.user ?? tokensOf("user").source))
      )
    )
  )

const john = { userid: "zhangsan", name: "John" }

describe("the token of a call", () => {
  it.effect("an app's endpoint carries the app's token", () =>
    Effect.gen(function*() {
      const transport = transportOf(() => Effect.succeed(john))
      yield* run(Contact.getUser({ userid: "zhangsan" }), { transport: transport.layer })
      assert.deepStrictEqual(transport.sent, ["contact.getUser app-1"])
    }))

  it.effect("a user's endpoint carries the user's token, and no app token is asked for", () =>
    Effect.gen(function*() {
      const app = tokensOf("app")
      const transport = transportOf(() => Effect.succeed(john))
      yield* run(Contact.getMe, { transport: transport.layer, app: app.source })
      assert.deepStrictEqual(transport.sent, ["contact.getProfile user-1"])
      assert.deepStrictEqual(app.log, [])
    }))

  it.effect("an endpoint that needs no token asks for none", () =>
    Effect.gen(function*() {
      const app = tokensOf("app")
      const transport = transportOf(() => Effect.succeed({}))
      yield* run(OAuth2.getAccessToken({ appKey: "a", appSecret: Redacted.make("s") }), {
        transport: transport.layer,
        app: app.source
      })
      assert.deepStrictEqual(transport.sent, ["oauth2.getAccessToken without"])
      assert.deepStrictEqual(app.log, [])
    }))

  it.effect("a bad payload fails before a token is asked for", () =>
    Effect.gen(function*() {
      const app = tokensOf("app")
      const transport = transportOf(() => Effect.succeed(john))
      const error = yield* Effect.flip(
        run(Contact.getUser({ userid: "" }), { transport: transport.layer, app: app.source })
      )
      assert.isTrue(error._tag === "TransportError" && error.reason === "Encode" && error.path === "payload.userid")
      assert.deepStrictEqual([...transport.sent, ...app.log], [])
    }))
})

describe("a refused token", () => {
  it.effect("is replaced once, and the call made once more with the new one", () =>
    Effect.gen(function*() {
      const app = tokensOf("app")
      const transport = transportOf((token) =>
        token === "app-1" ? Effect.fail(expired("contact.getUser")) : Effect.succeed(john)
      )
      const user = yield* run(Contact.getUser({ userid: "zhangsan" }), { transport: transport.layer, app: app.source })
      assert.strictEqual(user.name, "John")
      assert.deepStrictEqual(transport.sent, ["contact.getUser app-1", "contact.getUser app-2"])
      assert.deepStrictEqual(app.log, ["get", "invalidate app-1", "get"])
    }))

  it.effect("an endless refusal makes one refresh, one replay, then TokenExpired", () =>
    Effect.gen(function*() {
      const app = tokensOf("app")
      const transport = transportOf(() => Effect.fail(expired("contact.getUser")))
      const error = yield* Effect.flip(
        run(Contact.getUser({ userid: "zhangsan" }), { transport: transport.layer, app: app.source })
      )
      assert.strictEqual(error._tag, "TokenExpired")
      assert.strictEqual(transport.sent.length, 2)
      assert.deepStrictEqual(app.log, ["get", "invalidate app-1", "get"])
    }))

  it.effect("a token that is still the same afterwards is not tried again", () =>
    Effect.gen(function*() {
      const transport = transportOf(() => Effect.fail(expired("contact.getUser")))
      const fixed: AccessToken.AccessToken = { value: Redacted.make("fixed"), expiresAt: Infinity }
      const error = yield* Effect.flip(run(Contact.getUser({ userid: "zhangsan" }), {
        transport: transport.layer,
        app: { get: Effect.succeed(fixed), invalidate: () => Effect.void }
      }))
      assert.strictEqual(error._tag, "TokenExpired")
      assert.strictEqual(transport.sent.length, 1)
    }))

  it.effect("any other failure is neither replayed nor held against the token", () =>
    Effect.gen(function*() {
      const app = tokensOf("app")
      const transport = transportOf(() =>
        Effect.fail(new DingTalkError.PermissionDenied({ endpoint: "contact.getUser", scopes: [], applyAt: "x" }))
      )
      const error = yield* Effect.flip(
        run(Contact.getUser({ userid: "zhangsan" }), { transport: transport.layer, app: app.source })
      )
      assert.strictEqual(error._tag, "PermissionDenied")
      assert.strictEqual(transport.sent.length, 1)
      assert.deepStrictEqual(app.log, ["get"])
    }))

  it.effect("a user's token is replaced from the user's session", () =>
    Effect.gen(function*() {
      const [app, user] = [tokensOf("app"), tokensOf("user")]
      const transport = transportOf((token) =>
        token === "user-1" ? Effect.fail(expired("contact.getProfile")) : Effect.succeed({ unionId: "u" })
      )
      yield* run(Contact.getMe, { transport: transport.layer, app: app.source, user: user.source })
      assert.deepStrictEqual(user.log, ["get", "invalidate user-1", "get"])
      assert.deepStrictEqual(app.log, [])
    }))
})

describe("the deadline", () => {
  const never = transportOf(() => Effect.never)

  it.effect("covers an exchange that hangs", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        Effect.flip(run(Contact.getUser({ userid: "zhangsan" }), { transport: never.layer, deadline: "5 seconds" }))
      )
      yield* TestClock.adjust("4999 millis")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.isTrue(error._tag === "TransportError" && error.reason === "Timeout" && error.isRetryable)
      assert.include(error.message, "contact.getUser: no answer within 5s")
    }))

  it.effect("covers a token that does not come, and a replay, as one", () =>
    Effect.gen(function*() {
      const slow = tokensOf("app")
      const transport = transportOf((token) =>
        token === "app-1"
          ? Effect.delay(Effect.fail(expired("contact.getUser")), "3 seconds")
          : Effect.delay(Effect.succeed(john), "3 seconds")
      )
      const fiber = yield* Effect.fork(Effect.flip(run(Contact.getUser({ userid: "zhangsan" }), {
        transport: transport.layer,
        app: slow.source,
        deadline: "5 seconds"
      })))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(fiber)
      assert.isTrue(error._tag === "TransportError" && error.reason === "Timeout")
      assert.strictEqual(transport.sent.length, 2)

      const waiting = yield* Effect.fork(Effect.flip(run(Contact.getUser({ userid: "zhangsan" }), {
        transport: transport.layer,
        app: { get: Effect.never, invalidate: () => Effect.void },
        deadline: "5 seconds"
      })))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "TransportError")
    }))

  it.effect("comes from DINGTALK_DEADLINE", () =>
    Effect.gen(function*() {
      const layer = DingTalkHttp.layerConfig().pipe(
        Layer.provide(never.layer),
        Layer.provide(TokenService.layerTest())
      )
      const fiber = yield* Contact.getUser({ userid: "zhangsan" }).pipe(
        Effect.provide(layer),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["DINGTALK_DEADLINE", "7 seconds"]]))),
        Effect.flip,
        Effect.fork
      )
      yield* TestClock.adjust("7 seconds")
      assert.include((yield* Fiber.join(fiber)).message, "7s")
    }))
})

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** A platform `HttpClient` that keeps what it was asked and answers from memory. */
const recorder = (body: string, status = 200) => {
  const seen: Array<Seen> = []
  return {
    seen,
    layer: Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request, url) =>
        Effect.sync(() => {
          seen.push({
            method: request.method,
            url: url.href,
            headers: { ...request.headers },
            body: request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
          })
          return HttpClientResponse.fromWeb(request, new Response(body, { status }))
        })
      )
    )
  }
}

const overHttp = (client: Layer.Layer<HttpClient.HttpClient>, options: HttpTransport.Options = {}) =>
  DingTalkHttp.layer().pipe(
    Layer.provide(TokenService.layerTest("app+token/1=")),
    Layer.merge(UserSession.layerTest("user-token")),
    Layer.provide(HttpTransport.layer(options)),
    Layer.provide(client)
  )

describe("on the wire", () => {
  it.effect("the legacy gateway gets the token in the query, encoded, and JSON in the body", () =>
    Effect.gen(function*() {
      const http = recorder(`{"errcode":0,"result":{"userid":"zhangsan","unionid":"u","name":"John"}}`)
      yield* Contact.getUser({ userid: "zhangsan", language: "en_US" }).pipe(Effect.provide(overHttp(http.layer)))
      const { headers, ...rest } = http.seen[0]
      assert.deepStrictEqual(rest, {
        method: "POST",
        url: "https://oapi.dingtalk.com/topapi/v2/user/get?access_token=app%2Btoken%2F1%3D",
        body: `{"userid":"zhangsan","language":"en_US"}`
      })
      assert.strictEqual(headers["content-type"], "application/json; charset=utf-8")
      assert.isUndefined(headers["x-acs-dingtalk-access-token"])
    }))

  it.effect("the new gateway gets the token in its header, and nothing in the query", () =>
    Effect.gen(function*() {
      const http = recorder(`{"unionId":"u","nick":"zhangsan"}`)
      yield* Contact.getMe.pipe(Effect.provide(overHttp(http.layer, { hosts: Hosts.io })))
      const { headers, ...rest } = http.seen[0]
      assert.deepStrictEqual(rest, { method: "GET", url: "https://api.dingtalk.io/v1.0/contact/users/me", body: "" })
      assert.strictEqual(headers["x-acs-dingtalk-access-token"], "user-token")
      assert.strictEqual(headers["accept"], "application/json")
    }))

  it.effect("no trace header goes to a third party, and only these headers at all", () =>
    Effect.gen(function*() {
      const http = recorder(`{"unionId":"u"}`)
      yield* Contact.getMe.pipe(Effect.withSpan("caller"), Effect.provide(overHttp(http.layer)))
      assert.deepStrictEqual(Object.keys(http.seen[0].headers).sort(), [
        "accept",
        "user-agent",
        "x-acs-dingtalk-access-token"
      ])
    }))

  it.effect("transformClient wraps the client that it is given", () =>
    Effect.gen(function*() {
      const http = recorder(`{"unionId":"u"}`)
      yield* Contact.getMe.pipe(
        Effect.provide(overHttp(http.layer, {
          transformClient: HttpClient.mapRequest((request) => ({
            ...request,
            headers: { ...request.headers, "x-proxy": "1" } as any
          }))
        }))
      )
      assert.strictEqual(http.seen[0].headers["x-proxy"], "1")
    }))

  it.effect("hosts come from the environment, and a bad one is named", () =>
    Effect.gen(function*() {
      const http = recorder(`{"unionId":"u"}`)
      const layer = DingTalkHttp.layer().pipe(
        Layer.provide(TokenService.layerTest()),
        Layer.merge(UserSession.layerTest()),
        Layer.provide(HttpTransport.layerConfig()),
        Layer.provide(http.layer)
      )
      const withEnv = (entries: ReadonlyArray<readonly [string, string]>) =>
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(entries)))
      yield* Contact.getMe.pipe(Effect.provide(Layer.fresh(layer)), withEnv([["DINGTALK_REGION", "io"]]))
      yield* Contact.getMe.pipe(
        Effect.provide(Layer.fresh(layer)),
        withEnv([["DINGTALK_URL", "http://127.0.0.1:8765"]])
      )
      assert.deepStrictEqual(http.seen.map(({ url }) => new URL(url).origin), [
        "https://api.dingtalk.io",
        "http://127.0.0.1:8765"
      ])
      const error = yield* Contact.getMe.pipe(
        Effect.provide(Layer.fresh(layer)),
        withEnv([["DINGTALK_API_URL", "http://dingtalk.example"]]),
        Effect.flip
      )
      assert.include(String(error), "DINGTALK_API_URL")
      assert.include(String(error), "https")
    }))

  it.effect("an endpoint that this library has not declared travels like the others", () =>
    Effect.gen(function*() {
      const http = recorder(`{"result":true}`)
      const Update = Endpoint.api("todo.updateTask", {
        method: "PUT",
        path: "/v1.0/todo/users/{unionId}/tasks/{taskId}",
        payload: Schema.Struct({
          unionId: Schema.String,
          taskId: Schema.String,
          operatorId: Schema.optional(Schema.String),
          done: Schema.Boolean
        }),
        query: ["operatorId"],
        success: Schema.Struct({ result: Schema.Boolean })
      })
      const { result } = yield* DingTalk.call(Update, {
        unionId: "a/b",
        taskId: "1",
        operatorId: "me & you",
        done: true
      }).pipe(
        Effect.provide(overHttp(http.layer))
      )
      assert.isTrue(result)
      const { headers: _, ...rest } = http.seen[0]
      assert.deepStrictEqual(rest, {
        method: "PUT",
        url: "https://api.dingtalk.com/v1.0/todo/users/a%2Fb/tasks/1?operatorId=me%20%26%20you",
        body: `{"done":true}`
      })
    }))
})

describe("spans", () => {
  /** Keeps every span that it makes. */
  const tracer = () => {
    const spans: Array<any> = []
    return {
      spans,
      layer: Layer.setTracer(Tracer.make({
        span: (name, parent, context, links, startTime, kind, options) => {
          const span: any = {
            _tag: "Span",
            name,
            parent,
            context,
            links,
            kind,
            sampled: true,
            spanId: String(spans.length),
            traceId: "t",
            status: { _tag: "Started", startTime },
            attributes: new Map(Object.entries(options?.attributes ?? {})),
            attribute(key: string, value: unknown) {
              this.attributes.set(key, value)
            },
            event() {},
            addLinks() {},
            end() {}
          }
          spans.push(span)
          return span
        },
        context: (f) => f()
      }))
    }
  }

  it.effect("one for the call and one for the attempt, named without ids, with what is needed to find a failure", () =>
    Effect.gen(function*() {
      const { layer, spans } = tracer()
      const http = recorder(`{"errcode":88,"sub_code":"60011","sub_msg":"x","errmsg":"x","request_id":"r1"}`)
      yield* Contact.getUser({ userid: "zhangsan" }).pipe(
        Effect.provide(overHttp(http.layer)),
        Effect.ignore,
        Effect.provide(layer)
      )
      assert.deepStrictEqual(spans.map(({ name }) => name), ["DingTalk.contact.getUser", "POST /topapi/v2/user/get"])
      assert.strictEqual(Option.getOrThrow<any>(spans[1].parent).name, "DingTalk.contact.getUser")
      assert.deepStrictEqual(Object.fromEntries(spans[1].attributes), {
        "dingtalk.endpoint": "contact.getUser",
        "http.request.method": "POST",
        "url.template": "/topapi/v2/user/get",
        "server.address": "oapi.dingtalk.com",
        "server.port": 443,
        "http.response.status_code": 200,
        "error.type": "PermissionDenied",
        "dingtalk.code": "60011",
        "dingtalk.request_id": "r1"
      })
    }))

  for (
    const [gateway, call, body, headers] of [
      [
        "oapi",
        Effect.asVoid(Contact.getUser({ userid: "zhangsan" })),
        `{"errcode":0,"result":{"userid":"z","unionid":"u","name":"J","extension":"{\\"request_id\\":\\"no\\"}"},"request_id":"r2"}`,
        {}
      ],
      ["api", Effect.asVoid(DingTalk.call(GetSpace)({})), `{"spaceName":"s"}`, { "x-acs-request-id": "r2" }]
    ] as const
  ) {
    it.effect(`the request id of an answer that is well, too: ${gateway}`, () =>
      Effect.gen(function*() {
        const { layer, spans } = tracer()
        const client = HttpClient.make((request) =>
          Effect.succeed(HttpClientResponse.fromWeb(request, new Response(body, { headers })))
        )
        yield* call.pipe(
          Effect.provide(overHttp(Layer.succeed(HttpClient.HttpClient, client))),
          Effect.provide(layer)
        )
        assert.strictEqual(spans[1].attributes.get("dingtalk.request_id"), "r2")
      }))
  }

  it.effect("an attempt that is one more says which", () =>
    Effect.gen(function*() {
      const { layer, spans } = tracer()
      let sent = 0
      const client = HttpClient.make((request) =>
        Effect.sync(() =>
          HttpClientResponse.fromWeb(
            request,
            new Response(
              ++sent < 3 ? `{"errcode":-1,"errmsg":"busy"}` : `{"errcode":0,"result":{"userid":"z","unionid":"u"}}`
            )
          )
        )
      )
      const call = yield* Contact.getUser({ userid: "zhangsan" }).pipe(
        Effect.provide(overHttp(Layer.succeed(HttpClient.HttpClient, client))),
        Effect.provide(layer),
        Effect.fork
      )
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(call)
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get("http.request.resend_count")), [
        undefined,
        undefined,
        1,
        2
      ])
    }))
})
