import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Redacted from "effect/Redacted"
import type { Application } from "../Organization.js"
import { apiFields, apiText, ipRefusal } from "./access.js"
import type { Answer, Handler } from "./answer.js"
import { api, apiError, oapi, oapiError } from "./answer.js"
import type { Call } from "./call.js"
import type { Grant, State } from "./state.js"
import { isIpAllowed, issueAppToken, issueUserToken, live } from "./state.js"

const isSecretOf = (app: Application, secret: string) => Redacted.value(app.clientSecret) === secret

/** Source: reference 1.2 [P]. What a stopped app and a foreign address get here is [I]. */
const authenticate = (
  state: State,
  call: Call,
  clientId: string,
  secret: string
): Either.Either<Application, Answer> => {
  const app = state.applications.get(clientId)
  if (app === undefined || !isSecretOf(app, secret)) {
    return Either.left(apiError(call, 400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret"))
  }
  if (!app.enabled) return Either.left(apiError(call, 401, "unauthorized.client", "应用已停用"))
  return isIpAllowed(app, call.remoteAddress)
    ? Either.right(app)
    : Either.left(apiError(call, 403, "Forbidden.AccessDenied.IpNotInWhiteList", "访问ip不在白名单之中"))
}

/** `POST /v1.0/oauth2/accessToken`: reference 1.2. */
export const getAccessToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const appKey = yield* apiText(call, fields, "appKey")
    const appSecret = yield* apiText(call, fields, "appSecret")
    const app = yield* authenticate(state, call, appKey, appSecret)
    const issued = issueAppToken(state, app, call.now, call.ids)
    return { ...api(call, { accessToken: issued.token, expireIn: app.tokenLifetime }), state: issued.state }
  }))

/** `GET /gettoken`: reference 1.3. The text for a missing secret alone is [I]. */
export const getToken: Handler = (state, call) => {
  const appKey = call.query.get("appkey") ?? ""
  const appSecret = call.query.get("appsecret") ?? ""
  if (appKey === "") return oapiError(call, 40035, "缺少参数 corpid or appkey")
  if (appSecret === "") return oapiError(call, 40035, "缺少参数 corpsecret or appsecret")
  const app = state.applications.get(appKey)
  if (app === undefined || !isSecretOf(app, appSecret)) return oapiError(call, 40096, "不合法的appKey或appSecret")
  if (!app.enabled) return oapiError(call, 50003, "应用已停用")
  if (!isIpAllowed(app, call.remoteAddress)) {
    return oapiError(call, 60020, ipRefusal(call.remoteAddress, app.clientId))
  }
  const issued = issueAppToken(state, app, call.now, call.ids)
  return {
    ...oapi(call, { errcode: 0, access_token: issued.token, errmsg: "ok", expires_in: app.tokenLifetime }),
    state: issued.state
  }
}

const badCode = (call: Call) => apiError(call, 400, "invalidParameter.authCode.notFound", "不合法的临时授权码")

// A code in the wrong hands stays good for its owner [I].
const redeem = (
  all: HashMap.HashMap<string, Grant>,
  call: Call,
  app: Application,
  text: string
): Either.Either<Grant, Answer> => {
  const grant = live(all, text, call.now)
  return grant === undefined || grant.clientId !== app.clientId ? Either.left(badCode(call)) : Either.right(grant)
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
    const app = yield* authenticate(state, call, clientId, clientSecret)
    const { session } = yield* redeem(
      grantType === "refresh_token" ? state.refreshTokens : state.codes,
      call,
      app,
      text
    )
    const spent: State = grantType === "refresh_token"
      ? { ...state, refreshTokens: HashMap.remove(state.refreshTokens, text) }
      : { ...state, codes: HashMap.remove(state.codes, text) }
    const issued = issueUserToken(spent, app, session, call.now, call.ids)
    return {
      ...api(call, {
        expireIn: app.tokenLifetime,
        accessToken: issued.token,
        refreshToken: issued.refreshToken,
        ...(session.corpId === undefined ? {} : { corpId: session.corpId })
      }),
      state: issued.state
    }
  }))
