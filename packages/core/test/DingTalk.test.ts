import {
  AccessToken,
  Contact,
  DingTalk,
  DingTalkError,
  Endpoint,
  Hosts,
  OAuth2,
  TokenService,
  Transport,
  UserSession
} from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import type { Layer } from "effect"
import { Cause, Effect, Either, Exit, Redacted, Schema } from "effect"
import { inspect } from "node:util"

/** What an application would write: who signed in, and what the organisation knows of them. */
const colleague = Effect.gen(function*() {
  const me = yield* Contact.getMe
  const { userid } = yield* Contact.getUserByUnionId({ unionid: me.unionId })
  const user = yield* Contact.getUser({ userid })
  return { nick: me.nick, name: user.name, roles: user.role_list.length }
})

const organisation = DingTalk.layerTest([
  Endpoint.handle(Contact.GetProfile, ({ unionId }) => Effect.succeed({ unionId: `union-${unionId}`, nick: "zhang" })),
  Endpoint.handle(Contact.GetUserByUnionId, ({ unionid }) => Effect.succeed({ userid: `user-of-${unionid}` })),
  Endpoint.handle(Contact.GetUser, ({ userid }) =>
    userid === "user-of-union-me"
      ? Effect.succeed({ userid, unionid: "union-me", name: "张三" })
      : Effect.fail(new DingTalkError.UserNotFound({ endpoint: "contact.getUser", code: "60121" })))
])

const defectOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  if (Exit.isSuccess(exit)) return assert.fail(`a success: ${JSON.stringify(exit.value)}`)
  assert.isTrue(Cause.isDie(exit.cause), Cause.pretty(exit.cause))
  return Cause.pretty(exit.cause)
}

