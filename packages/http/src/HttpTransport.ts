/**
 * How an exchange travels: `Transport` over any `HttpClient` of `@effect/platform`.
 *
 * @since 0.1.0
 */
import type { CommonError, ErrorContext } from "@effect-dingtalk/core/DingTalkError"
import { causeCode, TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { Credential, Endpoint } from "@effect-dingtalk/core/Endpoint"
import * as Hosts from "@effect-dingtalk/core/Hosts"
import type { Exchange, Service } from "@effect-dingtalk/core/Transport"
import { Transport } from "@effect-dingtalk/core/Transport"
import * as WireRequest from "@effect-dingtalk/core/WireRequest"
import * as WireResponse from "@effect-dingtalk/core/WireResponse"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
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
import { isListenedTo } from "./internal/tracing.js"
import { untraced } from "./internal/untraced.js"

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

const TOKEN_HEADER = "x-acs-dingtalk-access-token"
const NOT_IN_HEADER = /[^\x20-\x7e]/
const JSON_TYPE = "application/json; charset=utf-8"
const USER_AGENT = "effect-dingtalk/0.1.0"
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

const withCode = (what: string, error: HttpClientError): string => {
  const code = networkCodeOf(error)
  return code === undefined ? what : `${what} (${code})`
}

const toTransportError = (endpoint: Endpoint.Any, error: HttpClientError, host: string): TransportError => {
  if (error._tag === "RequestError") {
    return error.reason === "Transport"
      ? new TransportError({
        endpoint: endpoint.name,
        reason: "Network",
        description: `${withCode(`no answer from ${host}`, error)}: ${remedyOf(networkCodeOf(error))}`
      })
      : new TransportError({
        endpoint: endpoint.name,
        reason: "Encode",
        description: `the HTTP client refused the request (${error.reason})`
      })
  }
  return new TransportError({
    endpoint: endpoint.name,
    reason: error.reason === "StatusCode" ? "Decode" : "Network",
    status: error.response.status,
    description: error.reason === "StatusCode"
      ? `the HTTP client refused the answer (HTTP ${error.response.status}); leave statuses to this library`
      : withCode("the answer was cut", error)
  })
}

const tooLong = (endpoint: Endpoint.Any, response: HttpClientResponse, limit: number): TransportError =>
  new TransportError({
    endpoint: endpoint.name,
    reason: "Decode",
    status: response.status,
    description: `the answer is longer than ${limit} bytes`
  })

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
  limit: number
): Effect.Effect<string, TransportError> => {
  const announced = Number(headers["content-length"] ?? Number.NaN)
  if (announced > limit) return Effect.zipRight(abandon(response), Effect.fail(tooLong(endpoint, response, limit)))
  const onError = (error: HttpClientError) => toTransportError(endpoint, error, "")
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
          if (size > limit) return Effect.fail(tooLong(endpoint, response, limit))
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

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (httpClient) => {
    const hosts = options.hosts ?? Hosts.com
    const limit = options.maxBodyBytes ?? MAX_BODY_BYTES

    const base = options.transformClient?.(httpClient) ?? httpClient
    // Ours has nothing to be switched off, and says so; what it is wrapped into does not.
    const direct = (base as { readonly [untraced]?: HttpClient.HttpClient["execute"] })[untraced]
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

    const toHttpRequest = (request: WireRequest.WireRequest, token: Redacted.Redacted | undefined) => {
      const query = token === undefined || request.gateway === "api"
        ? request.query
        : `${request.query}${request.query === "" ? "" : "&"}access_token=${encodeURIComponent(Redacted.value(token))}`
      const httpRequest = HttpClientRequest.make(request.method)(
        `${hosts[request.gateway]}${request.path}${query === "" ? "" : `?${query}`}`,
        {
          headers: token === undefined || request.gateway === "oapi"
            ? baseHeaders
            : Headers.set(baseHeaders, TOKEN_HEADER, Redacted.value(token))
        }
      )
      return request.body === undefined
        ? httpRequest
        : HttpClientRequest.setBody(httpRequest, HttpBody.text(request.body, JSON_TYPE))
    }

    const read = <P, S, E, Auth extends Credential, SI>(
      endpoint: Endpoint<P, S, E, Auth, SI>,
      response: WireResponse.WireResponse,
      payload: P,
      token: Redacted.Redacted | undefined
    ): Either.Either<S, CommonError | E> => {
      const answer = WireResponse.decode(endpoint, response, hosts)
      return Either.isRight(answer)
        ? answer
        : Either.left(scrub(answer.left, secretsOf(payload, token)))
    }

    const receive = (endpoint: Endpoint.Any, request: WireRequest.WireRequest, token: Redacted.Redacted | undefined) =>
      Effect.suspend(() =>
        token !== undefined && NOT_IN_HEADER.test(Redacted.value(token))
          ? Effect.fail(
            new TransportError({
              endpoint: endpoint.name,
              reason: "Encode",
              path: "token",
              description: "holds characters that no HTTP header carries"
            })
          )
          : (direct ?? client.execute)(toHttpRequest(request, token)).pipe(
            Effect.mapError((error) => toTransportError(endpoint, error, hostOf(hosts[endpoint.gateway])))
          )
      ).pipe(
        Effect.flatMap((response) => {
          const { headers, status } = response
          return Effect.map(readText(endpoint, response, headers, limit), (body) => ({ status, headers, body }))
        }),
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

    const prepare = <P, S, E, Auth extends Credential, SI>(
      endpoint: Endpoint<P, S, E, Auth, SI>,
      payload: P
    ): Either.Either<Exchange<S, E>, TransportError> =>
      Either.map(WireRequest.encode(endpoint, payload), (request): Exchange<S, E> => {
        const send = (
          token: Redacted.Redacted | undefined,
          clock: Clock.Clock,
          span: Tracer.Span | undefined
        ): Effect.Effect<S, CommonError | E> =>
          Effect.flatMap(receive(endpoint, request, token), (response) => {
            const answer = read(endpoint, { ...response, receivedAt: clock.unsafeCurrentTimeMillis() }, payload, token)
            if (span !== undefined) annotate(span, response.status, answer)
            return answer
          })
        return (token) =>
          Effect.withFiberRuntime((fiber) => {
            const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
            return isListenedTo(fiber)
              ? Effect.useSpan(
                `${endpoint.method} ${endpoint.path}`,
                {
                  kind: "client",
                  captureStackTrace: false,
                  attributes: {
                    "dingtalk.endpoint": endpoint.name,
                    "http.request.method": endpoint.method,
                    "url.template": endpoint.path,
                    ...serverAttributes(hosts[endpoint.gateway])
                  }
                },
                (span) => send(token, clock, span)
              )
              : send(token, clock, undefined)
          })
      })

    return { hosts, prepare }
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
