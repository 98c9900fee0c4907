import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, TestClock } from "effect"
import { Emulator, Fault } from "../src/index.js"
import { appToken, ask, corpToken, exchange, get, json, post, signIn, SUITE, suiteToken, text } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())

const unwrap = Effect.map(Redacted.value<string>)

const error = (code: string, message: string, status = 400) =>
  `${status} {"requestid":"<uuid>","code":"${code}","message":"${message}"}`

describe("POST /topapi/v2/user/getuserinfo (reference 1.8)", () => {
  const who = (token: string, code: unknown) => post(`/topapi/v2/user/getuserinfo?access_token=${token}`, { code })
  const code = (options: Parameters<Emulator.Service["inClientCode"]>[0]) =>
    Effect.flatMap(Emulator.Emulator, (emulator) => unwrap(emulator.inClientCode(options)))
  const unknown = "200 {\"errcode\":40078,\"errmsg\":\"不存在的临时授权码\",\"request_id\":\"…\"}"

  it.effect("the wire, and once only", () =>
    Effect.gen(function*() {
      const token = yield* appToken
      const one = yield* code({ userid: "zhangsan" })
      const answer = yield* who(token, one)
      const { device_id } = json(answer).result
      assert.match(device_id, /^[0-9a-f]{32}$/)
      assert.strictEqual(
        text(answer),
        "200 {\"errcode\":0,\"errmsg\":\"ok\",\"result\":{\"userid\":\"zhangsan\",\"unionid\":\"z21HjQliSzpw0YWxxxxx\",\"associated_unionid\":\"z21HjQliSzpw0YWxxxxx\",\"device_id\":\"<32 hex>\",\"sys\":true,\"sys_level\":100,\"name\":\"John\"},\"request_id\":\"…\"}"
      )
      assert.strictEqual(text(yield* who(token, one)), unknown)
      assert.strictEqual(text(yield* who(token, "never-issued")), unknown)
      assert.include(text(yield* who(token, undefined)), "400002")
      assert.include(text(yield* who("no", one)), "40014")
      const level = (userid: string) =>
        Effect.flatMap(code({ userid }), (code) => Effect.map(who(token, code), (r) => json(r).result))
      assert.deepInclude(yield* level("manager240"), { sys: true, sys_level: 1 })
      assert.deepInclude(yield* level("lisi"), { sys: false, sys_level: 0 })
      const emulator = yield* Emulator.Emulator
      yield* emulator.updateUser("lisi", { sys_level: 2 })
      assert.deepInclude(yield* level("lisi"), { sys: true, sys_level: 2 })
      const contact = yield* post(`/topapi/v2/user/get?access_token=${token}`, { userid: "lisi" })
      assert.notInclude(contact.body, "sys_level")
    }).pipe(fresh))

  it.effect("ends after five minutes, and belongs to one app in one organisation", () =>
    Effect.gen(function*() {
      const options = { userid: "zhangsan", clientId: SUITE.suiteKey, corpId: "dingpartnercorp" }
      const one = json(yield* corpToken("dingquickstartcorp")).accessToken
      const two = json(yield* corpToken("dingpartnercorp")).accessToken
      const mine = yield* code(options)
      assert.strictEqual(text(yield* who(yield* appToken, mine)), unknown)
      assert.strictEqual(text(yield* who(one, mine)), unknown)
      assert.strictEqual(json(yield* who(two, mine)).result.name, "Zhang San of Partner")
      const late = yield* code(options)
      yield* TestClock.adjust("299 seconds")
      const last = yield* code(options)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(text(yield* who(two, late)), unknown)
      assert.strictEqual(json(yield* who(two, last)).errcode, 0)
      const emulator = yield* Emulator.Emulator
      yield* emulator.deauthorize("dingpartnercorp")
      assert.strictEqual((yield* Effect.flip(code(options))).reason, "NotAuthorized")
      assert.strictEqual((yield* Effect.flip(code({ userid: "nobody" }))).reason, "UnknownUser")
    }).pipe(fresh))

  it.effect("a code of the sign-in page is none, and the other way round; nothing is spent by that", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const token = yield* appToken
      const signInCode = yield* unwrap(emulator.consent({ userid: "zhangsan" }))
      const inClient = yield* code({ userid: "zhangsan" })
      const sso = yield* unwrap(emulator.ssoCode({ userid: "zhangsan" }))
      assert.strictEqual(text(yield* who(token, signInCode)), unknown)
      assert.strictEqual(text(yield* who(token, sso)), unknown)
      const badCode = error("invalidParameter.authCode.notFound", "不合法的临时授权码")
      assert.strictEqual(text(yield* exchange(inClient)), badCode)
      assert.strictEqual(text(yield* exchange(sso)), badCode)
      assert.strictEqual((yield* exchange(signInCode)).status, 200)
      assert.strictEqual(json(yield* who(token, inClient)).errcode, 0)
    }).pipe(fresh))

  it.effect("of fifty that exchange one code at once, exactly one wins", () =>
    Effect.gen(function*() {
      const token = yield* appToken
      const one = yield* code({ userid: "zhangsan" })
      const answers = yield* Effect.all(Array.from({ length: 50 }, () => who(token, one)), { concurrency: "unbounded" })
      assert.strictEqual(answers.filter((answer) => json(answer).errcode === 0).length, 1)
      const emulator = yield* Emulator.Emulator
      assert.notInclude(JSON.stringify(yield* emulator.requests), one)
    }).pipe(fresh))
})

