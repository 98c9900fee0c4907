import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, TestClock } from "effect"
import { createHmac } from "node:crypto"
import { Emulator, Organization, ThirdParty } from "../src/index.js"
import { app, appToken, ask, corpToken, get, json, me, post, SUITE, suiteTicket, suiteToken, text } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())

const ONE = "dingquickstartcorp"
const TWO = "dingpartnercorp"

const user = (token: string, userid: string) => post(`/topapi/v2/user/get?access_token=${token}`, { userid })
const works = (token: string, userid = "zhangsan") => Effect.map(user(token, userid), (r) => json(r).errcode === 0)

const error = (code: string, message: string, status = 400) =>
  `${status} {"requestid":"<uuid>","code":"${code}","message":"${message}"}`

describe("POST /v1.0/oauth2/corpAccessToken (reference 1.1 T5, 1.6)", () => {
  it.effect("the wire", () =>
    Effect.gen(function*() {
      const ticket = yield* suiteTicket()
      const body =
        `{"suiteKey":"suitequickstart","suiteSecret":"suite-quickstart-secret","authCorpId":"dingpartnercorp","suiteTicket":"${ticket}"}`
      assert.strictEqual(
        text(yield* post("/v1.0/oauth2/corpAccessToken", body)),
        "200 {\"accessToken\":\"<32 hex>\",\"expireIn\":7200}"
      )
      // [P] for the first, [D] for the others but the second [I].
      assert.strictEqual(
        text(yield* corpToken(TWO, { suiteKey: "suiteinvented" })),
        error("invalidSuiteKey", "suitekey不合法")
      )
      assert.strictEqual(
        text(yield* corpToken(TWO, { suiteSecret: "no" })),
        error("invalidClientIdOrSecret", "clientId或者clientSecret错误")
      )
      for (const suiteTicket of ["no", "", null, 7, undefined]) {
        assert.strictEqual(
          text(yield* corpToken(TWO, { suiteTicket })),
          error("invalidSuiteTicket", "suiteTicket无效")
        )
      }
      assert.strictEqual(text(yield* corpToken("dingnobody")), error("invalidAuthInfo", "授权关系不存在"))
      assert.strictEqual(
        text(yield* corpToken(TWO, { authCorpId: undefined })),
        error("MissingauthCorpId", "authCorpId is mandatory for this action.")
      )
      // Printed so by an older page of the documentation [P].
      assert.strictEqual(
        text(yield* post("/oauth2/corpAccessToken", {})),
        "200 {\"errcode\":404,\"errmsg\":\"请求的URI地址不存在\"}"
      )
      // The key of an internal app is no suite key.
      assert.include(text(yield* corpToken(TWO, { suiteKey: "dingquickstart" })), "invalidSuiteKey")
    }).pipe(fresh))

  it.effect("each fetch gives a new token, and the old one lives until its own end", () =>
    Effect.gen(function*() {
      const first = json(yield* corpToken(ONE)).accessToken
      yield* TestClock.adjust("7000 seconds")
      const second = json(yield* corpToken(ONE)).accessToken
      assert.notStrictEqual(first, second)
      assert.deepStrictEqual([yield* works(first), yield* works(second)], [true, true])
      yield* TestClock.adjust("199 seconds")
      assert.isTrue(yield* works(first))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* works(first), yield* works(second)], [false, true])
      assert.include((yield* user(first, "zhangsan")).body, "\"sub_code\":\"40014\"")
    }).pipe(fresh))

  it.effect("a token reaches one organisation alone", () =>
    Effect.gen(function*() {
      const one = json(yield* corpToken(ONE)).accessToken
      const two = json(yield* corpToken(TWO)).accessToken
      assert.strictEqual(json(yield* user(one, "zhangsan")).result.name, "John")
      assert.strictEqual(json(yield* user(two, "zhangsan")).result.name, "Zhang San of Partner")
      assert.strictEqual(
        text(yield* user(one, "wangwu")),
        "200 {\"errcode\":60121,\"errmsg\":\"找不到该用户\",\"request_id\":\"…\"}"
      )
      assert.strictEqual(json(yield* user(two, "lisi")).errcode, 60121)
      const byUnionId = (token: string) =>
        post(`/topapi/user/getbyunionid?access_token=${token}`, { unionid: "p2wangwuPartnerxxxxx" })
      assert.strictEqual(json(yield* byUnionId(one)).errcode, 60121)
      assert.strictEqual(json(yield* byUnionId(two)).result.userid, "wangwu")
      assert.strictEqual(json(yield* user(yield* appToken, "wangwu")).errcode, 60121)
    }).pipe(fresh))

  it.effect("permissions and contact range are those of the organisation", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const one = json(yield* corpToken(ONE)).accessToken
      const two = json(yield* corpToken(TWO)).accessToken
      yield* emulator.authorize({ corpId: TWO, permissions: [], contactRange: ["wangwu"] })
      assert.include(text(yield* user(two, "wangwu")), "content=suitequickstart%23qyapi_get_member")
      assert.isTrue(yield* works(one))
      yield* emulator.authorize({ corpId: TWO, contactRange: ["wangwu"] })
      assert.isTrue(yield* works(two, "wangwu"))
      assert.strictEqual(json(yield* user(two, "zhangsan")).errcode, 50002)
      yield* emulator.revoke("qyapi_get_member", SUITE.suiteKey)
      assert.deepStrictEqual([yield* works(one), yield* works(two, "wangwu")], [false, false])
    }).pipe(fresh))

  it.effect("what an organisation takes back does not come back with a new authorisation", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const one = json(yield* corpToken(ONE)).accessToken
      const two = json(yield* corpToken(TWO)).accessToken
      yield* emulator.deauthorize(TWO)
      assert.deepStrictEqual([yield* works(one), yield* works(two)], [true, false])
      assert.include(text(yield* corpToken(TWO)), "invalidAuthInfo")
      assert.deepInclude(yield* Effect.flip(emulator.deauthorize(TWO)), { reason: "NotAuthorized", field: "corpId" })
      yield* emulator.authorize({ corpId: TWO })
      assert.isFalse(yield* works(two))
      assert.isTrue(yield* works(json(yield* corpToken(TWO)).accessToken))
      const unknown = yield* Effect.flip(emulator.authorize({ corpId: "dingnobody" }))
      assert.deepInclude(unknown, { reason: "UnknownOrganization", field: "corpId" })
      assert.include(unknown.message, "there are: dingquickstartcorp, dingpartnercorp")
    }).pipe(fresh))

  it.effect("an app that was made for one customer sends any ticket, or none", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.addThirdPartyApplication({
        suiteKey: "suitecustom",
        suiteSecret: Redacted.make("custom-secret"),
        acceptsAnyTicket: true,
        authorizedBy: [ThirdParty.authorization({ corpId: TWO })]
      })
      for (const suiteTicket of ["whatever", "", undefined]) {
        const body = { suiteKey: "suitecustom", suiteSecret: "custom-secret", authCorpId: TWO, suiteTicket }
        assert.strictEqual((yield* post("/v1.0/oauth2/corpAccessToken", body)).status, 200)
      }
    }).pipe(fresh))

  it.effect("a stopped app and a foreign address", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.updateApplication(SUITE.suiteKey, { ipWhiteList: ["10.0.0.1"] })
      assert.include(text(yield* corpToken(ONE)), "403 ")
      yield* emulator.updateApplication(SUITE.suiteKey, { enabled: false })
      assert.include(text(yield* corpToken(ONE)), "401 ")
      assert.include(text(yield* suiteToken), "401 ")
    }).pipe(fresh))
})

