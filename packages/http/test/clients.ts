import type { Transport } from "@effect-dingtalk/core"
import { FetchTransport, HttpTransport } from "@effect-dingtalk/http"
import * as UndiciHttpClient from "@effect-dingtalk/http/UndiciHttpClient"
import { FetchHttpClient } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { Layer } from "effect"

/** The clients that the same suite must pass on. */
export const clients = [
  ["FetchHttpClient.layer", FetchHttpClient.layer],
  ["NodeHttpClient.layerUndici", NodeHttpClient.layerUndici],
  ["UndiciHttpClient.layer", UndiciHttpClient.layer()]
] as const

type MakeTransport = (options?: FetchTransport.Options) => Layer.Layer<Transport.Transport>

/** What carries bytes for the library: each of the clients, and `fetch` itself. */
export const transports: ReadonlyArray<readonly [name: string, make: MakeTransport]> = [
  ...clients.map(([name, client]) =>
    [
      name,
      ({ fetch: _, ...options }: FetchTransport.Options = {}) => Layer.provide(HttpTransport.layer(options), client)
    ] as const
  ),
  ["FetchTransport.layer", FetchTransport.layer]
]
