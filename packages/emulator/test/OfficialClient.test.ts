import type contactModule from "@alicloud/dingtalk/dist/contact_1_0/client.js"
import type oauth2Module from "@alicloud/dingtalk/dist/oauth2_1_0/client.js"
import { Config } from "@alicloud/openapi-client"
import { RuntimeOptions } from "@alicloud/tea-util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { createRequire } from "node:module"
import { Emulator, EmulatorServer } from "../src/index.js"

// One product each, because the package's own entry loads all 114; and as Node loads them, without interop.
const load = createRequire(import.meta.url)
const contact: typeof contactModule = load("@alicloud/dingtalk/dist/contact_1_0/client.js")
const oauth2: typeof oauth2Module = load("@alicloud/dingtalk/dist/oauth2_1_0/client.js")

const dingtalk = EmulatorServer.layer().pipe(Layer.provideMerge(Emulator.layer()))

const config = Effect.map(
  EmulatorServer.EmulatorServer,
  ({ url }) => new Config({ protocol: "http", endpoint: url.slice("http://".length), regionId: "central" })
)

interface ClientError {
  readonly code: string
  readonly message: string
  readonly statusCode?: number
}

const attempt = (run: () => Promise<any>): Effect.Effect<any, ClientError> =>
  Effect.tryPromise({ try: run, catch: (error) => error as ClientError })