describe("POST /v1.0/oauth2/{corpId}/token (reference 1.1 T4, 1.5)", () => {
  const ask4 = (corpId: string, more: object = {}) =>
    post(`/v1.0/oauth2/${corpId}/token`, {
      client_id: "dingquickstart",
      client_secret: "quickstart-secret",
      grant_type: "client_credentials",
      ...more
    })
  const ofSuite = { client_id: SUITE.suiteKey, client_secret: SUITE.suiteSecret }

  it.effect("the wire", () =>
    Effect.gen(function*() {
      const body =
        "{\"client_id\":\"dingquickstart\",\"client_secret\":\"quickstart-secret\",\"grant_type\":\"client_credentials\"}"
      assert.strictEqual(
        text(yield* post("/v1.0/oauth2/dingquickstartcorp/token", body)),
        "200 {\"access_token\":\"<32 hex>\",\"expires_in\":7200}"
      )
      // [P]
      const invented = { client_id: "invented", client_secret: "invented" }
      assert.strictEqual(text(yield* ask4("dinginvented", invented)), error("unknownError", "未知错误", 500))
      // Codes [D], texts [I].
      const bad = error("invalid.client", "无效的client_id或者client_secret")
      assert.strictEqual(text(yield* ask4(ONE, invented)), bad)
      assert.strictEqual(text(yield* ask4(ONE, { client_secret: "no" })), bad)
      assert.include(text(yield* ask4(ONE, { grant_type: "authorization_code" })), "400 {")
      assert.include(text(yield* ask4(ONE, { grant_type: "authorization_code" })), "\"unsupported.grant.type\"")
      assert.include(text(yield* ask4(TWO)), "\"code\":\"unauthorized.client\"")
      assert.strictEqual((yield* ask4(TWO)).status, 401)
      assert.strictEqual((yield* ask4("dinginvented")).status, 401)
      assert.include(text(yield* post(`/v1.0/oauth2/${ONE}/token`, app)), "Missingclient_id")
    }).pipe(fresh))

  it.effect("asked again, an internal app has the same token, and a third-party app a new one", () =>
    Effect.gen(function*() {
      const first = json(yield* ask4(ONE)).access_token
      assert.strictEqual(first, yield* appToken)
      yield* TestClock.adjust("7000 seconds")
      assert.strictEqual(json(yield* ask4(ONE)).access_token, first)
      yield* TestClock.adjust("7000 seconds")
      assert.isTrue(yield* works(first))
      const [one, two] = [json(yield* ask4(TWO, ofSuite)).access_token, json(yield* ask4(TWO, ofSuite)).access_token]
      assert.notStrictEqual(one, two)
      assert.deepStrictEqual([yield* works(one, "wangwu"), yield* works(two, "wangwu")], [true, true])
    }).pipe(fresh))
})

