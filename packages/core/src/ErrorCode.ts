/**
 * What DingTalk's error codes mean: one table, decided by exact code. Texts change and HTTP statuses mislead (403 is
 * permission, throttle, quota and IP alike; the legacy gateway answers 200 to everything), so neither decides where a
 * code is known.
 *
 * @since 0.1.0
 */

/**
 * What a code says, by the tag of the error that it becomes. `UserNotFound` and its siblings become that error for
 * endpoints that say so (`Endpoint.failsWith`), and `ApiError` for the others.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind =
  | "TokenExpired"
  | "InvalidCredentials"
  | "InvalidAuthCode"
  | "PermissionDenied"
  | "OutOfScope"
  | "UserNotFound"
  | "DepartmentNotFound"
  | "RoleNotFound"
  | "RateLimited"
  | "QuotaExhausted"
  | "IpNotAllowed"
  | "IpBanned"
  | "InvalidRequest"
  | "Unavailable"
  | "ApiError"

/**
 * What is being counted when the platform throttles. Source: reference 4.3 and 5.
 *
 * - `AppAndApi`: one app on one API, 20 calls a second in the standard edition
 * - `Api`: one API, all tenants together; worst on the hour
 * - `Server`: everything that comes from one address
 * - `Org`, `OrgAndApp`: one organisation, one app in it
 * - `SuiteAndOrg`, `Suite`: a third-party app in one organisation, in all
 * - `Robot`: a webhook robot, 20 messages a minute
 * - `WorkNotice`: work notifications to one person or organisation
 * - `Unknown`: the platform does not say
 *
 * @since 0.1.0
 * @category models
 */
export type Dimension =
  | "AppAndApi"
  | "Api"
  | "Server"
  | "Org"
  | "OrgAndApp"
  | "SuiteAndOrg"
  | "Suite"
  | "Robot"
  | "WorkNotice"
  | "Unknown"

/**
 * @since 0.1.0
 * @category models
 */
export interface Meaning {
  readonly kind: Kind
  readonly dimension?: Dimension | undefined
  /** what to do next, where it is more than the kind says */
  readonly advice?: string | undefined
}

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

type Row = readonly [meaning: Meaning | Kind, ...codes: Array<number | string>]

const limited = (dimension: Dimension, advice?: string): Meaning => ({ kind: "RateLimited", dimension, advice })

const NOT_AUTHORISED = "this organisation has not authorised the app, or no longer does"
const OLD_TICKET =
  "the suite ticket is not the latest one: see that the pushed events reach SuiteTicket.receive, and wait for the next"

// Source of every row: reference 4.3.
const OAPI: ReadonlyArray<Row> = [
  ["TokenExpired", 40014, 42001, 41001, 33001, 42009, 40082],
  // The same number for a wrong secret and for a wrong token; `meaningOf` tells them apart by the endpoint.
  ["TokenExpired", 40001],
  ["InvalidCredentials", 40096, 40089, 40013, 41002, 41004, 40088, 853001, 853002, 853003, 853004],
  [{ kind: "InvalidCredentials", advice: OLD_TICKET }, 40085],
  [
    { kind: "InvalidCredentials", advice: "check the access_token of the robot's webhook URL" },
    300005,
    400101
  ],
  ["InvalidAuthCode", 40078, 40029, 40102, 40031, 42002, 42007, 42008],
  ["PermissionDenied", 60011, 43007, 48002],
  [{ kind: "PermissionDenied", advice: NOT_AUTHORISED }, 48004, 41030],
  [{ kind: "PermissionDenied", advice: "the app is disabled: enable it in the console" }, 50003],
  [
    { kind: "OutOfScope", advice: "widen the app's contact range to hold this person" },
    50002
  ],
  [
    { kind: "OutOfScope", advice: "widen the app's contact range to hold this department" },
    50004,
    50005
  ],
  ["UserNotFound", 60121, 33012, 60111, 40003, 46004],
  [{ kind: "UserNotFound", advice: "the person's account is disabled" }, 60120],
  ["DepartmentNotFound", 60003, 60004],
  ["RoleNotFound", 33011],
  [limited("AppAndApi"), 90018],
  [limited("Api", "all tenants together called this API too often; avoid the full hour"), 90002],
  [limited("SuiteAndOrg"), 90019, ...range(90007, 90010)],
  ["QuotaExhausted", 90020],
  [limited("Server"), 90001],
  [limited("Org"), 90003, 90005],
  [limited("OrgAndApp"), 90004, 90006],
  [limited("Suite"), ...range(90011, 90014)],
  [limited("Unknown"), 90017, 45009],
  [limited("Robot"), 410100, 660026, 90030],
  [limited("WorkNotice"), ...range(143103, 143106), ...range(143203, 143206), ...range(1430000, 1430004)],
  ["IpNotAllowed", 60020, 60021],
  ["Unavailable", -1, 400001, 15],
  [
    "InvalidRequest",
    ...[60102, 60103, 60104, 60105, 60106, 60107, 40104],
    ...[60005, 60006, 60007, 60018, 60019, 40009, 34018],
    ...[40035, 40000, 40068, 40069, 40066, 40056, 400002, 43001, 43002, 43004, 43005, 44002, 47001],
    ...range(71006, 71013),
    400402
  ],
  [{ kind: "InvalidRequest", advice: "there is no such API: check the path" }, 404, 22],
  [{ kind: "ApiError", advice: "the person must consent first; an invitation has been sent" }, 40103],
  [{ kind: "ApiError", advice: "the organisation does not exist or has been dissolved" }, 70001],
  [
    { kind: "ApiError", advice: "the robot's security check (signature, keyword or IP range) refused the message" },
    310000
  ],
  ["ApiError", ...range(900001, 900010)]
]

