/**
 * What came back, and what it means: the one place that tells success from failure.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { CommonError, ErrorContext } from "./DingTalkError.js"
import {
  ApiError,
  InvalidCredentials,
  InvalidRequest,
  IpBanned,
  IpNotAllowed,
  OutOfScope,
  PermissionDenied,
  QuotaExhausted,
  RateLimited,
  TokenExpired,
  TransportError,
  Unavailable
} from "./DingTalkError.js"
import type { Credential, Endpoint } from "./Endpoint.js"
import * as ErrorCode from "./ErrorCode.js"
import * as Hosts from "./Hosts.js"
import * as httpDate from "./internal/httpDate.js"
import { isRecord } from "./internal/loosen.js"
import * as Lenient from "./Lenient.js"
import * as WireJson from "./WireJson.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface WireResponse {
  readonly status: number
  /** with lower-case names */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
  /**
   * milliseconds since the epoch; what the platform states as a time of day is counted from the answer's own `Date`, if
   * that is within a day of this
   */
  readonly receivedAt: number
}

interface Failed {
  readonly code: string
  readonly subCode: string | undefined
  readonly message: string | undefined
  readonly requestId: string | undefined
  readonly scopes: ReadonlyArray<string>
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined

const SUB_CODE = /subcode=([^,\]\s]+)/i
// Bounded, and never over a second bracket: anything else takes quadratic time on a text made of brackets.
const REQUIRED_SCOPES = /requiredScopes=\[([^[\]]{0,2000})\]/
const SCOPES_IN_TEXT = /[：:]\s{0,8}\[([^[\]]{1,2000})\]/
const APPLY_LINK = /https:\/\/open-dev\.dingtalk\.(?:com|io)\/appscope\/apply\?content=[\w.%-]+/
const PENALTY_END = /(?:限制|处罚)将在\s*(\d{4}-\d\d-\d\d)\s+(\d\d:\d\d:\d\d)\s*结束/
const REQUEST_IP = /request ip\s*=\s*([0-9a-fA-F.:]+)/
// What Alibaba's guard puts into the pages that it answers instead of DingTalk. Source: reference 5.
const GUARD_PAGE = /punish|x5sec|x5referer|_____tmd_____|"source"\s*:\s*"x5"/i

const listOf = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined ? [] : text.split(",").map((scope) => scope.trim()).filter((scope) => scope !== "")

const scopesOf = (detail: unknown, message: string | undefined): ReadonlyArray<string> => {
  const required = isRecord(detail) ? detail["requiredScopes"] : undefined
  const named = (Array.isArray(required) ? required : [required]).filter((scope) => typeof scope === "string")
  if (named.length > 0) return named
  if (message === undefined) return []
  return listOf(REQUIRED_SCOPES.exec(message)?.[1] ?? SCOPES_IN_TEXT.exec(message)?.[1])
}

/** `errcode` in all the shapes of reference 4.2; `undefined` where the body does not speak of a failure. */
const legacyFailure = (body: Record<string, unknown>): Failed | undefined => {
  const top = isRecord(body["error_response"]) ? body["error_response"] : undefined
  const from = top ?? body
  const code = top === undefined ? textOf(from["errcode"]) : textOf(from["code"] ?? from["errcode"]) ?? ""
  if (code === undefined || (top === undefined && Number(code) === 0)) return undefined
  const message = textOf(from["errmsg"]) ?? textOf(from["msg"])
  const subCode = textOf(from["sub_code"]) || textOf(from["subcode"]) ||
    (code === "88" && message !== undefined ? SUB_CODE.exec(message)?.[1] : undefined)
  return {
    code,
    subCode,
    message: textOf(from["sub_msg"]) ?? message,
    requestId: textOf(from["request_id"]) ?? textOf(body["request_id"]) ?? textOf(body["requestId"]),
    scopes: scopesOf(undefined, message ?? textOf(from["sub_msg"]))
  }
}

/** Source: reference 4.1. */
const modernFailure = (body: Record<string, unknown>): Failed => {
  const message = textOf(body["message"]) ?? textOf(body["Message"]) ?? textOf(body["Description"])
  return {
    code: textOf(body["code"]) ?? textOf(body["Code"]) ?? "",
    subCode: undefined,
    message,
    requestId: textOf(body["requestid"]) ?? textOf(body["requestId"]) ?? textOf(body["RequestId"]),
    scopes: scopesOf(body["accessdenieddetail"] ?? body["AccessDeniedDetail"], message)
  }
}

const notNegative = (millis: number): Duration.Duration | undefined =>
  Number.isFinite(millis) ? Duration.millis(Math.max(0, millis)) : undefined

