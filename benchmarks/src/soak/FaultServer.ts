/**
 * The platform on a bad day. Every answer, right or wrong, names the request that it answers, so that an answer that
 * reaches another caller is seen; and a share of the requests meets one of the ways in which the platform, or what lies
 * before it, fails.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { GET_TOKEN } from "../answers.js"

/** Every secret holds this, and nothing else does: where it is found, a secret leaked. */
export const SENTINEL = "s3ntinel"
export const CLIENT_SECRET = `${SENTINEL}-client-secret`

export const nameOf = (id: string) => `name of ${id}`
export const requestIdOf = (id: string) => `request-${id}`
export const openIdOf = (id: string) => `open-${id}`
export const userTokenOf = (generation: number) => `${SENTINEL}-user-token-${generation}`
export const refreshTokenOf = (generation: number) => `${SENTINEL}-refresh-token-${generation}`

/** With the token of a user, of the app: two kinds of call of the new gateway. */
export const USERS = "/v1.0/contact/users/"
export const APP_USERS = "/v1.0/soak/users/"
const GET_USER_TOKEN = "/v1.0/oauth2/userAccessToken"

type Gateway = "api" | "oapi"

const BOTH = [
  "HTML",
  "cut body",
  "reset",
  "wrong shape",
  "secret repeated",
  "quota",
  "permission",
  "nobody",
  "foreign address"
] as const
const OAPI = ["throttled", "throttled by the gateway", "busy", "busy by status", ...BOTH] as const
const API = ["throttled", "over the limit", "too many requests", "busy by status", ...BOTH] as const
// These cost more than their own call: a hang a whole deadline, an expired token everybody who is under way theirs, a
// throttle that is not over yet a second or two of its endpoint.
const WAITS = [
  ["oapi", "wait, end stated"],
  ["api", "wait, end stated"],
  ["api", "wait, no end stated"],
  ["api", "wait, Retry-After in seconds"],
  ["oapi", "wait, end stated by the gateway"],
  ["api", "wait, Retry-After as a date"],
  ["api", "wait, Retry-After of a 503"]
] as const

type Name =
  | typeof OAPI[number]
  | typeof API[number]
  | typeof WAITS[number][1]
  | "hang"
  | "token rejected"
  | "user's token rejected"

export type Fault = `${Gateway}: ${Name}`

/** They come up in a run of a thousand calls. */
export const FREQUENT: ReadonlyArray<Fault> = [
  ...OAPI.map((name) => `oapi: ${name}` as const),
  ...API.map((name) => `api: ${name}` as const)
]
/** Counted and not diced, so that a run of 20,000 calls has them all. */
export const RARE: ReadonlyArray<Fault> = [
  "oapi: hang",
  "api: hang",
  "oapi: token rejected",
  "api: token rejected",
  "api: user's token rejected",
  ...WAITS.map(([gateway, name]) => `${gateway}: ${name}` as const)
]
export const FAULTS: ReadonlyArray<Fault> = [...FREQUENT, ...RARE]

// Whose call is the first to be told, one after the other.
const EXPIRIES: ReadonlyArray<Gateway | "user"> = ["oapi", "user", "api"]

// One in so many requests.
const HANG = 1500
const EXPIRY = 1000
const WAIT = 2500
/** … of the other share: while there is no token, nothing else comes up. */
const TOKEN_SHARE = 0.25

export interface Stats {
  readonly requests: number
  readonly tokenRequests: number
  /** of refresh tokens for the next, failed ones included */
  readonly refreshes: number
  readonly faults: { readonly [fault: string]: number }
  readonly openSockets: number
  readonly mostSockets: number
}

export interface FaultServer {
  readonly url: string
  readonly stats: () => Stats
  readonly close: () => Promise<void>
}

/** The same sequence for the same seed (mulberry32), so that a run can be had again. */
export const randomOf = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

type Headers = { readonly [name: string]: string }

const send = (response: ServerResponse, status: number, type: string, text: string, headers: Headers = {}) => {
  const body = Buffer.from(text)
  response.writeHead(status, { "content-type": type, "content-length": body.length, ...headers })
  response.end(body)
}

const json = (response: ServerResponse, body: unknown, status = 200, headers: Headers = {}) =>
  send(response, status, "application/json;charset=utf-8", JSON.stringify(body), headers)

