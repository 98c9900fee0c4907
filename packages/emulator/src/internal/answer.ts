import * as WireJson from "@effect-dingtalk/core/WireJson"
import type { Response } from "../Exchange.js"
import type { Call } from "./call.js"
import type { State } from "./state.js"

/** What a request is answered with, and the state after it if it changes. */
export interface Answer {
  readonly response: Response
  readonly state?: State
}

export type Handler = (state: State, call: Call) => Answer

// Headers that were seen: reference 4.1.
const headersOf = (call: Call, contentType: string) => ({
  date: new Date(call.now).toUTCString(),
  server: "DingTalk/1.0.0",
  "content-type": contentType
})

const JSON_TYPE = "application/json;charset=utf-8"

export const raw = (
  call: Call,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string
): Answer => ({ response: { status, headers: { ...headersOf(call, JSON_TYPE), ...headers }, body } })

export const html = (call: Call, status: number, body: string): Answer =>
  raw(call, status, {
    "content-type": "text/html;charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"
  }, body)

/** A success of the new gateway. That it carries the request id, too, is [I]. */
export const api = (call: Call, body: unknown): Answer =>
  raw(call, 200, { "x-acs-request-id": call.ids.uuid() }, WireJson.stringify(body))

/** Reference 4.1. */
export const apiError = (
  call: Call,
  status: number,
  code: string,
  message: string,
  detail?: { readonly accessdenieddetail: { readonly requiredScopes: ReadonlyArray<string> } }
): Answer => {
  const requestid = call.ids.uuid()
  return raw(
    call,
    status,
    { "x-acs-request-id": requestid },
    WireJson.stringify({ requestid, code, message, ...detail })
  )
}

/** HTTP 200, whatever happened; reference 4.2. */
export const oapi = (call: Call, body: Readonly<Record<string, unknown>>): Answer =>
  raw(call, 200, {}, WireJson.stringify(body))

// Only these paths were seen with a request id (reference 10.6).
const requestId = (call: Call) => call.path.startsWith("/topapi/") ? { request_id: call.ids.short() } : {}

/** Shape (a) of reference 4.2: the gateway refuses. */
export const oapiRefusal = (call: Call, subCode: string, subMessage: string): Answer =>
  oapi(call, {
    errcode: 88,
    sub_code: subCode,
    sub_msg: subMessage,
    errmsg: `ding talk error[subcode=${subCode},submsg=${subMessage}]`,
    ...requestId(call)
  })

/** Shape (b) of reference 4.2: the business refuses, or the path is an old one. */
export const oapiError = (call: Call, errcode: number, errmsg: string): Answer =>
  oapi(call, { errcode, errmsg, ...requestId(call) })

export const oapiResult = (call: Call, result: unknown): Answer =>
  oapi(call, { errcode: 0, errmsg: "ok", result, ...requestId(call) })

/** The name under which the legacy gateway speaks of a path, such as `dingtalk.oapi.v2.user.get`. */
export const apiName = (path: string): string =>
  `dingtalk.oapi.${path.replace(/^\/(?:topapi\/)?/, "").replaceAll("/", ".")}`