const MINUTE = 60 * 1000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A machine's clock may be wrong by hours, so the server's counts; one that is more than a day away is wrong itself. */
const serverTime = ({ headers, receivedAt }: WireResponse): number => {
  const date = httpDate.parse(headers["date"] ?? "", receivedAt)
  return date !== undefined && Math.abs(date - receivedAt) <= DAY ? date : receivedAt
}

/** Seconds or an HTTP date; DingTalk was never seen to send it, the gateways of others do. */
const retryAfterHeader = (response: WireResponse): Duration.Duration | undefined => {
  const header = response.headers["retry-after"]
  if (header === undefined) return undefined
  if (/^\s*\d{1,12}\s*$/.test(header)) return notNegative(Number(header) * 1000)
  const date = httpDate.parse(header, response.receivedAt)
  return date === undefined ? undefined : notNegative(date - serverTime(response))
}

/**
 * `限制将在 2026-09-03 00:01:03 结束`, a time of day in China. Source: reference 4.3. The longest that is documented is 5
 * minutes: an end that is hours away is a clock's mistake, and a minute is what the limiter waits for then.
 */
const penalty = (response: WireResponse, message: string | undefined): Duration.Duration | undefined => {
  const end = message === undefined ? null : PENALTY_END.exec(message)
  if (end === null) return undefined
  const millis = Date.parse(`${end[1]}T${end[2]}+08:00`) - serverTime(response)
  return notNegative(millis > HOUR ? MINUTE : millis)
}

const BAN = Duration.minutes(5)

/** Without the fields that nobody filled, which would only be noise when the error is printed. */
const defined = <A extends object>(fields: A): A =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as A

const toError = (
  meaning: ErrorCode.Meaning,
  context: ErrorContext,
  failed: Failed,
  endpoint: Pick<Endpoint.Any, "permission">,
  response: WireResponse,
  hosts: Hosts.Hosts
): CommonError => {
  const { advice } = meaning
  switch (meaning.kind) {
    case "TokenExpired":
      return new TokenExpired(context)
    case "InvalidCredentials":
      return new InvalidCredentials(defined({ ...context, advice }))
    case "PermissionDenied":
      return new PermissionDenied(defined({
        ...context,
        advice,
        scopes: failed.scopes.length > 0 || endpoint.permission === undefined
          ? failed.scopes
          : [endpoint.permission.scope],
        permissionName: failed.scopes.length === 0 || failed.scopes.includes(endpoint.permission?.scope ?? "")
          ? endpoint.permission?.name
          : undefined,
        applyAt: APPLY_LINK.exec(failed.message ?? "")?.[0] ?? hosts.console
      }))
    case "OutOfScope":
      return new OutOfScope(defined({ ...context, advice }))
    case "RateLimited":
      return new RateLimited(defined({
        ...context,
        advice,
        dimension: meaning.dimension ?? "Unknown",
        retryAfter: penalty(response, failed.message) ?? retryAfterHeader(response)
      }))
    case "QuotaExhausted":
      return new QuotaExhausted(context)
    case "IpNotAllowed":
      return new IpNotAllowed(defined({ ...context, ip: REQUEST_IP.exec(failed.message ?? "")?.[1] }))
    case "IpBanned":
      return new IpBanned(defined({ ...context, retryAfter: BAN }))
    case "InvalidRequest":
      return new InvalidRequest(defined({ ...context, advice }))
    case "Unavailable":
      return new Unavailable(defined({ ...context, retryAfter: retryAfterHeader(response) }))
    // These are errors of their own only for endpoints that say so.
    case "InvalidAuthCode":
    case "UserNotFound":
    case "DepartmentNotFound":
    case "RoleNotFound":
    case "ApiError":
      return new ApiError(defined({ ...context, advice }))
  }
}

/** No code to go by: only here does the status decide. */
const meaningOfStatus = (status: number): ErrorCode.Meaning =>
  status === 429
    ? { kind: "RateLimited", dimension: "Unknown" }
    : status >= 500
    ? { kind: "Unavailable" }
    : { kind: "ApiError" }

type Read = (response: WireResponse, hosts: Hosts.Hosts) => Either.Either<any, any>

