import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Emulator, Fault } from "../src/index.js"
import { app, appToken, ask, client, getUser, json, me, post, signIn } from "./ask.js"

const fresh = Effect.provide(Emulator.layer())

type Answer = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }

/** An error of the new gateway, letter by letter but for the request id. */
const isApi = (answer: Answer, status: number, body: object) => {
  const { requestid, ...rest } = JSON.parse(answer.body)
  assert.match(requestid, /^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$/)
  assert.strictEqual(answer.headers["x-acs-request-id"], requestid)
  assert.strictEqual(answer.headers["server"], "DingTalk/1.0.0")
  assert.strictEqual(answer.headers["content-type"], "application/json;charset=utf-8")
  assert.deepStrictEqual(rest, body)
  assert.strictEqual(answer.status, status)
}

/** An error of the legacy gateway: HTTP 200, and a request id below `/topapi/`. */
const isOapi = (answer: Answer, body: object) => {
  const { request_id, ...rest } = JSON.parse(answer.body)
  assert.match(request_id, /^[0-9a-z]{13}$/)
  assert.deepStrictEqual(rest, body)
  assert.strictEqual(answer.status, 200)
}

const isFlat = (answer: Answer, body: object) => {
  assert.deepStrictEqual(json(answer), body)
  assert.strictEqual(answer.status, 200)
}

const refusal = (sub_code: string, sub_msg: string) => ({
  errcode: 88,
  sub_code,
  sub_msg,
  errmsg: `ding talk error[subcode=${sub_code},submsg=${sub_msg}]`
})

describe("the new gateway", () => {
  it.effect("credentials", () =>
    Effect.gen(function*() {
      const bad = { code: "invalidClientIdOrSecret", message: "无效的clientId或者clientSecret" }
      isApi(yield* post("/v1.0/oauth2/accessToken", { ...app, appSecret: "no" }), 400, bad)
      isApi(yield* post("/v1.0/oauth2/accessToken", { ...app, appKey: "__proto__" }), 400, bad)
      const exchange = { ...client, clientSecret: "no", grantType: "authorization_code", code: "x" }
      isApi(yield* post("/v1.0/oauth2/userAccessToken", exchange), 400, bad)
    }).pipe(fresh))

  it.effect("a body or a field is missing", () =>
    Effect.gen(function*() {
      const body = { code: "Missingbody", message: "body is mandatory for this action." }
      isApi(yield* ask({ method: "POST", path: "/v1.0/oauth2/accessToken" }), 400, body)
      const form = { "content-type": "application/x-www-form-urlencoded" }
      isApi(yield* post("/v1.0/oauth2/accessToken", "appKey=a&appSecret=b", form), 400, body)
      isApi(yield* post("/v1.0/oauth2/accessToken", {}), 400, {
        code: "MissingappKey",
        message: "appKey is mandatory for this action."
      })
      isApi(yield* post("/v1.0/oauth2/accessToken", { appKey: "a" }), 400, {
        code: "MissingappSecret",
        message: "appSecret is mandatory for this action."
      })
      isApi(
        yield* post("/v1.0/oauth2/userAccessToken", { client_id: "a", client_secret: "b", grant_type: "c", code: "d" }),
        400,
        { code: "MissingclientId", message: "clientId is mandatory for this action." }
      )
      isApi(yield* post("/v1.0/oauth2/userAccessToken", { ...client, grantType: "authorization_code" }), 400, {
        code: "Missingcode",
        message: "code is mandatory for this action."
      })
      for (const garbage of ["{", "[]", "null", "\"x\"", "\u0000", "[".repeat(100_000)]) {
        const answer = yield* post("/v1.0/oauth2/accessToken", garbage)
        assert.deepStrictEqual([answer.status, json(answer).code], [400, "commonParamIllegal"])
      }
      assert.strictEqual((yield* post("/v1.0/oauth2/accessToken", { appKey: {}, appSecret: [] })).status, 400)
      assert.strictEqual((yield* post("/v1.0/oauth2/userAccessToken", { ...client, grantType: "x" })).status, 400)
    }).pipe(fresh))

  it.effect("no such action, path or verb", () =>
    Effect.gen(function*() {
      const none = {
        code: "InvalidAction.NotFound",
        message: "Specified api is not found, please check your url and method."
      }
      isApi(yield* post("/v1.0/oauth2/accessTokne", app), 404, none)
      isApi(yield* post("/v1.0/oauth2/token", app), 404, none)
      for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"]) {
        isApi(yield* ask({ method, path: "/v1.0/oauth2/accessToken" }), 404, none)
      }
      const uri = { errcode: 404, errmsg: "请求的URI地址不存在" }
      isFlat(yield* post("/oauth2/accessToken", app), uri)
      isFlat(yield* post("/", app), uri)
      isFlat(yield* ask({ method: "OPTIONS", path: "*" }), uri)
      isFlat(yield* post("/v1.0/oauth2/accessToken", app, { host: "oapi.dingtalk.io" }), uri)
      isFlat(yield* post("/topapi/v2/user/get", {}, { Host: "api.dingtalk.com" }), uri)
      assert.strictEqual((yield* post("/v1.0/oauth2/accessToken", app, { host: "api.dingtalk.io" })).status, 200)
    }).pipe(fresh))

  it.effect("the token", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const missing = {
        code: "AuthenticationFailed.MissingParameter",
        message: "缺少参数：x-acs-dingtalk-access-token"
      }
      const { accessToken } = yield* signIn()
      isApi(yield* ask({ method: "GET", path: "/v1.0/contact/users/me" }), 400, missing)
      isApi(yield* ask({ method: "GET", path: `/v1.0/contact/users/me?access_token=${accessToken}` }), 400, missing)
      isApi(
        yield* ask({
          method: "GET",
          path: "/v1.0/contact/users/me",
          headers: { authorization: `Bearer ${accessToken}` }
        }),
        400,
        missing
      )
      const bad = { code: "InvalidAuthentication", message: "不合法的access_token" }
      isApi(yield* me("0".repeat(32)), 400, bad)
      isApi(yield* me(yield* appToken), 400, bad)
      yield* emulator.expireTokens
      isApi(yield* me(accessToken), 400, bad)
    }).pipe(fresh))

  it.effect("permission, unknown user, stopped application, address", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const { accessToken } = yield* signIn()
      isApi(yield* me(accessToken, "nobody"), 404, {
        code: "invalidParameter.user.notFound",
        message: "找不到该用户"
      })
      yield* emulator.revoke("Contact.User.Read")
      isApi(yield* me(accessToken), 403, {
        code: "Forbidden.AccessDenied.AccessTokenPermissionDenied",
        message:
          "没有调用该接口的权限，接口权限申请参考：https://open.dingtalk.com/document/orgapp-server/add-api-permission",
        accessdenieddetail: { requiredScopes: ["Contact.User.Read"] }
      })
      yield* emulator.grant("Contact.User.Read")
      yield* emulator.updateApplication("dingquickstart", { ipWhiteList: ["10.0.0.1"] })
      isApi(yield* me(accessToken), 403, {
        code: "Forbidden.AccessDenied.IpNotInWhiteList",
        message: "访问ip不在白名单之中"
      })
      yield* emulator.updateApplication("dingquickstart", { enabled: false })
      assert.strictEqual((yield* me(accessToken)).status, 401)
      assert.strictEqual((yield* post("/v1.0/oauth2/accessToken", app)).status, 401)
    }).pipe(fresh))
})

