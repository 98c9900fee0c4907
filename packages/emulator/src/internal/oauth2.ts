import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Redacted from "effect/Redacted"
import type { Application } from "../Organization.js"
import { apiFields, apiText, checkApiClient, ipRefusal } from "./access.js"
import type { Answer, Handler } from "./answer.js"
import { api, apiError, oapi, oapiError } from "./answer.js"
import type { Call } from "./call.js"
import type { Client, Session, State } from "./state.js"
import {
  actingIn,
  isIpAllowed,
  issueAppToken,
  issueUserToken,
  live,
  lookUp,
  organizationIn,
  takeCode
} from "./state.js"

type Refused<A> = Either.Either<A, Answer>

/** The app that a pair of credentials belongs to. */
export const clientOf = (state: State, clientId: string, secret: string): Client | undefined => {
  const client = lookUp(state.clients, clientId)
  return client !== undefined && Redacted.value(client.app.clientSecret) === secret ? client : undefined
}

/** Source: reference 1.2 [P]. */
const authenticate = (state: State, call: Call, clientId: string, secret: string): Refused<Client> =>
  Either.gen(function*() {
    const client = clientOf(state, clientId, secret)
    if (client === undefined) {
      return yield* Either.left(apiError(call, 400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret"))
    }
    yield* checkApiClient(call, client.app)
    return client
  })

/** `POST /v1.0/oauth2/accessToken`: reference 1.2. That a third-party app has nothing to look for here is [I]. */
export const getAccessToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const appKey = yield* apiText(call, fields, "appKey")
    const appSecret = yield* apiText(call, fields, "appSecret")
    const client = yield* authenticate(state, call, appKey, appSecret)
    const acting = client.corpId === undefined ? undefined : actingIn(state, client, client.corpId)
    if (acting === undefined) return apiError(call, 400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
    const issued = issueAppToken(state, acting, call.now, call.ids)
    return { ...api(call, { accessToken: issued.token, expireIn: acting.app.tokenLifetime }), state: issued.state }
  }))

/** `GET /gettoken`: reference 1.3. The text for a missing secret alone is [I]. */
export const getToken: Handler = (state, call) => {
  const appKey = call.query.get("appkey") ?? ""
  const appSecret = call.query.get("appsecret") ?? ""
  if (appKey === "") return oapiError(call, 40035, "缺少参数 corpid or appkey")
  if (appSecret === "") return oapiError(call, 40035, "缺少参数 corpsecret or appsecret")
  const client = clientOf(state, appKey, appSecret)
  const acting = client?.corpId === undefined ? undefined : actingIn(state, client, client.corpId)
  if (acting === undefined) return oapiError(call, 40096, "不合法的appKey或appSecret")
  const { app } = acting
  if (!app.enabled) return oapiError(call, 50003, "应用已停用")
  if (!isIpAllowed(app, call.remoteAddress)) {
    return oapiError(call, 60020, ipRefusal(call.remoteAddress, app.clientId))
  }
  const issued = issueAppToken(state, acting, call.now, call.ids)
  return {
    ...oapi(call, { errcode: 0, access_token: issued.token, errmsg: "ok", expires_in: app.tokenLifetime }),
    state: issued.state
  }
}

/**
 * `POST /v1.0/oauth2/{corpId}/token`: reference 1.5. An invented client of an invented organisation was seen to get a
 * 500 [P]; the other codes are documented [D], which of them is for what, and all the texts, are [I]. Asking again is
 * not documented either: here it is what the app's other endpoint does [I].
 */
export const getOrganizationToken = (corpId: string): Handler => (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const clientId = yield* apiText(call, fields, "client_id")
    const secret = yield* apiText(call, fields, "client_secret")
    const grantType = yield* apiText(call, fields, "grant_type")
    if (grantType !== "client_credentials") {
      return apiError(call, 400, "unsupported.grant.type", "不支持的grant_type")
    }
    const client = clientOf(state, clientId, secret)
    if (client === undefined) {
      return lookUp(state.clients, clientId) === undefined && organizationIn(state, corpId) === undefined
        ? apiError(call, 500, "unknownError", "未知错误")
        : apiError(call, 400, "invalid.client", "无效的client_id或者client_secret")
    }
    const acting = actingIn(state, client, corpId)
    if (acting === undefined) return apiError(call, 401, "unauthorized.client", "企业未授权该应用")
    yield* checkApiClient(call, client.app)
    const issued = issueAppToken(state, acting, call.now, call.ids)
    return { ...api(call, { access_token: issued.token, expires_in: acting.app.tokenLifetime }), state: issued.state }
  }))

const badCode = (call: Call) => apiError(call, 400, "invalidParameter.authCode.notFound", "不合法的临时授权码")

interface Redeemed {
  readonly session: Session
  readonly state: State
}

const redeemRefreshToken = (state: State, app: Application, text: string, now: number): Redeemed | undefined => {
  const grant = live(state.refreshTokens, text, now)
  return grant === undefined || grant.clientId !== app.clientId
    ? undefined
    : { session: grant.session, state: { ...state, refreshTokens: HashMap.remove(state.refreshTokens, text) } }
}

/**
 * `POST /v1.0/oauth2/userAccessToken`: reference 1.4. Codes [C] and refresh tokens [S] are good for one exchange; what
 * a rejected refresh token gets was only seen through a proxy [I], and so was no answer to an unknown `grantType` [I].
 */
export const getUserToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const clientId = yield* apiText(call, fields, "clientId")
    const clientSecret = yield* apiText(call, fields, "clientSecret")
    const grantType = yield* apiText(call, fields, "grantType")
    if (grantType !== "authorization_code" && grantType !== "refresh_token") {
      return apiError(call, 400, "unsupported.grant.type", "不支持的grantType")
    }
    const text = yield* apiText(call, fields, grantType === "refresh_token" ? "refreshToken" : "code")
    const { app } = yield* authenticate(state, call, clientId, clientSecret)
    const redeemed = grantType === "refresh_token"
      ? redeemRefreshToken(state, app, text, call.now)
      : takeCode(state, "signIn", text, (code) => code.clientId === app.clientId, call.now)
    if (redeemed === undefined) return badCode(call)
    const { session } = redeemed
    const issued = issueUserToken(redeemed.state, app, session, call.now, call.ids)
    return {
      ...api(call, {
        expireIn: app.tokenLifetime,
        accessToken: issued.token,
        refreshToken: issued.refreshToken,
        ...(session.tellsCorpId ? { corpId: session.corpId } : {})
      }),
      state: issued.state
    }
  }))
