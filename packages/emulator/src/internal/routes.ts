import * as Contact from "@effect-dingtalk/core/Contact"
import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import type { Handler } from "./answer.js"
import { apiError, apiName, oapi, oapiError } from "./answer.js"
import type { Call } from "./call.js"
import * as contact from "./contact.js"
import * as oauth2 from "./oauth2.js"
import { signIn } from "./signIn.js"
import * as sso from "./sso.js"
import * as suite from "./suite.js"

type Declared = Pick<Endpoint.Any, "name" | "gateway" | "method" | "path">

interface Route {
  readonly endpoint: Declared
  readonly pattern: RegExp
  readonly handler: (parameter: string) => Handler
}

// Only name, verb and path come from the declaration: what is answered is written from the reference, so that a
// client and this emulator cannot share a mistake.
const route = ({ gateway, method, name, path }: Declared, handler: (parameter: string) => Handler): Route => ({
  endpoint: { gateway, method, name, path },
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replace(/\{\w+\}/g, "([^/]+)")}$`),
  handler
})

const gatewayOf = (path: string): Routed["gateway"] =>
  /^\/v\d+\.\d+\//.test(path) ? "api" : path === "/oauth2/auth" ? "login" : "oapi"

const literal = (name: string, method: "GET" | "POST", path: string, handler: Handler): Route =>
  route({ name, gateway: gatewayOf(path) === "api" ? "api" : "oapi", method, path }, () => handler)

/** The one endpoint whose requests are signed. */
export const CORP_TOKEN = "oauth2.getCorpToken"

const routes: ReadonlyArray<Route> = [
  route(OAuth2.GetAccessToken, () => oauth2.getAccessToken),
  route(OAuth2.GetUserToken, () => oauth2.getUserToken),
  route(Contact.GetUser, () => contact.getUser),
  route(Contact.GetUserByUnionId, () => contact.getUserByUnionId),
  route(Contact.GetProfile, contact.getProfile),
  literal("oauth2.getToken", "GET", "/gettoken", oauth2.getToken),
  route(
    {
      name: "oauth2.getOrganizationToken",
      gateway: "api",
      method: "POST",
      path: "/v1.0/oauth2/{corpId}/token"
    },
    oauth2.getOrganizationToken
  ),
  literal("oauth2.getCorpAccessToken", "POST", "/v1.0/oauth2/corpAccessToken", suite.getCorpAccessToken),
  literal("oauth2.getSuiteAccessToken", "POST", "/v1.0/oauth2/suiteAccessToken", suite.getSuiteAccessToken),
  literal("oauth2.getAuthInfo", "GET", "/v1.0/oauth2/apps/authInfo", suite.getAuthInfo),
  literal(CORP_TOKEN, "POST", "/service/get_corp_token", suite.getCorpToken),
  literal("oauth2.getSuiteToken", "POST", "/service/get_suite_token", suite.getSuiteToken),
  literal("oauth2.getServiceAuthInfo", "POST", "/service/get_auth_info", suite.getServiceAuthInfo),
  literal("oauth2.getSsoAccessToken", "POST", "/v1.0/oauth2/ssoAccessToken", sso.getSsoAccessToken),
  literal("oauth2.getSsoUserInfo", "GET", "/v1.0/oauth2/ssoUserInfo", sso.getSsoUserInfo),
  literal("oauth2.createJsapiTicket", "POST", "/v1.0/oauth2/jsapiTickets", sso.createJsapiTicket),
  literal("oauth2.getJsapiTicket", "GET", "/get_jsapi_ticket", sso.getJsapiTicket),
  literal("contact.getUserInfo", "POST", "/topapi/v2/user/getuserinfo", contact.getUserInfo)
]

export interface Routed {
  /** `undefined` where nothing is emulated */
  readonly endpoint: string | undefined
  readonly gateway: "api" | "oapi" | "login"
  readonly handler: Handler
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Reference 4.1 [R]. */
const noSuchAction: Handler = (_, call) =>
  apiError(call, 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")

/** Reference 4.2 [R]. */
const noSuchMethod: Handler = (_, call) => {
  const message = `不合法ApiName，ApiName = ${apiName(call.path)}`
  return oapi(call, {
    errcode: 22,
    sub_msg: message,
    errmsg: `Invalid method[submsg=${message}]`,
    request_id: call.ids.short()
  })
}

/** Reference 4.1 [P]; that every other path of the legacy host says the same is [I]. */
const noSuchUri: Handler = (_, call) => oapi(call, { errcode: 404, errmsg: "请求的URI地址不存在" })

/** The codes are documented, text and shape are [I]. */
const wrongVerb = (needed: string): Handler => (_, call) =>
  oapiError(call, needed === "GET" ? 43001 : 43002, `需要${needed}请求`)

const HINT = "x-emulator-hint"

const NOT_EMULATED = "not emulated; answer it with failNext(Fault.respond(...)) or POST /_emulator/faults"

/** The platform's own answer; only a header says that there is more to it. */
const hinted = (handler: Handler, hint: string): Handler => (state, call) => {
  const { response, ...rest } = handler(state, call)
  return { ...rest, response: { ...response, headers: { ...response.headers, [HINT]: hint } } }
}

const HOST = /^(api|oapi|login)\.dingtalk\.(?:com|io)(?::\d+)?$/i

const find = (call: Pick<Call, "method" | "path" | "headers">): Routed => {
  const gateway = gatewayOf(call.path)
  // One port answers for all hosts; but who names one in earnest has to name the right one [I].
  const host = HOST.exec(call.headers["host"] ?? "")?.[1]?.toLowerCase()
  if (host !== undefined && host !== gateway) {
    const hint = `a path of ${gateway}.dingtalk.com was asked of ${host}.dingtalk.com`
    return { endpoint: undefined, gateway, handler: hinted(noSuchUri, hint) }
  }
  if (gateway === "login") return { endpoint: "login.signIn", gateway, handler: signIn }
  let verb: string | undefined
  for (const { endpoint, handler, pattern } of routes) {
    const match = pattern.exec(call.path)
    if (match === null) continue
    if (endpoint.method === call.method) {
      return { endpoint: endpoint.name, gateway, handler: handler(decode(match[1] ?? "")) }
    }
    verb = endpoint.method
  }
  const handler = gateway === "api"
    ? noSuchAction
    : verb !== undefined
    ? wrongVerb(verb)
    : call.path.startsWith("/topapi/")
    ? noSuchMethod
    : noSuchUri
  const hint = verb === undefined ? NOT_EMULATED : `the verb of this path is ${verb}`
  return { endpoint: undefined, gateway, handler: hinted(handler, hint) }
}

// What garbage may not exceed.
const MAX_BODY = 1024 * 1024

/** The page of a reverse proxy [I]. */
const tooLarge: Handler = (_, call) => ({
  response: {
    status: 413,
    headers: {
      date: new Date(call.now).toUTCString(),
      server: "DingTalk/1.0.0",
      "content-type": "text/html;charset=utf-8"
    },
    body:
      "<html><head><title>413 Request Entity Too Large</title></head><body>413 Request Entity Too Large</body></html>"
  }
})

export const resolve = (call: Pick<Call, "method" | "path" | "headers" | "body">): Routed => {
  const found = find(call)
  return call.body.length > MAX_BODY ? { ...found, handler: tooLarge } : found
}