describe("the legacy gateway", () => {
  it.effect("the token", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const token = yield* appToken
      const blank = refusal("40000", "access_token is blank")
      const body = { userid: "zhangsan" }
      isOapi(yield* post("/topapi/v2/user/get", body), blank)
      isOapi(yield* post("/topapi/v2/user/get?access_token=", body), blank)
      isOapi(yield* post("/topapi/v2/user/get?access_token=%20", body), blank)
      isOapi(yield* post("/topapi/v2/user/get", body, { "x-acs-dingtalk-access-token": token }), blank)
      const bad = refusal("40014", "不合法的access_token")
      isOapi(yield* post("/topapi/v2/user/get?access_token=nonsense", body), bad)
      isOapi(yield* post(`/topapi/v2/user/get?access_token=${(yield* signIn()).accessToken}`, body), bad)
      yield* emulator.expireTokens
      isOapi(yield* post(`/topapi/v2/user/get?access_token=${token}`, body), bad)
    }).pipe(fresh))

  it.effect("permission, in the newer text", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.revoke("qyapi_get_member")
      const expected = refusal(
        "60011",
        "应用尚未开通所需的权限：[qyapi_get_member]，点击链接申请并开通即可：https://open-dev.dingtalk.com/appscope/apply?content=dingquickstart%23qyapi_get_member, {requiredScopes=[qyapi_get_member]}"
      )
      isOapi(yield* getUser(), expected)
      const token = yield* appToken
      isOapi(yield* post(`/topapi/user/getbyunionid?access_token=${token}`, { unionid: "x" }), expected)
    }).pipe(fresh))

  it.effect("people", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const unknown = { errcode: 60121, errmsg: "找不到该用户" }
      isOapi(yield* getUser({ userid: "nobody" }), unknown)
      const byUnionId = (unionid: string) =>
        Effect.flatMap(appToken, (token) => post(`/topapi/user/getbyunionid?access_token=${token}`, { unionid }))
      isOapi(yield* byUnionId("nobody"), unknown)
      yield* emulator.updateApplication("dingquickstart", { contactRange: ["lisi"] })
      const outside = { errcode: 50002, errmsg: "企业员工不在授权范围" }
      isOapi(yield* getUser(), outside)
      isOapi(yield* byUnionId("z21HjQliSzpw0YWxxxxx"), outside)
      assert.strictEqual(json(yield* getUser({ userid: "lisi" })).errcode, 0)
    }).pipe(fresh))

  it.effect("fields, JSON, verbs and methods", () =>
    Effect.gen(function*() {
      const missing = { errcode: 400002, errmsg: "无效的参数" }
      for (
        const body of [{}, "", { userid: null }, { userid: "" }, { userid: ["zhangsan"] }, { user_id: "zhangsan" }]
      ) {
        isOapi(yield* getUser(body), missing)
      }
      for (const body of ["{", "[]", "null", "[".repeat(100_000)]) {
        assert.strictEqual(json(yield* getUser(body)).errcode, 47001)
      }
      assert.strictEqual(json(yield* ask({ method: "GET", path: "/topapi/v2/user/get" })).errcode, 43002)
      assert.strictEqual(json(yield* ask({ method: "POST", path: "/gettoken" })).errcode, 43001)
      isOapi(yield* post("/topapi/app/remove_auth", {}), {
        errcode: 22,
        sub_msg: "不合法ApiName，ApiName = dingtalk.oapi.app.remove_auth",
        errmsg: "Invalid method[submsg=不合法ApiName，ApiName = dingtalk.oapi.app.remove_auth]"
      })
    }).pipe(fresh))

  it.effect("/gettoken", () =>
    Effect.gen(function*() {
      const get = (query: string) => ask({ method: "GET", path: "/gettoken", query })
      isFlat(yield* get(""), { errcode: 40035, errmsg: "缺少参数 corpid or appkey" })
      const bad = { errcode: 40096, errmsg: "不合法的appKey或appSecret" }
      isFlat(yield* get("appkey=dingquickstart&appsecret=no"), bad)
      isFlat(yield* get("appkey=no&appsecret=no"), bad)
      isFlat(yield* get("appkey=%zz&appsecret=%"), bad)
    }).pipe(fresh))

  it.effect("an address that is not on the white list, and a stopped application", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const token = yield* appToken
      const from = (remoteAddress: string) =>
        ask({
          method: "POST",
          path: `/topapi/v2/user/get?access_token=${token}`,
          body: "{\"userid\":\"lisi\"}",
          remoteAddress
        })
      yield* emulator.updateApplication("dingquickstart", { ipWhiteList: ["10.0.0.1"] })
      isOapi(
        yield* from("14.153.172.241"),
        refusal("60020", "访问ip不在白名单之中,request ip=14.153.172.241 appKey(dingquickstart)")
      )
      assert.strictEqual(json(yield* from("::ffff:10.0.0.1")).errcode, 0)
      yield* emulator.updateApplication("dingquickstart", { enabled: false })
      isOapi(yield* from("10.0.0.1"), refusal("50003", "应用已停用"))
    }).pipe(fresh))
})

