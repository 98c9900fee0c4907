import * as Either from "effect/Either"
import type { Application } from "../Organization.js"
import type { Answer } from "./answer.js"
import { apiError, oapiError, oapiRefusal } from "./answer.js"
import type { Call } from "./call.js"
import { parseObject } from "./call.js"
import type { AccessToken, Acting, Org, Session, State } from "./state.js"
import { actingIn, isIpAllowed, live, lookUp, organizationIn } from "./state.js"

type Refused<A> = Either.Either<A, Answer>

export interface UserAccess {
  readonly app: Application
  readonly session: Session
  readonly org: Org
}

/** The header of the new gateway. Source: reference 3 [P]. */
export const apiToken = (call: Call): Refused<string> => {
  const token = call.headers["x-acs-dingtalk-access-token"]
  return token === undefined || token.trim() === ""
    ? Either.left(
      apiError(call, 400, "AuthenticationFailed.MissingParameter", "缺少参数：x-acs-dingtalk-access-token")
    )
    : Either.right(token)
}

/** Source: reference 4.1 [R]. */
export const badApiToken = (call: Call): Answer => apiError(call, 400, "InvalidAuthentication", "不合法的access_token")

/** What a stopped app and a foreign address get. Only the codes are documented [D], the text of the first is [I]. */
export const checkApiClient = (call: Call, app: Application): Refused<Application> => {
  if (!app.enabled) return Either.left(apiError(call, 401, "unauthorized.client", "应用已停用"))
  return isIpAllowed(app, call.remoteAddress)
    ? Either.right(app)
    : Either.left(apiError(call, 403, "Forbidden.AccessDenied.IpNotInWhiteList", "访问ip不在白名单之中"))
}

/**
 * The user's token of a call to the new gateway. Source: reference 3 and 4.1. The token of an app gets the answer of a
 * bad one [I]; so does an expired token [R], although the documentation also lists `accesstoken.expired` [D].
 */
export const userAccess = (state: State, call: Call, scope: string): Refused<UserAccess> =>
  Either.gen(function*() {
    const found = live(state.accessTokens, yield* apiToken(call), call.now)
    const client = lookUp(state.clients, found?.clientId)
    const session = found?.session
    const org = session === undefined ? undefined : organizationIn(state, session.corpId)
    if (session === undefined || client === undefined || org === undefined) return yield* Either.left(badApiToken(call))
    // A person may sign in to an app that the organisation has not authorised [I].
    const app = actingIn(state, client, org.corpId)?.app ?? client.app
    yield* checkApiClient(call, app)
    // A sign-in without `prompt=consent` ends here as well (reference 1.8 [R]).
    if (!app.permissions.includes(scope) || !session.consented) {
      return yield* Either.left(apiError(
        call,
        403,
        "Forbidden.AccessDenied.AccessTokenPermissionDenied",
        "没有调用该接口的权限，接口权限申请参考：https://open.dingtalk.com/document/orgapp-server/add-api-permission",
        { accessdenieddetail: { requiredScopes: [scope] } }
      ))
    }
    return { app, session, org }
  })

/**
 * The app behind a token, and the one organisation that the token reaches. The platform does not say what becomes of
 * the tokens of an organisation that takes its authorisation back: here they end [I].
 */
const actingWith = (state: State, found: AccessToken | undefined): Acting | undefined => {
  const client = found?.kind === "app" ? lookUp(state.clients, found.clientId) : undefined
  const acting = client === undefined ? undefined : actingIn(state, client, found!.corpId)
  return acting?.epoch === found?.epoch ? acting : undefined
}

/** The app's token of a call to the new gateway. A user's token is no token here [I]. */
export const apiAppAccess = (state: State, call: Call): Refused<Acting> =>
  Either.gen(function*() {
    const acting = actingWith(state, live(state.accessTokens, yield* apiToken(call), call.now))
    if (acting === undefined) return yield* Either.left(badApiToken(call))
    yield* checkApiClient(call, acting.app)
    return acting
  })

