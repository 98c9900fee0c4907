/**
 * The port for an app's tokens in many organisations. `@effect-dingtalk/auth` has the Layers that keep them fresh.
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
export interface Service {
  /** whose tokens they are: the limiter counts by it, in all processes alike */
  readonly clientId?: string | undefined
  /** costs nothing until it is asked for a token; every answer for the same organisation is of the same token */
  readonly of: (corpId: string) => AccessToken.Source<CommonError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class OrganizationTokens
  extends Context.Tag("@effect-dingtalk/core/OrganizationTokens")<OrganizationTokens, Service>()
{}

/**
 * One fixed token per organisation that never ends, for tests of what lies below `DingTalk`.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (
  tokenOf: (corpId: string) => string = (corpId) => `test-token-of-${corpId}`
): Layer.Layer<OrganizationTokens> =>
  Layer.succeed(OrganizationTokens, {
    of: (corpId) => ({
      get: Effect.sync(() => AccessToken.make(tokenOf(corpId), Infinity)),
      invalidate: () => Effect.void
    })
  })
