import { HttpBody, HttpClient, HttpClientRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { Emulator, EmulatorHttpClient, Fault } from "../src/index.js"

const dingtalk = EmulatorHttpClient.layer.pipe(Layer.provideMerge(Emulator.layer()))
const fresh = Effect.provide(dingtalk)

const API = "https://api.dingtalk.io/v1.0/oauth2/accessToken"
const credentials = { appKey: "dingquickstart", appSecret: "quickstart-secret" }
const getToken = HttpClientRequest.post(API).pipe(
  HttpClientRequest.bodyUnsafeJson(credentials),
  HttpClient.execute,
  Effect.flatMap((response) => response.json)
)

describe("EmulatorHttpClient", () => {
  it.effect("answers in process, whichever way the body comes", () =>
    Effect.gen(function*() {
      const text = JSON.stringify(credentials)
      for (
        const body of [
          HttpBody.text(text, "application/json"),
          HttpBody.raw(text, { contentType: "application/json" }),
          HttpBody.stream(Stream.make(new TextEncoder().encode(text)), "application/json")
        ]
      ) {
        const response = yield* HttpClient.post(API, { body, headers: { "content-type": "application/json" } })
        assert.strictEqual(response.status, 200)
        assert.hasAllKeys(yield* response.json, ["accessToken", "expireIn"])
      }
      const form = yield* HttpClient.post("https://oapi.dingtalk.io/topapi/v2/user/get", {
        body: HttpBody.urlParams([["access_token", "x"]])
      })
      assert.include(yield* form.text, "40014")
    }).pipe(fresh))

  it.effect("keeps the digits of order", () =>
    Effect.gen(function*() {
      const { accessToken } = (yield* getToken) as { readonly accessToken: string }
      const response = yield* HttpClient.post("https://oapi.dingtalk.io/topapi/v2/user/get", {
        urlParams: { access_token: accessToken },
        body: HttpBody.unsafeJson({ userid: "zhangsan" })
      })
      assert.include(yield* response.text, "\"order\":179997318850453160}")
    }).pipe(fresh))

  it.effect("is late by the virtual clock, and can be interrupted", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.delay("10 seconds"), { times: 2 })
      const gone = yield* Effect.fork(getToken)
      const late = yield* Effect.fork(getToken)
      yield* TestClock.adjust("9 seconds")
      assert.isTrue((yield* Fiber.poll(late))._tag === "None")
      assert.strictEqual(yield* emulator.count({ endpoint: "oauth2.getAccessToken" }), 2)
      yield* Fiber.interrupt(gone)
      yield* TestClock.adjust("1 second")
      assert.hasAllKeys((yield* Fiber.join(late)) as object, ["accessToken", "expireIn"])
      const log = yield* emulator.requests
      assert.deepStrictEqual(log.map(({ status }) => status), [undefined, 200])
    }).pipe(fresh))

  it.effect("survives answers without a body", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.respond({ status: 204, body: "" }))
      assert.strictEqual((yield* HttpClient.get(API)).status, 204)
      assert.strictEqual(yield* Effect.flatMap(HttpClient.head(API), (response) => response.text), "")
    }).pipe(fresh))
})
