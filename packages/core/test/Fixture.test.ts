import { Contact, DingTalkError, OAuth2, WireJson, WireRequest, WireResponse } from "@effect-dingtalk/core"
import type { Endpoint } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Either, Redacted, Schema } from "effect"
import type { Fixture } from "./fixtures/Fixture.js"
import * as Fixtures from "./fixtures/Fixture.js"

interface Case {
  readonly endpoint: Endpoint.Endpoint.Any
  /** absent where the request is one that this library cannot send */
  readonly payload?: unknown
  readonly value?: unknown
  readonly error?: { readonly _tag: DingTalkError.DingTalkError["_tag"]; readonly [field: string]: unknown }
}

const secret = Redacted.make
const app = { appKey: "dingexample", appSecret: secret("SECRET") }
const code = {
  clientId: "dingexample",
  clientSecret: secret("SECRET"),
  grantType: "authorization_code",
  code: secret("CODE")
}
const refresh = {
  clientId: "dingexample",
  clientSecret: secret("SECRET"),
  grantType: "refresh_token",
  refreshToken: secret("REFRESH")
}
const legacy = { appkey: "dingexample", appsecret: secret("SECRET") }
const organization = {
  corpId: "dingcorp",
  client_id: "dingexample",
  client_secret: secret("SECRET"),
  grant_type: "client_credentials"
}
const suite = { suiteKey: "suiteexample", suiteSecret: secret("SECRET"), suiteTicket: secret("TICKET") }
const zhangsan = { userid: "zhangsan" }
const union = { unionid: "z21HjQliSzpw0YWxxxxx" }
const me = { unionId: "me" }