describe("DingTalk.layerTest", () => {
  it.effect("answers an application", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* colleague, { nick: "zhang", name: "张三", roles: 0 })
    }).pipe(Effect.provide([organisation, UserSession.layerTest()])))

  it.effect("fails as the platform would, and the error is caught by its tag", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Contact.getUser({ userid: "nobody" }))
      assert.instanceOf(error, DingTalkError.UserNotFound)
      const name = yield* Contact.getUser({ userid: "nobody" }).pipe(
        Effect.map((user) => user.name),
        Effect.catchTag("UserNotFound", () => Effect.succeed("somebody"))
      )
      assert.strictEqual(name, "somebody")
    }).pipe(Effect.provide(organisation)))

  it.effect("an endpoint without an answer is a defect that names it and those that have one", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        OAuth2.getAccessToken({ appKey: "SENTINEL", appSecret: Redacted.make("SENTINEL") })
      )
      const text = defectOf(exit)
      assert.include(text, "\"oauth2.getAccessToken\"")
      for (const known of ["contact.getProfile", "contact.getUserByUnionId", "contact.getUser"]) {
        assert.include(text, known)
      }
      assert.notInclude(text, "SENTINEL")
    }).pipe(Effect.provide(organisation)))

  it.effect("with no answers at all says so", () =>
    Effect.gen(function*() {
      assert.include(defectOf(yield* Effect.exit(Contact.getUser({ userid: "u" }))), "it answers nothing")
    }).pipe(Effect.provide(DingTalk.layerTest([]))))

  it.effect("a wrong answer is a defect that names endpoint and field, and tells no value", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Contact.getUser({ userid: "u" }))
      const text = defectOf(exit)
      assert.include(text, "\"contact.getUser\"")
      assert.include(text, "role_list[0].id")
      assert.notInclude(text, "SENTINEL")
    }).pipe(Effect.provide(DingTalk.layerTest([
      Endpoint.handle(
        Contact.GetUser,
        () => Effect.succeed({ userid: "u", unionid: "n", role_list: [{ id: "SENTINEL" as any, name: "n" }] })
      )
    ]))))

  it.effect("a bad payload is refused before the answer is asked for", () => {
    let asked = 0
    return Effect.gen(function*() {
      const error = yield* Effect.flip(Contact.getUser({ userid: "" }))
      assert.deepInclude({ ...error }, { _tag: "TransportError", reason: "Encode", path: "payload.userid" })
      assert.strictEqual(asked, 0)
      yield* Contact.getUser({ userid: "u" })
      assert.strictEqual(asked, 1)
    }).pipe(Effect.provide(DingTalk.layerTest([
      Endpoint.handle(Contact.GetUser, ({ userid }) => {
        asked++
        return Effect.succeed({ userid, unionid: "n" })
      })
    ])))
  })

  it.effect("reads an answer as one of the platform, so the guide's way of writing will do", () =>
    Effect.gen(function*() {
      const user = yield* Contact.getUser({ userid: "u" })
      assert.deepInclude({ ...user }, { admin: true, dept_id_list: [2, 3, 4] as any })
      assert.notProperty(user, "email")
    }).pipe(Effect.provide(DingTalk.layerTest([
      Endpoint.handle(
        Contact.GetUser,
        ({ userid }) =>
          Effect.succeed({ userid, unionid: "n", admin: "true", dept_id_list: "[2,3,4]", email: "" } as any)
      )
    ]))))

  it.effect("two answers to one endpoint are a defect that names it", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(
        Contact.getUser({ userid: "u" }),
        DingTalk.layerTest(["first", "second"].map((name) =>
          Endpoint.handle(Contact.GetUser, ({ userid }) => Effect.succeed({ userid, unionid: "n", name }))
        ))
      ))
      assert(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      assert.include(Cause.pretty(exit.cause), "two answers for \"contact.getUser\"")
    }))

  it.effect("an endpoint of one's own is called and answered like the others", () => {
    class SpaceFull extends Schema.TaggedError<SpaceFull>("SpaceFull")("SpaceFull", DingTalkError.fields) {}
    const Upload = Endpoint.api("drive.upload", {
      method: "POST",
      path: "/v1.0/drive/spaces/{spaceId}/files",
      payload: Schema.Struct({ spaceId: Schema.String, name: Schema.String }),
      success: Schema.Void
    }).pipe(Endpoint.failsWith(SpaceFull, "space.full"))
    const upload = DingTalk.call(Upload)
    return Effect.gen(function*() {
      assert.isUndefined(yield* upload({ spaceId: "1", name: "a" }))
      assert.isUndefined(yield* DingTalk.call(Upload, { spaceId: "1", name: "a" }))
      assert.instanceOf(yield* Effect.flip(upload({ spaceId: "full", name: "a" })), SpaceFull)
    }).pipe(Effect.provide(DingTalk.layerTest([
      Endpoint.handle(
        Upload,
        ({ spaceId }) => spaceId === "full" ? Effect.fail(new SpaceFull({ endpoint: Upload.name })) : Effect.void
      )
    ])))
  })

  it.effect("a call made ahead runs each time anew", () => {
    let asked = 0
    return Effect.gen(function*() {
      yield* Contact.getMe
      yield* Contact.getMe
      assert.strictEqual(asked, 2)
    }).pipe(Effect.provide([
      UserSession.layerTest(),
      DingTalk.layerTest([
        Endpoint.handle(Contact.GetProfile, () => Effect.sync(() => ({ unionId: "n", nick: String(++asked) })))
      ])
    ]))
  })
})