const html = (response: ServerResponse) =>
  send(response, 502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")

/** As the platform says it, in whole seconds of its own time. */
const endIn = (seconds: number) => {
  const china = new Date(Date.now() + (seconds + 8 * 3600) * 1000).toISOString()
  return `将在 ${china.slice(0, 10)} ${china.slice(11, 19)} 结束`
}
// Most of them are over: the soak is there to go wrong often, not to wait.
const OVER = -1
const AHEAD = 2

const dateIn = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString()

const THROTTLES = [
  ["QpsLimitForAppkeyAndApi", "企业应用"],
  ["QpmLimitForAppkeyAndApi", "企业应用"],
  ["QpsLimitForApi", "服务器"],
  ["QpsLimitForSuitekeyAndOrgAndApi", "ISV应用"],
  ["QpmLimitForSuitekeyAndOrgAndApi", "ISV应用"]
] as const

const BUSY = [
  [500, "systemError", undefined],
  [503, "-", undefined],
  [504, "service.timeout", undefined],
  [500, "unknownError", "0"],
  [503, "system.busy", "in the past"]
] as const

const refuse = (response: ServerResponse, sub_code: string, sub_msg: string, request_id: string) =>
  json(response, {
    errcode: 88,
    sub_code,
    sub_msg,
    errmsg: `ding talk error[subcode=${sub_code},submsg=${sub_msg}]`,
    request_id
  })

const QUOTA = "您的企业本月api调用量已超过限制,调用量:10001次,额度:10000次,请登录开发者后台-资源管理-查看用量明细"

export const start = (options: { readonly share: number; readonly seed: number }): Promise<FaultServer> => {
  const random = randomOf(options.seed)
  const faults = new Map<Fault, number>(FAULTS.map((fault) => [fault, 0]))
  let requests = 0
  let tokenRequests = 0
  let refreshes = 0
  let openSockets = 0
  let mostSockets = 0
  let generation = 1
  let userGeneration = 1
  let refreshGeneration = 1
  let legacy = 0
  let modern = 0
  let shape = 0
  let expiries = 0
  let hangs = 0
  let waits = 0
  let nextExpiry = EXPIRY / 2
  let nextHang = HANG / 2
  let nextWait = WAIT / 5

  const tokenOf = (generation: number) => `${SENTINEL}-token-${generation}`

  const pick = <A>(from: ReadonlyArray<A>): A => from[shape++ % from.length]

  const faultFor = (gateway: Gateway, isUsers: boolean): Name | undefined => {
    if (random() >= options.share) return undefined
    const expiring = EXPIRIES[expiries % EXPIRIES.length]
    if (requests >= nextExpiry && expiring === (isUsers ? "user" : gateway)) {
      nextExpiry += EXPIRY
      expiries++
      return isUsers ? "user's token rejected" : "token rejected"
    }
    if (requests >= nextHang && gateway === (hangs % 2 === 0 ? "oapi" : "api")) {
      nextHang += HANG
      hangs++
      return "hang"
    }
    const [of, wait] = WAITS[waits % WAITS.length]
    if (requests >= nextWait && of === gateway) {
      nextWait += WAIT
      waits++
      return wait
    }
    // In turn: a short run has them all.
    return gateway === "oapi" ? OAPI[legacy++ % OAPI.length] : API[modern++ % API.length]
  }

  const user = (id: string) => ({
    errcode: 0,
    errmsg: "ok",
    result: {
      userid: id,
      unionid: `union-${id}`,
      name: nameOf(id),
      active: true,
      dept_id_list: [1, 919684607],
      dept_order_list: [{ dept_id: 1, order: 1 }],
      extension: `{"of":"${id}"}`
    },
    request_id: requestIdOf(id)
  })

  const profile = (id: string) => ({
    nick: nameOf(id),
    avatarUrl: "https://static-legacy.dingtalk.com/media/lADPDgQ9rBkfTdLNAljNAlg_600_600.jpg",
    openId: openIdOf(id),
    unionId: id,
    stateCode: "86",
    visitor: false
  })

  const shapes = (gateway: Gateway, id: string): ReadonlyArray<string> => [
    "[]",
    "null",
    "{}",
    "",
    ...(gateway === "oapi"
      ? [
        `{"errcode":0,"result":null,"request_id":"${requestIdOf(id)}"}`,
        `{"errcode":0,"result":{"userid":{"of":"${id}"},"unionid":[]},"request_id":"${requestIdOf(id)}"}`,
        JSON.stringify(user(id)).slice(0, -20)
      ]
      : [
        `{"errcode":404,"errmsg":"请求的URI地址不存在"}`,
        `{"unionId":{"of":"${id}"},"nick":[]}`,
        JSON.stringify(profile(id)).slice(0, -20)
      ])
  ]

  /** What goes wrong on the way looks the same in front of both gateways. */
  const cut = (response: ServerResponse, answer: unknown) => {
    const body = Buffer.from(JSON.stringify(answer))
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length })
    response.write(body.subarray(0, body.length >> 1), () => response.socket?.destroy())
  }

  const rejectToken = (response: ServerResponse, id: string) =>
    refuse(response, "40014", "不合法的access_token", requestIdOf(id))

  const failOapi = (fault: Name, response: ServerResponse, id: string, token: string): void => {
    const request_id = requestIdOf(id)
    switch (fault) {
      case "throttled":
        return json(response, { errcode: 90018, errmsg: `限制${endIn(OVER)}`, request_id })
      case "throttled by the gateway":
        return refuse(response, "90018", `限制${endIn(OVER)}`, request_id)
      case "wait, end stated":
        return json(response, { errcode: 90018, errmsg: `限制${endIn(AHEAD)}`, request_id })
      case "wait, end stated by the gateway":
        return refuse(response, "90018", `限制${endIn(AHEAD)}`, request_id)
      case "busy":
        return json(response, { errcode: -1, errmsg: "系统繁忙", request_id })
      case "busy by status":
        return json(response, { code: "systemError", message: "busy", requestid: request_id }, 503)
      case "HTML":
        return html(response)
      case "cut body":
        return cut(response, user(id))
      case "reset":
        response.socket?.resetAndDestroy()
        return
      case "token rejected":
        // For everybody at once, as tokens end: whoever is under way with the old one is refused too.
        generation++
        return rejectToken(response, id)
      case "wrong shape":
        return send(response, 200, "application/json", pick(shapes("oapi", id)))
      case "secret repeated":
        return json(response, { errcode: 40035, errmsg: `bad parameter access_token=${token}`, request_id })
      case "quota":
        return json(response, { errcode: 90020, errmsg: QUOTA, request_id })
      case "permission":
        return refuse(response, "60011", "没有调用该接口的权限", request_id)
      case "nobody":
        return json(response, { errcode: 60121, errmsg: "找不到该用户", request_id })
      case "foreign address":
        return refuse(
          response,
          "60020",
          `访问ip不在白名单之中,request ip=14.153.172.241 appKey(${token})`,
          request_id
        )
      case "hang":
        // Until the caller gives up.
        return
      default:
        throw new Error(`oapi has no ${fault}`)
    }
  }

  const rejectApiToken = (response: ServerResponse, id: string, isUsers: boolean) =>
    isUsers && pick([true, false])
      ? apiError(response, id, 400, "accesstoken.expired", "用户accessToken过期")
      : apiError(response, id, 400, "InvalidAuthentication", "不合法的access_token")

  const apiHeaders = (id: string, headers: Headers = {}) => ({
    server: "DingTalk/1.0.0",
    "x-acs-request-id": requestIdOf(id),
    ...headers
  })

  const apiError = (
    response: ServerResponse,
    id: string,
    status: number,
    code: string,
    message: string,
    headers?: Headers,
    more?: object
  ) => json(response, { code, message, requestid: requestIdOf(id), ...more }, status, apiHeaders(id, headers))

  const throttle = (response: ServerResponse, id: string, [limit, whose]: typeof THROTTLES[number], end: string) =>
    apiError(
      response,
      id,
      403,
      `Forbidden.AccessDenied.${limit}`,
      `您的${whose}调用钉钉开放平台当前接口的所有请求都被暂时禁用了${end}`
    )

  const tooMany = (response: ServerResponse, id: string, retryAfter: string) =>
    apiError(response, id, 429, "system.busy", "system busy, request too frequest", { "retry-after": retryAfter })

  const failApi = (fault: Name, response: ServerResponse, id: string, token: string): void => {
    switch (fault) {
      case "throttled":
        return throttle(response, id, pick(THROTTLES), `, 处罚${endIn(OVER)}.`)
      case "over the limit":
        return apiError(response, id, 400, pick(["request.overlimit", "qps.exceed.limit"]), "over the limit", {
          "retry-after": "0"
        })
      case "too many requests":
        return tooMany(response, id, pick(["0", dateIn(OVER)]))
      case "wait, end stated":
        return throttle(response, id, THROTTLES[0], `, 处罚${endIn(AHEAD)}.`)
      case "wait, no end stated":
        return throttle(response, id, THROTTLES[0], "")
      case "wait, Retry-After in seconds":
        return tooMany(response, id, "1")
      case "wait, Retry-After as a date":
        return tooMany(response, id, dateIn(AHEAD))
      case "wait, Retry-After of a 503":
        return apiError(response, id, 503, "systemError", "未知错误", { "retry-after": "1" })
      case "busy by status": {
        const [status, code, after] = pick(BUSY)
        const headers = after === undefined ? {} : { "retry-after": after === "0" ? after : dateIn(OVER) }
        return apiError(response, id, status, code, "未知错误", headers)
      }
      case "HTML":
        return html(response)
      case "cut body":
        return cut(response, profile(id))
      case "reset":
        response.socket?.resetAndDestroy()
        return
      case "token rejected":
        generation++
        return rejectApiToken(response, id, false)
      case "user's token rejected":
        userGeneration++
        return rejectApiToken(response, id, true)
      case "wrong shape":
        return send(response, 200, "application/json", pick(shapes("api", id)), apiHeaders(id))
      case "secret repeated":
        return apiError(response, id, 400, "commonParamIllegal", `bad header x-acs-dingtalk-access-token: ${token}`)
      case "quota":
        return apiError(response, id, 403, "Forbidden.AccessDenied.ApiCountLimitForOrg", QUOTA)
      case "permission":
        return apiError(
          response,
          id,
          403,
          "Forbidden.AccessDenied.AccessTokenPermissionDenied",
          "没有调用该接口的权限，接口权限申请参考：https://open.dingtalk.com/document/orgapp-server/add-api-permission",
          {},
          { accessdenieddetail: { requiredScopes: ["Contact.User.Read"] } }
        )
      case "nobody":
        return apiError(response, id, 404, "invalidParameter.user.notFound", "找不到该用户")
      case "foreign address":
        return apiError(
          response,
          id,
          403,
          "Forbidden.AccessDenied.IpNotInWhiteList",
          `访问ip不在白名单之中,request ip=14.153.172.241 appKey(${token})`
        )
      case "hang":
        return
      default:
        throw new Error(`api has no ${fault}`)
    }
  }

  const failToken = (response: ServerResponse) => {
    const dice = random()
    if (dice < 0.3) return html(response)
    if (dice < 0.6) return json(response, { code: "systemError", message: "busy" }, 503)
    response.socket?.resetAndDestroy()
  }

  const count = (fault: Fault) => faults.set(fault, faults.get(fault)! + 1)

  const answer = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://host")
    if (pathname === GET_TOKEN) {
      tokenRequests++
      if (random() < options.share * TOKEN_SHARE) return failToken(response)
      return JSON.parse(body).appSecret === CLIENT_SECRET
        ? json(response, { accessToken: tokenOf(generation), expireIn: 7200 })
        : json(response, { code: "invalidClientIdOrSecret", message: "no" }, 400)
    }
    if (pathname === GET_USER_TOKEN) {
      refreshes++
      // Before the refresh token is spent: whoever loses what it was spent for has to send people through sign-in again.
      if (random() < options.share * TOKEN_SHARE) return failToken(response)
      if (JSON.parse(body).refreshToken !== refreshTokenOf(refreshGeneration)) {
        return json(response, { code: "invalidParameter.authCode.notFound", message: "不合法的临时授权码" }, 400)
      }
      return json(response, {
        accessToken: userTokenOf(userGeneration),
        refreshToken: refreshTokenOf(++refreshGeneration),
        expireIn: 7200,
        corpId: "dingsoak"
      })
    }
    requests++
    const isUsers = pathname.startsWith(USERS)
    const gateway = isUsers || pathname.startsWith(APP_USERS) ? "api" : "oapi"
    const id = gateway === "api"
      ? pathname.slice(isUsers ? USERS.length : APP_USERS.length)
      : String(JSON.parse(body).userid)
    const header = request.headers["x-acs-dingtalk-access-token"]
    const token = gateway === "oapi" ? searchParams.get("access_token") ?? "" : String(header)
    if (token !== (isUsers ? userTokenOf(userGeneration) : tokenOf(generation))) {
      count(isUsers ? "api: user's token rejected" : `${gateway}: token rejected`)
      return gateway === "oapi" ? rejectToken(response, id) : rejectApiToken(response, id, isUsers)
    }
    const fault = faultFor(gateway, isUsers)
    if (fault === undefined) {
      return gateway === "oapi" ? json(response, user(id)) : json(response, profile(id), 200, apiHeaders(id))
    }
    count(`${gateway}: ${fault}`)
    const fail = gateway === "oapi" ? failOapi : failApi
    fail(fault, response, id, token)
  }

  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => {
      body += chunk
    })
    request.on("end", () => answer(request, response, body))
    // A caller that gave up; nobody is left to tell.
    request.on("error", () => {})
  })
  server.on("connection", (socket) => {
    openSockets++
    mostSockets = Math.max(mostSockets, openSockets)
    socket.on("error", () => {})
    socket.on("close", () => {
      openSockets--
    })
  })

  return new Promise((done) => {
    server.listen(0, "127.0.0.1", () =>
      done({
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        stats: () => ({
          requests,
          tokenRequests,
          refreshes,
          faults: Object.fromEntries(faults),
          openSockets,
          mostSockets
        }),
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          })
      }))
  })
}