const oapiToken = (call: Call): string | undefined => {
  const inQuery = call.query.get("access_token")
  if (inQuery !== null) return inQuery
  return call.contentType === "form" ? new URLSearchParams(call.body).get("access_token") ?? undefined : undefined
}

/** Source: reference 4.2 [R], the text of 2026-09-09. */
const permissionMissing = (app: Application, scope: string): string =>
  `应用尚未开通所需的权限：[${scope}]，点击链接申请并开通即可：https://open-dev.dingtalk.com/appscope/apply?content=${
    encodeURIComponent(app.clientId)
  }%23${scope}, {requiredScopes=[${scope}]}`

export const ipRefusal = (ip: string, clientId: string): string =>
  `访问ip不在白名单之中,request ip=${ip} appKey(${clientId})`

/**
 * The app's token of a call to the legacy gateway; without a `scope`, no permission is needed. A user's token is no
 * token here [I].
 */
export const appAccess = (state: State, call: Call, scope?: string): Refused<Acting> => {
  const token = oapiToken(call)
  if (token === undefined || token.trim() === "") {
    return Either.left(oapiRefusal(call, "40000", "access_token is blank"))
  }
  const acting = actingWith(state, live(state.accessTokens, token, call.now))
  if (acting === undefined) {
    // Old paths were seen to answer flat (reference 4.2 [R]); that this one does is [I].
    return Either.left(
      call.path.startsWith("/topapi/")
        ? oapiRefusal(call, "40014", "不合法的access_token")
        : oapiError(call, 40014, "不合法的access_token")
    )
  }
  const { app } = acting
  // The code is documented, the shape is [I].
  if (!app.enabled) return Either.left(oapiRefusal(call, "50003", "应用已停用"))
  if (!isIpAllowed(app, call.remoteAddress)) {
    return Either.left(oapiRefusal(call, "60020", ipRefusal(call.remoteAddress, app.clientId)))
  }
  return scope === undefined || app.permissions.includes(scope)
    ? Either.right(acting)
    : Either.left(oapiRefusal(call, "60011", permissionMissing(app, scope)))
}

/** Values of a form that are lists or objects are JSON in a string (reference 3). */
export const oapiFields = (call: Call): Refused<Readonly<Record<string, unknown>>> => {
  if (call.contentType === "form") return Either.right(Object.fromEntries(new URLSearchParams(call.body)))
  if (call.body.trim() === "") return Either.right({})
  const fields = parseObject(call.body)
  // The code is documented; text and shape are [I].
  return fields === undefined ? Either.left(oapiError(call, 47001, "解析JSON/XML内容错误")) : Either.right(fields)
}

/** The code and the text are documented for these endpoints, the shape is [I]. */
export const oapiText = (
  call: Call,
  fields: Readonly<Record<string, unknown>>,
  name: string
): Refused<string> => {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  const text = typeof value === "number" || typeof value === "boolean" ? String(value) : value
  return typeof text === "string" && text !== ""
    ? Either.right(text)
    : Either.left(oapiError(call, 400002, "无效的参数"))
}

/** Source: reference 1.2, `Missingbody` [R]. That unreadable JSON has a code of its own is [I]. */
export const apiFields = (call: Call): Refused<Readonly<Record<string, unknown>>> => {
  if (call.body.trim() === "" || call.contentType === "form" || call.contentType === "other") {
    return Either.left(missing(call, "body"))
  }
  const fields = parseObject(call.body)
  return fields === undefined
    ? Either.left(apiError(call, 400, "commonParamIllegal", "body is not a JSON object"))
    : Either.right(fields)
}

/** Source: reference 4.1, `Missing<name>` [R]. */
export const missing = (call: Call, name: string): Answer =>
  apiError(call, 400, `Missing${name}`, `${name} is mandatory for this action.`)

export const apiText = (call: Call, fields: Readonly<Record<string, unknown>>, name: string): Refused<string> => {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (value === undefined || value === null || value === "") return Either.left(missing(call, name))
  return typeof value === "string"
    ? Either.right(value)
    : Either.left(apiError(call, 400, "commonParamIllegal", `${name} is not a string`))
}
