import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { apiFields, apiText, apiToken, badApiToken, checkApiClient, ipRefusal, missing, oapiFields } from "./access.js"
import type { Answer, Handler } from "./answer.js"
import { api, apiError, oapi, oapiError } from "./answer.js"
import type { Call } from "./call.js"
import { clientOf } from "./oauth2.js"
import type { Acting, Client, State, SuiteClient } from "./state.js"
import {
  actingIn,
  agentIdOf,
  authorizedBy,
  isIpAllowed,
  issueAppToken,
  issueOtherToken,
  isSuite,
  listed,
  live,
  lookUp
} from "./state.js"

type Refused<A> = Either.Either<A, Answer>

const isTicketGood = (state: State, { app, suite }: SuiteClient, ticket: unknown): boolean =>
  suite.acceptsAnyTicket ||
  (typeof ticket === "string" && Option.contains(HashMap.get(state.suiteTickets, app.clientId), ticket))

// Source: reference 1.6 [D]. That nothing at all is answered like a wrong one is [I]: an app that was developed for one
// customer may send anything.
const badTicket = (call: Call) => apiError(call, 400, "invalidSuiteTicket", "suiteTicket无效")

/**
 * `POST /v1.0/oauth2/corpAccessToken`: reference 1.6. Code and text of a bad key were seen [P], the other ones are
 * documented [D]; what a bad secret gets is that of `suiteAccessToken` [I].
 */
export const getCorpAccessToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const suiteKey = yield* apiText(call, fields, "suiteKey")
    const suiteSecret = yield* apiText(call, fields, "suiteSecret")
    const authCorpId = yield* apiText(call, fields, "authCorpId")
    if (!isSuite(lookUp(state.clients, suiteKey))) return apiError(call, 400, "invalidSuiteKey", "suitekey不合法")
    const client = clientOf(state, suiteKey, suiteSecret)
    if (!isSuite(client)) {
      return apiError(call, 400, "invalidClientIdOrSecret", "clientId或者clientSecret错误")
    }
    if (!isTicketGood(state, client, fields["suiteTicket"])) return badTicket(call)
    const acting = actingIn(state, client, authCorpId)
    if (acting === undefined) return apiError(call, 400, "invalidAuthInfo", "授权关系不存在")
    yield* checkApiClient(call, client.app)
    const issued = issueAppToken(state, acting, call.now, call.ids)
    return { ...api(call, { accessToken: issued.token, expireIn: acting.app.tokenLifetime }), state: issued.state }
  }))

/** `POST /v1.0/oauth2/suiteAccessToken`: reference 1.6 [D]. */
export const getSuiteAccessToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* apiFields(call)
    const suiteKey = yield* apiText(call, fields, "suiteKey")
    const suiteSecret = yield* apiText(call, fields, "suiteSecret")
    const client = clientOf(state, suiteKey, suiteSecret)
    if (!isSuite(client)) {
      return apiError(call, 400, "invalidClientIdOrSecret", "clientId或者clientSecret错误")
    }
    if (!isTicketGood(state, client, fields["suiteTicket"])) return badTicket(call)
    yield* checkApiClient(call, client.app)
    const lifetime = client.app.tokenLifetime
    const issued = issueOtherToken(state, "suite", { clientId: suiteKey, corpId: "", lifetime }, call.now, call.ids)
    return { ...api(call, { accessToken: issued.token, expireIn: lifetime }), state: issued.state }
  }))

interface Info {
  readonly agentId: number
  readonly admins: ReadonlyArray<string>
  readonly userid: string
  readonly acting: Acting
}

const infoOf = (state: State, client: SuiteClient, corpId: string): Info | undefined => {
  const authorized = authorizedBy(state, client, corpId)
  const acting = actingIn(state, client, corpId)
  if (authorized === undefined || acting === undefined) return undefined
  const users = listed(acting.org.users)
  const admins = users.filter(({ admin }) => admin === true).map(({ userid }) => userid)
  return {
    acting,
    admins,
    agentId: agentIdOf(client.app.clientId, authorized.authorization),
    userid: authorized.authorization.userid ?? admins[0] ?? users[0]?.userid ?? ""
  }
}

/**
 * `GET /v1.0/oauth2/apps/authInfo`, with the suite's token in the header. Fields: reference 1.6 [S], and their values
 * are [I]. `orgNotExist` is documented without a text [D]; that it stands for a missing authorisation, too, is [I], and
 * so is what a bad token gets.
 */
export const getAuthInfo: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const found = live(state.accessTokens, yield* apiToken(call), call.now)
    const client = found?.kind === "suite" ? lookUp(state.clients, found.clientId) : undefined
    if (!isSuite(client)) return badApiToken(call)
    yield* checkApiClient(call, client.app)
    const corpId = call.query.get("authCorpId") ?? ""
    if (corpId === "") return missing(call, "authCorpId")
    const info = infoOf(state, client, corpId)
    return info === undefined ? apiError(call, 400, "orgNotExist", "企业不存在") : api(call, {
      authAppInfo: {
        agentList: [{
          agentId: info.agentId,
          agentName: client.app.name,
          appId: client.suite.appId,
          adminList: info.admins
        }]
      },
      authCorpInfo: {
        corpName: info.acting.org.corpName,
        corpLogoUrl: "https://static-legacy.dingtalk.com/xxx",
        industry: "201",
        inviteCode: "",
        inviteUrl: "",
        licenseCode: "",
        authChannel: "",
        authChannelType: "",
        authLevel: 0
      },
      authUserInfo: { userId: info.userid }
    })
  }))