describe("@alicloud/dingtalk", () => {
  it.live("gets the token of an app, and reads why it does not", () =>
    Effect.gen(function*() {
      const client = new oauth2.default(yield* config)
      const get = (appSecret: string) =>
        attempt(() => client.getAccessToken(new oauth2.GetAccessTokenRequest({ appKey: "dingquickstart", appSecret })))
      const { body } = yield* get("quickstart-secret")
      assert.match(body.accessToken, /^[0-9a-f]{32}$/)
      assert.strictEqual(body.expireIn, 7200)
      const error = yield* Effect.flip(get("wrong"))
      assert.strictEqual(error.code, "invalidClientIdOrSecret")
      assert.match(error.message, /code: 400, 无效的clientId或者clientSecret request id: [0-9A-F-]{36}/)
    }).pipe(Effect.provide(dingtalk)))

  it.live("signs a person in, refreshes, and reads the profile", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const client = new oauth2.default(yield* config)
      const exchange = (options: Record<string, string>) =>
        attempt(() =>
          client.getUserToken(
            new oauth2.GetUserTokenRequest({
              clientId: "dingquickstart",
              clientSecret: "quickstart-secret",
              ...options
            })
          )
        )
      const code = Redacted.value(yield* emulator.consent({ userid: "zhangsan", scope: "openid corpid" }))
      const first = (yield* exchange({ grantType: "authorization_code", code })).body
      assert.strictEqual(first.corpId, "dingquickstartcorp")
      const spent = yield* Effect.flip(exchange({ grantType: "authorization_code", code }))
      assert.strictEqual(spent.code, "invalidParameter.authCode.notFound")
      assert.include(spent.message, "不合法的临时授权码")
      const { body: second } = yield* exchange({ grantType: "refresh_token", refreshToken: first.refreshToken })

      const contacts = new contact.default(yield* config)
      const me = (accessToken: string, unionId = "me") =>
        attempt(() =>
          contacts.getUserWithOptions(
            unionId,
            new contact.GetUserHeaders({ xAcsDingtalkAccessToken: accessToken }),
            new RuntimeOptions({})
          )
        )
      const { body: profile } = yield* me(second.accessToken)
      assert.deepInclude({ ...profile }, {
        nick: "zhangsan",
        avatarUrl: "https://xxx",
        mobile: "150xxxx9144",
        openId: "123",
        unionId: "z21HjQliSzpw0YWxxxxx",
        email: "zhangsan@example.com",
        stateCode: "86"
      })
      assert.strictEqual((yield* Effect.flip(me("wrong"))).code, "InvalidAuthentication")
      assert.strictEqual(
        (yield* Effect.flip(me(second.accessToken, "nobody"))).code,
        "invalidParameter.user.notFound"
      )
      yield* emulator.revoke("Contact.User.Read")
      const denied = yield* Effect.flip(me(second.accessToken))
      assert.strictEqual(denied.code, "Forbidden.AccessDenied.AccessTokenPermissionDenied")
      assert.include(denied.message, "code: 403")
    }).pipe(Effect.provide(dingtalk)))

  it.live("gets the tokens of a third-party app, and reads why it does not", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const client = new oauth2.default(yield* config)
      const suite = {
        suiteKey: "suitequickstart",
        suiteSecret: "suite-quickstart-secret",
        suiteTicket: Redacted.value((yield* emulator.pushSuiteTicket()).suiteTicket)
      }
      const corp = (options: Record<string, string> = {}) =>
        attempt(() =>
          client.getCorpAccessToken(
            new oauth2.GetCorpAccessTokenRequest({ ...suite, authCorpId: "dingpartnercorp", ...options })
          )
        )
      const [one, two] = [(yield* corp()).body, (yield* corp()).body]
      assert.match(one.accessToken, /^[0-9a-f]{32}$/)
      assert.strictEqual(one.expireIn, 7200)
      assert.notStrictEqual(one.accessToken, two.accessToken)
      assert.strictEqual((yield* Effect.flip(corp({ suiteKey: "suiteno" }))).code, "invalidSuiteKey")
      assert.strictEqual((yield* Effect.flip(corp({ suiteTicket: "no" }))).code, "invalidSuiteTicket")
      assert.strictEqual((yield* Effect.flip(corp({ authCorpId: "dingno" }))).code, "invalidAuthInfo")

      const { body: ofSuite } = yield* attempt(() =>
        client.getSuiteAccessToken(new oauth2.GetSuiteAccessTokenRequest(suite))
      )
      const { body: info } = yield* attempt(() =>
        client.getAuthInfoWithOptions(
          new oauth2.GetAuthInfoRequest({ authCorpId: "dingpartnercorp" }),
          new oauth2.GetAuthInfoHeaders({ xAcsDingtalkAccessToken: ofSuite.accessToken }),
          new RuntimeOptions({})
        )
      )
      assert.strictEqual(info.authUserInfo.userId, "wangwu")
      assert.strictEqual(info.authCorpInfo.corpName, "Partner")
      assert.deepInclude(info.authAppInfo.agentList[0], { agentId: 2500000003, appId: 20001 })

      const organization = (corpId: string, clientSecret: string) =>
        attempt(() =>
          client.getToken(
            corpId,
            new oauth2.GetTokenRequest({
              clientId: "dingquickstart",
              clientSecret,
              grantType: "client_credentials"
            })
          )
        )
      const { body: internal } = yield* organization("dingquickstartcorp", "quickstart-secret")
      assert.strictEqual(internal.expiresIn, 7200)
      assert.strictEqual((yield* Effect.flip(organization("dingquickstartcorp", "no"))).code, "invalid.client")
      assert.strictEqual(
        (yield* Effect.flip(organization("dingpartnercorp", "quickstart-secret"))).code,
        "unauthorized.client"
      )

      const ticket = (xAcsDingtalkAccessToken: string) =>
        attempt(() =>
          client.createJsapiTicketWithOptions(
            new oauth2.CreateJsapiTicketHeaders({ xAcsDingtalkAccessToken }),
            new RuntimeOptions({})
          )
        )
      const { body: jsapi } = yield* ticket(internal.accessToken)
      assert.deepStrictEqual([typeof jsapi.jsapiTicket, jsapi.expireIn], ["string", 7200])
      assert.strictEqual((yield* Effect.flip(ticket("no"))).code, "InvalidAuthentication")
    }).pipe(Effect.provide(dingtalk)))

  it.live("signs an administrator in", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const client = new oauth2.default(yield* config)
      const { body } = yield* attempt(() =>
        client.getSsoAccessToken(
          new oauth2.GetSsoAccessTokenRequest({ corpid: "dingquickstartcorp", ssoSecret: "quickstart-sso-secret" })
        )
      )
      assert.strictEqual(body.expireIn, 3600)
      const who = (code: string) =>
        attempt(() =>
          client.getSsoUserInfoWithOptions(
            new oauth2.GetSsoUserInfoRequest({ code }),
            new oauth2.GetSsoUserInfoHeaders({ xAcsDingtalkAccessToken: body.accessToken }),
            new RuntimeOptions({})
          )
        )
      const code = Redacted.value(yield* emulator.ssoCode({ userid: "zhangsan" }))
      assert.deepInclude({ ...(yield* who(code)).body }, {
        corpId: "dingquickstartcorp",
        corpName: "Quickstart",
        userId: "zhangsan",
        userName: "John",
        isAdmin: true
      })
      assert.strictEqual((yield* Effect.flip(who(code))).code, "invalidCode")
    }).pipe(Effect.provide(dingtalk)))
})