describe("the suite's own token (reference 1.1 T7, T8, 1.6)", () => {
  it.effect("POST /v1.0/oauth2/suiteAccessToken", () =>
    Effect.gen(function*() {
      const ticket = yield* suiteTicket()
      const suite = (body: string) => post("/v1.0/oauth2/suiteAccessToken", body)
      const good = `{"suiteKey":"suitequickstart","suiteSecret":"suite-quickstart-secret","suiteTicket":"${ticket}"}`
      assert.strictEqual(text(yield* suite(good)), "200 {\"accessToken\":\"<32 hex>\",\"expireIn\":7200}")
      assert.strictEqual(
        text(yield* suite(good.replace("suite-quickstart-secret", "no"))),
        error("invalidClientIdOrSecret", "clientId或者clientSecret错误")
      )
      assert.strictEqual(
        text(yield* suite(good.replace(ticket, "no"))),
        error("invalidSuiteTicket", "suiteTicket无效")
      )
      assert.notStrictEqual(json(yield* suite(good)).accessToken, json(yield* suite(good)).accessToken)
    }).pipe(fresh))

  it.effect("POST /service/get_suite_token and get_auth_info", () =>
    Effect.gen(function*() {
      const ticket = yield* suiteTicket()
      const suite = (body: string) => post("/service/get_suite_token", body)
      const good = `{"suite_key":"suitequickstart","suite_secret":"suite-quickstart-secret","suite_ticket":"${ticket}"}`
      const answer = yield* suite(good)
      assert.strictEqual(
        text(answer),
        "200 {\"errcode\":0,\"errmsg\":\"ok\",\"suite_access_token\":\"<32 hex>\",\"expires_in\":7200}"
      )
      assert.strictEqual(
        text(yield* suite(good.replace("suite-quickstart-secret", "no"))),
        "200 {\"errcode\":40088,\"errmsg\":\"不合法的套件key或secret\"}"
      )
      assert.strictEqual(
        text(yield* suite(good.replace(ticket, "no"))),
        "200 {\"errcode\":40085,\"errmsg\":\"不存在的suiteticket\"}"
      )
      const info = (token: string, auth_corpid = TWO) =>
        post(`/service/get_auth_info?suite_access_token=${token}`, { suite_key: SUITE.suiteKey, auth_corpid })
      const token = json(answer).suite_access_token
      assert.strictEqual(
        text(yield* info(token)),
        "200 {\"errcode\":0,\"errmsg\":\"ok\",\"auth_corp_info\":{\"corpid\":\"dingpartnercorp\",\"corp_name\":\"Partner\"},\"auth_user_info\":{\"userId\":\"wangwu\"},\"auth_info\":{\"agent\":[{\"agentid\":2500000003,\"agent_name\":\"Quickstart Suite\",\"appid\":20001}]}}"
      )
      assert.strictEqual(json(yield* info("no")).errcode, 40082)
      assert.strictEqual(json(yield* info(yield* appToken)).errcode, 40082)
      assert.strictEqual(json(yield* info(token, "dingnobody")).errcode, 41030)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(json(yield* info(token)).errcode, 42009)
    }).pipe(fresh))

  it.effect("GET /v1.0/oauth2/apps/authInfo", () =>
    Effect.gen(function*() {
      const token = json(yield* suiteToken).accessToken
      const info = (corpId: string, token?: string) => get(`/v1.0/oauth2/apps/authInfo?authCorpId=${corpId}`, token)
      assert.strictEqual(
        text(yield* info(TWO, token)),
        "200 {\"authAppInfo\":{\"agentList\":[{\"agentId\":2500000003,\"agentName\":\"Quickstart Suite\",\"appId\":20001,\"adminList\":[\"wangwu\"]}]},\"authCorpInfo\":{\"corpName\":\"Partner\",\"corpLogoUrl\":\"https://static-legacy.dingtalk.com/xxx\",\"industry\":\"201\",\"inviteCode\":\"\",\"inviteUrl\":\"\",\"licenseCode\":\"\",\"authChannel\":\"\",\"authChannelType\":\"\",\"authLevel\":0},\"authUserInfo\":{\"userId\":\"wangwu\"}}"
      )
      assert.include(text(yield* info("dingnobody", token)), "400 {\"requestid\":\"<uuid>\",\"code\":\"orgNotExist\"")
      assert.include(text(yield* info("", token)), "MissingauthCorpId")
      assert.include(text(yield* info(TWO)), "AuthenticationFailed.MissingParameter")
      const bad = error("InvalidAuthentication", "不合法的access_token")
      for (const wrong of ["no", yield* appToken, json(yield* corpToken(TWO)).accessToken]) {
        assert.strictEqual(text(yield* info(TWO, wrong)), bad)
      }
      // The suite's token opens nothing else.
      assert.isFalse(yield* works(token))
      assert.strictEqual((yield* me(token)).status, 400)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(text(yield* info(TWO, token)), bad)
    }).pipe(fresh))
})

