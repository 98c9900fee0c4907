/**
 * The port for a third-party app's own token (the suite's). `@effect-dingtalk/auth` has the Layer that keeps one fresh.
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
export interface Service extends AccessToken.Source<CommonError> {}

/**
 * An endpoint that needs this token, such as `oauth2.getAuthInfo`, has this in its requirements.
 *
 * @since 0.1.0
 * @category tags
 */
export class SuiteTokenService
  extends Context.Tag("@effect-dingtalk/core/SuiteTokenService")<SuiteTokenService, Service>()
{}

/**
 * One fixed token that never ends.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (token = "test-suite-token"): Layer.Layer<SuiteTokenService> =>
  Layer.succeed(SuiteTokenService, {
    get: Effect.succeed(AccessToken.make(token, Infinity)),
    invalidate: () => Effect.void
  })
