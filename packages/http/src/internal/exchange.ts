import type { ErrorContext } from "@effect-dingtalk/core/DingTalkError"
import { causeCode, TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import type { Hosts } from "@effect-dingtalk/core/Hosts"
import type { Exchange, Service } from "@effect-dingtalk/core/Transport"
import * as WireRequest from "@effect-dingtalk/core/WireRequest"
import * as WireResponse from "@effect-dingtalk/core/WireResponse"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as Tracer from "effect/Tracer"
import type { Carried, Direct, DirectTransport, Tools, Trouble } from "./direct.js"
import { direct } from "./direct.js"
import * as tracing from "./tracing.js"

const NOT_IN_HEADER = /[^\x20-\x7e]/
const MAX_BODY_BYTES = 16 * 1024 * 1024

const NETWORK_CODE = /^[A-Z][A-Z0-9_]+$/

/** `ECONNREFUSED` and the like; the messages around it may hold the URL, and so a token. */
const networkCodeOf = (error: unknown): string | undefined => {
  let cause = error
  for (let depth = 0; depth < 6 && typeof cause === "object" && cause !== null; depth++) {
    if ("code" in cause && typeof cause.code === "string" && NETWORK_CODE.test(cause.code)) return cause.code
    cause = "cause" in cause ? cause.cause : undefined
  }
  return undefined
}

const remedyOf = (code: string | undefined): string => {
  switch (code) {
    case "ECONNREFUSED":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "is it the host you mean (DINGTALK_REGION, DINGTALK_URL), and can this machine reach it?"
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "EPROTO":
      return "it does not speak TLS; is it an http address?"
    default:
      return "the connection could not be made, or broke"
  }
}

const errorOf = (
  endpoint: Endpoint.Any,
  host: string,
  limit: number,
  trouble: Trouble,
  cause: unknown,
  status: number | undefined
): TransportError => {
  const context = { endpoint: endpoint.name, ...(status === undefined ? undefined : { status }) }
  const network = (what: string, remedyFor: (networkCode: string | undefined) => string) => {
    const networkCode = networkCodeOf(cause)
    return new TransportError({
      ...context,
      reason: "Network",
      description: `${what}${networkCode === undefined ? "" : ` (${networkCode})`}${remedyFor(networkCode)}`,
      networkCode
    })
  }
  switch (trouble) {
    case "unsendable":
      return new TransportError({
        ...context,
        reason: "Encode",
        path: "token",
        description: "holds characters that no HTTP header carries"
      })
    case "unsent":
      return new TransportError({
        ...context,
        reason: "Encode",
        description: `the HTTP client refused the request (${
          (cause as { readonly reason?: string }).reason ?? "Encode"
        })`
      })
    case "unanswered":
      return network(`no answer from ${host}`, (networkCode) => `: ${remedyOf(networkCode)}`)
    case "cut":
      return network("the answer was cut", () => "")
    case "tooLong":
      return new TransportError({
        ...context,
        reason: "Decode",
        description: `the answer is longer than ${limit} bytes`
      })
  }
}

const collectSecrets = (value: unknown, found: Set<string>, depth: number): void => {
  if (Redacted.isRedacted(value)) {
    collectSecrets(Redacted.value(value), found, depth)
    if (typeof Redacted.value(value) === "string") found.add(Redacted.value(value) as string)
  } else if (typeof value === "object" && value !== null && depth < 16) {
    for (const part of Array.isArray(value) ? value : Object.values(value)) collectSecrets(part, found, depth + 1)
  }
}

/** Each secret of a request in the forms in which it may come back, the longest first. */
const secretsOf = (payload: unknown, token: Redacted.Redacted | undefined): ReadonlyArray<string> => {
  const found = new Set<string>()
  collectSecrets(payload, found, 0)
  if (token !== undefined) found.add(Redacted.value(token))
  for (const secret of Array.from(found)) {
    const encoded = encodeURIComponent(secret)
    found.add(encoded).add(encoded.replaceAll("%20", "+")).add(JSON.stringify(secret).slice(1, -1))
  }
  found.delete("")
  return Array.from(found).sort((one, other) => other.length - one.length)
}

const scrubValue = (value: unknown, secrets: ReadonlyArray<string>): unknown => {
  if (typeof value === "string") return secrets.reduce((text, secret) => text.replaceAll(secret, "<redacted>"), value)
  if (Array.isArray(value)) return value.map((part) => scrubValue(part, secrets))
  return value
}

/**
 * A platform, or whatever answers in its place, may repeat what it was sent. What an error means is decided before, so
 * that a secret that looks like a code changes nothing.
 */
const scrub = <E>(error: E, secrets: ReadonlyArray<string>): E => {
  const { _tag, ...fields } = error as any
  let isChanged = false
  const clean = Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      // Ours, and not the platform's.
      if (name === "endpoint" || name === "description" || name === "reason") return [name, value]
      const scrubbed = scrubValue(value, secrets)
      isChanged ||= JSON.stringify(scrubbed) !== JSON.stringify(value)
      return [name, scrubbed]
    })
  )
  return isChanged ? new (error as any).constructor(clean) : error
}

