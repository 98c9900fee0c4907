import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { apiAppAccess, apiFields, apiText, apiToken, appAccess, missing } from "./access.js"
import type { Handler } from "./answer.js"
import { api, apiError, oapi } from "./answer.js"
import { issueJsapiTicket, issueOtherToken, live, lookUp, organizationIn, takeCode } from "./state.js"

/**
 * `POST /v1.0/oauth2/ssoAccessToken`: reference 1.1, T9, and 1.7. No failure is documented: what wrong credentials get
 * is that of the other endpoints [I].
 */
export const getSsoAccessToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const corpId = yield* apiText(call, fields, "corpid")
    const secret = yield* apiText(call, fields, "ssoSecret")
    const org = organizationIn(state, corpId)
    if (org?.ssoSecret === undefined || Redacted.value(org.ssoSecret) !== secret) {
      return apiError(call, 400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret")
    }
    const lifetime = state.ssoTokenLifetime
    const issued = issueOtherToken(state, "sso", { clientId: "", corpId, lifetime }, call.now, call.ids)
    return { ...api(call, { accessToken: issued.token, expireIn: lifetime }), state: issued.state }
  }))

/** `GET /v1.0/oauth2/ssoUserInfo`: reference 1.7 [D][S]. That the header may not be missing is [P] for other paths. */
export const getSsoUserInfo: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const found = live(state.accessTokens, yield* apiToken(call), call.now)
    const org = found?.kind === "sso" ? organizationIn(state, found.corpId) : undefined
    if (org === undefined) return apiError(call, 400, "invalidToken", "无效的token")
    const code = call.query.get("code") ?? ""
    if (code === "") return missing(call, "code")
    const taken = takeCode(state, "sso", code, ({ session }) => session.corpId === org.corpId, call.now)
    const user = lookUp(org.users, taken?.session.userid)
    // Whoever has left meanwhile cannot come in either [I].
    if (taken === undefined || user === undefined) return apiError(call, 400, "invalidCode", "无效的授权码")
    return {
      ...api(call, {
        corpId: org.corpId,
        corpName: org.corpName,
        userId: user.userid,
        email: user.email ?? "",
        userName: user.name,
        avatar: user.avatar ?? "",
        isAdmin: user.admin === true
      }),
      state: taken.state
    }
  }))

/** `POST /v1.0/oauth2/jsapiTickets`: reference 1.1, T10. That no permission is needed is [I]. */
export const createJsapiTicket: Handler = (state, call) =>
  Either.merge(Either.map(apiAppAccess(state, call), (acting) => {
    const issued = issueJsapiTicket(state, acting, call.now, call.ids)
    return { ...api(call, { jsapiTicket: issued.token, expireIn: acting.app.tokenLifetime }), state: issued.state }
  }))

/** `GET /get_jsapi_ticket`: reference 1.1, T11 [D]. That both endpoints give the same ticket is [I]. */
export const getJsapiTicket: Handler = (state, call) =>
  Either.merge(Either.map(appAccess(state, call), (acting) => {
    const issued = issueJsapiTicket(state, acting, call.now, call.ids)
    return {
      ...oapi(call, { errcode: 0, errmsg: "ok", ticket: issued.token, expires_in: acting.app.tokenLifetime }),
      state: issued.state
    }
  }))
