import { Emulator } from "@effect-dingtalk/emulator"
import { HttpClient, HttpClientRequest, HttpServer } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import { router } from "../src/backend.js"
import * as EmbeddedDingTalk from "../src/EmbeddedDingTalk.js"

const service = HttpServer.serve(router("http://127.0.0.1:3000/callback")).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest),
  Layer.provideMerge(EmbeddedDingTalk.layer)
)

const get = (path: string, headers: Record<string, string> = {}) =>
  HttpClient.execute(HttpClientRequest.get(path, { headers })).pipe(
    Effect.flatMap((response) =>
      Effect.map(response.text, (text) => ({
        status: response.status,
        headers: response.headers,
        body: text.startsWith("{") ? JSON.parse(text) : text
      }))
    )
  )

describe("the back-end example", () => {
  it.scopedLive("answers about a colleague, in its own words when there is none", () =>
    Effect.gen(function*() {
      const found = yield* get("/colleagues/zhangsan")
      assert.deepStrictEqual(found.body, { name: "John", title: "Technical Director", manager: "Mary" })
      assert.strictEqual((yield* get("/colleagues/nobody")).status, 404)
      assert.strictEqual((yield* get(`/colleagues/${"x".repeat(65)}`)).status, 400)
    }).pipe(Effect.provide(service)))

  it.scopedLive("signs a person in, once, and only where it started", () =>
    Effect.gen(function*() {
      const start = yield* get("/sign-in")
      assert.strictEqual(start.status, 302)
      const page = new URL(start.headers["location"])
      const state = page.searchParams.get("state")!
      const authCode = Redacted.value(yield* (yield* Emulator.Emulator).consent({ userid: "zhangsan" }))
      const callback = `/callback?authCode=${authCode}&state=${state}`

      assert.strictEqual((yield* get(callback)).status, 400, "no cookie: started elsewhere")
      const cookie = start.headers["set-cookie"].split(";")[0]
      const signedIn = yield* get(callback, { cookie })
      assert.deepStrictEqual(signedIn.body, { nick: "zhangsan", email: "zhangsan@example.com" })
      assert.strictEqual((yield* get(callback, { cookie })).status, 401, "the code is used up")
    }).pipe(Effect.provide(service)))

  it.scopedLive("does not tell its callers what is misconfigured", () =>
    Effect.gen(function*() {
      yield* (yield* Emulator.Emulator).revoke("qyapi_get_member")
      const refused = yield* get("/colleagues/zhangsan")
      assert.strictEqual(refused.status, 500)
      assert.deepStrictEqual(refused.body, { error: "misconfigured" })
    }).pipe(Effect.provide(Layer.provide(service, Logger.remove(Logger.defaultLogger)))))
})