describe("single sign-on of administrators (reference 1.1 T9, 1.7)", () => {
  const sso = (body: unknown = { corpid: "dingquickstartcorp", ssoSecret: "quickstart-sso-secret" }) =>
    post("/v1.0/oauth2/ssoAccessToken", body)
  const info = (code: string, token?: string) => get(`/v1.0/oauth2/ssoUserInfo?code=${code}`, token)

  it.effect("the wire", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const answer = yield* sso("{\"corpid\":\"dingquickstartcorp\",\"ssoSecret\":\"quickstart-sso-secret\"}")
      assert.strictEqual(text(answer), "200 {\"accessToken\":\"<32 hex>\",\"expireIn\":3600}")
      const token = json(answer).accessToken
      const code = yield* unwrap(emulator.ssoCode({ userid: "zhangsan" }))
      const invalidCode = error("invalidCode", "无效的授权码")
      const invalidToken = error("invalidToken", "无效的token")
      assert.strictEqual(text(yield* info(code, "no")), invalidToken)
      assert.strictEqual(text(yield* info(code, yield* appToken)), invalidToken)
      assert.include(text(yield* info(code)), "AuthenticationFailed.MissingParameter")
      assert.include(text(yield* info("", token)), "Missingcode")
      assert.strictEqual(text(yield* info("no", token)), invalidCode)
      assert.strictEqual(
        text(yield* info(code, token)),
        "200 {\"corpId\":\"dingquickstartcorp\",\"corpName\":\"Quickstart\",\"userId\":\"zhangsan\",\"email\":\"test@xxx.com\",\"userName\":\"John\",\"avatar\":\"xxx\",\"isAdmin\":true}"
      )
      assert.strictEqual(text(yield* info(code, token)), invalidCode)
      const wrong = error("invalidClientIdOrSecret", "无效的clientId或者clientSecret")
      assert.strictEqual(text(yield* sso({ corpid: "dingquickstartcorp", ssoSecret: "no" })), wrong)
      assert.strictEqual(text(yield* sso({ corpid: "dingnobody", ssoSecret: "no" })), wrong)
      assert.strictEqual(text(yield* sso({ corpid: "dingpartnercorp", ssoSecret: "no" })), wrong)
      // The field is in lower case alone (reference 1.1).
      assert.include(text(yield* sso({ corpId: "dingquickstartcorp", ssoSecret: "no" })), "Missingcorpid")
      // And it opens nothing else.
      assert.include((yield* post(`/topapi/v2/user/get?access_token=${token}`, { userid: "lisi" })).body, "40014")
    }).pipe(fresh))

  it.effect("an hour each, a new one each time, or what the emulator is told", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const [one, two] = [json(yield* sso()).accessToken, json(yield* sso()).accessToken]
      assert.notStrictEqual(one, two)
      yield* TestClock.adjust("1 hour")
      const code = yield* unwrap(emulator.ssoCode({ userid: "lisi" }))
      assert.include(text(yield* info(code, one)), "invalidToken")
      yield* emulator.setTokenLifetime("10 seconds")
      const three = json(yield* sso())
      assert.strictEqual(three.expireIn, 10)
      assert.deepInclude(json(yield* info(code, three.accessToken)), { isAdmin: false, email: "" })
      const other = yield* unwrap(emulator.ssoCode({ userid: "wangwu", corpId: "dingpartnercorp" }))
      assert.include(text(yield* info(other, three.accessToken)), "invalidCode")
    }).pipe(fresh))
})

