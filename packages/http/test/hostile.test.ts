/**
 * A platform that repeats secrets, clients that break, and answers made to hurt.
 */
import { Contact, DingTalk, Endpoint, TokenService } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { inspect } from "node:util"

const over = (client: HttpClient.HttpClient, options: { readonly token?: string } & HttpTransport.Options = {}) =>
  DingTalkHttp.layer({ deadline: "2 seconds" }).pipe(
    Layer.provide(TokenService.layerTest(options.token)),
    Layer.provide(HttpTransport.layer(options)),
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
  )

const answering = (body: string, init: ResponseInit = {}) =>
  HttpClient.make((request) => Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(body, init))))

const Secret = Schema.Redacted(Schema.String)

const Send = Endpoint.api("test.send", {
  method: "POST",
  path: "/v1.0/test",
  payload: Schema.Struct({
    top: Schema.optional(Secret),
    nested: Schema.optional(Schema.Struct({ inner: Secret })),
    list: Schema.optional(Schema.Array(Secret))
  }),
  success: Schema.Void
})

describe("a secret that the platform repeats", () => {
  const plain = "sentinel-1"
  const odd = `sen"tinel\\2/x+y==`
  const echoes: ReadonlyArray<readonly [name: string, secret: string, payload: any, body: string]> = [
    ["as it is", plain, { top: Redacted.make(plain) }, JSON.stringify({ code: "x", message: `you sent ${plain}` })],
    [
      "from within a struct",
      plain,
      { nested: { inner: Redacted.make(plain) } },
      JSON.stringify({ code: "x", message: plain })
    ],
    ["from within a list", plain, { list: [Redacted.make(plain)] }, JSON.stringify({ code: "x", message: plain })],
    ["escaped as JSON", odd, { top: Redacted.make(odd) }, JSON.stringify({ code: "x", message: odd })],
    [
      "escaped as others do",
      odd,
      { top: Redacted.make(odd) },
      JSON.stringify({ code: "x", message: odd }).replaceAll("/", "\\/").replaceAll("=", "\\u003d")
    ],
    [
      "as JSON in a text",
      odd,
      { top: Redacted.make(odd) },
      JSON.stringify({ code: "x", message: JSON.stringify({ top: odd }) })
    ],
    [
      "percent-encoded",
      odd,
      { top: Redacted.make(odd) },
      JSON.stringify({ code: "x", message: encodeURIComponent(odd) })
    ],
    ["as the request's id", plain, { top: Redacted.make(plain) }, JSON.stringify({ code: "x", requestid: plain })],
    ["as the code", plain, { top: Redacted.make(plain) }, JSON.stringify({ code: plain, message: "m" })],
    [
      "as a missing permission",
      plain,
      { top: Redacted.make(plain) },
      JSON.stringify({
        code: "Forbidden.AccessDenied.AccessTokenPermissionDenied",
        accessdenieddetail: { requiredScopes: [plain] }
      })
    ]
  ]
  for (const [name, secret, payload, body] of echoes) {
    it.live(`${name}: is not in the error`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          DingTalk.call(Send, payload).pipe(Effect.provide(over(answering(body, { status: 400 }))))
        )
        const printed = [
          error.message,
          JSON.stringify(error),
          inspect(error, { depth: 9 }),
          Cause.pretty(Cause.fail(error), { renderErrorCause: true })
        ].join("\n")
        assert.include(printed, "<redacted>")
        for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
          assert.notInclude(printed, form)
        }
      }))
  }

  it.live("of two secrets the longer is not left half", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        DingTalk.call(Send, { list: [Redacted.make("abcd"), Redacted.make("abcdEFGH")] }).pipe(
          Effect.provide(over(answering(JSON.stringify({ code: "x", message: "abcdEFGH" }), { status: 400 })))
        )
      )
      assert.notInclude(JSON.stringify(error), "EFGH")
    }))

  it.live("that looks like a code changes nothing of what the answer means", () =>
    Effect.gen(function*() {
      const body = `{"errcode":88,"sub_code":"60011","sub_msg":"x","errmsg":"code 88"}`
      const error = yield* Effect.flip(
        DingTalk.call(Send, { list: ["88", "code", "errcode"].map((text) => Redacted.make(text)) }).pipe(
          Effect.provide(over(answering(body)))
        )
      )
      assert.strictEqual(error._tag, "PermissionDenied")
    }))
})

