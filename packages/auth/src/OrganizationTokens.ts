/**
 * One app's tokens in many organisations: made when they are asked for, refreshed in the background while they are used,
 * dropped when they no longer are. The refreshes of many are spread over time.
 *
 * @since 0.1.0
 */
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import { OrganizationTokens, type Service } from "@effect-dingtalk/core/OrganizationTokens"
import { TokenService } from "@effect-dingtalk/core/TokenService"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as AppCredentials from "./AppCredentials.js"
import * as Upkeep from "./internal/upkeep.js"

export {
  /**
   * One fixed token per organisation that never ends.
   *
   * @since 0.1.0
   * @category testing
   */
  layerTest,
  /**
   * @since 0.1.0
   * @category tags
   */
  OrganizationTokens,
  /**
   * @since 0.1.0
   * @category models
   */
  type Service
} from "@effect-dingtalk/core/OrganizationTokens"

/**
 * How the tokens of many organisations are kept.
 *
 * @since 0.1.0
 * @category models
 */
export interface ManyOptions {
  /** the longest that one fetch may take; 10 seconds unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
  /** for how long nobody has asked for a token that is dropped; 30 minutes unless it says otherwise */
  readonly idleAfter?: Duration.DurationInput | undefined
  /** how many tokens are fetched a second, of all organisations together; 20 unless it says otherwise */
  readonly perSecond?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends AppCredentials.Service, ManyOptions {}

/**
 * An app's tokens through `POST /v1.0/oauth2/{corpId}/token`, which serves internal and third-party apps alike and asks
 * for no suite ticket. Source: reference 1.5.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, Transport.Transport | Scope.Scope> =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const upkeep = yield* Upkeep.make(options)
    const of = yield* upkeep.many((corpId) => ({
      key: { host: transport.hosts.api, clientId: options.clientId, kind: "organization", subject: corpId },
      endpoint: OAuth2.GetOrganizationToken.name,
      fetch: Transport.exchange(OAuth2.GetOrganizationToken, {
        corpId,
        client_id: options.clientId,
        client_secret: options.clientSecret,
        grant_type: "client_credentials"
      }).pipe(
        Effect.provideService(Transport.Transport, transport),
        Upkeep.naming(corpId),
        Effect.map(({ access_token, expires_in }) => ({ value: access_token, expireIn: expires_in }))
      )
    }), options)
    return { of, clientId: options.clientId }
  })

/**
 * An app in any number of organisations; `ThirdPartyApp.layer` is for apps that live by suite tickets.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { OrganizationTokens } from "@effect-dingtalk/auth"
 * import { Layer, Redacted } from "effect"
 *
 * const tokens = OrganizationTokens.layer({
 *   clientId: "dingquickstart",
 *   clientSecret: Redacted.make("quickstart-secret"),
 *   idleAfter: "1 hour"
 * })
 * console.log(Layer.isLayer(tokens)) // true
 * ```
 */
export const layer = (
  options: Options
): Layer.Layer<OrganizationTokens | AppCredentials.AppCredentials, never, Transport.Transport> =>
  Layer.merge(
    Layer.scoped(OrganizationTokens, make(options)),
    AppCredentials.layer({ clientId: options.clientId, clientSecret: options.clientSecret })
  )

/**
 * From `DINGTALK_CLIENT_ID` and `DINGTALK_CLIENT_SECRET`, but for what you give.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> } = {}
): Layer.Layer<OrganizationTokens | AppCredentials.AppCredentials, ConfigError, Transport.Transport> =>
  Layer.unwrapEffect(
    Effect.map(Config.unwrap({ ...AppCredentials.config, ...config } as Config.Config.Wrap<Options>), layer)
  )

/**
 * The tokens of one organisation as the `TokenService` of a program that serves only that one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOf = (corpId: string): Layer.Layer<TokenService, never, OrganizationTokens> =>
  Layer.effect(
    TokenService,
    Effect.map(OrganizationTokens, (tokens) => ({ ...tokens.of(corpId), clientId: tokens.clientId }))
  )