describe("JSAPI tickets (reference 1.1 T10, T11, 1.7)", () => {
  const v1 = (token?: string) =>
    ask({
      method: "POST",
      path: "/v1.0/oauth2/jsapiTickets",
      headers: token === undefined ? {} : { "x-acs-dingtalk-access-token": token }
    })
  const legacy = (token: string) => ask({ method: "GET", path: `/get_jsapi_ticket?access_token=${token}` })

  it.effect("the same while it lives, renewed; both endpoints share it", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const first = yield* v1(yield* appToken)
      assert.strictEqual(text(first), "200 {\"jsapiTicket\":\"<32 hex>\",\"expireIn\":7200}")
      yield* TestClock.adjust("7000 seconds")
      const again = yield* legacy(yield* appToken)
      assert.strictEqual(
        text(again),
        "200 {\"errcode\":0,\"errmsg\":\"ok\",\"ticket\":\"<32 hex>\",\"expires_in\":7200}"
      )
      assert.strictEqual(json(again).ticket, json(first).jsapiTicket)
      yield* TestClock.adjust("7000 seconds")
      assert.strictEqual(json(yield* v1(yield* appToken)).jsapiTicket, json(first).jsapiTicket)
      yield* TestClock.adjust("2 hours")
      const next = json(yield* v1(yield* appToken)).jsapiTicket
      assert.notStrictEqual(next, json(first).jsapiTicket)
      assert.notInclude(JSON.stringify(yield* emulator.requests), next)
    }).pipe(fresh))

  it.effect("one for each app in each organisation", () =>
    Effect.gen(function*() {
      const tickets = []
      for (const corpId of ["dingquickstartcorp", "dingpartnercorp", "dingpartnercorp"]) {
        tickets.push(json(yield* v1(json(yield* corpToken(corpId)).accessToken)).jsapiTicket)
      }
      assert.strictEqual(new Set([...tickets, json(yield* v1(yield* appToken)).jsapiTicket]).size, 3)
      assert.strictEqual(tickets[1], tickets[2])
    }).pipe(fresh))

  it.effect("failures", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      assert.strictEqual(
        text(yield* v1()),
        error("AuthenticationFailed.MissingParameter", "缺少参数：x-acs-dingtalk-access-token")
      )
      const bad = error("InvalidAuthentication", "不合法的access_token")
      for (const token of ["no", (yield* signIn()).accessToken, json(yield* suiteToken).accessToken]) {
        assert.strictEqual(text(yield* v1(token)), bad)
        assert.strictEqual(text(yield* legacy(token)), "200 {\"errcode\":40014,\"errmsg\":\"不合法的access_token\"}")
      }
      assert.strictEqual(
        text(yield* legacy("")),
        "200 {\"errcode\":88,\"sub_code\":\"40000\",\"sub_msg\":\"access_token is blank\",\"errmsg\":\"ding talk error[subcode=40000,submsg=access_token is blank]\"}"
      )
      const token = yield* appToken
      yield* emulator.failNext(Fault.busy)
      assert.strictEqual(text(yield* v1(token)), error("systemBusy", "系统繁忙", 500))
      yield* emulator.failNext(Fault.busy)
      assert.include(
        text(yield* post("/v1.0/oauth2/dingx/token", {})),
        "500 {\"requestid\":\"<uuid>\",\"code\":\"server.error\""
      )
    }).pipe(fresh))
})

describe("whatever is sent", () => {
  const PATHS = [
    "/v1.0/oauth2/dingquickstartcorp/token",
    "/v1.0/oauth2/corpAccessToken",
    "/v1.0/oauth2/suiteAccessToken",
    "/v1.0/oauth2/apps/authInfo",
    "/v1.0/oauth2/ssoAccessToken",
    "/v1.0/oauth2/ssoUserInfo",
    "/v1.0/oauth2/jsapiTickets",
    "/service/get_corp_token",
    "/service/get_suite_token",
    "/service/get_auth_info",
    "/get_jsapi_ticket",
    "/topapi/v2/user/getuserinfo"
  ]
  const huge = "x".repeat(20_000)
  const BODIES = [
    "",
    "{",
    "[]",
    "null",
    "\u0000",
    "[".repeat(50_000),
    JSON.stringify({ suiteKey: {}, suiteSecret: [], authCorpId: 1, client_id: null, corpid: true, code: {} }),
    JSON.stringify({
      suiteKey: "__proto__",
      suiteSecret: "constructor",
      authCorpId: "toString",
      suite_key: "__proto__",
      suite_secret: huge,
      client_id: huge,
      client_secret: huge,
      grant_type: "client_credentials",
      corpid: huge,
      ssoSecret: huge,
      code: huge,
      auth_corpid: huge
    })
  ]
  const QUERIES = ["", `?access_token=${huge}`, "?accessKey=%zz&signature=%&timestamp=9e9&suiteTicket=%00", "?code=%"]

  it.effect("it answers as a gateway does, and stays what it was", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      for (const path of PATHS) {
        for (const method of ["GET", "POST", "BREW"]) {
          for (const query of QUERIES) {
            for (const body of BODIES) {
              const answer = yield* ask({
                method,
                path: path + query,
                body,
                headers: { "content-type": "application/json", "x-acs-dingtalk-access-token": huge }
              })
              const parsed = json(answer)
              if (path.startsWith("/v1.0/")) assert.isTrue(answer.status >= 400 && answer.status <= 500, answer.body)
              else assert.isTrue(answer.status === 200 && parsed["errcode"] !== 0, answer.body)
            }
          }
        }
      }
      // Nobody's words make up new keys.
      assert.isBelow((yield* emulator.tallies).length, 60)
      assert.strictEqual((yield* corpToken("dingpartnercorp")).status, 200)
    }).pipe(fresh))
})