describe("Transport.layerTest", () => {
  const credentials = { appKey: "dingexample", appSecret: Redacted.make("SECRET") }
  const transport = Transport.layerTest([
    Endpoint.handle(OAuth2.GetAccessToken, ({ appKey, appSecret }) =>
      Redacted.value(appSecret) === "SECRET"
        ? Effect.succeed({ accessToken: `token-of-${appKey}`, expireIn: 7200 })
        : Effect.fail(new DingTalkError.InvalidCredentials({ endpoint: "oauth2.getAccessToken" })))
  ])

  it.effect("answers what keeps tokens, with secrets wrapped", () =>
    Effect.gen(function*() {
      const answer = yield* Transport.exchange(OAuth2.GetAccessToken, credentials)
      assert.strictEqual(Redacted.value(answer.accessToken), "token-of-dingexample")
      assert.strictEqual(answer.expireIn, 7200)
      assert.notInclude(inspect(answer) + JSON.stringify(answer), "token-of")
      const error = yield* Effect.flip(
        Transport.exchange(OAuth2.GetAccessToken, { ...credentials, appSecret: Redacted.make("wrong") })
      )
      assert.strictEqual(error._tag, "InvalidCredentials")
    }).pipe(Effect.provide(transport)))

  it.effect("refuses a bad payload when it is prepared, before anything is sent", () =>
    Effect.gen(function*() {
      const { hosts, prepare } = yield* Transport.Transport
      assert.strictEqual(hosts, Hosts.com)
      const refused = prepare(OAuth2.GetAccessToken, { ...credentials, appKey: "" })
      assert.strictEqual(Either.getOrThrow(Either.flip(refused)).path, "payload.appKey")
      const error = yield* Effect.flip(Transport.exchange(OAuth2.GetAccessToken, { ...credentials, appKey: "" }))
      assert.deepInclude({ ...error }, { _tag: "TransportError", reason: "Encode" })
      const prepared = Either.getOrThrow(prepare(OAuth2.GetAccessToken, credentials))
      assert.strictEqual((yield* prepared()).expireIn, 7200)
      assert.strictEqual((yield* prepared(Redacted.make("t"))).expireIn, 7200)
    }).pipe(Effect.provide(transport)))

  it.effect("an endpoint without an answer, and a wrong answer, are defects in the transport's name", () =>
    Effect.gen(function*() {
      const none = defectOf(yield* Effect.exit(Transport.exchange(Contact.GetUser, { userid: "u" })))
      assert.include(none, "Transport.layerTest has no answer for \"contact.getUser\"")
      const wrong = defectOf(yield* Effect.exit(Transport.exchange(Contact.GetProfile, { unionId: "u" })))
      assert.include(wrong, "\"contact.getProfile\"")
      assert.include(wrong, "unionId is missing")
    }).pipe(Effect.provide(Transport.layerTest([
      Endpoint.handle(Contact.GetProfile, () => Effect.succeed({ nick: "n" } as any))
    ]))))
})

describe("TokenService.layerTest and UserSession.layerTest", () => {
  for (
    const [name, tag, layer, preset] of [
      ["TokenService", TokenService.TokenService, TokenService.layerTest, "test-app-token"],
      ["UserSession", UserSession.UserSession, UserSession.layerTest, "test-user-token"]
    ] as const
  ) {
    it.effect(`${name} has one token that never ends and is not shown`, () =>
      Effect.gen(function*() {
        const source = (yield* (tag as any)) as AccessToken.Source<never>
        const token = yield* source.get
        assert.strictEqual(Redacted.value(token.value), preset)
        assert.strictEqual(token.expiresAt, Infinity)
        assert.notInclude(inspect(token) + JSON.stringify(token), preset)
        yield* source.invalidate(token.value)
        assert.isTrue(AccessToken.isSame((yield* source.get).value, token.value))
      }).pipe(Effect.provide(layer() as Layer.Layer<any>)))

    it.effect(`${name} takes a token of one's own`, () =>
      Effect.gen(function*() {
        const source = (yield* (tag as any)) as AccessToken.Source<never>
        assert.strictEqual(Redacted.value((yield* source.get).value), "mine")
      }).pipe(Effect.provide(layer("mine") as Layer.Layer<any>)))
  }
})

describe("AccessToken", () => {
  it("is made of text or of what is redacted already", () => {
    const wrapped = Redacted.make("t")
    assert.strictEqual(AccessToken.make(wrapped, 5).value, wrapped)
    assert.strictEqual(Redacted.value(AccessToken.make("t", 5).value), "t")
    assert.strictEqual(AccessToken.make("t", 5).expiresAt, 5)
  })

  it("two are the same by what they hold", () => {
    assert.isTrue(AccessToken.isSame(Redacted.make("t"), Redacted.make("t")))
    assert.isFalse(AccessToken.isSame(Redacted.make("t"), Redacted.make("u")))
  })
})