describe("POST /service/get_corp_token (reference 1.1 T6, 1.6)", () => {
  // With Node's own cryptography, and not with what the emulator uses.
  const sign = (secret: string, timestamp: string, ticket: string) =>
    encodeURIComponent(createHmac("sha256", secret).update(`${timestamp}\n${ticket}`).digest("base64"))

  it("the signature of the documentation", () => {
    assert.strictEqual(
      decodeURIComponent(sign("suiteSecretExample", "1527130370219", "TestSuiteTicket")),
      "2CYdu8v4nQLTncBrqY39LeBCsamt8zg5dj9yYhqmgz8="
    )
  })

  it.effect("the wire", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      // The very request of the verified vector.
      yield* emulator.addThirdPartyApplication({
        suiteKey: "suiteexample",
        suiteSecret: Redacted.make("suiteSecretExample"),
        acceptsAnyTicket: true,
        permissions: ["qyapi_get_member"],
        authorizedBy: [{ corpId: TWO, contactRange: "all" }]
      })
      const path =
        "/service/get_corp_token?accessKey=suiteexample&timestamp=1527130370219&suiteTicket=TestSuiteTicket&signature=2CYdu8v4nQLTncBrqY39LeBCsamt8zg5dj9yYhqmgz8%3D"
      const answer = yield* post(path, "{\"auth_corpid\":\"dingpartnercorp\"}")
      assert.strictEqual(
        text(answer),
        "200 {\"errcode\":0,\"errmsg\":\"ok\",\"access_token\":\"<32 hex>\",\"expires_in\":7200}"
      )
      assert.isTrue(yield* works(json(answer).access_token, "wangwu"))
      const again = json(yield* post(path, "{\"auth_corpid\":\"dingpartnercorp\"}")).access_token
      assert.notStrictEqual(again, json(answer).access_token)
      const code = (path: string, body: unknown = { auth_corpid: TWO }) =>
        Effect.map(post(path, body), (response) => json(response).errcode)
      assert.strictEqual(yield* code(path.replace(/&signature=.*/, "")), 853001)
      assert.strictEqual(yield* code(path.replace("suiteexample", "suiteinvented")), 853002)
      assert.strictEqual(yield* code(path.replace("suiteexample", "dingquickstart")), 853002)
      assert.strictEqual(yield* code(path.replace("1527130370219", "now")), 853003)
      assert.strictEqual(yield* code(path.replace("TestSuiteTicket", "Other")), 853004)
      // A plus that was not encoded is a blank.
      assert.strictEqual(yield* code(path.replace("2CYdu8v4", "2CYdu+v4")), 853004)
      assert.strictEqual(yield* code(path, {}), 41002)
      assert.strictEqual(yield* code(path, { auth_corpid: ONE }), 41030)
      assert.strictEqual(yield* code(path, "{"), 47001)
      assert.strictEqual(json(yield* ask({ method: "GET", path })).errcode, 43002)
    }).pipe(fresh))

  it.effect("the ticket has to be the latest, even if it is well signed", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const ticket = yield* suiteTicket()
      const path = (ticket: string, timestamp = "0") =>
        `/service/get_corp_token?accessKey=suitequickstart&timestamp=${timestamp}&suiteTicket=${ticket}&signature=${
          sign(SUITE.suiteSecret, timestamp, ticket)
        }`
      assert.strictEqual(json(yield* post(path(ticket), { auth_corpid: TWO })).errcode, 0)
      yield* emulator.pushSuiteTicket()
      assert.strictEqual(
        text(yield* post(path(ticket), { auth_corpid: TWO })),
        "200 {\"errcode\":40085,\"errmsg\":\"不存在的suiteticket\"}"
      )
      const log = JSON.stringify(yield* emulator.requests)
      for (const hidden of [ticket, sign(SUITE.suiteSecret, "0", ticket)]) assert.notInclude(log, hidden)
    }).pipe(fresh))
})