describe("an answer made to hurt", () => {
  const texts = [
    ":[",
    "：[",
    "requiredScopes=[",
    "subcode=",
    "request ip=",
    "限制将在 ",
    "\\\"",
    "{\\\"a\\\":",
    "[",
    "# "
  ]
  for (const text of texts) {
    it.live(`a megabyte of ${JSON.stringify(text)} does not stop the program`, () =>
      Effect.gen(function*() {
        for (const code of [1, 88, 60011, 90018, 60020]) {
          const body = `{"errcode":${code},"errmsg":"${text.repeat(1_000_000 / text.length)}"}`
          yield* Effect.flip(Contact.getUser({ userid: "a" }).pipe(Effect.provide(over(answering(body)))))
        }
      }))
  }
})

describe("an HTTP client that breaks", () => {
  const broken: ReadonlyArray<readonly [name: string, client: HttpClient.HttpClient, reason: string]> = [
    [
      "throws",
      HttpClient.make(() => {
        throw new Error("sentinel-token in a message")
      }),
      "Decode"
    ],
    ["dies", HttpClient.make(() => Effect.die(new Error("sentinel-token in a message"))), "Decode"],
    [
      "has had its body read",
      HttpClient.make((request) =>
        Effect.sync(() => {
          const response = new Response(new ReadableStream({ start: (controller) => controller.close() }))
          response.body!.getReader()
          return HttpClientResponse.fromWeb(request, response)
        })
      ),
      "Decode"
    ]
  ]
  for (const [name, client, reason] of broken) {
    it.live(`${name}: a typed error, without its words`, () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(
          Contact.getUser({ userid: "a" }).pipe(Effect.provide(over(client, { token: "sentinel-token" })))
        )
        assert(Exit.isFailure(exit) && exit.cause._tag === "Fail")
        const { error } = exit.cause
        assert(error._tag === "TransportError")
        assert.strictEqual(error.reason, reason)
        assert.notInclude(inspect(error, { depth: 9 }), "sentinel")
      }))
  }

  it.live("a token that no header carries is told as that, and not as a network that failed", () =>
    Effect.gen(function*() {
      for (const token of ["a\r\nx-evil: 1", "a\ud800", "тoken", "a\u0000"]) {
        const error = yield* Effect.flip(
          Contact.getUser({ userid: "a" }).pipe(Effect.provide(over(answering("{}"), { token })))
        )
        assert(error._tag === "TransportError")
        assert.strictEqual(error.reason, "Encode")
        assert.strictEqual(error.path, "token")
      }
    }))
})

describe("where nothing may be interrupted", () => {
  const silent = over(HttpClient.make(() => Effect.never))
  const call = Contact.getUser({ userid: "a" }).pipe(Effect.provide(silent), Effect.flip, Effect.orDie)

  it.live("a call in a finalizer still ends at its deadline", () =>
    Effect.gen(function*() {
      let ended: string | undefined
      yield* Effect.scoped(
        Effect.addFinalizer(() =>
          Effect.map(call, (error) => {
            ended = "reason" in error ? error.reason : error._tag
          })
        )
      )
      assert.strictEqual(ended, "Timeout")
    }))

  it.live("and so does one that is itself uninterruptible", () =>
    Effect.gen(function*() {
      const error = yield* Effect.uninterruptible(call)
      assert(error._tag === "TransportError")
      assert.strictEqual(error.reason, "Timeout")
    }))
})
