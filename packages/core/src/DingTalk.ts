/**
 * The port that applications use: call an endpoint, and tokens, replays, limits, deadlines and spans are looked after.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { CommonError, SignInRequired } from "./DingTalkError.js"
import type { CallContext, CallError, Credential, Endpoint, Handler } from "./Endpoint.js"
import { answering } from "./internal/answer.js"
import type { SsoTokenService } from "./SsoTokenService.js"
import type { SuiteTokenService } from "./SuiteTokenService.js"
import type { UserSession } from "./UserSession.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly call: <P, S, E, Auth extends Credential, SI>(
    endpoint: Endpoint<P, S, E, Auth, SI>,
    payload: P
  ) => Effect.Effect<S, CallError<E, Auth>, CallContext<Auth>>
  /** the host of the new gateway that is called, such as `https://api.dingtalk.com`: what is kept is good for no other */
  readonly host?: string | undefined
  /** whose token the calls carry, where the app serves many organisations */
  readonly corpId?: string | undefined
}

/**
 * @since 0.1.0
 * @category tags
 */
export class DingTalk extends Context.Tag("@effect-dingtalk/core/DingTalk")<DingTalk, Service>() {}

/**
 * Calls an endpoint; with the endpoint alone, makes the function that does. Whatever endpoint this library has not
 * declared, declare it with `Endpoint.api` or `Endpoint.oapi` and call it like the others.
 *
 * @since 0.1.0
 * @category accessors
 * @example
 * ```ts
 * import { Contact, DingTalk } from "@effect-dingtalk/core"
 * import { Effect } from "effect"
 *
 * const nameOf = (userid: string) =>
 *   DingTalk.call(Contact.GetUser, { userid }).pipe(
 *     Effect.map((user) => user.name),
 *     Effect.catchTag("UserNotFound", () => Effect.succeed("somebody"))
 *   )
 * console.log(typeof nameOf) // function
 * ```
 */
export const call: {
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "none" | "app", SI>
  ): (payload: P) => Effect.Effect<S, CommonError | E, DingTalk>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "user", SI>
  ): (payload: P) => Effect.Effect<S, CommonError | SignInRequired | E, DingTalk | UserSession>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "suite", SI>
  ): (payload: P) => Effect.Effect<S, CommonError | E, DingTalk | SuiteTokenService>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "sso", SI>
  ): (payload: P) => Effect.Effect<S, CommonError | E, DingTalk | SsoTokenService>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "none" | "app", SI>,
    payload: P
  ): Effect.Effect<S, CommonError | E, DingTalk>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "user", SI>,
    payload: P
  ): Effect.Effect<S, CommonError | SignInRequired | E, DingTalk | UserSession>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "suite", SI>,
    payload: P
  ): Effect.Effect<S, CommonError | E, DingTalk | SuiteTokenService>
  <P, S, E, SI>(
    endpoint: Endpoint<P, S, E, "sso", SI>,
    payload: P
  ): Effect.Effect<S, CommonError | E, DingTalk | SsoTokenService>
} = function<P, S, E, Auth extends Credential, SI>(endpoint: Endpoint<P, S, E, Auth, SI>, ...rest: [P] | []) {
  // One step instead of two: most of what a call costs are its steps.
  const run = (payload: P) =>
    Effect.withFiberRuntime<any, any, any>((fiber) =>
      Context.unsafeGet(fiber.currentContext as Context.Context<DingTalk>, DingTalk).call(endpoint, payload)
    )
  return rest.length === 0 ? run : run(rest[0])
} as any

/**
 * Answers per endpoint, for tests of an application: no HTTP and no token. Payloads are checked as they are in earnest;
 * an endpoint without an answer fails the test with its name.
 *
 * @since 0.1.0
 * @category testing
 * @example
 * ```ts
 * import { Contact, DingTalk, Endpoint } from "@effect-dingtalk/core"
 * import { Effect } from "effect"
 *
 * const test = DingTalk.layerTest([
 *   Endpoint.handle(Contact.GetUser, ({ userid }) => Effect.succeed({ userid, unionid: "u1", name: "John" }))
 * ])
 *
 * Contact.getUser({ userid: "zhangsan" }).pipe(
 *   Effect.provide(test),
 *   Effect.runPromise
 * ).then((user) => console.log(user.name)) // John
 * ```
 */
export const layerTest = (handlers: ReadonlyArray<Handler>): Layer.Layer<DingTalk> =>
  Layer.effect(DingTalk, answering("DingTalk", handlers))
