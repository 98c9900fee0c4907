/**
 * The token of the admin console's sign-in: who opened an app's admin page from there.
 *
 * @since 0.1.0
 */
import { InvalidCredentials } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import { type Service, SsoTokenService } from "@effect-dingtalk/core/SsoTokenService"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Upkeep from "./internal/upkeep.js"

export {
  /**
   * One fixed token that never ends.
   *
   * @since 0.1.0
   * @category testing
   */
  layerTest,
  /**
   * @since 0.1.0
   * @category tags
   */
  SsoTokenService
} from "@effect-dingtalk/core/SsoTokenService"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the organisation of the developer */
  readonly corpId: string
  /** `SSOsecret` of the developer console */
  readonly ssoSecret: Redacted.Redacted
  /** the longest that one fetch may take; 10 seconds unless it says otherwise */
  readonly timeout?: Duration.DurationInput | undefined
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, never, Transport.Transport | Scope.Scope> =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const upkeep = yield* Upkeep.make(options)
    return yield* upkeep.one({
      key: { host: transport.hosts.api, clientId: options.corpId, kind: "sso" },
      endpoint: OAuth2.GetSsoAccessToken.name,
      fetch: Transport.exchange(OAuth2.GetSsoAccessToken, {
        corpid: options.corpId,
        ssoSecret: options.ssoSecret
      }).pipe(
        Effect.provideService(Transport.Transport, transport),
        Effect.mapError((error) => {
          if (error._tag !== "InvalidCredentials") return error
          const { _tag, ...fields } = error
          return new InvalidCredentials({
            ...fields,
            advice: "check the corpId and the SSOsecret of the developer console"
          })
        }),
        Effect.map(({ accessToken, expireIn }) => ({ value: accessToken, expireIn }))
      )
    })
  })

/**
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { SsoToken } from "@effect-dingtalk/auth"
 * import { OAuth2 } from "@effect-dingtalk/core"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const sso = SsoToken.layer({ corpId: "dingdeveloper", ssoSecret: Redacted.make("sso-secret") })
 *
 * // needs DingTalk and an SsoTokenService
 * const whoAdministers = (code: string) => OAuth2.getSsoUserInfo({ code: Redacted.make(code) })
 * console.log(Layer.isLayer(sso), Effect.isEffect(whoAdministers("a1b2"))) // true true
 * ```
 */
export const layer = (options: Options): Layer.Layer<SsoTokenService, never, Transport.Transport> =>
  Layer.scoped(SsoTokenService, make(options))

const SETTINGS = {
  corpId: Config.nonEmptyString("DINGTALK_CORP_ID"),
  ssoSecret: Config.map(Config.nonEmptyString("DINGTALK_SSO_SECRET"), Redacted.make)
}

/**
 * From `DINGTALK_CORP_ID` and `DINGTALK_SSO_SECRET`, but for what you give.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> } = {}
): Layer.Layer<SsoTokenService, ConfigError, Transport.Transport> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap({ ...SETTINGS, ...config } as Config.Config.Wrap<Options>), layer))