const text = (fields: Readonly<Record<string, unknown>>, name: string): string => {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === "string" ? value : ""
}

/** The codes are documented, their shape is [I]. */
const checkOapiClient = (call: Call, { app }: Client): Refused<void> => {
  if (!app.enabled) return Either.left(oapiError(call, 50003, "应用已停用"))
  return isIpAllowed(app, call.remoteAddress)
    ? Either.right(undefined)
    : Either.left(oapiError(call, 60020, ipRefusal(call.remoteAddress, app.clientId)))
}

/** Reference 4.3 [D]. */
const noSuchTicket = (call: Call) => oapiError(call, 40085, "不存在的suiteticket")

/**
 * `POST /service/get_suite_token`: reference 1.1, T8. The codes are those of reference 4.3 [D]; that they come flat,
 * and what a missing field gets, is [I].
 */
export const getSuiteToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const fields = yield* oapiFields(call)
    const client = clientOf(state, text(fields, "suite_key"), text(fields, "suite_secret"))
    if (!isSuite(client)) return oapiError(call, 40088, "不合法的套件key或secret")
    if (!isTicketGood(state, client, fields["suite_ticket"])) return noSuchTicket(call)
    yield* checkOapiClient(call, client)
    const { clientId, tokenLifetime } = client.app
    const issued = issueOtherToken(
      state,
      "suite",
      { clientId, corpId: "", lifetime: tokenLifetime },
      call.now,
      call.ids
    )
    return {
      ...oapi(call, { errcode: 0, errmsg: "ok", suite_access_token: issued.token, expires_in: tokenLifetime }),
      state: issued.state
    }
  }))

/** What has to be signed, and by whose secret: reference 1.6 [D]. */
export const signed = (
  state: State,
  call: Pick<Call, "query">
): { readonly client: Client; readonly text: string } | undefined => {
  const client = lookUp(state.clients, call.query.get("accessKey") ?? "")
  return client === undefined
    ? undefined
    : { client, text: `${call.query.get("timestamp") ?? ""}\n${call.query.get("suiteTicket") ?? ""}` }
}

/**
 * `POST /service/get_corp_token`: reference 1.1, T6, and 1.6. Of the codes of a bad signature only the numbers are
 * known: which stands for what is [I]. That any time will do, whatever the emulator's clock says, is [I].
 */
export const getCorpToken: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const [accessKey, timestamp, , signature] = ["accessKey", "timestamp", "suiteTicket", "signature"]
      .map((name) => call.query.get(name) ?? "") as [string, string, string, string]
    if (accessKey === "" || signature === "") return oapiError(call, 853001, "缺少参数 accessKey or signature")
    const client = lookUp(state.clients, accessKey)
    if (!isSuite(client)) return oapiError(call, 853002, "不合法的accessKey")
    if (!/^\d{1,16}$/.test(timestamp)) return oapiError(call, 853003, "不合法的timestamp")
    if (signature !== call.signature) return oapiError(call, 853004, "签名不匹配")
    if (!isTicketGood(state, client, call.query.get("suiteTicket"))) return noSuchTicket(call)
    const corpId = text(yield* oapiFields(call), "auth_corpid")
    // Codes: reference 4.3 [D]; that these are the ones is [I].
    if (corpId === "") return oapiError(call, 41002, "缺少corpid参数")
    const acting = actingIn(state, client, corpId)
    if (acting === undefined) return oapiError(call, 41030, "企业未对该套件授权")
    yield* checkOapiClient(call, client)
    const issued = issueAppToken(state, acting, call.now, call.ids)
    return {
      ...oapi(call, { errcode: 0, errmsg: "ok", access_token: issued.token, expires_in: acting.app.tokenLifetime }),
      state: issued.state
    }
  }))

/**
 * `POST /service/get_auth_info`, the legacy form of `authInfo` and the one endpoint here that looks at a suite's token
 * on the legacy gateway. Request and fields are from clients [C]; the codes are those of reference 4.3 [D], and that an
 * expired token has another one than an unknown one is [I].
 */
export const getServiceAuthInfo: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const token = call.query.get("suite_access_token") ?? ""
    const found = Option.getOrUndefined(HashMap.get(state.accessTokens, token))
    const client = found?.kind === "suite" ? lookUp(state.clients, found.clientId) : undefined
    if (found === undefined || !isSuite(client)) return oapiError(call, 40082, "不合法的suitetoken")
    if (found.expiresAt <= call.now) return oapiError(call, 42009, "suitetoken失效")
    yield* checkOapiClient(call, client)
    const info = infoOf(state, client, text(yield* oapiFields(call), "auth_corpid"))
    return info === undefined ? oapiError(call, 41030, "企业未对该套件授权") : oapi(call, {
      errcode: 0,
      errmsg: "ok",
      auth_corp_info: { corpid: info.acting.org.corpId, corp_name: info.acting.org.corpName },
      auth_user_info: { userId: info.userid },
      auth_info: { agent: [{ agentid: info.agentId, agent_name: client.app.name, appid: client.suite.appId }] }
    })
  }))
