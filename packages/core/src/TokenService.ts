/**
 * The port for the app's own token. `@effect-dingtalk/auth` has the Layer that keeps one fresh.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AccessToken from "./AccessToken.js"
import type { CommonError } from "./DingTalkError.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service extends AccessToken.Source<CommonError> {
  /** whose tokens they are: the limiter counts by it, in all processes alike */
  readonly clientId?: string | undefined
}

/**
 * @since 0.1.0
 * @category tags
 */
export class TokenService extends Context.Tag("@effect-dingtalk/core/TokenService")<TokenService, Service>() {}

/**
 * One fixed token that never ends, for tests of what lies below `DingTalk`.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (token = "test-app-token"): Layer.Layer<TokenService> =>
  Layer.succeed(TokenService, {
    get: Effect.succeed(AccessToken.make(token, Infinity)),
    invalidate: () => Effect.void
  })
