import { Contact, DingTalk, Endpoint, Organizations, OrganizationTokens } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Redacted } from "effect"

const nameOf = Effect.map(Contact.getUser({ userid: "zhangsan" }), (user) => user.name)

describe("Organizations.within", () => {
  it.effect("makes each call in the organisation that was chosen, at once and one within another", () => {
    const test = Organizations.layerTest((corpId) => [
      Endpoint.handle(Contact.GetUser, ({ userid }) => Effect.succeed({ userid, unionid: "u", name: corpId }))
    ])
    return Effect.gen(function*() {
      const names = yield* Effect.all(
        Array.from({ length: 20 }, (_, i) => Organizations.within(`ding${i % 3}`)(Effect.delay(nameOf, 0))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(names, Array.from({ length: 20 }, (_, i) => `ding${i % 3}`))
      const nested = Effect.all([nameOf, nameOf.pipe(Organizations.within("inner")), nameOf])
      assert.deepStrictEqual(yield* Organizations.within("outer")(nested), ["outer", "inner", "outer"])
      const { corpId } = yield* Organizations.within("ding1")(DingTalk.DingTalk)
      assert.strictEqual(corpId, "ding1")
    }).pipe(Effect.provide(test))
  })

  it.effect("asks for the answers of an organisation once, and only when it is chosen", () => {
    const asked: Array<string> = []
    const test = Organizations.layerTest((corpId) => {
      asked.push(corpId)
      return [Endpoint.handle(Contact.GetUser, ({ userid }) => Effect.succeed({ userid, unionid: "u" }))]
    })
    return Effect.gen(function*() {
      assert.deepStrictEqual(asked, [])
      for (const corpId of ["a", "b", "a"]) yield* Organizations.within(corpId)(nameOf)
      assert.deepStrictEqual(asked, ["a", "b"])
    }).pipe(Effect.provide(test))
  })

  it.effect("an endpoint that nobody answers is a defect that names the port and the endpoint", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Organizations.within("ding1")(nameOf))
      const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
      assert.match(String(defect), /Organizations\.layerTest has no answer for "contact\.getUser"/)
    }).pipe(Effect.provide(Organizations.layerTest(() => []))))
})

describe("OrganizationTokens.layerTest", () => {
  it.effect("has a token of its own for each organisation", () =>
    Effect.gen(function*() {
      const { of } = yield* OrganizationTokens.OrganizationTokens
      const values = yield* Effect.forEach(["a", "b"], (corpId) =>
        Effect.map(of(corpId).get, (_) => Redacted.value(_.value)))
      assert.deepStrictEqual(values, ["test-token-of-a", "test-token-of-b"])
    }).pipe(Effect.provide(OrganizationTokens.layerTest())))
})
