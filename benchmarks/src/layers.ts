/**
 * The whole way of a call, joined as the README joins it.
 */
import * as TokenService from "@effect-dingtalk/auth/TokenService"
import type { DingTalk } from "@effect-dingtalk/core/DingTalk"
import * as Hosts from "@effect-dingtalk/core/Hosts"
import type { Transport } from "@effect-dingtalk/core/Transport"
import * as DingTalkHttp from "@effect-dingtalk/http/DingTalkHttp"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

export const CARRIERS = ["UndiciHttpClient", "NodeHttpClient.layerUndici", "FetchHttpClient", "FetchTransport"] as const

export type Carrier = typeof CARRIERS[number]

const over = async (
  hosts: Hosts.Hosts,
  client: Layer.Layer<HttpClient.HttpClient>
): Promise<Layer.Layer<Transport>> => {
  const { layer } = await import("@effect-dingtalk/http/HttpTransport")
  return Layer.provide(layer({ hosts }), client)
}

/** Only what is asked for is loaded: a contender must not pay for the modules of another. */
export const transport = async (carrier: Carrier, url: string): Promise<Layer.Layer<Transport>> => {
  const hosts = Either.getOrThrow(Hosts.single(url))
  switch (carrier) {
    case "UndiciHttpClient":
      return over(hosts, (await import("@effect-dingtalk/http/UndiciHttpClient")).layer())
    case "NodeHttpClient.layerUndici":
      return over(hosts, (await import("@effect/platform-node/NodeHttpClient")).layerUndici)
    case "FetchHttpClient":
      return over(hosts, (await import("@effect/platform/FetchHttpClient")).layer)
    case "FetchTransport":
      return (await import("@effect-dingtalk/http/FetchTransport")).layer({ hosts })
  }
}

export interface Options {
  readonly clientId: string
  readonly clientSecret: string
  readonly transport: Layer.Layer<Transport>
  readonly options: DingTalkHttp.Options
}

export const dingtalk = (
  { clientId, clientSecret, options, transport }: Options
): Layer.Layer<DingTalk | TokenService.TokenService> =>
  DingTalkHttp.layer(options).pipe(
    Layer.provideMerge(TokenService.layer({ clientId, clientSecret: Redacted.make(clientSecret) })),
    Layer.provide(transport)
  )

/**
 * A pace that nobody reaches, and not `Infinity`: the limiter counts every call, as it does for the platform's own pace.
 */
export const WIDE_OPEN: DingTalkHttp.Options = { limiter: { perSecond: 100_000 } }
