/**
 * What `fetch` itself may do, beside what every transport meets (`garbage.test.ts`, `official.test.ts`).
 */

import { Contact, Hosts, OAuth2, TokenService, Transport } from "@effect-dingtalk/core"
import { DingTalkHttp, FetchTransport } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, Fiber, Layer, Redacted } from "effect"

const user = `{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","unionid":"u","name":"John"}}`

type Init = Parameters<FetchTransport.Fetch>[1]

/** What was asked of `fetch`, which answers so. */
const answering = (answer: (url: string, init: Init) => unknown) => {
  const asked: Array<readonly [url: string, init: Init]> = []
  const fetch = ((url: string, init: Init) => {
    asked.push([url, init])
    return answer(url, init)
  }) as FetchTransport.Fetch
  return { asked, fetch }
}

const call = (transport: Layer.Layer<Transport.Transport>) =>
  Contact.getUser({ userid: "zhangsan" }).pipe(
    Effect.provide(
      DingTalkHttp.layer({ deadline: "2 seconds", limiter: false, retry: false }).pipe(
        Layer.provide(TokenService.layerTest("sentinel-token")),
        Layer.provide(transport)
      )
    )
  )

const failing = (answer: (url: string, init: Init) => unknown, options: FetchTransport.Options = {}) =>
  Effect.map(
    Effect.flip(call(FetchTransport.layer({ ...options, fetch: answering(answer).fetch }))),
    (error) => error._tag === "TransportError" ? error : assert.fail(error._tag)
  )

describe("what is asked of fetch", () => {
  it.effect("on the legacy gateway the token is in the query, and no redirect is followed", () =>
    Effect.gen(function*() {
      const { asked, fetch } = answering(() => Promise.resolve(new Response(user)))
      assert.strictEqual((yield* call(FetchTransport.layer({ fetch }))).name, "John")
      const [[url, init]] = asked
      assert.strictEqual(url, "https://oapi.dingtalk.com/topapi/v2/user/get?access_token=sentinel-token")
      assert.strictEqual(init.method, "POST")
      assert.strictEqual(init.redirect, "manual")
      assert.strictEqual(init.body, `{"userid":"zhangsan"}`)
      assert.deepStrictEqual(init.headers, {
        accept: "application/json",
        "user-agent": "effect-dingtalk/0.1.0",
        "content-type": "application/json; charset=utf-8"
      })
    }))

  it.effect("on the new gateway it is in a header, and a GET has no body", () =>
    Effect.gen(function*() {
      const { asked, fetch } = answering(() => Promise.resolve(new Response(`{"nick":"John","unionId":"u"}`)))
      const transport = FetchTransport.make({ fetch, hosts: Hosts.io })
      const exchange = Either.getOrThrow(transport.prepare(Contact.GetProfile, { unionId: "me" }))
      assert.strictEqual((yield* exchange(Redacted.make("user-token"))).nick, "John")
      const [[url, init]] = asked
      assert.strictEqual(url, "https://api.dingtalk.io/v1.0/contact/users/me")
      assert.isFalse("body" in init)
      assert.strictEqual(init.headers["x-acs-dingtalk-access-token"], "user-token")
    }))

  it.effect("the global one is looked up at each call", () =>
    Effect.gen(function*() {
      const before = globalThis.fetch
      const transport = FetchTransport.make()
      yield* Effect.addFinalizer(() => Effect.sync(() => void (globalThis.fetch = before)))
      globalThis.fetch = (() => Promise.resolve(new Response(user))) as typeof fetch
      assert.strictEqual((yield* call(Layer.succeed(Transport.Transport, transport))).name, "John")
    }).pipe(Effect.scoped))

  it.effect("hosts come from the environment with layerConfig, and a bad one says so", () =>
    Effect.gen(function*() {
      const { asked, fetch } = answering(() => Promise.resolve(new Response(user)))
      const provider = (region: string) =>
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["DINGTALK_REGION", region]])))
      yield* call(Layer.orDie(FetchTransport.layerConfig({ fetch }))).pipe(provider("io"))
      assert.match(asked[0][0], /^https:\/\/oapi\.dingtalk\.io\//)
      const bad = yield* Layer.build(FetchTransport.layerConfig()).pipe(provider("cn"), Effect.flip, Effect.scoped)
      assert.include(String(bad), "DINGTALK_REGION")
    }))
})

