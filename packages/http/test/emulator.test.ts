/**
 * The whole way, with nothing faked but the platform, over each client that the library promises to run on.
 */
import { TokenService, UserSession } from "@effect-dingtalk/auth"
import { Contact, Hosts } from "@effect-dingtalk/core"
import { Emulator, EmulatorHttpClient, EmulatorServer, Organization } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Effect,
  Exit,
  Inspectable,
  Layer,
  Logger,
  LogLevel,
  Option,
  Redacted,
  Schema,
  TestClock,
  Tracer
} from "effect"
import { inspect } from "node:util"
import { transports } from "./clients.js"

const SECRET = "sentinel-client-secret"

const organization: Organization.Organization = {
  ...Organization.quickstart,
  applications: [
    ...Organization.quickstart.applications,
    Organization.application({
      clientId: "dingsentinel",
      clientSecret: Redacted.make(SECRET),
      permissions: ["qyapi_get_member", "Contact.User.Read", "fieldMobile", "fieldEmail"]
    })
  ]
}

const client = (options: { readonly clientSecret?: string } = {}) =>
  DingTalkHttp.layer({ deadline: "10 seconds" }).pipe(
    Layer.provideMerge(TokenService.layer({
      clientId: "dingsentinel",
      clientSecret: Redacted.make(options.clientSecret ?? SECRET)
    }))
  )

/** The platform of the issue at hand: in process, or behind a socket. */
const platforms = [
  [
    "in process",
    HttpTransport.layer().pipe(
      Layer.provide(EmulatorHttpClient.layer),
      Layer.provideMerge(Emulator.layer({ organization }))
    )
  ],
  ...transports.map(([name, transport]) =>
    [
      `over ${name}`,
      Layer.unwrapEffect(Effect.gen(function*() {
        const { url } = yield* EmulatorServer.EmulatorServer
        return transport({ hosts: yield* Effect.orDie(Hosts.single(url)) })
      })).pipe(
        Layer.provide(Layer.orDie(EmulatorServer.layer())),
        Layer.provideMerge(Emulator.layer({ organization }))
      )
    ] as const
  )
] as const

