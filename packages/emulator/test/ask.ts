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
