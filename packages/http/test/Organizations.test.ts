import {
  AccessToken,
  Contact,
  DingTalk,
  DingTalkError,
  Endpoint,
  Hosts,
  OAuth2,
  Organizations,
  OrganizationTokens,
  SsoTokenService,
  SuiteTokenService,
  TokenService,
  Transport
} from "@effect-dingtalk/core"
import { DingTalkHttp, Limiter } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, TestClock } from "effect"

type Send = (token: Redacted.Redacted | undefined) => Effect.Effect<any, any, any>

/** A transport in front of which somebody stands who sees each call, and its token. */
const through = (
  handlers: Parameters<typeof Transport.layerTest>[0],
  see: (endpoint: Endpoint.Endpoint.Any, payload: unknown, send: Send) => Send
) =>
  Layer.effect(
    Transport.Transport,
    Effect.map(
      Effect.provide(Transport.Transport, Transport.layerTest(handlers)),
      (inner): Transport.Service => ({
        hosts: Hosts.com,
        prepare: (endpoint, payload) => {
          const prepared = inner.prepare(endpoint, payload)
          return prepared._tag === "Left"
            ? prepared
            : { ...prepared, right: see(endpoint, payload, prepared.right) } as typeof prepared
        }
      })
    )
  )

const getUser = Endpoint.handle(
  Contact.GetUser,
  ({ userid }) => Effect.succeed({ userid, unionid: "u", name: "John" })
)

/** A transport that says whose token each call carried. */
const recording = () => {
  const calls: Array<string> = []
  const transport = through([
    getUser,
    Endpoint.handle(OAuth2.GetAuthInfo, () => Effect.succeed({})),
    Endpoint.handle(OAuth2.GetSsoUserInfo, () => Effect.succeed({ userId: "zhangsan" }))
  ], (endpoint, _, send) => (token) => {
    calls.push(`${endpoint.name} ${token === undefined ? "without" : Redacted.value(token)}`)
    return send(token)
  })
  return { calls, transport }
}

/** A limiter that says which lanes it was asked for. */
const lanes = () => {
  const asked: Array<Limiter.Lane> = []
  const layer = Layer.succeed(Limiter.Limiter, {
    check: () => Effect.void,
    take: (lane) => {
      asked.push(lane)
      return Effect.succeed(0)
    },
    pause: () => Effect.void
  })
  return { asked, layer }
}

describe("DingTalkHttp.layerOrganizations", () => {
  it.effect("makes a call with the token of the organisation that is chosen, at its own pace", () =>
    Effect.gen(function*() {
      const { asked, layer } = lanes()
      const { calls, transport } = recording()
      const of: Array<string> = []
      const tokens = Layer.succeed(OrganizationTokens.OrganizationTokens, {
        clientId: "suite1",
        of: (corpId) => ({
          get: Effect.sync(() => {
            of.push(corpId)
            return AccessToken.make(`token-of-${corpId}`, Infinity)
          }),
          invalidate: () => Effect.void
        })
      })
      const look = (corpId: string) => Organizations.within(corpId)(Contact.getUser({ userid: "zhangsan" }))
      yield* Effect.all([look("north"), look("south"), look("north")]).pipe(
        Effect.provide(DingTalkHttp.layerOrganizations().pipe(Layer.provide([layer, transport, tokens])))
      )
      assert.deepStrictEqual(of, ["north", "south", "north"])
      assert.deepStrictEqual(calls, of.map((corpId) => `contact.getUser token-of-${corpId}`))
      assert.deepStrictEqual(asked.map(({ app, tenant }) => [app, tenant]), [
        ["suite1", "north"],
        ["suite1", "south"],
        ["suite1", "north"]
      ])
    }))

  it.effect("tells what is built on it which organisation and which host it is", () =>
    Effect.gen(function*() {
      const { transport } = recording()
      const { corpId, host } = yield* Organizations.within("north")(DingTalk.DingTalk).pipe(
        Effect.provide(
          DingTalkHttp.layerOrganizations().pipe(Layer.provide([transport, OrganizationTokens.layerTest()]))
        )
      )
      assert.deepStrictEqual([corpId, host], ["north", "https://api.dingtalk.com"])
    }))
})

