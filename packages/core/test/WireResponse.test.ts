import { Contact, DingTalkError, Endpoint, ErrorCode, OAuth2, WireResponse } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Either, FastCheck as fc, Schema } from "effect"

// An endpoint that knows no error of its own, and one that knows all of them.
const options = { path: "/x", payload: Schema.Struct({}), success: Schema.Struct({ ok: Schema.Boolean }) } as const
const Oapi = Endpoint.oapi("test.oapi", options)
const Api = Endpoint.api("test.api", { ...options, method: "POST" })
const knowing = <E>(self: Endpoint.Endpoint<{}, { readonly ok: boolean }, E, "app", { readonly ok: boolean }>) =>
  self.pipe(
    Endpoint.failsWith(DingTalkError.UserNotFound),
    Endpoint.failsWith(DingTalkError.DepartmentNotFound),
    Endpoint.failsWith(DingTalkError.RoleNotFound),
    Endpoint.failsWith(DingTalkError.InvalidAuthCode)
  )
const KnowingOapi = knowing(Oapi)
const KnowingApi = knowing(Api)
const TokenEndpoint = Endpoint.api("test.token", { ...options, method: "POST", credential: "none" })
const Void = Endpoint.oapi("test.void", { ...options, success: Schema.Void })

interface Answer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: unknown
  readonly receivedAt?: number
}

const textOf = (body: unknown): string =>
  body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body)

const read = (endpoint: Endpoint.Endpoint.Any, answer: Answer) =>
  WireResponse.decode(endpoint, {
    status: answer.status ?? 200,
    headers: answer.headers ?? {},
    body: textOf(answer.body),
    receivedAt: answer.receivedAt ?? 0
  })

const failureOf = (endpoint: Endpoint.Endpoint.Any, answer: Answer): any =>
  Either.match(read(endpoint, answer), {
    onLeft: (error) => error,
    onRight: (value) => assert.fail(`a success: ${JSON.stringify(value)}`)
  })

