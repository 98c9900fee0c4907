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

export const nameOf = (userid: string) => `name of ${userid}`
export const requestIdOf = (userid: string) => `request-${userid}`

export const FAULTS = [
  "throttled",
  "throttled by the gateway",
  "busy",
  "busy by status",
  "HTML",
  "cut body",
  "reset",
  "token rejected",
  "wrong shape",
  "secret repeated",
  "quota",
  "permission",
  "nobody",
  "foreign address",
  "hang"
] as const

export type Fault = typeof FAULTS[number]

// A hang costs a whole deadline, and an expired token costs everybody who is under way theirs: they are rarer, and the
// others share what is left.
// Counted and not diced, so that a short run has them too.
const HANG = 500
const EXPIRY = 1000
const FREQUENT = FAULTS.filter((fault) => fault !== "hang" && fault !== "token rejected")

export interface Stats {
  readonly requests: number
  readonly tokenRequests: number
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

const send = (response: ServerResponse, status: number, type: string, text: string) => {
  const body = Buffer.from(text)
  response.writeHead(status, { "content-type": type, "content-length": body.length })
  response.end(body)
}

const json = (response: ServerResponse, body: unknown, status = 200) =>
  send(response, status, "application/json;charset=utf-8", JSON.stringify(body))

// As the platform says it, but with an end that is over: the soak is there to go wrong often, not to wait.
const penaltyThatEnds = () => {
  const china = new Date(Date.now() - 1000 + 8 * 3_600_000).toISOString()
  return `限制将在 ${china.slice(0, 10)} ${china.slice(11, 19)} 结束`
}

export const start = (options: { readonly share: number; readonly seed: number }): Promise<FaultServer> => {
  const random = randomOf(options.seed)
  const faults = new Map<Fault, number>(FAULTS.map((fault) => [fault, 0]))
  let requests = 0
  let tokenRequests = 0
  let openSockets = 0
  let mostSockets = 0
  let generation = 1
  let shape = 0
  let nextExpiry = EXPIRY / 2
  let nextHang = HANG / 2

  const tokenOf = (generation: number) => `${SENTINEL}-token-${generation}`

  const faultFor = (): Fault | undefined => {
    if (random() >= options.share) return undefined
    if (requests >= nextExpiry) {
      nextExpiry += EXPIRY
      return "token rejected"
    }
    if (requests >= nextHang) {
      nextHang += HANG
      return "hang"
    }
    return FREQUENT[Math.floor(random() * FREQUENT.length)]
  }

  const right = (userid: string) => ({
    errcode: 0,
    errmsg: "ok",
    result: {
      userid,
      unionid: `union-${userid}`,
      name: nameOf(userid),
      active: true,
      dept_id_list: [1, 919684607],
      dept_order_list: [{ dept_id: 1, order: 1 }],
      extension: `{"of":"${userid}"}`
    },
    request_id: requestIdOf(userid)
  })

  const shapes = (userid: string): ReadonlyArray<string> => [
    "[]",
    "null",
    "{}",
    "",
    `{"errcode":0,"result":null,"request_id":"${requestIdOf(userid)}"}`,
    `{"errcode":0,"result":{"userid":{"of":"${userid}"},"unionid":[]},"request_id":"${requestIdOf(userid)}"}`,
    JSON.stringify(right(userid)).slice(0, -20)
  ]

  const refuse = (response: ServerResponse, sub_code: string, sub_msg: string, request_id: string) =>
    json(response, {
      errcode: 88,
      sub_code,
      sub_msg,
      errmsg: `ding talk error[subcode=${sub_code},submsg=${sub_msg}]`,
      request_id
    })

  const rejectToken = (response: ServerResponse, userid: string) =>
    refuse(response, "40014", "不合法的access_token", requestIdOf(userid))

  const fail = (fault: Fault, response: ServerResponse, userid: string, token: string) => {
    const request_id = requestIdOf(userid)
    switch (fault) {
      case "throttled":
        return json(response, { errcode: 90018, errmsg: penaltyThatEnds(), request_id })
      case "throttled by the gateway":
        return refuse(response, "90018", penaltyThatEnds(), request_id)
      case "busy":
        return json(response, { errcode: -1, errmsg: "系统繁忙", request_id })
      case "busy by status":
        return json(response, { code: "systemError", message: "busy", requestid: request_id }, 503)
      case "HTML":
        return send(response, 502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")
      case "cut body": {
        const body = Buffer.from(JSON.stringify(right(userid)))
        response.writeHead(200, { "content-type": "application/json", "content-length": body.length })
        response.write(body.subarray(0, body.length >> 1), () => response.socket?.destroy())
        return
      }
      case "reset":
        response.socket?.resetAndDestroy()
        return
      case "token rejected":
        // For everybody at once, as tokens end: whoever is under way with the old one is refused too.
        generation++
        return rejectToken(response, userid)
      case "wrong shape": {
        const all = shapes(userid)
        return send(response, 200, "application/json", all[shape++ % all.length])
      }
      case "secret repeated":
        return json(response, { errcode: 40035, errmsg: `bad parameter access_token=${token}`, request_id })
      case "quota":
        return json(response, {
          errcode: 90020,
          errmsg: "您的企业本月api调用量已超过限制,调用量:10001次,额度:10000次,请登录开发者后台-资源管理-查看用量明细",
          request_id
        })
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
    }
  }

  const failToken = (response: ServerResponse) => {
    const dice = random()
    if (dice < 0.3) return send(response, 502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")
    if (dice < 0.6) return json(response, { code: "systemError", message: "busy" }, 503)
    response.socket?.resetAndDestroy()
  }

  const answer = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const url = new URL(request.url ?? "/", "http://host")
    if (url.pathname === GET_TOKEN) {
      tokenRequests++
      if (random() < options.share) return failToken(response)
      return JSON.parse(body).appSecret === CLIENT_SECRET
        ? json(response, { accessToken: tokenOf(generation), expireIn: 7200 })
        : json(response, { code: "invalidClientIdOrSecret", message: "no" }, 400)
    }
    requests++
    const userid = String(JSON.parse(body).userid)
    const token = url.searchParams.get("access_token") ?? ""
    if (token !== tokenOf(generation)) {
      faults.set("token rejected", faults.get("token rejected")! + 1)
      return rejectToken(response, userid)
    }
    const fault = faultFor()
    if (fault === undefined) return json(response, right(userid))
    faults.set(fault, faults.get(fault)! + 1)
    fail(fault, response, userid, token)
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
