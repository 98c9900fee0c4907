import { AppCredentials, JsapiTicket, SignIn } from "@effect-dingtalk/auth"
import { DingTalk, Endpoint, OAuth2, Transport } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Inspectable, Layer, Redacted, TestClock } from "effect"
import { createHash } from "node:crypto"

const state = Redacted.make("STATE-SENTINEL")
const codeOf = (callback: string | Readonly<Record<string, unknown>>) =>
  Effect.map(SignIn.finish(callback, state), Redacted.value)

describe("SignIn", () => {
  it.effect("begins with a random state that is in the address and not in what is printed", () =>
    Effect.gen(function*() {
      const start = SignIn.start({ redirectUri: "https://app.example/back", scope: "openid corpid" })
      const [a, b] = yield* Effect.all([start, start])
      assert.notStrictEqual(Redacted.value(a.state), Redacted.value(b.state))
      assert.isAtLeast(Redacted.value(a.state).length, 32)
      const url = new URL(a.url)
      assert.strictEqual(url.searchParams.get("state"), Redacted.value(a.state))
      assert.strictEqual(url.searchParams.get("client_id"), "test-client-id")
    }).pipe(Effect.provide(Layer.merge(AppCredentials.layerTest, Transport.layerTest([])))))

  it.effect("ends with the code, under either name, from an address, a query or its fields", () =>
    Effect.gen(function*() {
      for (
        const callback of [
          "authCode=a1&state=STATE-SENTINEL",
          "?code=a1&state=STATE-SENTINEL",
          "/back?authCode=a1&code=other&state=STATE-SENTINEL",
          "https://app.example/back?authCode=a1&state=STATE-SENTINEL#/home?x=1",
          "authCode=a1&next=/x?y&state=STATE-SENTINEL",
          { authCode: "a1", state: "STATE-SENTINEL" },
          { code: "a1", authCode: ["x", "y"], state: "STATE-SENTINEL" }
        ]
      ) assert.strictEqual(yield* codeOf(callback), "a1")
    }))

  it.effect("is refused for every other reason, and no refusal shows the state or a code", () =>
    Effect.gen(function*() {
      const s = "STATE-SENTINEL"
      for (
        const [callback, reason] of [
          ["", "State"],
          ["authCode=CODE-SENTINEL", "State"],
          [`authCode=CODE-SENTINEL&state=${s}x`, "State"],
          [`authCode=CODE-SENTINEL&state=${s.slice(1)}`, "State"],
          [{ authCode: "CODE-SENTINEL", state: [s] }, "State"],
          [{ authCode: "CODE-SENTINEL", state: { toString: () => s } }, "State"],
          [Object.create({ authCode: "CODE-SENTINEL", state: s }), "State"],
          [`error=access_denied&state=${s}`, "Denied"],
          [`error=a%0Ab&authCode=CODE-SENTINEL&state=${s}`, "Denied"],
          [`state=${s}`, "Malformed"],
          [{ authCode: ["CODE-SENTINEL"], code: 7, state: s }, "Malformed"],
          [{ authCode: " ", state: s }, "Malformed"]
        ] as const
      ) {
        const error = yield* Effect.flip(SignIn.finish(callback, state))
        assert.strictEqual(error.reason, reason, JSON.stringify(callback))
        const text = Inspectable.format(error) + JSON.stringify(error) + error.message + String(error.stack)
        assert.notInclude(text, "SENTINEL")
        assert.notMatch(error.message, /\n/)
      }
      for (const none of [undefined, Redacted.make("")]) {
        assert.strictEqual((yield* Effect.flip(SignIn.finish("authCode=a&state=", none))).reason, "State")
      }
    }))
})

const hash = (algorithm: string, url: string) =>
  createHash(algorithm).update(`jsapi_ticket=TICKET&noncestr=n&timestamp=1527130370219&url=${url}`).digest("hex")

describe("JsapiTicket", () => {
  it.effect("signs the address in its decoded form, without its fragment", () =>
    Effect.gen(function*() {
      for (
        const [url, signed] of [
          ["https://app.example/page", "https://app.example/page"],
          ["https://app.example/page#/home?a=%41", "https://app.example/page"],
          ["https://app.example/p%20q?a=%E4%B8%AD&b=1%2B1+2", "https://app.example/p%20q?a=中&b=1+1 2"],
          ["https://app.example/页?名=字", "https://app.example/页?名=字"],
          ["https://app.example/?a=%zz", "https://app.example/?a=%zz"]
        ] as const
      ) {
        const page = { url, nonceStr: "n", timeStamp: "1527130370219" }
        const ticket = Redacted.make("TICKET")
        assert.deepStrictEqual(yield* JsapiTicket.signWith(ticket, page), {
          timeStamp: "1527130370219",
          nonceStr: "n",
          signature: hash("sha256", signed)
        })
        const old = yield* JsapiTicket.signWith(ticket, { ...page, algorithm: "SHA-1" })
        assert.strictEqual(old.signature, hash("sha1", signed))
      }
    }))

  it.effect("keeps a ticket per organisation and host, and refuses what is no address", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const tickets = yield* Effect.map(
        Layer.build(JsapiTicket.layer({ perSecond: Infinity }).pipe(Layer.provide(AppCredentials.layerTest))),
        (context) => Effect.provide(JsapiTicket.JsapiTicket, context)
      )
      const service = yield* tickets
      const within = (host: string, corpId: string | undefined) =>
        Effect.gen(function*() {
          const dingtalk = yield* DingTalk.DingTalk
          return Redacted.value(
            yield* Effect.provideService(service.get, DingTalk.DingTalk, { ...dingtalk, host, corpId })
          )
        }).pipe(Effect.provide(DingTalk.layerTest([
          Endpoint.handle(OAuth2.CreateJsapiTicket, () => {
            asked.push(`${host} ${corpId}`)
            return Effect.succeed({ jsapiTicket: `${host}-${corpId}`, expireIn: 7200 })
          })
        ])))
      for (let i = 0; i < 3; i++) {
        for (const host of ["https://a.example", "https://b.example"]) {
          for (const corpId of ["ding1", "ding2", undefined]) {
            assert.strictEqual(yield* within(host, corpId), `${host}-${corpId}`)
          }
        }
      }
      assert.strictEqual(asked.length, 6)
      yield* TestClock.adjust("3 hours")
      assert.strictEqual(yield* within("https://a.example", "ding1"), "https://a.example-ding1")
      for (const url of ["", "/page", "app.example", "ftp://app.example", "https://"]) {
        const error = yield* Effect.flip(
          Effect.provide(service.sign({ url }), DingTalk.layerTest([]))
        )
        assert.isTrue(error._tag === "TransportError" && error.reason === "Encode" && error.path === "url")
      }
    }).pipe(Effect.scoped))
})