describe("injected faults", () => {
  const both = (fault: Fault.Fault) =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const token = yield* appToken
      yield* emulator.failNext(fault, { times: 2 })
      return [
        yield* post(`/topapi/v2/user/get?access_token=${token}`, { userid: "zhangsan" }),
        yield* post("/v1.0/oauth2/accessToken", app),
        yield* post("/v1.0/oauth2/accessToken", app)
      ] as const
    })

  it.effect("throttled", () =>
    Effect.gen(function*() {
      const [oapi, api, after] = yield* both(Fault.throttled)
      isOapi(
        oapi,
        refusal(
          "90018",
          "您的企业应用调用钉钉开放平台当前接口的所有请求都被暂时禁用了, apiPath(dingtalk.oapi.v2.user.get), 从 1970-01-01 08:00:00 到 1970-01-01 08:00:00 请求总次数超过 20 次, 限制将在 1970-01-01 08:00:01 结束."
        )
      )
      isApi(api, 403, {
        code: "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi",
        message: "您的企业应用调用钉钉开放平台当前接口的所有请求都被暂时禁用了"
      })
      assert.strictEqual(after.status, 200)
    }).pipe(fresh))

  it.effect("throttled globally", () =>
    Effect.gen(function*() {
      const [oapi, api] = yield* both(Fault.throttledGlobally)
      isOapi(
        oapi,
        refusal(
          "90002",
          "当前所有钉钉应用调用该接口次数过多，超出了该接口承受的最大qps，请求被暂时限制了，建议错开整点时刻调用该接口, apiPath(dingtalk.oapi.v2.user.get), 从 1970-01-01 08:00:00 到 1970-01-01 08:00:00 请求总次数超过 1200 次, 限制将在 1970-01-01 08:00:01 结束."
        )
      )
      isApi(api, 403, {
        code: "Forbidden.AccessDenied.QpsLimitForApi",
        message: "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了"
      })
    }).pipe(fresh))

  it.effect("quota, busy, address, ban", () =>
    Effect.gen(function*() {
      const quota = "您的企业本月api调用量已超过限制,调用量:10001次,额度:10000次,请登录开发者后台-资源管理-查看用量明细"
      const [oapi, api] = yield* both(Fault.quotaExhausted)
      isOapi(oapi, { errcode: 90020, errmsg: quota })
      isApi(api, 403, { code: "Forbidden.AccessDenied.ApiCountLimitForOrg", message: quota })
      const [oapiBusy, apiBusy] = yield* both(Fault.busy)
      isOapi(oapiBusy, { errcode: -1, errmsg: "系统繁忙" })
      isApi(apiBusy, 503, { code: "-", message: "系统繁忙" })
      const [oapiIp, apiIp] = yield* both(Fault.ipNotAllowed("14.153.172.241"))
      isOapi(oapiIp, refusal("60020", "访问ip不在白名单之中,request ip=14.153.172.241 appKey(dingquickstart)"))
      isApi(apiIp, 403, { code: "Forbidden.AccessDenied.IpNotInWhiteList", message: "访问ip不在白名单之中" })
      const [json] = yield* both(Fault.ipBanned("json"))
      assert.strictEqual(json.body, `{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"xxx"}`)
      const [html] = yield* both(Fault.ipBanned("html"))
      assert.include(html.headers["content-type"]!, "text/html")
      assert.match(html.body, /_____tmd_____\/punish\?x5secdata=/)
    }).pipe(fresh))

  it.effect("a hint in a header says what is not emulated, and Fault.respond answers it", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      const hint = (answer: Answer) => answer.headers["x-emulator-hint"]
      const path = "/topapi/v2/department/listsub"
      for (const unknown of [path, "/v1.0/robot/send", "/nothing"]) {
        assert.match(hint(yield* post(unknown, {}))!, /^not emulated; .*Fault\.respond/)
      }
      assert.include(hint(yield* ask({ method: "GET", path: "/topapi/v2/user/get" }))!, "POST")
      const wrongHost = { host: "api.dingtalk.com" }
      assert.include(hint(yield* post("/topapi/v2/user/get", {}, wrongHost))!, "oapi.dingtalk.com")
      assert.isUndefined(hint(yield* getUser()))
      const own = Fault.respond({ body: "{\"errcode\":0,\"result\":[]}" })
      yield* emulator.failNext(own, { matching: { path } })
      const answer = yield* post(path, {})
      assert.deepStrictEqual([hint(answer), json(answer)], [undefined, { errcode: 0, result: [] }])
    }).pipe(fresh))

  it.effect("only what matches, as often as said, and then the truth again", () =>
    Effect.gen(function*() {
      const emulator = yield* Emulator.Emulator
      yield* emulator.failNext(Fault.respond({ status: 502, body: "<html>", headers: { "X-Proxy": "1" } }), {
        matching: { endpoint: "contact.getUser", method: "post" },
        times: 2
      })
      const answers = yield* Effect.all([getUser(), getUser(), getUser()])
      assert.deepStrictEqual(answers.map(({ status }) => status), [502, 502, 200])
      assert.strictEqual(answers[0].headers["x-proxy"], "1")
      yield* emulator.failNext(Fault.busy)
      yield* emulator.clearFaults
      assert.strictEqual((yield* getUser()).status, 200)
      const log = yield* emulator.requests
      assert.deepStrictEqual(log.map(({ fault }) => fault).filter((fault) => fault !== undefined), [
        "Respond",
        "Respond"
      ])
    }).pipe(fresh))
})
