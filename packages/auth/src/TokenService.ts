/**
 * The app's own token, kept fresh: fetched once for all who wait, refreshed in the background 10 minutes before its
 * end, replaced once when the platform refuses it.
 *
 * @since 0.1.0
 */
import type { CommonError } from "@effect-dingtalk/core/DingTalkError"
import { TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import type { Service } from "@effect-dingtalk/core/TokenService"
import { layerTest as fixed, TokenService } from "@effect-dingtalk/core/TokenService"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as AppCredentials from "./AppCredentials.js"
import * as Background from "./internal/background.js"
import * as tokenCell from "./internal/tokenCell.js"

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
}

const COOL_DOWN = Duration.seconds(30)
// Whatever a gateway on the way says, an hour is long enough to ask again.
const LONGEST = Duration.hours(1)

/** Asking again cannot mend these, or must wait: until then callers fail at once, without a request. */
const finality = (error: CommonError): Duration.Duration | undefined => {
  switch (error._tag) {
    case "InvalidCredentials":
    case "IpNotAllowed":
      return COOL_DOWN
    case "IpBanned":
    case "RateLimited":
      return error.retryAfter === undefined ? undefined : Duration.min(error.retryAfter, LONGEST)
    default:
      return undefined
  }
}

/**
 * A token service that lives as long as its scope: closing that stops the background refresh and any fetch under way.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<Service, never, Transport.Transport | Scope.Scope> =>
  Effect.gen(function*() {
    const fork = yield* Background.make(yield* Effect.scope)
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosed = true
      })
    )
    const transport = yield* Transport.Transport
    const timeout = Duration.decode(options.timeout ?? "10 seconds")

    const acquire = Transport.exchange(OAuth2.GetAccessToken, {
      appKey: options.clientId,
      appSecret: options.clientSecret
    }).pipe(
      Effect.provideService(Transport.Transport, transport),
      Effect.timeoutFail({
        duration: timeout,
        onTimeout: () =>
          new TransportError({
            endpoint: OAuth2.GetAccessToken.name,
            reason: "Timeout",
            description: `no token within ${Duration.format(timeout)}`
          })
      }),
      Effect.map(({ accessToken, expireIn }): tokenCell.Issued => ({ value: accessToken, expireIn })),
      // Whoever waits comes and goes; a fetch belongs to none of their traces.
      Effect.withSpan("DingTalk.token", { root: true, attributes: { "dingtalk.client_id": options.clientId } })
    )

    return yield* tokenCell.make<CommonError>({
      acquire,
      finality,
      refresh: "scheduled",
      fork,
      isClosed: () => isClosed
    })
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
 * From `DINGTALK_CLIENT_ID` and `DINGTALK_CLIENT_SECRET`, or from your own names.
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
  config: Config.Config.Wrap<Options> = AppCredentials.config
): Layer.Layer<TokenService | AppCredentials.AppCredentials, ConfigError, Transport.Transport> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(config), layer))

/**
 * One fixed token that never ends and credentials of nobody, for tests of what lies below `DingTalk`.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (token?: string): Layer.Layer<TokenService | AppCredentials.AppCredentials> =>
  Layer.merge(fixed(token), AppCredentials.layerTest)