describe("sign-in to a third-party app (reference 1.1 T3, 1.8)", () => {
  const exchange = (body: object) =>
    post("/v1.0/oauth2/userAccessToken", {
      clientId: SUITE.suiteKey,
      clientSecret: SUITE.suiteSecret,
      ...body
    })

  it.effect("people of every organisation come in, and are found in their own", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const options = { userid: "wangwu", clientId: SUITE.suiteKey, corpId: TWO } as const
      const code = Redacted.value(yield* emulator.consent({ ...options, scope: "openid corpid" }))
      const session = json(yield* exchange({ grantType: "authorization_code", code }))
      assert.strictEqual(session.corpId, TWO)
      assert.strictEqual(json(yield* me(session.accessToken)).nick, "Wang Wu")
      assert.strictEqual((yield* me(session.accessToken, "z21HjQliSzpw0YWxxxxx")).status, 404)
      const next = json(yield* exchange({ grantType: "refresh_token", refreshToken: session.refreshToken }))
      assert.notStrictEqual(next.refreshToken, session.refreshToken)
      assert.strictEqual(next.corpId, TWO)
      const spent = yield* exchange({ grantType: "refresh_token", refreshToken: session.refreshToken })
      assert.strictEqual(spent.status, 400)
      const foreign = yield* Effect.flip(emulator.consent({ userid: "wangwu", corpId: TWO }))
      assert.deepInclude(foreign, { reason: "NotAuthorized", field: "corpId" })
    }).pipe(fresh))

  it.effect("the page offers the people of the organisations that authorised it", () =>
    Effect.gen(function*() {
      const query = new URLSearchParams({
        client_id: SUITE.suiteKey,
        response_type: "code",
        scope: "openid corpid",
        prompt: "consent",
        redirect_uri: "http://localhost:9/back"
      })
      const form = { "content-type": "application/x-www-form-urlencoded" }
      const path = `/oauth2/auth?${query}`
      const page = yield* ask({ method: "GET", path })
      assert.include(page.body, "value=\"dingpartnercorp/wangwu\"")
      assert.include(page.body, "value=\"dingquickstartcorp/lisi\"")
      assert.notInclude((yield* ask({ method: "GET", path: `${path}&corpId=${TWO}` })).body, "lisi")
      const back = yield* post(path, "userid=dingpartnercorp%2Fzhangsan&decision=consent", form)
      const code = new URL(back.headers["location"]!).searchParams.get("authCode")!
      const session = json(yield* exchange({ grantType: "authorization_code", code }))
      assert.strictEqual(session.corpId, TWO)
      assert.strictEqual(json(yield* me(session.accessToken)).nick, "Zhang San of Partner")
      for (const userid of ["zhangsan", "/zhangsan", "dingnobody/zhangsan", "dingpartnercorp/lisi"]) {
        const refused = yield* post(path, `userid=${encodeURIComponent(userid)}&decision=consent`, form)
        assert.strictEqual(refused.status, 400, userid)
      }
    }).pipe(fresh))
})

