/**
 * How an exchange travels: `Transport` over any `HttpClient` of `@effect/platform`.
 *
 * @since 0.1.0
 */
import type { ErrorContext } from "@effect-dingtalk/core/DingTalkError"
import { causeCode, TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import * as Hosts from "@effect-dingtalk/core/Hosts"
import type { Exchange, Service } from "@effect-dingtalk/core/Transport"
import { Transport } from "@effect-dingtalk/core/Transport"
import * as WireRequest from "@effect-dingtalk/core/WireRequest"
import * as WireResponse from "@effect-dingtalk/core/WireResponse"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError, RequestError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type { Answer, Carried, Direct, DirectTransport, Exchanging, Tools, Trouble } from "./internal/direct.js"
import { direct, exchanger } from "./internal/direct.js"
import { JSON_TYPE, TOKEN_HEADER, USER_AGENT } from "./internal/headers.js"
import * as tracing from "./internal/tracing.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `Hosts.com` unless it says otherwise */
  readonly hosts?: Hosts.Hosts | undefined
  /**
   * The place for a proxy, a pool of your own, more headers. What is put here sees tokens; it must not read the answer's
   * body, which can be read once, nor follow redirects, which would carry the token away.
   */
  readonly transformClient?: ((client: HttpClient.HttpClient) => HttpClient.HttpClient) | undefined
  /** an answer longer than this is refused unread; 16 MiB unless it says otherwise */
  readonly maxBodyBytes?: number | undefined
}

const NOT_IN_HEADER = /[^\x20-\x7e]/
const MAX_BODY_BYTES = 16 * 1024 * 1024

// Global wherever there is a `fetch`, but in no library of the ECMAScript standard.
declare const TextDecoder: new() => { readonly decode: (bytes: Uint8Array) => string }

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

const withCode = (what: string, error: unknown): string => {
  const code = networkCodeOf(error)
  return code === undefined ? what : `${what} (${code})`
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
        description: `the HTTP client refused the request (${(cause as Partial<RequestError>).reason ?? "Encode"})`
      })
    case "unanswered":
      return new TransportError({
        ...context,
        reason: "Network",
        description: `${withCode(`no answer from ${host}`, cause)}: ${remedyOf(networkCodeOf(cause))}`
      })
    case "cut":
      return new TransportError({ ...context, reason: "Network", description: withCode("the answer was cut", cause) })
    case "tooLong":
      return new TransportError({
        ...context,
        reason: "Decode",
        description: `the answer is longer than ${limit} bytes`
      })
  }
}

type ErrorOf = Tools["errorOf"]

const fromClient = (endpoint: Endpoint.Any, error: HttpClientError, errorOf: ErrorOf): TransportError => {
  if (error._tag === "RequestError") {
    return errorOf(endpoint, error.reason === "Transport" ? "unanswered" : "unsent", error, undefined)
  }
  const { status } = error.response
  return error.reason !== "StatusCode" ? errorOf(endpoint, "cut", error, status) : new TransportError({
    endpoint: endpoint.name,
    reason: "Decode",
    status,
    description: `the HTTP client refused the answer (HTTP ${status}); leave statuses to this library`
  })
}

/** Closes the connection of an answer that nobody wants: to begin to read and stop is how a client learns of that. */
const abandon = (response: HttpClientResponse): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.forkDaemon(Effect.ignore(response.text)),
    (fiber) => Effect.zipRight(Effect.yieldNow(), Fiber.interrupt(fiber))
  )

/**
 * Reads the body, and no more of it than is allowed: a length is announced and may be believed, or bytes are counted.
 */
const readText = (
  endpoint: Endpoint.Any,
  response: HttpClientResponse,
  headers: Headers.Headers,
  limit: number,
  errorOf: ErrorOf
): Effect.Effect<string, TransportError> => {
  const announced = Number(headers["content-length"] ?? Number.NaN)
  const tooLong = () => Effect.fail(errorOf(endpoint, "tooLong", undefined, response.status))
  if (announced > limit) return Effect.zipRight(abandon(response), tooLong())
  const onError = (error: HttpClientError) => fromClient(endpoint, error, errorOf)
  if (announced <= limit && headers["content-encoding"] === undefined) return Effect.mapError(response.text, onError)
  return Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let size = 0
    return Stream.runForEachWhile(response.stream, (chunk) =>
      Effect.sync(() => {
        size += chunk.length
        chunks.push(chunk)
        return size <= limit
      })).pipe(
        Effect.catchAll((error) => error.reason === "EmptyBody" ? Effect.void : Effect.fail(onError(error))),
        Effect.flatMap(() => {
          if (size > limit) return tooLong()
          const bytes = new Uint8Array(size)
          let at = 0
          for (const chunk of chunks) {
            bytes.set(chunk, at)
            at += chunk.length
          }
          return Effect.succeed(new TextDecoder().decode(bytes))
        })
      )
  })
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

