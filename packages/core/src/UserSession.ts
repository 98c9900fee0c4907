/**
 * The port for one signed-in person: whose token the user-level endpoints carry.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AccessToken from "./AccessToken.js"
import type { CommonError, SignInRequired } from "./DingTalkError.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service extends AccessToken.Source<CommonError | SignInRequired> {}

/**
 * An endpoint that needs a user's token has this in its requirements: provide it per request, for the person at hand.
 *
 * @since 0.1.0
 * @category tags
 */
export class UserSession extends Context.Tag("@effect-dingtalk/core/UserSession")<UserSession, Service>() {}

/**
 * A session with one fixed token that never ends.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (token = "test-user-token"): Layer.Layer<UserSession> =>
  Layer.succeed(UserSession, {
    get: Effect.succeed(AccessToken.make(token, Infinity)),
    invalidate: () => Effect.void
  })