const cases: Record<string, Case> = {
  "oauth2.getAccessToken.success": {
    endpoint: OAuth2.GetAccessToken,
    payload: app,
    value: { accessToken: secret("…"), expireIn: 7200 }
  },
  "oauth2.getAccessToken.guide": {
    endpoint: OAuth2.GetAccessToken,
    payload: {
      appKey: "Replace with the Client ID you obtained earlier",
      appSecret: secret("Replace with the Client Secret you obtained earlier")
    },
    value: { accessToken: secret("fw8ef8we8f76e6f7s8dxxxx"), expireIn: 7200 }
  },
  "oauth2.getAccessToken.wrong-credentials": {
    endpoint: OAuth2.GetAccessToken,
    payload: app,
    error: {
      _tag: "InvalidCredentials",
      endpoint: "oauth2.getAccessToken",
      code: "invalidClientIdOrSecret",
      status: 400,
      platformMessage: "无效的clientId或者clientSecret",
      requestId: "…"
    }
  },
  "oauth2.getAccessToken.wrong-credentials-newer": {
    endpoint: OAuth2.GetAccessToken,
    payload: app,
    error: { _tag: "InvalidCredentials", platformMessage: "clientId或者clientSecret错误" }
  },
  "oauth2.getAccessToken.no-body": {
    endpoint: OAuth2.GetAccessToken,
    error: { _tag: "InvalidRequest", code: "Missingbody", status: 400 }
  },
  "oauth2.getAccessToken.unknown-path": {
    endpoint: OAuth2.GetAccessToken,
    error: { _tag: "InvalidRequest", code: "InvalidAction.NotFound", status: 404 }
  },
  "oauth2.getAccessToken.no-version": {
    endpoint: OAuth2.GetAccessToken,
    error: { _tag: "InvalidRequest", code: "404", status: 200, platformMessage: "请求的URI地址不存在" }
  },
  "oauth2.getUserToken.code-success": {
    endpoint: OAuth2.GetUserToken,
    payload: code,
    value: { accessToken: secret("ACCESS"), refreshToken: secret("REFRESH"), expireIn: 7200, corpId: "dingcorp" }
  },
  "oauth2.getUserToken.code-real": {
    endpoint: OAuth2.GetUserToken,
    payload: code,
    value: { accessToken: secret("<32 hex>"), refreshToken: secret("<32 hex>"), expireIn: 7200 }
  },
  "oauth2.getUserToken.refresh-success": {
    endpoint: OAuth2.GetUserToken,
    payload: refresh,
    value: { accessToken: secret("ACCESS2"), refreshToken: secret("REFRESH2"), expireIn: 7200, corpId: "dingcorp" }
  },
  "oauth2.getUserToken.code-refused": {
    endpoint: OAuth2.GetUserToken,
    payload: code,
    error: {
      _tag: "InvalidAuthCode",
      code: "invalidParameter.authCode.notFound",
      status: 400,
      requestId: "F340FF76-0F86-73F7-AA31-48529977CD5B"
    }
  },
  "oauth2.getUserToken.refresh-refused": {
    endpoint: OAuth2.GetUserToken,
    payload: refresh,
    error: { _tag: "InvalidAuthCode", code: "invalidParameter.authCode.notFound" }
  },
  "oauth2.getUserToken.wrong-credentials": {
    endpoint: OAuth2.GetUserToken,
    payload: code,
    error: { _tag: "InvalidCredentials", code: "invalidClientIdOrSecret" }
  },
  "oauth2.getUserToken.snake-case": {
    endpoint: OAuth2.GetUserToken,
    error: { _tag: "InvalidRequest", code: "MissingclientId", status: 400 }
  },
  "oauth2.getUserToken.unknown-path": {
    endpoint: OAuth2.GetUserToken,
    error: { _tag: "InvalidRequest", code: "InvalidAction.NotFound", status: 404 }
  },
  "oauth2.getToken.success": {
    endpoint: OAuth2.GetToken,
    payload: legacy,
    value: { access_token: secret("ACCESS"), expires_in: 7200 }
  },
  "oauth2.getToken.wrong-credentials": {
    endpoint: OAuth2.GetToken,
    payload: legacy,
    error: { _tag: "InvalidCredentials", code: "40096" }
  },
  "oauth2.getOrganizationToken.success": {
    endpoint: OAuth2.GetOrganizationToken,
    payload: organization,
    value: { access_token: secret("ACCESS"), expires_in: 7200 }
  },
  "oauth2.getOrganizationToken.unknown": {
    endpoint: OAuth2.GetOrganizationToken,
    payload: organization,
    error: { _tag: "Unavailable", code: "unknownError" }
  },
  "oauth2.getOrganizationToken.unauthorized": {
    endpoint: OAuth2.GetOrganizationToken,
    payload: organization,
    error: { _tag: "PermissionDenied", code: "unauthorized.client" }
  },
  "oauth2.getCorpAccessToken.success": {
    endpoint: OAuth2.GetCorpAccessToken,
    payload: { ...suite, authCorpId: "dingcorp" },
    value: { accessToken: secret("ACCESS"), expireIn: 7200 }
  },
  "oauth2.getCorpAccessToken.wrong-key": {
    endpoint: OAuth2.GetCorpAccessToken,
    payload: { ...suite, authCorpId: "dingcorp" },
    error: { _tag: "InvalidCredentials", code: "invalidSuiteKey" }
  },
  "oauth2.getCorpAccessToken.old-ticket": {
    endpoint: OAuth2.GetCorpAccessToken,
    payload: { ...suite, authCorpId: "dingcorp" },
    error: { _tag: "InvalidCredentials", code: "invalidSuiteTicket" }
  },
  "oauth2.getCorpAccessToken.unauthorised": {
    endpoint: OAuth2.GetCorpAccessToken,
    payload: { ...suite, authCorpId: "dingcorp" },
    error: { _tag: "PermissionDenied", code: "invalidAuthInfo" }
  },
  "oauth2.getSuiteAccessToken.success": {
    endpoint: OAuth2.GetSuiteAccessToken,
    payload: suite,
    value: { accessToken: secret("ACCESS"), expireIn: 7200 }
  },
  "oauth2.getSuiteAccessToken.wrong-credentials": {
    endpoint: OAuth2.GetSuiteAccessToken,
    payload: suite,
    error: { _tag: "InvalidCredentials", code: "invalidClientIdOrSecret" }
  },
  "oauth2.getAuthInfo.no-organisation": {
    endpoint: OAuth2.GetAuthInfo,
    payload: { authCorpId: "dingcorp" },
    error: { _tag: "ApiError", code: "orgNotExist" }
  },
  "oauth2.getSsoAccessToken.success": {
    endpoint: OAuth2.GetSsoAccessToken,
    payload: { corpid: "dingcorp", ssoSecret: secret("SECRET") },
    value: { accessToken: secret("ACCESS"), expireIn: 3600 }
  },
  "oauth2.getSsoUserInfo.success": {
    endpoint: OAuth2.GetSsoUserInfo,
    payload: { code: secret("CODE") },
    value: {
      corpId: "dingcorp",
      corpName: "…",
      userId: "zhangsan",
      email: "test@xxx.com",
      userName: "张三",
      avatar: "https://static.example/a.png",
      isAdmin: true
    }
  },
  "oauth2.getSsoUserInfo.code-refused": {
    endpoint: OAuth2.GetSsoUserInfo,
    payload: { code: secret("CODE") },
    error: { _tag: "InvalidAuthCode", code: "invalidCode" }
  },
  "oauth2.getSsoUserInfo.token-rejected": {
    endpoint: OAuth2.GetSsoUserInfo,
    payload: { code: secret("CODE") },
    error: { _tag: "TokenExpired", code: "invalidToken" }
  },
  "oauth2.createJsapiTicket.success": {
    endpoint: OAuth2.CreateJsapiTicket,
    payload: {},
    value: { jsapiTicket: secret("TICKET"), expireIn: 7200 }
  },
  "oauth2.createJsapiTicket.busy": {
    endpoint: OAuth2.CreateJsapiTicket,
    payload: {},
    error: { _tag: "Unavailable", code: "systemBusy" }
  },
  "contact.getUserInfo.success": {
    endpoint: Contact.GetUserInfo,
    payload: { code: secret("CODE") },
    value: {
      userid: "zhangsan",
      unionid: "z21HjQliSzpw0YWxxxxx",
      associated_unionid: "N2o5U3axxxx",
      device_id: "12drtfxxxxx",
      sys: true,
      sys_level: 1,
      name: "张三"
    }
  },
  "contact.getUserInfo.code-refused": {
    endpoint: Contact.GetUserInfo,
    payload: { code: secret("CODE") },
    error: { _tag: "InvalidAuthCode", code: "40078" }
  },
  "contact.getUser.success": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    value: {
      userid: "zhangsan",
      unionid: "z21HjQliSzpw0YWxxxxx",
      name: "张三",
      avatar: "https://static.example/a.png",
      state_code: "86",
      mobile: "18612345678",
      hide_mobile: false,
      telephone: "010-86123456-2345",
      job_number: "4",
      title: "技术总监",
      email: "test@xxx.com",
      org_email: "test@xxx.com",
      org_email_type: "profession",
      work_place: "未来park",
      remark: "备注备注",
      extension: { 爱好: "旅游" },
      manager_userid: "manager240",
      login_id: "login1",
      exclusive_account: true,
      exclusive_account_type: "sso",
      active: true,
      real_authed: true,
      senior: false,
      admin: true,
      boss: true,
      hired_date: 1597573616828,
      create_time: "2024-07-15T07:05:43.000Z",
      dept_id_list: [2, 3, 4],
      dept_order_list: [{ dept_id: 2, order: "176220178909140512" }],
      leader_in_dept: [{ dept_id: 2, leader: true }],
      dept_position_list: [{ dept_id: 2, is_main: true, title: "总监", work_place: "杭州" }],
      role_list: [{ id: 100, name: "总监", group_name: "职务" }],
      union_emp_ext: {
        userid: "500",
        corp_id: "dingxxx",
        union_emp_map_list: [{ userid: "5000", corp_id: "dingxxx" }]
      }
    }
  },
  "contact.getUser.guide": {
    endpoint: Contact.GetUser,
    payload: { userid: "Replace with the actual user ID", language: "zh_CN" },
    value: {
      userid: "zhangsan",
      unionid: "z21HjQliSzpw0YWxxxxx",
      name: "John",
      avatar: "xxx",
      state_code: "86",
      mobile: "13800138000",
      hide_mobile: false,
      telephone: "010-86123456-2345",
      job_number: "4",
      title: "Technical Director",
      email: "test@xxx.com",
      org_email: "test@xxx.com",
      work_place: "Future Park",
      remark: "Remark",
      extension: { Hobby: "Travel", Age: "24" },
      manager_userid: "manager240",
      exclusive_account: false,
      active: true,
      real_authed: true,
      senior: true,
      admin: true,
      boss: true,
      hired_date: 1597573616828,
      dept_id_list: [2, 3, 4],
      dept_order_list: [{ dept_id: 2, order: "1" }],
      leader_in_dept: [{ dept_id: 2, leader: true }],
      dept_position_list: [],
      role_list: [{ id: 100, name: "Director", group_name: "Position" }],
      union_emp_ext: {
        userid: "500",
        corp_id: "dingxxx",
        union_emp_map_list: [{ userid: "5000", corp_id: "dingxxx" }]
      }
    }
  },
  "contact.getUser.real": {
    endpoint: Contact.GetUser,
    payload: { userid: "2004…" },
    value: {
      userid: "2004…",
      unionid: "…iEiE",
      name: "",
      state_code: "86",
      mobile: "186…",
      hide_mobile: false,
      exclusive_account: false,
      active: true,
      real_authed: true,
      senior: false,
      admin: true,
      boss: false,
      create_time: "2024-07-15T07:05:43.000Z",
      dept_id_list: [1, 919684607],
      dept_order_list: [{ dept_id: 1, order: "179997318850453160" }],
      leader_in_dept: [{ dept_id: 919684607, leader: false }, { dept_id: 1, leader: true }],
      dept_position_list: [],
      role_list: [{ id: 4065312371, name: "主管", group_name: "默认" }]
    }
  },
  "contact.getUser.not-found": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: {
      _tag: "UserNotFound",
      endpoint: "contact.getUser",
      code: "60121",
      status: 200,
      platformMessage: "找不到该用户",
      requestId: "…"
    }
  },
  "contact.getUser.not-found-documented": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "UserNotFound", code: "33012" }
  },
  "contact.getUser.bad-parameter": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "InvalidRequest", code: "400002" }
  },
  "contact.getUser.busy": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "Unavailable", code: "-1", isRetryable: true }
  },
  "contact.getUser.token-rejected": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "TokenExpired", code: "88", subCode: "40014", requestId: "16l4ew3d47pdp" }
  },
  "contact.getUser.token-rejected-flat": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "TokenExpired", code: "40014", subCode: undefined }
  },
  "contact.getUser.token-missing": {
    endpoint: Contact.GetUser,
    error: { _tag: "TokenExpired", code: "88", subCode: "40000" }
  },
  "contact.getUser.permission": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: {
      _tag: "PermissionDenied",
      code: "88",
      subCode: "60011",
      scopes: ["qyapi_get_member"],
      permissionName: "Read user information",
      applyAt: "https://open-dev.dingtalk.com",
      requestId: "5imjny7u9xwa"
    }
  },
  "contact.getUser.permission-newer": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: {
      _tag: "PermissionDenied",
      scopes: ["qyapi_get_member"],
      permissionName: "Read user information",
      applyAt: "https://open-dev.dingtalk.com/appscope/apply?content=dingexample%23qyapi_get_member"
    }
  },
  "contact.getUser.permission-flat": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "PermissionDenied", code: "60011", subCode: undefined, scopes: ["qyapi_get_member"] }
  },
  "contact.getUser.out-of-range": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "OutOfScope", code: "50002" }
  },
  "contact.getUser.throttled-app": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "RateLimited", subCode: "90018", dimension: "AppAndApi", retryAfter: Duration.seconds(1) }
  },
  "contact.getUser.throttled-api": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "RateLimited", subCode: "90002", dimension: "Api", retryAfter: Duration.seconds(1) }
  },
  "contact.getUser.quota": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "QuotaExhausted", code: "90020" }
  },
  "contact.getUser.ip-not-allowed": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "IpNotAllowed", subCode: "60020", ip: "14.153.172.241" }
  },
  "contact.getUser.ip-banned": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "IpBanned", retryAfter: Duration.minutes(5) }
  },
  "contact.getUser.ip-banned-page": {
    endpoint: Contact.GetUser,
    payload: zhangsan,
    error: { _tag: "IpBanned", retryAfter: Duration.minutes(5) }
  },
  "contact.getUserByUnionId.success": {
    endpoint: Contact.GetUserByUnionId,
    payload: union,
    value: { userid: "zhangsan", contact_type: 0 }
  },
  "contact.getUserByUnionId.not-found": {
    endpoint: Contact.GetUserByUnionId,
    payload: union,
    error: { _tag: "UserNotFound", endpoint: "contact.getUserByUnionId", code: "60121" }
  },
  "contact.getUserByUnionId.bad-parameter": {
    endpoint: Contact.GetUserByUnionId,
    payload: union,
    error: { _tag: "InvalidRequest", code: "400002" }
  },
  "contact.getUserByUnionId.token-rejected": {
    endpoint: Contact.GetUserByUnionId,
    payload: union,
    error: { _tag: "TokenExpired", subCode: "40014" }
  },
  "contact.getProfile.guide": {
    endpoint: Contact.GetProfile,
    payload: me,
    value: {
      unionId: "z21HjQliSzpw0Yxxxx",
      openId: "123",
      nick: "zhangsan",
      avatarUrl: "https://xxx",
      mobile: "150xxxx9144",
      stateCode: "86",
      email: "zhangsan@example.com"
    }
  },
  "contact.getProfile.success": {
    endpoint: Contact.GetProfile,
    payload: { unionId: "z21HjQliSzpw0Yxxxx" },
    value: {
      unionId: "z21HjQliSzpw0Yxxxx",
      openId: "123",
      nick: "zhangsan",
      avatarUrl: "https://xxx",
      mobile: "150xxxx9144",
      stateCode: "86",
      email: "zhangsan@example.com",
      loginEmail: "zhangsan@example.com",
      visitor: false
    }
  },
  "contact.getProfile.real": {
    endpoint: Contact.GetProfile,
    payload: me,
    value: {
      unionId: "z21HjQliSzpw0Yxxxx",
      openId: "123",
      nick: "zhangsan",
      mobile: "155****3240",
      stateCode: "86",
      visitor: false
    }
  },
  "contact.getProfile.not-found": {
    endpoint: Contact.GetProfile,
    payload: { unionId: "nobody" },
    error: { _tag: "UserNotFound", code: "invalidParameter.user.notFound", status: 404 }
  },
  "contact.getProfile.permission": {
    endpoint: Contact.GetProfile,
    payload: me,
    error: {
      _tag: "PermissionDenied",
      code: "Forbidden.AccessDenied.AccessTokenPermissionDenied",
      status: 403,
      scopes: ["Contact.User.Read"],
      permissionName: "Read personal information from Contacts"
    }
  },
  "contact.getProfile.token-rejected": {
    endpoint: Contact.GetProfile,
    payload: me,
    error: { _tag: "TokenExpired", code: "InvalidAuthentication", status: 400 }
  },
  "contact.getProfile.token-expired": {
    endpoint: Contact.GetProfile,
    payload: me,
    error: { _tag: "TokenExpired", code: "accesstoken.expired" }
  },
  "contact.getProfile.token-missing": {
    endpoint: Contact.GetProfile,
    error: { _tag: "TokenExpired", code: "AuthenticationFailed.MissingParameter" }
  }
}