describe("what fetch does", () => {
  it.effect("rejects: the connection's own code, and nothing of the URL", () =>
    Effect.gen(function*() {
      const refused = Object.assign(new Error("connect https://oapi/?access_token=sentinel-token"), {
        code: "ECONNREFUSED"
      })
      const error = yield* failing(() => Promise.reject(new TypeError("fetch failed", { cause: refused })))
      assert.strictEqual(error.reason, "Network")
      assert.strictEqual(error.networkCode, "ECONNREFUSED")
      assert.include(error.message, "no answer from oapi.dingtalk.com (ECONNREFUSED)")
      assert.notInclude(JSON.stringify(error) + String(error.stack), "sentinel-token")
    }))

  for (
    const [name, answer] of [
      ["throws", () => {
        throw new Error("sentinel-token")
      }],
      ["gives nothing", () => undefined]
    ] as const
  ) {
    it.effect(`${name}: a typed error`, () =>
      Effect.gen(function*() {
        const error = yield* failing(answer)
        assert.strictEqual(error.reason, "Network")
        assert.notInclude(JSON.stringify(error) + String(error.stack), "sentinel-token")
      }))
  }

  it.effect("gives a body that breaks: cut, with its status", () =>
    Effect.gen(function*() {
      const error = yield* failing(() => {
        const stream = new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode(user.slice(0, 20)))
            controller.error(new TypeError("terminated"))
          }
        })
        return Promise.resolve(new Response(stream))
      })
      assert.strictEqual(error.reason, "Network")
      assert.strictEqual(error.status, 200)
      assert.include(error.message, "the answer was cut")
    }))

  it.effect("gives more than is allowed: refused, and the rest is not read", () =>
    Effect.gen(function*() {
      let chunks = 0
      let signal: AbortSignal | undefined
      const error = yield* failing((_, init) => {
        signal = init.signal
        const stream = new ReadableStream({
          pull(controller) {
            chunks++
            controller.enqueue(new Uint8Array(1000))
          }
        })
        return Promise.resolve(new Response(stream))
      }, { maxBodyBytes: 10_000 })
      assert.strictEqual(error.reason, "Decode")
      assert.include(error.message, "longer than 10000 bytes")
      assert.isBelow(chunks, 15)
      assert.isTrue(signal?.aborted)
    }))

  it.effect("announces more than is allowed: refused unread", () =>
    Effect.gen(function*() {
      const error = yield* failing(
        () => Promise.resolve(new Response(user, { headers: { "content-length": "10001" } })),
        { maxBodyBytes: 10_000 }
      )
      assert.include(error.message, "longer than 10000 bytes")
    }))

  it.effect("gives characters in pieces: put together", () =>
    Effect.gen(function*() {
      const bytes = new TextEncoder().encode(user.replace("John", "张三"))
      const { fetch } = answering(() => {
        const stream = new ReadableStream({
          start(controller) {
            for (const byte of bytes) controller.enqueue(Uint8Array.of(byte))
            controller.close()
          }
        })
        return Promise.resolve(new Response(stream))
      })
      assert.strictEqual((yield* call(FetchTransport.layer({ fetch }))).name, "张三")
    }))
})

describe("a caller that goes away", () => {
  it.effect("aborts the exchange, and what comes of it afterwards is nobody's", () =>
    Effect.gen(function*() {
      let signal: AbortSignal | undefined
      let answer: (response: Response) => void = () => {}
      const { fetch } = answering((_, init) => {
        signal = init.signal
        // One that does not care for the signal.
        return new Promise<Response>((resolve) => {
          answer = resolve
        })
      })
      const fiber = yield* Effect.fork(call(FetchTransport.layer({ fetch })))
      yield* Effect.repeat(Effect.yieldNow(), { until: () => signal !== undefined })
      yield* Fiber.interrupt(fiber)
      assert.isTrue(signal?.aborted)
      answer(new Response(user))
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.strictEqual((yield* Fiber.await(fiber))._tag, "Failure")
    }))
})

describe("a token", () => {
  it.effect("that no header carries is not sent", () =>
    Effect.gen(function*() {
      const { asked, fetch } = answering(() => Promise.resolve(new Response("{}")))
      const transport = FetchTransport.make({ fetch })
      const exchange = Either.getOrThrow(transport.prepare(Contact.GetProfile, { unionId: "me" }))
      const error = yield* Effect.flip(exchange(Redacted.make("to\nken")))
      assert.strictEqual(error._tag === "TransportError" ? error.path : error._tag, "token")
      assert.strictEqual(asked.length, 0)
    }))

  it.effect("that the platform repeats is not in the error", () =>
    Effect.gen(function*() {
      const { fetch } = answering(() =>
        Promise.resolve(new Response(`{"code":"odd","message":"you sent sentinel"}`, { status: 400 }))
      )
      const transport = FetchTransport.make({ fetch })
      const payload = { appKey: "k", appSecret: Redacted.make("sentinel") }
      const exchange = Either.getOrThrow(transport.prepare(OAuth2.GetAccessToken, payload))
      const error = yield* Effect.flip(exchange(undefined))
      assert.include(error.message, "you sent <redacted>")
    }))
})