const assertFields = (error: any, expected: Record<string, unknown>) => {
  for (const [field, value] of Object.entries(expected)) assert.deepStrictEqual(error[field], value, field)
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

type Tag = DingTalkError.DingTalkError["_tag"]
type Row = readonly [codes: ReadonlyArray<number>, tag: Tag, fields?: Record<string, unknown>]

// Reference 4.3, class by class.
const catalogue: ReadonlyArray<Row> = [
  // token bad or expired
  [[40014, 42001, 40001, 41001, 33001], "TokenExpired"],
  // user or suite token
  [[42002, 42007, 42008], "InvalidAuthCode"],
  [[42009, 40082], "TokenExpired"],
  [[40085, 40088], "InvalidCredentials"],
  // credentials
  [[40096, 40089, 40013, 41002, 41004], "InvalidCredentials"],
  // auth code
  [[40078, 40029, 40102, 40031], "InvalidAuthCode"],
  // permission
  [[60011, 43007, 48002, 48004, 41030], "PermissionDenied", { scopes: [] }],
  // range of people; 50003 says that the app is disabled
  [[50002, 50004, 50005], "OutOfScope"],
  [[50003], "PermissionDenied", { advice: "the app is disabled: enable it in the console" }],
  // unknown user
  [[60121, 33012, 60111, 40003, 46004, 60120], "UserNotFound"],
  // user write
  [[60102, 60103, 60104, 60105, 60106, 60107, 40104], "InvalidRequest"],
  [[40103], "ApiError"],
  // department
  [[60003, 60004], "DepartmentNotFound"],
  [[60005, 60006, 60007, 60018, 60019, 40009], "InvalidRequest"],
  // roles
  [[33011], "RoleNotFound"],
  [[34018], "InvalidRequest"],
  // paging and parameters
  [
    [40035, 40000, 40068, 40069, 40066, 40056, 400002, 43001, 43002, 43004, 43005, 44002, 47001, 404, 22],
    "InvalidRequest"
  ],
  // throttle
  [[90018], "RateLimited", { dimension: "AppAndApi", retryAfter: undefined }],
  [[90002], "RateLimited", { dimension: "Api" }],
  [[90019], "RateLimited", { dimension: "SuiteAndOrg" }],
  [[90020], "QuotaExhausted"],
  [[90001], "RateLimited", { dimension: "Server" }],
  [[90003, 90005], "RateLimited", { dimension: "Org" }],
  [[90004, 90006], "RateLimited", { dimension: "OrgAndApp" }],
  [range(90007, 90010), "RateLimited", { dimension: "SuiteAndOrg" }],
  [range(90011, 90014), "RateLimited", { dimension: "Suite" }],
  [[90017, 45009], "RateLimited", { dimension: "Unknown" }],
  // IP
  [[60020, 60021], "IpNotAllowed", { ip: undefined }],
  // busy
  [[-1, 400001, 15], "Unavailable"],
  // organisation
  [[70001], "ApiError"],
  // callbacks
  [range(71006, 71013), "InvalidRequest"],
  [range(900001, 900010), "ApiError"],
  // signature of a third-party app
  [range(853001, 853004), "InvalidCredentials"],
  // robot webhook
  [[310000], "ApiError"],
  [[300005, 400101], "InvalidCredentials"],
  [[400402], "InvalidRequest"],
  [[410100, 660026, 90030], "RateLimited", { dimension: "Robot" }],
  // flow control of work notices
  [[...range(143103, 143106), ...range(143203, 143206), ...range(1430000, 1430004)], "RateLimited", {
    dimension: "WorkNotice"
  }]
]

type ApiRow = readonly [status: number, code: string, tag: Tag, fields?: Record<string, unknown>]

// Reference 4.1, row by row; then 1.2, 1.5, 1.6 and 1.7.
const gateway: ReadonlyArray<ApiRow> = [
  [400, "InvalidAuthentication", "TokenExpired"],
  [400, "accesstoken.expired", "TokenExpired"],
  [400, "AuthenticationFailed.MissingParameter", "TokenExpired"],
  [403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", "PermissionDenied", { scopes: [] }],
  [403, "Forbidden.AccessDenied.IpNotInWhiteList", "IpNotAllowed"],
  [403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "RateLimited", { dimension: "AppAndApi" }],
  [403, "Forbidden.AccessDenied.QpsLimitForApi", "RateLimited", { dimension: "Api" }],
  [403, "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi", "RateLimited", { dimension: "AppAndApi" }],
  [403, "Forbidden.AccessDenied.QpsLimitForSuitekeyAndOrgAndApi", "RateLimited", { dimension: "SuiteAndOrg" }],
  [403, "Forbidden.AccessDenied.QpmLimitForSuitekeyAndOrgAndApi", "RateLimited", { dimension: "SuiteAndOrg" }],
  [403, "Forbidden.AccessDenied.ApiCountLimitForOrg", "QuotaExhausted"],
  [429, "system.busy", "RateLimited", { dimension: "Unknown" }],
  [400, "request.overlimit", "RateLimited", { dimension: "Unknown" }],
  [400, "qps.exceed.limit", "RateLimited", { dimension: "Unknown" }],
  [400, "invalidClientIdOrSecret", "InvalidCredentials"],
  [400, "invalidParameter.authCode.notFound", "InvalidAuthCode"],
  [404, "invalidParameter.user.notFound", "UserNotFound"],
  [400, "userNotExist", "UserNotFound"],
  [400, "user.not.exist", "UserNotFound"],
  [400, "staff.not.found", "UserNotFound"],
  [400, "failure.user.userNotExist", "UserNotFound"],
  [401, "authFailed", "InvalidCredentials"],
  [401, "unauthorized.client", "PermissionDenied"],
  [404, "InvalidAction.NotFound", "InvalidRequest"],
  [400, "Missingbody", "InvalidRequest"],
  [400, "MissingclientId", "InvalidRequest"],
  [400, "commonParamIllegal", "InvalidRequest"],
  [400, "invalidParameter.mobile.format", "InvalidRequest"],
  [500, "systemError", "Unavailable"],
  [500, "system.busy", "Unavailable"],
  [500, "unknownError", "Unavailable"],
  [500, "internalError", "Unavailable"],
  [503, "-", "Unavailable"],
  [504, "service.timeout", "Unavailable"],
  [400, "invalid.client", "InvalidCredentials"],
  [400, "unsupported.grant.type", "InvalidRequest"],
  [500, "server.error", "Unavailable"],
  [400, "invalidSuiteKey", "InvalidCredentials"],
  [400, "invalidSuiteTicket", "InvalidCredentials"],
  [400, "invalidAuthInfo", "PermissionDenied"],
  [400, "orgNotExist", "ApiError"],
  [400, "invalidCode", "InvalidAuthCode"],
  [400, "invalidToken", "TokenExpired"],
  [500, "systemBusy", "Unavailable"]
]

const COMMON = new Set<Tag>([
  "TokenExpired",
  "InvalidCredentials",
  "PermissionDenied",
  "OutOfScope",
  "RateLimited",
  "QuotaExhausted",
  "IpNotAllowed",
  "IpBanned",
  "InvalidRequest",
  "Unavailable",
  "ApiError",
  "TransportError"
])

describe("WireResponse", () => {
  describe("codes of the legacy gateway", () => {
    for (const [codes, tag, fields] of catalogue) {
      for (const code of codes) {
        it(`${code} means ${tag}, flat or below 88`, () => {
          const flat = { errcode: code, errmsg: "text", request_id: "r1" }
          const below = { errcode: 88, sub_code: String(code), sub_msg: "text", errmsg: "e", request_id: "r1" }
          const gatewayTag = code === 40000 ? "TokenExpired" : tag
          const common = { status: 200, platformMessage: "text", requestId: "r1", endpoint: "test.oapi" }
          assertFields(failureOf(KnowingOapi, { body: flat }), {
            ...fields,
            ...common,
            _tag: tag,
            code: String(code),
            subCode: undefined
          })
          assertFields(failureOf(KnowingOapi, { body: below }), {
            ...fields,
            ...common,
            _tag: gatewayTag,
            code: "88",
            subCode: String(code)
          })
          // As text, and on the other gateway: the same.
          assert.strictEqual(failureOf(KnowingOapi, { body: { ...flat, errcode: String(code) } })._tag, tag)
          assert.strictEqual(failureOf(KnowingApi, { body: flat })._tag, tag)
          // Errors of single endpoints are ApiError for all others.
          assert.strictEqual(failureOf(Oapi, { body: flat })._tag, COMMON.has(tag) ? tag : "ApiError")
        })
      }
    }

    it("the table of the library holds these codes and no others", () => {
      const expected = new Set([
        ...catalogue.flatMap(([codes]) => codes.map(String)),
        ...gateway.map(([, code]) => code).filter((code) => !/^(?:Missing|invalidParameter\.mobile|-$)/.test(code)),
        // documented as "no permission" on the page of the gateway's codes
        "invalidAccessToken"
      ])
      assert.deepStrictEqual([...ErrorCode.codes].sort(), [...expected].sort())
    })

    it("40001 is a bad token where one was sent, and a bad secret where none was", () => {
      const body = { errcode: 40001, errmsg: "获取access_token时Secret错误，或者access_token无效" }
      assert.strictEqual(failureOf(Oapi, { body })._tag, "TokenExpired")
      assert.strictEqual(failureOf(TokenEndpoint, { body })._tag, "InvalidCredentials")
    })

    it("40000 is a blank token at the gateway, and a bad parameter behind it", () => {
      assert.strictEqual(failureOf(Oapi, { body: { errcode: 40000, errmsg: "x" } })._tag, "InvalidRequest")
      assert.strictEqual(
        failureOf(Oapi, { body: { errcode: 88, sub_code: "40000", sub_msg: "access_token is blank" } })._tag,
        "TokenExpired"
      )
    })

    it("an unknown code is an ApiError that keeps what the platform said", () => {
      assertFields(failureOf(Oapi, { body: { errcode: 99999999, errmsg: "新错误", request_id: "r" } }), {
        _tag: "ApiError",
        code: "99999999",
        platformMessage: "新错误",
        requestId: "r",
        isRetryable: false
      })
    })

    it("an endpoint's own code wins over the common meaning", () => {
      class Busy extends Schema.TaggedError<Busy>("Busy")("Busy", DingTalkError.fields) {}
      const Own = Oapi.pipe(Endpoint.failsWith(Busy, -1))
      const error = failureOf(Own, { body: { errcode: -1, errmsg: "系统繁忙" } })
      assert.instanceOf(error, Busy)
      assertFields(error, { endpoint: "test.oapi", code: "-1", status: 200, platformMessage: "系统繁忙" })
    })
  })

  describe("shapes of the legacy gateway", () => {
    const rows: ReadonlyArray<readonly [name: string, body: unknown, expected: Record<string, unknown>]> = [
      [
        "88 with a sub-code as text",
        {
          errcode: 88,
          sub_code: "40014",
          sub_msg: "不合法的access_token",
          errmsg: "ding talk error[subcode=40014,submsg=不合法的access_token]",
          request_id: "16l4ew3d47pdp"
        },
        {
          _tag: "TokenExpired",
          code: "88",
          subCode: "40014",
          platformMessage: "不合法的access_token",
          requestId: "16l4ew3d47pdp"
        }
      ],
      ["88 with a sub-code as number", { errcode: 88, sub_code: 60011 }, {
        _tag: "PermissionDenied",
        subCode: "60011"
      }],
      ["88 as text", { errcode: "88", sub_code: "90018" }, { _tag: "RateLimited", code: "88", subCode: "90018" }],
      ["the key subcode", { errcode: 88, subcode: "90002" }, { _tag: "RateLimited", dimension: "Api" }],
      [
        "no sub_code, but subcode= in errmsg",
        {
          errcode: 88,
          errmsg:
            "ding talk error[subcode=60020,submsg=访问ip不在白名单之中,request ip=14.153.172.241 appKey(ding-example)]"
        },
        { _tag: "IpNotAllowed", subCode: "60020", ip: "14.153.172.241" }
      ],
      [
        "an empty sub_code, but subcode= in errmsg",
        { errcode: 88, sub_code: "", errmsg: "ding talk error[subcode=40014,submsg=不合法的access_token]" },
        { _tag: "TokenExpired", code: "88", subCode: "40014" }
      ],
      ["88 without anything", { errcode: 88 }, { _tag: "ApiError", code: "88", subCode: undefined }],
      ["88 with an empty sub_code", { errcode: 88, sub_code: "" }, {
        _tag: "ApiError",
        code: "88",
        subCode: undefined
      }],
      [
        "an unknown method, without a sub_code",
        {
          errcode: 22,
          sub_msg: "不合法ApiName，ApiName = dingtalk.oapi.app.remove_auth",
          errmsg: "Invalid method[submsg=不合法ApiName，ApiName = dingtalk.oapi.app.remove_auth]",
          request_id: "15s9in2w1yat9"
        },
        { _tag: "InvalidRequest", code: "22", subCode: undefined, requestId: "15s9in2w1yat9" }
      ],
      [
        "errmsg before errcode",
        "{\"errmsg\":\"请求的部门id不在授权范围内\",\"errcode\":50004}",
        { _tag: "OutOfScope", code: "50004", platformMessage: "请求的部门id不在授权范围内" }
      ],
      [
        "error_response around it",
        { error_response: { code: 88, sub_code: "40014", sub_msg: "不合法的access_token", request_id: "q" } },
        { _tag: "TokenExpired", code: "88", subCode: "40014", requestId: "q" }
      ],
      [
        "error_response with a code of its own and a sub_code that is none of ours",
        { error_response: { code: 15, msg: "Remote service error", sub_code: "isp.unknown-error", sub_msg: "s" } },
        { _tag: "Unavailable", code: "15" }
      ],
      [
        "error_response with msg alone",
        { error_response: { code: 22, msg: "Invalid method" } },
        { _tag: "InvalidRequest", code: "22", platformMessage: "Invalid method" }
      ],
      ["error_response without a code", { error_response: { msg: "odd" } }, {
        _tag: "ApiError",
        platformMessage: "odd"
      }],
      [
        "a sub_code beside a code other than 88 decides nothing",
        { errcode: 400002, sub_code: "60011" },
        { _tag: "InvalidRequest", code: "400002" }
      ]
    ]
    for (const [name, body, expected] of rows) {
      it(name, () => assertFields(failureOf(Oapi, { body }), expected))
    }

    it("a failure is never taken for the empty success of an endpoint without one", () => {
      for (const [, body] of rows) assert.isTrue(Either.isLeft(read(Void, { body })))
    })

    it("errcode 0 is a success in every writing, with and without errmsg and request_id", () => {
      for (const errcode of [0, "0"]) {
        assert.deepStrictEqual(read(Oapi, { body: { errcode, result: { ok: "true" } } }), Either.right({ ok: true }))
        assert.deepStrictEqual(
          read(Oapi, { body: { errcode, errmsg: "ok", request_id: "r", result: { ok: true } } }),
          Either.right({ ok: true })
        )
      }
    })
  })

  describe("codes of the new gateway", () => {
    for (const [status, code, tag, fields] of gateway) {
      it(`${status} ${code} means ${tag}`, () => {
        const body = { code, message: "text", requestid: "F340FF76" }
        const expected = {
          ...fields,
          _tag: tag,
          code,
          subCode: undefined,
          status,
          platformMessage: "text",
          requestId: "F340FF76",
          endpoint: "test.api"
        }
        assertFields(failureOf(KnowingApi, { status, body }), expected)
        assertFields(
          failureOf(KnowingApi, { status, body: { Code: code, Message: "text", RequestId: "F340FF76" } }),
          expected
        )
        assert.strictEqual(failureOf(Api, { status, body })._tag, COMMON.has(tag) ? tag : "ApiError")
      })
    }

    it("403 alone is no lack of permission", () => {
      assertFields(failureOf(Api, { status: 403, body: { code: "Forbidden.AccessDenied.Other", message: "m" } }), {
        _tag: "ApiError",
        code: "Forbidden.AccessDenied.Other"
      })
      assert.strictEqual(failureOf(Api, { status: 403 })._tag, "ApiError")
      assert.strictEqual(failureOf(Api, { status: 403, body: {} })._tag, "ApiError")
    })

    it("Description and requestId are read too", () => {
      assertFields(failureOf(Api, { status: 400, body: { Code: "x", Description: "d", requestId: "q" } }), {
        platformMessage: "d",
        requestId: "q"
      })
    })

    it("the request id of the header stands in for one that the body lacks", () => {
      const headers = { "x-acs-request-id": "from-header" }
      assert.strictEqual(failureOf(Api, { status: 400, headers, body: { code: "x" } }).requestId, "from-header")
      assert.strictEqual(
        failureOf(Api, { status: 400, headers, body: { code: "x", requestid: "own" } }).requestId,
        "own"
      )
    })

    it("errcode with HTTP 200 is a failure there too", () => {
      assertFields(failureOf(Api, { body: { errcode: 404, errmsg: "请求的URI地址不存在" } }), {
        _tag: "InvalidRequest",
        code: "404",
        status: 200
      })
    })
  })

  describe("what a missing permission is", () => {
    const PERMISSION = "Forbidden.AccessDenied.AccessTokenPermissionDenied"

    it("from accessdenieddetail, in both writings", () => {
      for (const key of ["accessdenieddetail", "AccessDeniedDetail"]) {
        assertFields(
          failureOf(Api, {
            status: 403,
            body: { code: PERMISSION, message: "m", [key]: { requiredScopes: ["A.Read", "B.Read"] } }
          }),
          { _tag: "PermissionDenied", scopes: ["A.Read", "B.Read"], permissionName: undefined }
        )
      }
    })

    it("from the brackets of the newer text", () => {
      assertFields(
        failureOf(Api, {
          status: 403,
          body: { code: PERMISSION, message: "应用尚未开通所需的权限：[Card.Instance.Write]，点击链接申请" }
        }),
        { _tag: "PermissionDenied", scopes: ["Card.Instance.Write"] }
      )
    })

    it("from requiredScopes= and the link of the legacy gateway", () => {
      const text = "应用尚未开通所需的权限：[qyapi_get_member_by_mobile]，点击链接申请并开通即可：" +
        "https://open-dev.dingtalk.com/appscope/apply?content=dingexample%23qyapi_get_member_by_mobile"
      const errmsg = `ding talk error[subcode=60011,submsg=${text}, {requiredScopes=[qyapi_get_member_by_mobile]}]`
      const expected = {
        _tag: "PermissionDenied",
        scopes: ["qyapi_get_member_by_mobile"],
        applyAt: "https://open-dev.dingtalk.com/appscope/apply?content=dingexample%23qyapi_get_member_by_mobile"
      }
      assertFields(failureOf(Oapi, { body: { errcode: 88, sub_code: "60011", sub_msg: text, errmsg } }), expected)
      assertFields(failureOf(Oapi, { body: { errcode: 88, sub_code: "60011", errmsg } }), expected)
      assertFields(failureOf(Oapi, { body: { errcode: 88, sub_code: "60011", sub_msg: text } }), expected)
    })

    it("several, parted by commas", () => {
      assert.deepStrictEqual(
        failureOf(Oapi, { body: { errcode: 60011, errmsg: "x {requiredScopes=[a, b,c ]}" } }).scopes,
        ["a", "b", "c"]
      )
    })

    it("from the endpoint's declaration where the answer does not say", () => {
      assertFields(failureOf(Contact.GetUser, { body: { errcode: 60011, errmsg: "没有调用该接口的权限" } }), {
        scopes: ["qyapi_get_member"],
        permissionName: "Read user information",
        applyAt: "https://open-dev.dingtalk.com"
      })
    })

    it("another one than the declared one keeps its code and gets no wrong name", () => {
      assertFields(failureOf(Contact.GetUser, { body: { errcode: 60011, errmsg: "requiredScopes=[other]" } }), {
        scopes: ["other"],
        permissionName: undefined
      })
    })

    it("scopes of odd types are left out", () => {
      for (const odd of [null, 1, {}, [1], { toString: 1 }]) {
        assert.deepStrictEqual(
          failureOf(Api, {
            status: 403,
            body: { code: PERMISSION, accessdenieddetail: { requiredScopes: [odd, "A.Read"] } }
          }).scopes,
          ["A.Read"]
        )
      }
    })
  })

  describe("how long to wait", () => {
    const END = Date.parse("2026-09-03T00:01:03+08:00")
    const HOUR = 3600 * 1000
    const DAY = 24 * HOUR
    const text =
      "当前所有钉钉应用调用该接口次数过多，超出了该接口承受的最大qps，请求被暂时限制了，建议错开整点时刻调用该接口, " +
      "apiPath(dingtalk.oapi.v2.department.listsub), 从 2026-09-03 00:01:02 到 2026-09-03 00:01:02 请求总次数超过 1200 次, " +
      "限制将在 2026-09-03 00:01:03 结束."
    const throttled = {
      errcode: 88,
      sub_code: "90002",
      sub_msg: text,
      errmsg: `ding talk error[subcode=90002,submsg=${text}]`
    }
    const dateOf = (time: number) => new Date(time).toUTCString()
    const waitOf = (answer: Answer): number | undefined => {
      const { retryAfter } = failureOf(Oapi, answer)
      return retryAfter === undefined ? undefined : Duration.toMillis(retryAfter)
    }

    it("until the end that the text states in China's time, counted from the Date of the answer", () => {
      assert.strictEqual(waitOf({ body: throttled, headers: { date: dateOf(END - 1000) }, receivedAt: END }), 1000)
      assert.strictEqual(waitOf({ body: throttled, headers: { date: dateOf(END - 90_000) }, receivedAt: END }), 90_000)
    })

    it("counted from the Date in each form that HTTP has", () => {
      for (
        const date of ["Wed, 02 Sep 2026 16:00:53 GMT", "Wednesday, 02-Sep-26 16:00:53 GMT", "Wed Sep  2 16:00:53 2026"]
      ) {
        assert.strictEqual(waitOf({ body: throttled, headers: { date }, receivedAt: END }), 10_000, date)
      }
    })

    it("counted from the arrival where the answer has no Date, or none that can be read", () => {
      assert.strictEqual(waitOf({ body: throttled, receivedAt: END - 2500 }), 2500)
      for (const date of ["soon", "", "2026-09-02 16:00:53", "Wed, 02 Sep 2026 16:00:53 +0800", "1"]) {
        assert.strictEqual(waitOf({ body: throttled, headers: { date }, receivedAt: END - 2500 }), 2500, date)
      }
    })

    it("by the server's clock where this machine's is wrong by hours, and by this one where that is a day away", () => {
      const at = (receivedAt: number, serverAt: number) =>
        waitOf({ body: throttled, headers: { date: dateOf(serverAt) }, receivedAt })
      for (const ahead of [-DAY, -3 * 3600 * 1000, 60_000, DAY]) {
        assert.strictEqual(at(END - 3000 + ahead, END - 3000), 3000)
      }
      for (const serverAt of [0, Date.parse("1999-01-01"), END - 3000 - DAY - 1000, END - 3000 + DAY + 1000]) {
        assert.strictEqual(at(END - 3000, serverAt), 3000)
      }
    })

    it("a minute, as the limiter waits, until an end that is absurd", () => {
      assert.strictEqual(waitOf({ body: throttled, receivedAt: END - 5 * 60_000 }), 5 * 60_000)
      assert.strictEqual(waitOf({ body: throttled, receivedAt: END - HOUR }), HOUR)
      assert.strictEqual(waitOf({ body: throttled, receivedAt: END - HOUR - 1 }), 60_000)
      assert.strictEqual(waitOf({ body: throttled, receivedAt: 0 }), 60_000)
      const far = { errcode: 90018, errmsg: "限制将在 2099-01-01 00:00:00 结束" }
      assert.strictEqual(waitOf({ body: far, receivedAt: END }), 60_000)
      assert.strictEqual(waitOf({ body: far, headers: { date: dateOf(END) }, receivedAt: END }), 60_000)
    })

    it("no time at all when the end has passed", () => {
      assert.strictEqual(waitOf({ body: throttled, receivedAt: END + 5000 }), 0)
    })

    it("the older wording is read too", () => {
      const errmsg = "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了, apiPath(x), " +
        "从…到… 请求总次数超过了 100 次, 处罚将在 2026-09-03 00:01:03 结束."
      assert.strictEqual(waitOf({ body: { errcode: 90002, errmsg }, receivedAt: END - 700 }), 700)
    })

    it("an end that is no date says nothing", () => {
      assert.isUndefined(waitOf({ body: { errcode: 90018, errmsg: "限制将在 2026-99-99 99:99:99 结束" } }))
      assert.isUndefined(waitOf({ body: { errcode: 90018, errmsg: "限制将在 明天 结束" } }))
    })

    it("the text wins over the header", () => {
      assert.strictEqual(waitOf({ body: throttled, headers: { "retry-after": "60" }, receivedAt: END - 500 }), 500)
    })

    const START = Date.UTC(2026, 8, 3)
    const headers: ReadonlyArray<readonly [name: string, header: string, wait: number | undefined]> = [
      ["seconds", "7", 7000],
      ["no seconds", "0", 0],
      ["seconds among blanks", " 3 ", 3000],
      ["seconds after zeros", "007", 7000],
      ["a number below 0", "-5", undefined],
      ["a number with a plus", "+5", undefined],
      ["a fraction", "1.5", undefined],
      ["a fraction with a comma", "1,5", undefined],
      ["two numbers", "1, 2", undefined],
      ["a power", "1e3", undefined],
      ["a number and its unit", "5s", undefined],
      ["a date", "Thu, 03 Sep 2026 00:00:10 GMT", 10_000],
      ["a date among blanks", " Thu, 03 Sep 2026 00:00:10 GMT ", 10_000],
      ["a date as of RFC 850", "Thursday, 03-Sep-26 00:00:10 GMT", 10_000],
      ["a date as of asctime", "Thu Sep  3 00:00:10 2026", 10_000],
      ["a date as of asctime, of two digits", "Thu Sep 10 00:00:00 2026", 7 * DAY],
      ["a date of another day of the week", "Mon, 03 Sep 2026 00:00:10 GMT", 10_000],
      ["a leap second", "Thu, 03 Sep 2026 00:00:60 GMT", 60_000],
      ["a leap day", "Tue, 29 Feb 2028 00:00:00 GMT", 544 * DAY],
      ["a date in the past", "Wed, 02 Sep 2026 00:00:00 GMT", 0],
      ["a date in the past as of RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", 0],
      ["a date in the past as of asctime", "Sun Nov  6 08:49:37 1994", 0],
      ["a date in the past of a year below 100", "Thu, 03 Sep 0026 00:00:10 GMT", 0],
      ["an absurd date", "Fri, 31 Dec 9999 23:59:59 GMT", Date.UTC(9999, 11, 31, 23, 59, 59) - START],
      // RFC 9110, 5.6.7: what would be more than 50 years ahead is in the past.
      ["50 years ahead in two digits", "Thursday, 03-Sep-76 00:01:30 GMT", Date.UTC(2076, 8, 3, 0, 1, 30) - START],
      ["a second more than 50 years ahead in two digits", "Thursday, 03-Sep-76 00:01:31 GMT", 0],
      ["a day of no month", "Mon, 30 Feb 2026 00:00:10 GMT", undefined],
      ["day 0", "Mon, 00 Sep 2026 00:00:10 GMT", undefined],
      ["a leap day of another year", "Mon, 29 Feb 2027 00:00:10 GMT", undefined],
      ["hour 24", "Thu, 03 Sep 2026 24:00:00 GMT", undefined],
      ["minute 60", "Thu, 03 Sep 2026 00:60:00 GMT", undefined],
      ["second 61", "Thu, 03 Sep 2026 00:00:61 GMT", undefined],
      ["no month", "Thu, 03 Foo 2026 00:00:10 GMT", undefined],
      ["a month in small letters", "Thu, 03 sep 2026 00:00:10 GMT", undefined],
      ["no day of the week", "03 Sep 2026 00:00:10 GMT", undefined],
      ["a day of one digit", "Thu, 3 Sep 2026 00:00:10 GMT", undefined],
      ["RFC 850 with a short day of the week", "Thu, 03-Sep-26 00:00:10 GMT", undefined],
      ["RFC 850 with four digits", "Thursday, 03-Sep-2026 00:00:10 GMT", undefined],
      ["asctime with a zone", "Thu Sep  3 00:00:10 2026 GMT", undefined],
      ["asctime with one blank", "Thu Sep 3 00:00:10 2026", undefined],
      ["another zone", "Thu, 03 Sep 2026 08:00:10 +0800", undefined],
      ["UTC", "Thu, 03 Sep 2026 00:00:10 UTC", undefined],
      ["ISO 8601", "2026-09-03T00:00:10Z", undefined],
      ["a date and more", "Thu, 03 Sep 2026 00:00:10 GMT, 5", undefined],
      ["a word and a zone", "foo 1 GMT", undefined],
      ["a number and a zone", "1 GMT", undefined],
      ["words", "later", undefined],
      ["nothing", "", undefined],
      ["more seconds than a number holds", "9".repeat(400), undefined]
    ]
    for (const [name, header, wait] of headers) {
      it(`Retry-After as ${name}`, () => {
        const answer = {
          headers: { "retry-after": header, date: "Thu, 03 Sep 2026 00:00:00 GMT" },
          receivedAt: START + 90_000
        }
        assert.strictEqual(waitOf({ ...answer, status: 429 }), wait)
        assert.strictEqual(waitOf({ ...answer, status: 503 }), wait)
        assert.strictEqual(waitOf({ ...answer, body: { errcode: 90018, errmsg: "text" } }), wait)
      })
    }

    it("Retry-After as a date is counted from the arrival where the Date is a day away", () => {
      const headers = { "retry-after": "Thu, 03 Sep 2026 00:00:10 GMT", date: "Thu, 01 Jan 1970 00:00:00 GMT" }
      assert.strictEqual(waitOf({ status: 503, headers, receivedAt: START }), 10_000)
    })

    it("two digits of a year are read across a century", () => {
      const wait = (header: string, receivedAt: number) =>
        waitOf({ status: 503, headers: { "retry-after": header }, receivedAt })
      const last = Date.UTC(2099, 11, 31, 23, 59, 50)
      assert.strictEqual(wait("Friday, 01-Jan-00 00:00:00 GMT", last), 10_000)
      assert.strictEqual(wait("Thursday, 31-Dec-99 23:59:59 GMT", last), 9000)
      assert.strictEqual(wait("Thursday, 31-Dec-99 23:59:59 GMT", last + 20_000), 0)
    })

    // Node takes a zone that is set while it runs; nothing else runs between the two ends of a synchronous test.
    for (const [zone, offset] of [["America/New_York", 300], ["Asia/Shanghai", -480], ["UTC", 0]] as const) {
      it(`is the same on a machine in ${zone}`, () => {
        const before = process.env["TZ"]
        try {
          process.env["TZ"] = zone
          assert.strictEqual(new Date(2026, 0, 1).getTimezoneOffset(), offset)
          for (const [name, header, wait] of headers) {
            for (const date of ["Thu, 03 Sep 2026 00:00:00 GMT", "Thu Sep  3 00:00:00 2026"]) {
              const answer = { status: 429, headers: { "retry-after": header, date }, receivedAt: START + 90_000 }
              assert.strictEqual(waitOf(answer), wait, name)
            }
          }
          assert.strictEqual(waitOf({ body: throttled, receivedAt: END - 2500 }), 2500)
          const body = { errcode: 90018, errmsg: "限制将在 2026-09-03 00:01:03 结束" }
          assert.strictEqual(waitOf({ body, headers: { date: "Wed Sep  2 16:01:00 2026" }, receivedAt: END }), 3000)
        } finally {
          if (before === undefined) delete process.env["TZ"]
          else process.env["TZ"] = before
        }
      })
    }

    it("an absurd number of seconds is told as it is", () => {
      assert.strictEqual(waitOf({ status: 429, headers: { "retry-after": "99999999999" } }), 99_999_999_999_000)
    })
  })

  describe("answers without a code", () => {
    const rows: ReadonlyArray<readonly [name: string, answer: Answer, expected: Record<string, unknown>]> = [
      ["429, empty", { status: 429 }, { _tag: "RateLimited", dimension: "Unknown" }],
      ["429, JSON", { status: 429, body: { a: 1 } }, { _tag: "RateLimited" }],
      ["429, a page", { status: 429, body: "<html>slow down</html>" }, { _tag: "RateLimited" }],
      ["500, empty", { status: 500 }, { _tag: "Unavailable", code: undefined, status: 500 }],
      ["502, a page", { status: 502, body: "<html><h1>502 Bad Gateway</h1></html>" }, {
        _tag: "Unavailable",
        status: 502
      }],
      ["503, JSON", { status: 503, body: {} }, { _tag: "Unavailable" }],
      ["504, text", { status: 504, body: "upstream timed out" }, { _tag: "Unavailable" }],
      ["500, null", { status: 500, body: "null" }, { _tag: "Unavailable" }],
      ["500 with errcode 0", { status: 500, body: { errcode: 0 } }, { _tag: "Unavailable" }],
      ["404, empty", { status: 404 }, { _tag: "ApiError", status: 404 }],
      ["400, a list", { status: 400, body: [] }, { _tag: "ApiError", status: 400 }],
      ["401, JSON", { status: 401, body: { message: "m" } }, { _tag: "ApiError", platformMessage: "m" }],
      ["404, a page", { status: 404, body: "<html>404</html>" }, {
        _tag: "TransportError",
        reason: "Decode",
        status: 404
      }],
      ["200, a page", { body: "  <!DOCTYPE html><html></html>" }, { _tag: "TransportError", reason: "Decode" }],
      ["200, empty", {}, { _tag: "TransportError", reason: "Decode" }],
      ["204", { status: 204 }, { _tag: "TransportError", reason: "Decode", status: 204 }],
      ["200, blanks", { body: " \n" }, { _tag: "TransportError", reason: "Decode" }],
      ["200, cut JSON", { body: "{\"errcode\":0,\"result\":{\"ok\":tr" }, { _tag: "TransportError", reason: "Decode" }],
      ["101", { status: 101 }, { _tag: "TransportError", reason: "Decode" }],
      ["200, null", { body: "null" }, { _tag: "TransportError", reason: "Decode" }],
      ["200, a number", { body: "1" }, { _tag: "TransportError", reason: "Decode" }],
      ["200, a list", { body: "[]" }, { _tag: "TransportError", reason: "Decode" }],
      ["200, text", { body: "\"ok\"" }, { _tag: "TransportError", reason: "Decode" }],
      ["200, an empty object", { body: "{}" }, { _tag: "TransportError", reason: "Decode" }],
      [
        "200, without a result",
        { body: { errcode: 0, errmsg: "ok" } },
        { _tag: "TransportError", reason: "Decode" }
      ]
    ]
    for (const [name, answer, expected] of rows) {
      it(name, () => {
        assertFields(failureOf(Oapi, answer), expected)
        assertFields(failureOf(Api, answer), expected)
      })
    }

    for (const status of [300, 301, 302, 303, 304, 307, 308]) {
      it(`the redirect ${status} is not followed, whatever its body says`, () => {
        for (const body of ["", "<html></html>", "{\"errcode\":0,\"result\":{\"ok\":true}}"]) {
          const error = failureOf(Oapi, {
            status,
            body,
            headers: { location: "https://elsewhere.example/?t=SENTINEL" }
          })
          assertFields(error, { _tag: "TransportError", reason: "Decode", status })
          assert.include(error.message, "redirect")
          assert.notInclude(JSON.stringify(error) + error.message, "SENTINEL")
        }
      })
    }

    it("an endpoint without a success takes 204, an empty 200 and errcode 0", () => {
      for (const answer of [{ status: 204 }, {}, { body: { errcode: 0, errmsg: "ok", request_id: "r" } }]) {
        assert.deepStrictEqual(read(Void, answer), Either.right(undefined))
      }
      for (const answer of [{ status: 404 }, { body: "<html></html>" }, { status: 302 }]) {
        assert.isTrue(Either.isLeft(read(Void, answer)))
      }
    })
  })

  describe("the ban of an address", () => {
    const banned = [
      { status: 1111, wait: 5, source: "x5", punish: "deny", uuid: "xxx" },
      { status: "1111", wait: "5", source: "x5", punish: "deny", uuid: "xxx" },
      "<html><script>location='/_____tmd_____/punish?x5secdata=xxx'</script></html>",
      "<a id=\"a-link\"></a><script>var x5referer = 1</script>"
    ]
    for (const status of [200, 403, 429, 503]) {
      it(`is known with HTTP ${status}`, () => {
        for (const body of banned) {
          for (const endpoint of [Oapi, Api]) {
            assertFields(failureOf(endpoint, { status, body }), {
              _tag: "IpBanned",
              status,
              retryAfter: Duration.minutes(5),
              isRetryable: false
            })
          }
        }
      })
    }

    it("is not seen in a cut answer that happens to hold the guard's words", () => {
      for (const body of ["{\"errcode\":0,\"result\":{\"remark\":\"punish me\",", "[\"x5sec\""]) {
        assertFields(failureOf(Oapi, { body }), { _tag: "TransportError", reason: "Decode" })
      }
    })

    it("is not seen in a success that holds a status of 1111", () => {
      const Status = Endpoint.api("test.status", {
        ...options,
        method: "GET",
        success: Schema.Struct({ status: Schema.Number })
      })
      assert.deepStrictEqual(read(Status, { body: { status: 1111 } }), Either.right({ status: 1111 }))
    })
  })

  describe("answers of the wrong shape", () => {
    it("name the field below result, or in the body, and tell no value", () => {
      const wrong = failureOf(Contact.GetUser, {
        body: { errcode: 0, result: { userid: "u", unionid: "n", role_list: [{ id: "SENTINEL", name: "n" }] } },
        headers: { "x-acs-request-id": "q" }
      })
      assertFields(wrong, {
        _tag: "TransportError",
        reason: "Decode",
        path: "result.role_list[0].id",
        requestId: "q",
        status: 200
      })
      assert.notInclude(JSON.stringify(wrong) + wrong.message, "SENTINEL")
      assert.strictEqual(failureOf(Contact.GetProfile, { body: { nick: "n" } }).path, "body.unionId")
      assert.strictEqual(failureOf(Contact.GetUser, { body: { errcode: 0, result: "SENTINEL" } }).path, "result")
    })

    it("name an element of a list that is the whole result", () => {
      const List = Endpoint.oapi("test.list", { ...options, success: Schema.Array(Schema.Number) })
      assert.strictEqual(failureOf(List, { body: { errcode: 0, result: [1, {}] } }).path, "result[1]")
    })

    it("never tell the secret of a token answer", () => {
      for (
        const body of [
          "{\"accessToken\":{\"v\":\"SENTINEL\"},\"expireIn\":7200}",
          "{\"accessToken\":\"SENTINEL\",\"expireIn\":\"soon\"}",
          "{\"accessToken\":\"SENTINEL\""
        ]
      ) {
        const error = failureOf(OAuth2.GetAccessToken, { body })
        assert.strictEqual(error._tag, "TransportError")
        assert.notInclude(JSON.stringify(error) + error.message + String(error.stack), "SENTINEL")
      }
    })
  })

  describe("any answer at all", () => {
    const json = fc.jsonValue({ maxDepth: 3 })
    const odd = fc.constantFrom<unknown>(
      { toString: 1 },
      { toString: 1, valueOf: 1 },
      ["a"],
      [[]],
      "",
      " ",
      "0",
      "88",
      "-1",
      88
    )
    const any = fc.oneof(json, odd, fc.constantFrom<unknown>(...ErrorCode.codes))
    const fields = fc.record({
      errcode: any,
      errmsg: any,
      sub_code: any,
      subcode: any,
      sub_msg: any,
      code: any,
      Code: any,
      message: any,
      msg: any,
      requestid: any,
      request_id: any,
      status: any,
      punish: any,
      result: any,
      accessdenieddetail: fc.oneof(any, fc.record({ requiredScopes: fc.oneof(any, fc.array(any)) }))
    }, { requiredKeys: [] })
    const body = fc.oneof(
      fc.string({ unit: "binary" }),
      json.map((value) => JSON.stringify(value)),
      fields.map((value) => JSON.stringify(value)),
      fields.map((value) => JSON.stringify({ error_response: value })),
      fields.map((value) => `${JSON.stringify(value).slice(0, -2)}# "`)
    )
    const status = fc.oneof(fc.constantFrom(0, 200, 204, 302, 400, 403, 404, 429, 500, 503), fc.integer(), fc.double())
    const headers = fc.dictionary(
      fc.constantFrom("retry-after", "date", "x-acs-request-id", "content-type"),
      fc.oneof(
        fc.string(),
        fc.integer().map(String),
        fc.double().map(String),
        fc.date().map((date) => date.toUTCString()),
        fc.constantFrom("Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "foo 1 GMT")
      )
    )
    const endpoints = [
      Oapi,
      Api,
      Void,
      KnowingOapi,
      KnowingApi,
      TokenEndpoint,
      Contact.GetUser,
      Contact.GetUserByUnionId,
      Contact.GetProfile,
      OAuth2.GetAccessToken,
      OAuth2.GetUserToken
    ]

    it("is read without a throw, and a failure is always one of our errors, as plain data too", () => {
      let failures = 0
      fc.assert(
        fc.property(
          fc.constantFrom<Endpoint.Endpoint.Any>(...endpoints),
          status,
          headers,
          body,
          fc.oneof(fc.integer(), fc.constant(Number.NaN)),
          (endpoint, status, headers, body, receivedAt) => {
            const answer = WireResponse.decode(endpoint, { status, headers, body, receivedAt })
            assert.isTrue(Either.isEither(answer))
            if (Either.isRight(answer)) return
            failures++
            assert.isTrue(DingTalkError.isDingTalkError(answer.left))
            assert.strictEqual(answer.left.endpoint, endpoint.name)
            assert.isAbove(answer.left.message.length, endpoint.name.length + 2)
            assert.strictEqual(Schema.encodeSync(DingTalkError.DingTalkError)(answer.left)._tag, answer.left._tag)
          }
        ),
        { numRuns: 3000 }
      )
      assert.isAbove(failures, 1000)
    })

    it("is read again to the same", () => {
      fc.assert(
        fc.property(status, headers, body, (status, headers, body) => {
          const answer = { status, headers, body, receivedAt: 0 }
          assert.deepStrictEqual(
            WireResponse.decode(Contact.GetUser, answer),
            WireResponse.decode(Contact.GetUser, answer)
          )
        }),
        { numRuns: 300 }
      )
    })
  })

  it("a user whose own fields hold __proto__ gains no properties from them", () => {
    const user = Either.getOrThrow(read(Contact.GetUser, {
      body: "{\"errcode\":0,\"result\":{\"userid\":\"u\",\"unionid\":\"n\",\"__proto__\":{\"admin\":true}," +
        "\"extension\":\"{\\\"__proto__\\\":{\\\"isAdmin\\\":true},\\\"Hobby\\\":\\\"Travel\\\"}\"}}"
    })) as any
    assert.isUndefined(user.admin)
    assert.isUndefined(user.extension.isAdmin)
    assert.strictEqual(user.extension.Hobby, "Travel")
    assert.strictEqual(Object.getPrototypeOf(user.extension), Object.prototype)
    assert.isUndefined(({} as any).isAdmin)
  })

  it("nesting beyond any sense is an error and not a crash", () => {
    interface Tree {
      readonly children: ReadonlyArray<Tree>
    }
    const Tree: Schema.Schema<Tree> = Schema.Struct({
      children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
    })
    const Deep = Endpoint.oapi("test.deep", { ...options, success: Tree })
    const depth = 100_000
    for (const [open, close] of [["{\"children\":[", "]}"], ["[", "]"]] as const) {
      const error = failureOf(Deep, { body: `{"errcode":0,"result":${open.repeat(depth)}${close.repeat(depth)}}` })
      assertFields(error, { _tag: "TransportError", reason: "Decode" })
    }
    // What no schema asks for is dropped, however deep.
    const unknown = `${"{\"a\":".repeat(depth)}1${"}".repeat(depth)}`
    assert.deepStrictEqual(read(Deep, { body: `{"errcode":0,"result":${unknown}}` }), Either.right({ children: [] }))
  })
})