// Those that state an end state their `Date` as well.
const RECEIVED_AT = Date.parse("2026-09-02T16:01:05Z")

const answerOf = (fixture: Fixture, endpoint: Endpoint.Endpoint.Any) =>
  WireResponse.decode(endpoint, { ...fixture.response, receivedAt: RECEIVED_AT })

/** Two redacted values look alike to `assert`: only what they hold tells them apart. */
const revealed = (value: unknown): unknown =>
  Redacted.isRedacted(value)
    ? { redacted: Redacted.value(value) }
    : Array.isArray(value)
    ? value.map(revealed)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, revealed(field)]))
    : value

const json = (text: string | undefined): unknown => text === undefined ? undefined : JSON.parse(text)

/** The query as the endpoint fills it: the token is put in by whoever sends. */
const withoutToken = (query: string): string =>
  query.split("&").filter((field) => !field.startsWith("access_token=")).join("&")

describe("Fixture", () => {
  it("every fixture has its expectation, and every expectation its fixture", () => {
    assert.deepStrictEqual(Object.keys(cases).sort(), Fixtures.names)
  })

  it("every fixture says where it is from and names its endpoint", () => {
    for (const fixture of Fixtures.all) {
      assert.match(fixture.source, /^(?:reference \d|the guide, step \d)/, fixture.name)
      assert.strictEqual(fixture.endpoint, cases[fixture.name]!.endpoint.name)
      assert.strictEqual(fixture.provokedBy === undefined, cases[fixture.name]!.payload !== undefined, fixture.name)
    }
  })

  describe("a payload is encoded to the request of the fixture", () => {
    for (const fixture of Fixtures.all) {
      const { endpoint, payload } = cases[fixture.name]!
      if (payload === undefined) continue
      it(fixture.name, () => {
        const request = Either.getOrThrow(WireRequest.encode(endpoint, payload))
        assert.deepStrictEqual(
          { method: request.method as string, path: request.path, query: request.query, body: json(request.body) },
          {
            method: fixture.request.method,
            path: fixture.request.path,
            query: withoutToken(fixture.request.query),
            body: json(fixture.request.body)
          }
        )
        const token = endpoint.gateway === "oapi"
          ? fixture.request.query.includes("access_token=TOKEN")
          : fixture.request.headers["x-acs-dingtalk-access-token"] === "TOKEN"
        assert.strictEqual(token, endpoint.credential !== "none")
      })
    }
  })

  describe("the answer of the fixture is read as its value or its error", () => {
    for (const fixture of Fixtures.all) {
      const { endpoint, error, value } = cases[fixture.name]!
      it(fixture.name, () => {
        const answer = answerOf(fixture, endpoint)
        if (error === undefined) {
          assert.isTrue(Either.isRight(answer), String(Either.flip(answer)))
          assert.deepStrictEqual(revealed(Either.getOrThrow(answer)), revealed(value))
          assert.isTrue(Schema.is(Schema.typeSchema(endpoint.success))(Either.getOrThrow(answer)))
        } else {
          const left = Either.getOrThrow(Either.flip(answer)) as any
          assert.isTrue(DingTalkError.isDingTalkError(left))
          for (const [field, expected] of Object.entries(error)) assert.deepStrictEqual(left[field], expected, field)
        }
      })
    }
  })

  it("the guide's sample and the real one are read to the same kinds of values", () => {
    const kindOf = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.length === 0 ? [] : [kindOf(value[0])]
        : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, kindOf(field)]))
        : typeof value
    const read = (name: string): Record<string, unknown> =>
      Either.getOrThrow(answerOf(Fixtures.load(name), Contact.GetUser)) as any
    const guide = read("contact.getUser.guide")
    const success = read("contact.getUser.success")
    const real = read("contact.getUser.real")
    for (const sample of [guide, real]) {
      for (const [name, field] of Object.entries(sample)) {
        // Lists that one sample has empty, and the organisation's own fields, have no kind to compare.
        if (name === "extension" || (Array.isArray(field) && field.length === 0)) continue
        assert.deepStrictEqual(kindOf(field), kindOf(success[name]), name)
      }
    }
    // The guide writes all as text, and none of it is left so.
    assert.deepStrictEqual([guide["admin"], guide["hired_date"], guide["dept_id_list"]], [true, 1597573616828, [
      2,
      3,
      4
    ]])
  })

  it("a strict reader refuses the guide's sample of a user, so reading it shows leniency", () => {
    const body = JSON.parse(Fixtures.load("contact.getUser.guide").response.body)
    assert.isTrue(Either.isLeft(Schema.decodeUnknownEither(Contact.User)(body.result)))
  })

  it("the guide's sample of a token is no JSON before its comments are gone", () => {
    const { body } = Fixtures.load("oauth2.getAccessToken.guide").response
    assert.include(body, "# Core credential")
    assert.throws(() => JSON.parse(body), SyntaxError)
    assert.deepStrictEqual(
      WireJson.parse(body),
      Either.right({ accessToken: "fw8ef8we8f76e6f7s8dxxxx", expireIn: 7200 })
    )
  })

  it("an order beyond 2^53 keeps every digit, which JSON.parse alone does not", () => {
    const { body } = Fixtures.load("contact.getUser.success").response
    assert.include(body, "\"order\":176220178909140512")
    assert.notInclude(JSON.stringify(JSON.parse(body)), "176220178909140512")
    const user = Either.getOrThrow(answerOf(Fixtures.load("contact.getUser.success"), Contact.GetUser)) as Contact.User
    assert.strictEqual(user.dept_order_list[0]?.order, "176220178909140512")
  })

  it("the loader keeps bodies byte for byte", () => {
    const text =
      "# source: reference 1\nPOST /a?b=1\nx: y: z\n\n{\n  \"a\": 1\n}\n---\nHTTP 404\nDate: now\n\n  \n\n# no comment\n"
    assert.deepStrictEqual(Fixtures.parse("a.b.c", text), {
      name: "a.b.c",
      endpoint: "a.b",
      source: "reference 1",
      provokedBy: undefined,
      request: { method: "POST", path: "/a", query: "b=1", headers: { x: "y: z" }, body: "{\n  \"a\": 1\n}" },
      response: { status: 404, headers: { date: "now" }, body: "  \n\n# no comment" }
    })
    assert.throws(() => Fixtures.parse("a.b.c", "nothing"), /a\.b\.c/)
  })
})