// Source of every row: reference 4.1, 1.5, 1.6 and 1.7.
const API: ReadonlyArray<Row> = [
  ["TokenExpired", "InvalidAuthentication", "accesstoken.expired", "AuthenticationFailed.MissingParameter"],
  ["TokenExpired", "invalidToken"],
  [
    "PermissionDenied",
    "Forbidden.AccessDenied.AccessTokenPermissionDenied",
    "invalidAccessToken",
    "unauthorized.client"
  ],
  [{ kind: "PermissionDenied", advice: NOT_AUTHORISED }, "invalidAuthInfo"],
  ["IpNotAllowed", "Forbidden.AccessDenied.IpNotInWhiteList"],
  [
    limited("AppAndApi"),
    "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi",
    "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi"
  ],
  [
    limited("Api", "all tenants together called this API too often; avoid the full hour"),
    "Forbidden.AccessDenied.QpsLimitForApi"
  ],
  [
    limited("SuiteAndOrg"),
    "Forbidden.AccessDenied.QpsLimitForSuitekeyAndOrgAndApi",
    "Forbidden.AccessDenied.QpmLimitForSuitekeyAndOrgAndApi"
  ],
  ["QuotaExhausted", "Forbidden.AccessDenied.ApiCountLimitForOrg"],
  [limited("Unknown"), "request.overlimit", "qps.exceed.limit"],
  [
    "InvalidCredentials",
    "invalidClientIdOrSecret",
    "authFailed",
    "invalid.client",
    "invalidSuiteKey"
  ],
  [{ kind: "InvalidCredentials", advice: OLD_TICKET }, "invalidSuiteTicket"],
  ["InvalidAuthCode", "invalidParameter.authCode.notFound", "invalidCode"],
  [
    "UserNotFound",
    "invalidParameter.user.notFound",
    "userNotExist",
    "user.not.exist",
    "staff.not.found",
    "failure.user.userNotExist"
  ],
  [
    { kind: "InvalidRequest", advice: "there is no such API: check the path and the method" },
    "InvalidAction.NotFound"
  ],
  ["InvalidRequest", "commonParamIllegal", "unsupported.grant.type"],
  [{ kind: "ApiError", advice: "the organisation does not exist" }, "orgNotExist"],
  ["Unavailable", "systemError", "system.busy", "systemBusy", "unknownError", "internalError", "service.timeout"],
  ["Unavailable", "server.error"]
]

// `Missingbody`, `MissingclientId`, …: the platform appends the name of what is missing. Source: reference 4.1.
const FAMILIES: ReadonlyArray<readonly [prefix: string, meaning: Meaning]> = [
  ["invalidParameter.", { kind: "InvalidRequest" }],
  ["Missing", { kind: "InvalidRequest" }]
]

const table: ReadonlyMap<string, Meaning> = /*#__PURE__*/ (() => {
  const out = new Map<string, Meaning>()
  for (const [meaning, ...codes] of [...OAPI, ...API]) {
    const entry = typeof meaning === "string" ? { kind: meaning } : meaning
    for (const code of codes) out.set(String(code), entry)
  }
  return out
})()

/**
 * Every code that the table knows.
 *
 * @since 0.1.0
 * @category constants
 */
export const codes: ReadonlyArray<string> = /*#__PURE__*/ Array.from(table.keys())

/**
 * The codes that mean one thing, such as all of an unknown user.
 *
 * @since 0.1.0
 * @category getters
 */
export const codesOf = (kind: Kind): ReadonlyArray<string> => codes.filter((code) => table.get(code)!.kind === kind)

/**
 * @since 0.1.0
 * @category getters
 * @example
 * ```ts
 * import { ErrorCode } from "@effect-dingtalk/core"
 *
 * const where = { status: 403, withToken: true, gateway: false }
 * console.log(ErrorCode.meaningOf("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", where)?.kind) // RateLimited
 * console.log(ErrorCode.meaningOf("60121", { ...where, status: 200 })?.kind) // UserNotFound
 * ```
 */
export const meaningOf = (code: string, where: {
  readonly status: number
  /** whether the call carried a token: `40001` is a bad token then, and a bad secret otherwise */
  readonly withToken: boolean
  /** whether the gateway refused it before the API saw it (`errcode` 88): `40000` is a blank token then */
  readonly gateway: boolean
}): Meaning | undefined => {
  if (code === "40001" && !where.withToken) return { kind: "InvalidCredentials" }
  if (code === "40000" && where.gateway) return { kind: "TokenExpired" }
  if (code === "system.busy" && where.status === 429) return limited("Unknown")
  const exact = table.get(code)
  if (exact !== undefined) return exact
  return FAMILIES.find(([prefix]) => code.startsWith(prefix))?.[1]
}
