/**
 * The port for an app that serves many organisations: a third-party app, or one app in several corps. There is no
 * `DingTalk` until an organisation is chosen, so a call cannot reach the wrong one by default.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Service as DingTalkService } from "./DingTalk.js"
import { DingTalk } from "./DingTalk.js"
import type { Handler } from "./Endpoint.js"
import { answering } from "./internal/answer.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** the platform, with this app's token of that organisation */
  readonly of: (corpId: string) => DingTalkService
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Organizations extends Context.Tag("@effect-dingtalk/core/Organizations")<Organizations, Service>() {}

/**
 * Makes every call of an Effect in one organisation, with the app's token of it: meets what the Effect needs of
 * `DingTalk`. An Effect that calls nothing costs no token.
 *
 * @since 0.1.0
 * @category combinators
 * @example
 * ```ts
 * import { Contact, Endpoint, Organizations } from "@effect-dingtalk/core"
 * import { Effect } from "effect"
 *
 * const test = Organizations.layerTest((corpId) => [
 *   Endpoint.handle(Contact.GetUser, ({ userid }) => Effect.succeed({ userid, unionid: "u1", name: `John of ${corpId}` }))
 * ])
 *
 * const nameIn = (corpId: string) =>
 *   Contact.getUser({ userid: "zhangsan" }).pipe(
 *     Effect.map((user) => user.name),
 *     Organizations.within(corpId)
 *   )
 *
 * Effect.all([nameIn("dingnorth"), nameIn("dingsouth")]).pipe(
 *   Effect.provide(test),
 *   Effect.runPromise
 * ).then(console.log) // ["John of dingnorth", "John of dingsouth"]
 * ```
 */
export const within =
  (corpId: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, DingTalk> | Organizations> =>
    Effect.flatMap(Organizations, (organizations) => Effect.provideService(effect, DingTalk, organizations.of(corpId)))

/**
 * Answers per organisation and endpoint, for tests of an application: no HTTP and no token.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (handlers: (corpId: string) => ReadonlyArray<Handler>): Layer.Layer<Organizations> =>
  Layer.sync(Organizations, () => {
    const known = new Map<string, DingTalkService>()
    return {
      of: (corpId) => {
        let dingtalk = known.get(corpId)
        if (dingtalk === undefined) {
          const answers = answering("Organizations", handlers(corpId))
          dingtalk = {
            corpId,
            call: (endpoint, payload) =>
              Effect.flatMap(answers, ({ call }) => call(endpoint, payload) as Effect.Effect<any, any, any>)
          }
          known.set(corpId, dingtalk)
        }
        return dingtalk
      }
    }
  })