describe("the app of a limiter that is shared", () => {
  const appOf = (options: DingTalkHttp.Options, clientId?: string) =>
    Effect.gen(function*() {
      const { asked, layer } = lanes()
      const tokens = Layer.succeed(TokenService.TokenService, {
        ...(clientId === undefined ? {} : { clientId }),
        get: Effect.succeed(AccessToken.make("t", Infinity)),
        invalidate: () => Effect.void
      })
      yield* Effect.provide(
        Contact.getUser({ userid: "zhangsan" }),
        DingTalkHttp.layer(options).pipe(Layer.provide([layer, recording().transport, tokens]))
      )
      return asked[0]!.app
    })

  it.effect("is its Client ID, in every process the same; a name that is given; else nobody else's", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* appOf({}, "dingquickstart"), "dingquickstart")
      assert.strictEqual(yield* appOf({ limiter: { app: "mine" } }, "dingquickstart"), "mine")
      assert.notStrictEqual(yield* appOf({}), yield* appOf({}))
    }))
})

describe("an endpoint that needs the suite's token, or the admin console's", () => {
  it.effect("carries that one, and not the app's", () =>
    Effect.gen(function*() {
      const { calls, transport } = recording()
      const setting = Layer.mergeAll(
        DingTalkHttp.layer().pipe(Layer.provide([transport, TokenService.layerTest()])),
        SuiteTokenService.layerTest(),
        SsoTokenService.layerTest()
      )
      yield* Effect.provide(
        Effect.zip(OAuth2.getAuthInfo({ authCorpId: "north" }), OAuth2.getSsoUserInfo({ code: CODE })),
        setting
      )
      assert.deepStrictEqual(calls, ["oauth2.getAuthInfo test-suite-token", "oauth2.getSsoUserInfo test-sso-token"])
    }))
})

const CODE = Redacted.make("code")

describe("an organisation whose calls all fail", () => {
  /** Where everything is busy, and where the first answer to each call is. */
  const platform = () => {
    const sent = new Map<string, number>()
    const seen = new Set<string>()
    const transport = through([getUser], (endpoint, payload, send) => (token) =>
      Effect.suspend(() => {
        const corpId = Redacted.value(token!)
        const call = `${corpId} ${JSON.stringify(payload)}`
        sent.set(corpId, (sent.get(corpId) ?? 0) + 1)
        if (corpId === "south" && seen.has(call)) return send(token)
        seen.add(call)
        return Effect.fail(new DingTalkError.Unavailable({ endpoint: endpoint.name, code: "-1" }))
      }))
    return { sent, transport }
  }

  const tokens = Layer.succeed(OrganizationTokens.OrganizationTokens, {
    of: (corpId) => ({ get: Effect.succeed(AccessToken.make(corpId, Infinity)), invalidate: () => Effect.void })
  })

  const calls = (corpId: string, times: number) =>
    Effect.gen(function*() {
      const all = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: times }),
          (_, i) => Effect.exit(Contact.getUser({ userid: `u${i}` }).pipe(Organizations.within(corpId))),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("2 minutes")
      return (yield* Fiber.join(all)).filter(Exit.isSuccess).length
    })

  it.effect("leaves the others their retries", () =>
    Effect.gen(function*() {
      const { sent, transport } = platform()
      yield* Effect.gen(function*() {
        assert.strictEqual(yield* calls("north", 40), 0)
        assert.strictEqual(sent.get("north"), 50)
        assert.strictEqual(yield* calls("south", 10), 10)
      }).pipe(Effect.provide(DingTalkHttp.layerOrganizations().pipe(Layer.provide([transport, tokens]))))
    }))

  it.effect("and many of them together take no more than all have", () =>
    Effect.gen(function*() {
      const { sent, transport } = platform()
      yield* Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 100 }), (_, i) => calls(`north-${i}`, 1), { concurrency: 100 })
        assert.isAtMost(Array.from(sent.values()).reduce((sum, n) => sum + n, 0), 120)
      }).pipe(Effect.provide(DingTalkHttp.layerOrganizations().pipe(Layer.provide([transport, tokens]))))
    }))
})
