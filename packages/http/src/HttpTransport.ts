/**
 * How an exchange travels: `Transport` over any `HttpClient` of `@effect/platform`.
 *
 * @since 0.1.0
 */
import { TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import * as Hosts from "@effect-dingtalk/core/Hosts"
import type { Service } from "@effect-dingtalk/core/Transport"
import { Transport } from "@effect-dingtalk/core/Transport"
import type * as WireRequest from "@effect-dingtalk/core/WireRequest"
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
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Answer, Carried, Direct, Exchanging, Tools } from "./internal/direct.js"
import { exchanger } from "./internal/direct.js"
import { makeTools, textOf, toService } from "./internal/exchange.js"
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
          return Effect.succeed(textOf(chunks, size))
        })
      )
  })
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (httpClient) => {
    const hosts = options.hosts ?? Hosts.com
    const base = options.transformClient?.(httpClient) ?? httpClient

    const tools = makeTools(hosts, options.maxBodyBytes)
    const { limit } = tools

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
          `${hosts[request.gateway]}${tools.pathOf(request, token)}`,
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
          const carried = token === undefined ? undefined : tools.carriedOf(token)
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

    return toService(tools, toExchange, own)
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