describe("several organisations", () => {
  const other: Organization.Organization = {
    corpId: "dingother",
    corpName: "Other",
    applications: [Organization.application({
      clientId: "dingotherapp",
      clientSecret: Redacted.make("other-secret"),
      permissions: ["qyapi_get_member"]
    })],
    users: [{ userid: "zhangsan", unionid: "o1", name: "Zhang San of Other" }]
  }
  const token = Effect.map(
    post("/v1.0/oauth2/accessToken", { appKey: "dingotherapp", appSecret: "other-secret" }),
    (response) => json(response).accessToken as string
  )

  it.effect("an internal app is at home in its own", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      assert.strictEqual(json(yield* user(yield* token, "zhangsan")).result.name, "Zhang San of Other")
      assert.strictEqual(json(yield* user(yield* token, "lisi")).errcode, 60121)
      assert.strictEqual((yield* emulator.organization).corpId, ONE)
      assert.deepStrictEqual((yield* emulator.organizations).map(({ corpId }) => corpId), [ONE, "dingother"])
      yield* emulator.addUser({ userid: "ann", unionid: "o2", name: "Ann" }, "dingother")
      yield* emulator.updateUser("ann", { name: "Anna" }, "dingother")
      assert.strictEqual(json(yield* user(yield* token, "ann")).result.name, "Anna")
      assert.strictEqual(json(yield* user(yield* appToken, "ann")).errcode, 60121)
      yield* emulator.removeUser("ann", "dingother")
      assert.strictEqual(json(yield* user(yield* token, "ann")).errcode, 60121)
      assert.strictEqual((yield* Effect.flip(emulator.removeUser("ann", "dingnobody"))).reason, "UnknownOrganization")
      assert.deepStrictEqual(yield* emulator.thirdPartyApplications, [])
    }).pipe(Effect.provide(Emulator.layer({ organizations: [other] }))))

  it.effect("more come later, and nothing twice", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.addOrganization(other)
      assert.isString(yield* token)
      assert.deepInclude(yield* Effect.flip(emulator.addOrganization(other)), {
        reason: "Duplicate",
        field: "corpId"
      })
      const taken = yield* Effect.flip(emulator.addOrganization({ ...other, corpId: "dingthird" }))
      assert.deepInclude(taken, { reason: "Duplicate", field: "clientId", subject: "dingotherapp" })
      const suite = { suiteKey: "dingotherapp", suiteSecret: Redacted.make("x") }
      assert.strictEqual((yield* Effect.flip(emulator.addThirdPartyApplication(suite))).reason, "Duplicate")
      const died = yield* Effect.exit(Effect.provide(Effect.void, Emulator.layer({ organizations: [other, other] })))
      assert.strictEqual(died._tag, "Failure")
    }).pipe(fresh))

  it.effect("a mistake in a declaration is told", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const suite = { suiteKey: "suitenew", suiteSecret: Redacted.make("new-secret") }
      for (const url of ["https://example.com/hook", "http://example.com", "http://a@localhost/", "localhost:1", ""]) {
        const refused = yield* Effect.flip(emulator.addThirdPartyApplication({ ...suite, callback: { url } }))
        assert.strictEqual(refused.reason, "Invalid", url)
      }
      const half = { url: "http://127.0.0.1:1/", token: Redacted.make("only") }
      assert.strictEqual((yield* Effect.flip(emulator.setCallback(half))).reason, "Invalid")
      yield* emulator.setCallback({ url: "http://[::1]:1/x" })
      assert.deepInclude((yield* emulator.thirdPartyApplications)[0], { callback: { url: "http://[::1]:1/x" } })
    }).pipe(fresh))
})