const compile = (endpoint: Endpoint.Any): Read => {
  const decode = Lenient.decode(endpoint.success)
  const ofVoid = endpoint.success.ast._tag === "VoidKeyword" || endpoint.success.ast._tag === "UndefinedKeyword"
  const own = new Map(endpoint.failures.flatMap(({ codes, error }) => codes.map((code) => [code, error] as const)))
  const withToken = (endpoint.credential as Credential) !== "none"

  const unreadable = (response: WireResponse, description: string, path?: string) =>
    Either.left(
      new TransportError(defined({
        endpoint: endpoint.name,
        status: response.status,
        requestId: response.headers["x-acs-request-id"],
        reason: "Decode" as const,
        description,
        path
      }))
    )

  const fail = (response: WireResponse, failed: Failed, hosts: Hosts.Hosts) => {
    const context = defined<ErrorContext>({
      endpoint: endpoint.name,
      code: failed.code === "" ? undefined : failed.code,
      subCode: failed.subCode,
      status: response.status,
      platformMessage: failed.message,
      requestId: failed.requestId ?? response.headers["x-acs-request-id"]
    })
    // A sub-code beside any other code is a text of the gateway's own, which says nothing of ours.
    const code = failed.code === "88" ? failed.subCode ?? failed.code : failed.code
    const OwnError = own.get(code)
    const meaning = ErrorCode.meaningOf(code, {
      status: response.status,
      withToken,
      gateway: failed.code === "88"
    })
    if (OwnError !== undefined) return Either.left(new OwnError(defined({ ...context, advice: meaning?.advice })))
    return Either.left(toError(meaning ?? meaningOfStatus(response.status), context, failed, endpoint, response, hosts))
  }

  const notJson = (response: WireResponse, hosts: Hosts.Hosts) => {
    const start = response.body.trimStart()[0]
    // JSON that was cut holds people's texts, in which the guard's words may occur.
    if (start !== "{" && start !== "[" && GUARD_PAGE.test(response.body)) return Either.left(banned(response))
    if (response.status >= 500 || response.status === 429) return fail(response, NO_BODY, hosts)
    const kind = start === "<" ? "an HTML or XML page" : "text that is not JSON"
    return unreadable(
      response,
      `the answer is ${kind}: a proxy on the way, or DingTalk's guard after too many calls from this address`
    )
  }

  const banned = (response: WireResponse) =>
    new IpBanned({ endpoint: endpoint.name, status: response.status, retryAfter: BAN })

  const succeed = (response: WireResponse, value: unknown) => {
    if (ofVoid) return Either.right(undefined)
    const decoded = decode(value)
    if (Either.isRight(decoded)) return decoded
    const { path, reason } = decoded.left
    const root = endpoint.envelope === "result" ? "result" : "body"
    return unreadable(response, reason, path === "" ? root : path.startsWith("[") ? root + path : `${root}.${path}`)
  }

  return (response, hosts) => {
    const { status } = response
    if (status < 200 || (status >= 300 && status < 400)) {
      return unreadable(
        response,
        `the answer is a redirect (HTTP ${status}), which is not followed: it would carry the token away`
      )
    }
    const isOk = status < 300
    if (response.body === "") {
      if (!isOk) return fail(response, NO_BODY, hosts)
      return ofVoid ? Either.right(undefined) : unreadable(response, "the answer has no body")
    }
    const parsed = WireJson.parse(response.body)
    if (Either.isLeft(parsed)) return notJson(response, hosts)
    const body = parsed.right
    if (!isRecord(body)) {
      if (!isOk) return fail(response, NO_BODY, hosts)
      return endpoint.envelope === "body"
        ? succeed(response, body)
        : unreadable(response, "the answer is not an object")
    }
    if (
      body["punish"] === "deny" ||
      (textOf(body["status"]) === "1111" && body["errcode"] === undefined && "punish" in body)
    ) {
      return Either.left(banned(response))
    }
    // Paths that do not exist are answered in the legacy shape on the new gateway too, with HTTP 200.
    const legacy = legacyFailure(body)
    if (legacy !== undefined) return fail(response, legacy, hosts)
    if (!isOk) return fail(response, modernFailure(body), hosts)
    return succeed(response, endpoint.envelope === "result" ? body["result"] : body)
  }
}

const NO_BODY: Failed = { code: "", subCode: undefined, message: undefined, requestId: undefined, scopes: [] }

const compiled = new WeakMap<Endpoint.Any, Read>()

/**
 * Reads an answer: the endpoint's success, or the one error that the answer means. Pure, and it never throws. `hosts` is
 * for the console's address in messages alone.
 *
 * @since 0.1.0
 * @category decoding
 * @example
 * ```ts
 * import { Contact, WireResponse } from "@effect-dingtalk/core"
 * import { Either } from "effect"
 *
 * const answer = WireResponse.decode(Contact.GetUser, {
 *   status: 200,
 *   headers: {},
 *   body: `{"errcode":60121,"errmsg":"找不到该用户","request_id":"16m9qc9gk65kv"}`,
 *   receivedAt: 0
 * })
 * console.log(Either.getOrThrow(Either.flip(answer))._tag) // UserNotFound
 * ```
 */
export const decode = <P, S, E, Auth extends Credential, SI>(
  endpoint: Endpoint<P, S, E, Auth, SI>,
  response: WireResponse,
  hosts: Hosts.Hosts = Hosts.com
): Either.Either<S, CommonError | E> => {
  let read = compiled.get(endpoint)
  if (read === undefined) compiled.set(endpoint, read = compile(endpoint))
  return read(response, hosts)
}
