import { Contact, DingTalk, DingTalkError, Endpoint } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Colleague from "../src/Colleague.js"

const people = new Map([
  ["zhangsan", {
    userid: "zhangsan",
    unionid: "u1",
    name: "John",
    title: "Technical Director",
    manager_userid: "mary"
  }],
  ["mary", { userid: "mary", unionid: "u2", name: "Mary" }],
  ["lisi", { userid: "lisi", unionid: "u3", name: "Li Si", manager_userid: "gone" }]
])

/** DingTalk as this test wants it: no HTTP, no token. */
const dingtalk = DingTalk.layerTest([
  Endpoint.handle(Contact.GetUser, ({ userid }) => {
    const user = people.get(userid)
    return user === undefined
      ? Effect.fail(new DingTalkError.UserNotFound({ endpoint: "contact.getUser" }))
      : Effect.succeed(user)
  })
])

describe("a colleague", () => {
  it.effect("has a title and a manager", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Colleague.find("zhangsan"), {
        name: "John",
        title: Option.some("Technical Director"),
        manager: Option.some("Mary")
      })
    }).pipe(Effect.provide(dingtalk)))

  it.effect("has none when the manager has left", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* Colleague.find("lisi")).manager, Option.none())
    }).pipe(Effect.provide(dingtalk)))

  it.effect("that nobody knows is the application's own error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Colleague.find("nobody"))
      assert.isTrue(error._tag === "NoSuchColleague" && error.userid === "nobody")
    }).pipe(Effect.provide(dingtalk)))

  it.effect("whom the app may not see is an error for the operators", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Colleague.find("zhangsan"))
      assert.strictEqual(error._tag, "PermissionDenied")
    }).pipe(Effect.provide(DingTalk.layerTest([
      Endpoint.handle(Contact.GetUser, () =>
        Effect.fail(
          new DingTalkError.PermissionDenied({
            endpoint: "contact.getUser",
            scopes: ["qyapi_get_member"],
            applyAt: "https://open-dev.dingtalk.com"
          })
        ))
    ]))))
})