describe("thousands of organisations", () => {
  const CORPS = 10_000
  const dingtalk = Emulator.layer({
    organizationOf: Organization.generated,
    thirdPartyApplications: [{ ...ThirdParty.quickstart, authorizedBy: "any" }],
    requestLog: 100
  })

  it.effect("each with a token of its own over virtual hours, counted right", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      for (let round = 0; round < 3; round++) {
        const tokens = yield* Effect.forEach(
          Array.from({ length: CORPS }, (_, index) => `dingcorp${index}`),
          (corpId) => Effect.map(corpToken(corpId), (response) => json(response).accessToken as string)
        )
        assert.strictEqual(new Set(tokens).size, CORPS)
        assert.strictEqual(
          json(yield* user(tokens[4321]!, "staff")).result.name,
          "staff of dingcorp4321"
        )
        yield* TestClock.adjust("2 hours")
        assert.isFalse(yield* works(tokens[4321]!, "staff"))
      }
      assert.strictEqual(yield* emulator.total({ endpoint: "oauth2.getCorpAccessToken" }), 3 * CORPS)
      const one = { endpoint: "oauth2.getCorpAccessToken", clientId: SUITE.suiteKey, corpId: "dingcorp7" }
      assert.strictEqual(yield* emulator.total(one), 3)
      assert.strictEqual((yield* emulator.requests).length, 100)
      assert.strictEqual((yield* emulator.counts)["oauth2.getCorpAccessToken"], 3 * CORPS)
      assert.include(text(yield* corpToken("no corp")), "invalidAuthInfo")
      yield* emulator.deauthorize("dingcorp7")
      assert.include(text(yield* corpToken("dingcorp7")), "invalidAuthInfo")
      yield* emulator.authorize({ corpId: "dingcorp7" })
      assert.strictEqual((yield* corpToken("dingcorp7")).status, 200)
      yield* emulator.addUser({ userid: "ann", unionid: "u-ann", name: "Ann" }, "dingcorp7")
      assert.isTrue(yield* works(json(yield* corpToken("dingcorp7")).accessToken, "ann"))
      yield* emulator.clearRequests
      assert.strictEqual(yield* emulator.total(), 0)
    }).pipe(Effect.provide(dingtalk)), 60_000)

  it.effect("without a log, what is counted is right all the same", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* appToken
      yield* post("/nothing/quickstart-secret", {})
      assert.deepStrictEqual(yield* emulator.requests, [])
      assert.deepStrictEqual(yield* emulator.counts, {
        "oauth2.getAccessToken": 1,
        "POST /nothing/<redacted>": 1
      })
      assert.deepStrictEqual(yield* emulator.tallies, [
        { endpoint: "oauth2.getAccessToken", clientId: "dingquickstart", corpId: ONE, count: 1 }
      ])
    }).pipe(Effect.provide(Emulator.layer({ requestLog: 0 }))))
})