const ORIGIN = /^(https?):\/\/(.+?)(?::(\d+))?$/

const hostOf = (origin: string): string => origin.slice(origin.indexOf("//") + 2)

const serverAttributes = (origin: string): Record<string, unknown> => {
  const [, scheme, host, port] = ORIGIN.exec(origin) ?? []
  return { "server.address": host, "server.port": port === undefined ? (scheme === "http" ? 80 : 443) : Number(port) }
}

const REQUEST_ID = /"request_id"\s*:\s*"([^"]{1,64})"/

/** The legacy gateway has it beside the result, the new one in a header. */
const requestIdOf = (endpoint: Endpoint.Any, { body, headers }: WireResponse.WireResponse): string | undefined =>
  endpoint.gateway === "api"
    ? headers["x-acs-request-id"]
    : REQUEST_ID.exec(body.slice(body.lastIndexOf(`"request_id"`)))?.[1]

const annotate = (
  span: Tracer.Span,
  endpoint: Endpoint.Any,
  response: WireResponse.WireResponse,
  answer: Either.Either<unknown, unknown>
) => {
  span.attribute("http.response.status_code", response.status)
  const error = Either.isRight(answer) ? undefined : answer.left as ErrorContext & { readonly _tag: string }
  const requestId = error === undefined ? requestIdOf(endpoint, response) : error.requestId
  if (requestId !== undefined) span.attribute("dingtalk.request_id", requestId)
  if (error === undefined) return
  span.attribute("error.type", error._tag)
  const code = causeCode(error)
  if (code !== undefined) span.attribute("dingtalk.code", code)
}

const carried = new WeakMap<Redacted.Redacted, Carried>()

const carriedOf = (token: Redacted.Redacted): Carried => {
  let found = carried.get(token)
  if (found === undefined) {
    const value = Redacted.value(token)
    const isSendable = !NOT_IN_HEADER.test(value)
    found = { value, isSendable, query: isSendable ? `access_token=${encodeURIComponent(value)}` : "" }
    carried.set(token, found)
  }
  return found
}

const pathOf = ({ gateway, path, query }: WireRequest.WireRequest, token: Carried | undefined): string => {
  if (token === undefined || gateway === "api") return query === "" ? path : `${path}?${query}`
  return query === "" ? `${path}?${token.query}` : `${path}?${query}&${token.query}`
}

// Global wherever there is a `fetch`, but in no library of the ECMAScript standard.
declare const TextDecoder: new() => { readonly decode: (bytes: Uint8Array) => string }

/** @internal */
export const textOf = (chunks: ReadonlyArray<Uint8Array>, size: number): string => {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return new TextDecoder().decode(bytes)
}

/**
 * What every transport does alike, whatever carries its bytes.
 *
 * @internal
 */
export const makeTools = (hosts: Hosts, limit = MAX_BODY_BYTES): Tools => {
  const spans = new WeakMap<Endpoint.Any, ReadonlyArray<readonly [name: string, value: unknown]>>()
  return {
    hosts,
    limit,
    carriedOf,
    pathOf,
    errorOf: (endpoint, trouble, cause, status) =>
      errorOf(endpoint, hostOf(hosts[endpoint.gateway]), limit, trouble, cause, status),
    understand: (endpoint, response, payload, token, span) => {
      const read = WireResponse.decode(endpoint, response, hosts)
      const answer = Either.isRight(read) ? read : Either.left(scrub(read.left, secretsOf(payload, token)))
      if (span !== undefined) annotate(span, endpoint, response, answer)
      return answer
    },
    beginSpan: (endpoint, fiber, clock, parent) => {
      let attributes = spans.get(endpoint)
      if (attributes === undefined) {
        attributes = Object.entries({
          "dingtalk.endpoint": endpoint.name,
          "http.request.method": endpoint.method,
          "url.template": endpoint.path,
          ...serverAttributes(hosts[endpoint.gateway])
        })
        spans.set(endpoint, attributes)
      }
      return tracing.begin(fiber, clock, `${endpoint.method} ${endpoint.path}`, parent, "client", attributes)
    }
  }
}

/**
 * A transport out of its way to make exchanges, which may be one without Effect.
 *
 * @internal
 */
export const toService = (
  { hosts }: Tools,
  toExchange: Direct["toExchange"],
  own: Direct | undefined
): Service => {
  const service: DirectTransport = {
    hosts,
    prepare: (endpoint, payload) =>
      Either.map(
        WireRequest.encode(endpoint, payload),
        (request) => toExchange(endpoint, payload, request) as Exchange<any, any>
      ),
    [direct]: own
  }
  return service
}