const annotate = (span: Tracer.Span, status: number, answer: Either.Either<unknown, unknown>) => {
  span.attribute("http.response.status_code", status)
  if (Either.isRight(answer)) return
  const error = answer.left as ErrorContext & { readonly _tag: string }
  span.attribute("error.type", error._tag)
  const code = causeCode(error)
  if (code !== undefined) span.attribute("dingtalk.code", code)
  if (error.requestId !== undefined) span.attribute("dingtalk.request_id", error.requestId)
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

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (httpClient) => {
    const hosts = options.hosts ?? Hosts.com
    const limit = options.maxBodyBytes ?? MAX_BODY_BYTES
    const base = options.transformClient?.(httpClient) ?? httpClient

    const spans = new WeakMap<Endpoint.Any, ReadonlyArray<readonly [name: string, value: unknown]>>()
    const tools: Tools = {
      hosts,
      limit,
      carriedOf,
      pathOf,
      errorOf: (endpoint, trouble, cause, status) =>
        errorOf(endpoint, hostOf(hosts[endpoint.gateway]), limit, trouble, cause, status),
      understand: (endpoint, response, payload, token, span) => {
        const read = WireResponse.decode(endpoint, response, hosts)
        const answer = Either.isRight(read) ? read : Either.left(scrub(read.left, secretsOf(payload, token)))
        if (span !== undefined) annotate(span, response.status, answer)
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

    const throughClient = (): Direct["toExchange"] => {
      const client = base.pipe(
        // Its own span would export the whole URL, the token in it included, and its headers our trace ids to DingTalk.
        HttpClient.withTracerDisabledWhen(() => true),
        HttpClient.transformResponse((response) =>
          response.pipe(
            // A redirect would carry the token to whatever host it names; undici follows none by itself.
            Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
            Effect.locallyWith(Headers.currentRedactedNames, (names) => [...names, TOKEN_HEADER])
          )
        )
      )

      const baseHeaders = Headers.fromInput({ accept: "application/json", "user-agent": USER_AGENT })

      const toHttpRequest = (request: WireRequest.WireRequest, token: Carried | undefined) => {
        const httpRequest = HttpClientRequest.make(request.method)(
          `${hosts[request.gateway]}${pathOf(request, token)}`,
          {
            headers: token === undefined || request.gateway === "oapi"
              ? baseHeaders
              : Headers.set(baseHeaders, TOKEN_HEADER, token.value)
          }
        )
        return request.body === undefined
          ? httpRequest
          : HttpClientRequest.setBody(httpRequest, HttpBody.text(request.body, JSON_TYPE))
      }

      const receive = (
        endpoint: Endpoint.Any,
        request: WireRequest.WireRequest,
        token: Redacted.Redacted | undefined
      ): Effect.Effect<Answer, TransportError> =>
        Effect.suspend(() => {
          const carried = token === undefined ? undefined : carriedOf(token)
          if (carried?.isSendable === false) {
            return Effect.fail(tools.errorOf(endpoint, "unsendable", undefined, undefined))
          }
          return Effect.matchEffect(client.execute(toHttpRequest(request, carried)), {
            onFailure: (error) => Effect.fail(fromClient(endpoint, error, tools.errorOf)),
            onSuccess: (response) => {
              const { headers, status } = response
              const text = readText(endpoint, response, headers, limit, tools.errorOf)
              return Effect.map(text, (body) => ({ status, headers, body }))
            }
          })
        }).pipe(
          // Somebody else's client, or what it was wrapped into; its words may hold the URL.
          Effect.catchAllDefect(() =>
            Effect.fail(
              new TransportError({
                endpoint: endpoint.name,
                reason: "Decode",
                description: "the HTTP client broke; if it is wrapped, see that nothing else reads the answer's body"
              })
            )
          )
        )

      return (endpoint, payload, request) => (token) =>
        Effect.withFiberRuntime((fiber) => {
          const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
          const span = tracing.isListenedTo(fiber)
            ? tools.beginSpan(endpoint, fiber, clock, tracing.parentOf(fiber))
            : undefined
          const exchange = Effect.flatMap(receive(endpoint, request, token), (answer) => {
            const response = { ...answer, receivedAt: clock.unsafeCurrentTimeMillis() }
            return tools.understand(endpoint, response, payload, token, span)
          })
          return span === undefined
            ? exchange
            : Effect.onExit(exchange, (exit) => Effect.sync(() => tracing.end(fiber, clock, span, exit)))
        })
    }

    // Ours takes a request and gives an answer, and needs no Effect for it; what it is wrapped into does.
    const own = (base as Exchanging)[exchanger]?.(tools)
    const toExchange = own === undefined ? throughClient() : own.toExchange

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
  })

/**
 * Over the `HttpClient` that you provide: `NodeHttpClient.layerUndici` on Node, `FetchHttpClient.layer` elsewhere.
 *
 * With `FetchHttpClient`, redirects are switched off through its `RequestInit`, in place of one that you may have
 * provided; give your own through `transformClient`, with `redirect: "manual"`.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Hosts } from "@effect-dingtalk/core"
 * import { HttpTransport } from "@effect-dingtalk/http"
 * import { FetchHttpClient } from "@effect/platform"
 * import { Layer } from "effect"
 *
 * const international = HttpTransport.layer({ hosts: Hosts.io }).pipe(Layer.provide(FetchHttpClient.layer))
 * console.log(Layer.isLayer(international)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<Transport, never, HttpClient.HttpClient> =>
  Layer.effect(Transport, make(options))

/**
 * With the hosts from `DINGTALK_REGION` and its like (see `Hosts.config`), or from a `Config` of your own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Omit<Options, "hosts"> & { readonly hosts?: Config.Config<Hosts.Hosts> | undefined } = {}
): Layer.Layer<Transport, ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    Transport,
    Effect.flatMap(options.hosts ?? Hosts.config, (hosts) => make({ ...options, hosts }))
  )