for (const [name, platform] of platforms) {
  const provide = Effect.provide(client().pipe(Layer.provideMerge(platform)))

  describe(`the guide, ${name}`, () => {
    it.live("a person's details, of the types that the schema says, with all digits", () =>
      Effect.gen(function*() {
        const user = yield* Contact.getUser({ userid: "zhangsan" })
        assert.isTrue(Schema.is(Schema.typeSchema(Contact.User))(user))
        assert.strictEqual(user.name, "John")
        assert.strictEqual(user.manager_userid as string, "manager240")
        assert.strictEqual(user.dept_order_list[0].order as string, "179997318850453160")
        assert.deepStrictEqual(user.extension, { Hobby: "Travel", Age: "24" })
      }).pipe(provide))

    it.live("the permission is missing", () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        yield* emulator.revoke("qyapi_get_member", "dingsentinel")
        const error = yield* Effect.flip(Contact.getUser({ userid: "zhangsan" }))
        assert(error._tag === "PermissionDenied")
        assert.deepStrictEqual(error.scopes, ["qyapi_get_member"])
        assert.strictEqual(
          error.applyAt,
          "https://open-dev.dingtalk.com/appscope/apply?content=dingsentinel%23qyapi_get_member"
        )
        yield* emulator.grant("qyapi_get_member", "dingsentinel")
        assert.strictEqual((yield* Contact.getUser({ userid: "zhangsan" })).name, "John")
      }).pipe(provide))

    it.live("nobody has that id", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Contact.getUser({ userid: "zhangsna" }))
        assert(error._tag === "UserNotFound")
        assert.strictEqual(error.code, "60121")
        assert.match(error.requestId!, /^\w+$/)
        assert.strictEqual((yield* Effect.flip(Contact.getUserByUnionId({ unionid: "nobody" })))._tag, "UserNotFound")
      }).pipe(provide))

    it.live("an expired token heals by itself: one refusal, one new token, one replay", () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        yield* Contact.getUser({ userid: "zhangsan" })
        yield* emulator.expireTokens
        yield* emulator.clearRequests
        assert.strictEqual((yield* Contact.getUser({ userid: "zhangsan" })).name, "John")
        assert.deepStrictEqual(yield* emulator.counts, { "contact.getUser": 2, "oauth2.getAccessToken": 1 })
      }).pipe(provide))

    it.live("50 calls with one expired token make one new token", () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        yield* Contact.getUser({ userid: "zhangsan" })
        yield* emulator.expireTokens
        yield* emulator.clearRequests
        yield* Effect.all(Array.from({ length: 50 }, () => Contact.getUser({ userid: "zhangsan" })), {
          concurrency: "unbounded"
        })
        assert.strictEqual((yield* emulator.counts)["oauth2.getAccessToken"], 1)
      }).pipe(provide))

    it.live("wrong credentials are said to be, and not tried again at once", () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        for (let i = 0; i < 5; i++) {
          const error = yield* Effect.flip(Contact.getUser({ userid: "zhangsan" }))
          assert.strictEqual(error._tag, "InvalidCredentials")
          assert.strictEqual(error.code, "invalidClientIdOrSecret")
        }
        assert.deepStrictEqual(yield* emulator.counts, { "oauth2.getAccessToken": 1 })
      }).pipe(Effect.provide(client({ clientSecret: "wrong" }).pipe(Layer.provideMerge(platform)))))

    it.live("somebody signs in, reads their profile, and is found in the organisation", () =>
      Effect.gen(function*() {
        const emulator = yield* Emulator.Emulator
        const authCode = yield* emulator.consent({
          userid: "zhangsan",
          clientId: "dingsentinel",
          scope: "openid corpid"
        })
        const session = yield* UserSession.signIn({ authCode })
        assert.strictEqual(session.corpId as string | undefined, "dingquickstartcorp")
        const me = yield* Effect.provideService(Contact.getMe, UserSession.UserSession, session)
        assert.strictEqual(me.nick, "zhangsan")
        const { userid } = yield* Contact.getUserByUnionId({ unionid: me.unionId })
        assert.strictEqual(userid as string, "zhangsan")

        yield* emulator.expireTokens
        yield* emulator.clearRequests
        const again = yield* Effect.provideService(Contact.getMe, UserSession.UserSession, session)
        assert.deepStrictEqual(again, me)
        assert.deepStrictEqual(yield* emulator.counts, { "contact.getProfile": 2, "oauth2.getUserToken": 1 })

        const twice = yield* Effect.flip(UserSession.signIn({ authCode }))
        assert.strictEqual(twice._tag, "InvalidAuthCode")

        yield* emulator.revokeTokens
        const over = yield* Effect.flip(Effect.provideService(Contact.getMe, UserSession.UserSession, session))
        assert.strictEqual(over._tag, "SignInRequired")
      }).pipe(provide))
  })
}

describe("time", () => {
  it.effect("a day of calls costs 14 tokens, and no call waits for one", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      for (let hour = 0; hour < 24; hour++) {
        yield* Contact.getUser({ userid: "zhangsan" })
        yield* TestClock.adjust("1 hour")
      }
      const counts = yield* emulator.counts
      assert.strictEqual(counts["contact.getUser"], 24)
      // The platform gives the same token again, renewed, so none is ever refused.
      assert.strictEqual(counts["oauth2.getAccessToken"], 14)
    }).pipe(Effect.provide(client().pipe(Layer.provideMerge(platforms[0][1])))))
})

