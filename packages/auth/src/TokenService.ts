/**
 * The app's own token, kept fresh: fetched once for all who wait, refreshed in the background 10 minutes before its
 * end, replaced once when the platform refuses it. With a `TokenStore` in its context, fetched once for all processes.
 *
 * A token in use serves to its end, whatever becomes of its refresh. Where there is none, a failed fetch is asked for
 * again by whoever comes next, twice in a row; from the third failure on, all who come within 1, 2, 4 and then at most 8
 * seconds (a random half less) fail at once with that failure and without a request, until one success. A throttle that
 * states no end counts so from the first time; one that does, a ban, and what asking again cannot mend (bad credentials:
 * 30 seconds) last for their own time.
 *
 * @since 0.1.0
 */
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import type { Service } from "@effect-dingtalk/core/TokenService"
import { layerTest as fixed, TokenService } from "@effect-dingtalk/core/TokenService"
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
   * @since 0.1.0
   * @category models
   */
  type Service,
  /**
   * @since 0.1.0
   * @category tags
   */
  TokenService
} from "@effect-dingtalk/core/TokenService"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends AppCredentials.Service {
  /** the longest that one fetch may take; 10 seconds unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
  /** `gettoken` of the legacy gateway, for networks that reach only that host; the token is the same */
  readonly via?: "accessToken" | "gettoken" | undefined
}

/**
 * A token service that lives as long as its scope: closing that stops the background refresh and any fetch under way.
 * Its `get` fails at once, without a request, for a while after fetches that failed; see above.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<Service, never, Transport.Transport | Scope.Scope> =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const upkeep = yield* Upkeep.make(options)
    const isLegacy = options.via === "gettoken"
    const answer = isLegacy
      ? Effect.map(
        Transport.exchange(OAuth2.GetToken, { appkey: options.clientId, appsecret: options.clientSecret }),
        ({ access_token, expires_in }) => ({ value: access_token, expireIn: expires_in })
      )
      : Effect.map(
        Transport.exchange(OAuth2.GetAccessToken, { appKey: options.clientId, appSecret: options.clientSecret }),
        ({ accessToken, expireIn }) => ({ value: accessToken, expireIn })
      )
    const cell = yield* upkeep.one({
      // Both endpoints give the same token.
      key: { host: transport.hosts.api, clientId: options.clientId, kind: "app" },
      endpoint: (isLegacy ? OAuth2.GetToken : OAuth2.GetAccessToken).name,
      fetch: Effect.provideService(answer, Transport.Transport, transport)
    })
    return { ...cell, clientId: options.clientId }
  })

/**
 * Bind the Layer to a constant and provide it once: made twice, it fetches twice.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Transport, Endpoint, OAuth2 } from "@effect-dingtalk/core"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const platform = Transport.layerTest([
 *   Endpoint.handle(OAuth2.GetAccessToken, () => Effect.succeed({ accessToken: "fw8ef8we8f76e6f7s8d", expireIn: 7200 }))
 * ])
 * const tokens = TokenService.layer({
 *   clientId: "dingquickstart",
 *   clientSecret: Redacted.make("quickstart-secret")
 * }).pipe(Layer.provide(platform))
 *
 * const program = Effect.gen(function*() {
 *   const token = yield* (yield* TokenService.TokenService).get
 *   return String(token.value)
 * })
 * Effect.runPromise(Effect.provide(program, tokens)).then(console.log) // <redacted>
 * ```
 */
export const layer = (
  options: Options
): Layer.Layer<TokenService | AppCredentials.AppCredentials, never, Transport.Transport> =>
  Layer.merge(
    Layer.scoped(TokenService, make(options)),
    AppCredentials.layer({ clientId: options.clientId, clientSecret: options.clientSecret })
  )

/**
 * From `DINGTALK_CLIENT_ID` and `DINGTALK_CLIENT_SECRET`, but for what you give.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Config, Layer } from "effect"
 *
 * const byDefault = TokenService.layerConfig()
 * const secondApp = TokenService.layerConfig({
 *   clientId: Config.string("HR_APP_CLIENT_ID"),
 *   clientSecret: Config.redacted("HR_APP_CLIENT_SECRET")
 * })
 * console.log(Layer.isLayer(byDefault), Layer.isLayer(secondApp)) // true true
 * ```
 */
export const layerConfig = (
  config: { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> } = {}
): Layer.Layer<TokenService | AppCredentials.AppCredentials, ConfigError, Transport.Transport> =>
  Layer.unwrapEffect(
    Effect.map(Config.unwrap({ ...AppCredentials.config, ...config } as Config.Config.Wrap<Options>), layer)
  )

/**
 * One fixed token that never ends and credentials of nobody, for tests of what lies below `DingTalk`.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (token?: string): Layer.Layer<TokenService | AppCredentials.AppCredentials> =>
  Layer.merge(fixed(token), AppCredentials.layerTest)
