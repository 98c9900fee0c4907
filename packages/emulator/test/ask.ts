import { Effect, Redacted } from "effect"
import type { Exchange } from "../src/index.js"
import { Emulator } from "../src/index.js"

export const ask = (request: Exchange.Request) =>
  Effect.flatMap(Emulator.Emulator, (emulator) => emulator.handle(request))

export const json = (response: Exchange.Response): Record<string, any> => JSON.parse(response.body)

const JSON_TYPE = { "content-type": "application/json" }

export const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  ask({
    method: "POST",
    path,
    headers: { ...JSON_TYPE, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

export const app = { appKey: "dingquickstart", appSecret: "quickstart-secret" }

export const appToken = Effect.map(
  post("/v1.0/oauth2/accessToken", app),
  (response) => json(response).accessToken as string
)

export const getUser = (body: unknown = { userid: "zhangsan" }) =>
  Effect.flatMap(appToken, (token) => post(`/topapi/v2/user/get?access_token=${token}`, body))

export const client = { clientId: "dingquickstart", clientSecret: "quickstart-secret" }

export const exchange = (code: string) =>
  post("/v1.0/oauth2/userAccessToken", { ...client, grantType: "authorization_code", code })

export const signIn = (scope?: "openid" | "openid corpid", userid = "zhangsan") =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    const code = yield* emulator.consent({ userid, scope })
    return json(yield* exchange(Redacted.value(code))) as {
      readonly accessToken: string
      readonly refreshToken: string
      readonly expireIn: number
      readonly corpId?: string
    }
  })

export const me = (token: string, unionId = "me") =>
  ask({
    method: "GET",
    path: `/v1.0/contact/users/${unionId}`,
    headers: { "X-Acs-Dingtalk-Access-Token": token }
  })

/** The text of an answer, with every token, ticket and id of its own time replaced. */
export const text = ({ body, status }: Exchange.Response): string =>
  `${status} ${
    body.replace(/\b[0-9a-f]{32}\b/g, "<32 hex>").replace(/[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}/g, "<uuid>")
      .replace(/"request_id":"[0-9a-z]{13}"/, "\"request_id\":\"…\"")
  }`

export const get = (path: string, token?: string) =>
  ask({ method: "GET", path, headers: token === undefined ? {} : { "x-acs-dingtalk-access-token": token } })

export const suiteTicket = (suiteKey?: string) =>
  Effect.flatMap(Emulator.Emulator, (emulator) => Effect.map(emulator.suiteTicket(suiteKey), Redacted.value))

export const SUITE = { suiteKey: "suitequickstart", suiteSecret: "suite-quickstart-secret" }

export const corpToken = (authCorpId: string, more: object = {}) =>
  Effect.flatMap(
    suiteTicket(),
    (ticket) => post("/v1.0/oauth2/corpAccessToken", { ...SUITE, authCorpId, suiteTicket: ticket, ...more })
  )

export const suiteToken = Effect.flatMap(
  suiteTicket(),
  (ticket) => post("/v1.0/oauth2/suiteAccessToken", { ...SUITE, suiteTicket: ticket })
)