describe("secrets", () => {
  it.live("are in no span, log, error, result or service, in whatever way it is printed", () => {
    const spans: Array<unknown> = []
    const lines: Array<string> = []
    const printed: Array<string> = []
    const sentinels = new Set<string>([SECRET])

    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind, options) => {
        const attributes: Record<string, unknown> = { ...options?.attributes }
        const span = {
          _tag: "Span" as const,
          name,
          parent,
          context,
          links,
          kind,
          sampled: true,
          spanId: String(spans.length),
          traceId: "trace",
          status: { _tag: "Started" as const, startTime },
          attributes: new Map(),
          attribute: (key: string, value: unknown) => {
            attributes[key] = value
          },
          event: (event: string, _at: bigint, values?: Record<string, unknown>) => {
            attributes[`event.${event}`] = values
          },
          addLinks: () => {},
          end: (_at: bigint, exit: Exit.Exit<unknown, unknown>) => {
            attributes["exit"] = Exit.isFailure(exit) ? Cause.pretty(exit.cause, { renderErrorCause: true }) : "success"
          }
        }
        spans.push({ name, attributes })
        return span
      },
      context: (f) => f()
    })
    const logger = Logger.make((entry) => {
      for (const each of [Logger.logfmtLogger, Logger.jsonLogger, Logger.stringLogger]) lines.push(each.log(entry))
      lines.push(inspect(Logger.structuredLogger.log(entry), { depth: 10, showHidden: true }))
    })
    const print = (value: unknown) => {
      printed.push(
        inspect(value, { depth: 12 }),
        Inspectable.format(value),
        Inspectable.toStringUnknown(value),
        String(value)
      )
      try {
        printed.push(JSON.stringify(value) ?? "")
      } catch {
        // A service may hold what JSON cannot.
      }
      if (value instanceof Error) {
        printed.push(value.message, value.stack ?? "", inspect(value, { depth: 12, showHidden: true }))
        printed.push(Cause.pretty(Cause.fail(value), { renderErrorCause: true }))
      }
    }
    const keep = (secret: Redacted.Redacted) => sentinels.add(Redacted.value(secret))
    const shown = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.exit(effect).pipe(
        Effect.tap((exit) => Effect.logInfo("ended", exit)),
        Effect.tap((exit) =>
          Effect.sync(() => {
            print(exit)
            print(Exit.isSuccess(exit) ? exit.value : Option.getOrUndefined(Cause.failureOption(exit.cause)))
          })
        )
      )

    const scenarios = Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const tokens = yield* TokenService.TokenService
      const keepToken = Effect.map(tokens.get, (token) => keep(token.value))
      const getUser = Contact.getUser({ userid: "zhangsan" })

      yield* shown(getUser)
      yield* keepToken
      print(yield* tokens.get)
      yield* shown(Contact.getUser({ userid: "nobody" }))
      yield* shown(Contact.getUser({ userid: "" }))
      yield* emulator.revoke("qyapi_get_member", "dingsentinel")
      yield* shown(getUser)
      yield* emulator.grant("qyapi_get_member", "dingsentinel")
      yield* emulator.expireTokens
      yield* shown(getUser)
      yield* keepToken
      for (
        const body of [
          "<html>hotel Wi-Fi</html>",
          "",
          "{",
          `{"errcode":0,"result":{"userid":{}}}`,
          // A platform that repeats what it was sent.
          `{"errcode":40035,"errmsg":"bad access_token=${Redacted.value((yield* tokens.get).value)}"}`
        ]
      ) {
        yield* emulator.failNext(
          { _tag: "Respond", status: 200, headers: {}, body },
          { matching: { endpoint: "contact.getUser" } }
        )
        yield* shown(getUser)
      }
      for (const fault of [{ _tag: "Throttled" as const }, { _tag: "Busy" as const }]) {
        yield* emulator.failNext(fault, { matching: { endpoint: "contact.getUser" } })
        yield* shown(getUser)
      }

      const authCode = yield* emulator.consent({ userid: "zhangsan", clientId: "dingsentinel" })
      keep(authCode)
      const session = yield* UserSession.signIn({ authCode })
      const keepSession = Effect.gen(function*() {
        const now = yield* session.tokens
        keep(now.accessToken)
        if (now.refreshToken !== undefined) keep(now.refreshToken)
        print(now)
      })
      yield* keepSession
      print(session)
      yield* shown(UserSession.signIn({ authCode }))
      const me = Effect.provideService(Contact.getMe, UserSession.UserSession, session)
      yield* shown(me)
      yield* emulator.expireTokens
      yield* shown(me)
      yield* keepSession
      yield* emulator.revokeTokens
      yield* shown(me)
      yield* emulator.rotateSecret("dingsentinel")
      yield* tokens.invalidate((yield* tokens.get).value)
      yield* shown(getUser)
      // The last, because nothing is sent after it.
      yield* emulator.failNext({ _tag: "IpBanned", as: "html" }, { matching: { endpoint: "contact.getUser" } })
      yield* shown(getUser)
      print(yield* Effect.context<never>())
    })

    return Effect.gen(function*() {
      for (const [, platform] of platforms) {
        yield* scenarios.pipe(Effect.provide(client().pipe(Layer.provideMerge(platform))))
      }
      assert.isAbove(spans.length, 50)
      assert.isAbove(lines.length, 50)
      assert.isAbove(sentinels.size, 12)
      const everything = [JSON.stringify(spans), ...lines, ...printed]
      for (const secret of sentinels) {
        const hit = everything.find((text) => text.includes(secret))
        assert.isUndefined(hit, `found in ${hit?.slice(0, 500)}`)
      }
    }).pipe(
      Effect.provide(Layer.setTracer(tracer)),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.All)
    )
  })
})
