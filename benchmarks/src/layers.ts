/**
 * The whole way of a call, joined as the README joins it.
 */
import * as TokenService from "@effect-dingtalk/auth/TokenService"
import type { DingTalk } from "@effect-dingtalk/core/DingTalk"
import * as Hosts from "@effect-dingtalk/core/Hosts"
import * as DingTalkHttp from "@effect-dingtalk/http/DingTalkHttp"
import * as HttpTransport from "@effect-dingtalk/http/HttpTransport"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

export const CLIENTS = ["UndiciHttpClient", "NodeHttpClient.layerUndici", "FetchHttpClient"] as const

export type Client = typeof CLIENTS[number]

/** Only what is asked for is loaded: a contender must not pay for the modules of another. */
export const clientLayer = async (client: Client): Promise<Layer.Layer<HttpClient.HttpClient>> => {
  switch (client) {
    case "UndiciHttpClient":
      return (await import("@effect-dingtalk/http/UndiciHttpClient")).layer()
    case "NodeHttpClient.layerUndici":
      return (await import("@effect/platform-node/NodeHttpClient")).layerUndici
    case "FetchHttpClient":
      return (await import("@effect/platform/FetchHttpClient")).layer
  }
}

export interface Options {
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  readonly client: Layer.Layer<HttpClient.HttpClient>
  readonly options: DingTalkHttp.Options
}

export const dingtalk = (
  { client, clientId, clientSecret, options, url }: Options
): Layer.Layer<DingTalk | TokenService.TokenService> =>
  DingTalkHttp.layer(options).pipe(
    Layer.provideMerge(TokenService.layer({ clientId, clientSecret: Redacted.make(clientSecret) })),
    Layer.provide(HttpTransport.layer({ hosts: Either.getOrThrow(Hosts.single(url)) })),
    Layer.provide(client)
  )

/**
 * A pace that nobody reaches, and not `Infinity`: the limiter counts every call, as it does for the platform's own pace.
 */
export const WIDE_OPEN: DingTalkHttp.Options = { limiter: { perSecond: 100_000 } }
