/**
 * The ticket that the platform pushes to a third-party application about every five hours, without which that gets no
 * token. A new one ends the one before.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"

/**
 * One push. The ticket shows itself only in what `toStream` and `toCallback` give.
 *
 * @since 0.1.0
 * @category models
 */
export interface SuiteTicket {
  readonly suiteKey: string
  readonly suiteTicket: Redacted.Redacted
  readonly eventId: string
  /** the organisation of the application's developer: the emulator's default one */
  readonly corpId: string
  /** milliseconds since the epoch, by the emulator's clock */
  readonly bornTime: number
  readonly unifiedAppId: string
}

/**
 * What became of a push: `none` where the application declares no callback, `unacknowledged` where it never answered as
 * it has to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Push extends SuiteTicket {
  readonly delivery: "none" | "acknowledged" | "unacknowledged"
  /** how often it was posted */
  readonly attempts: number
}

/**
 * As a client of the Stream mode hands it on. Source: reference 1.6 [D]; where which id comes from is inferred [I].
 *
 * @since 0.1.0
 * @category conversions
 * @example
 * ```ts
 * import { Emulator, SuiteTicket } from "@effect-dingtalk/emulator"
 * import { Effect, Queue } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const emulator = yield* Emulator.Emulator
 *   const pushed = yield* emulator.subscribe
 *   yield* emulator.pushSuiteTicket("suitequickstart")
 *   return SuiteTicket.toStream(yield* Queue.take(pushed)).eventType
 * })
 * Effect.runPromise(Effect.scoped(Effect.provide(program, Emulator.layer()))).then(console.log) // suite_ticket
 * ```
 */
export const toStream = (event: SuiteTicket): {
  readonly eventType: "suite_ticket"
  readonly eventCorpId: string
  readonly eventId: string
  readonly eventBornTime: number
  readonly eventUnifiedAppId: string
  readonly data: { readonly suiteTicket: string }
} => ({
  eventType: "suite_ticket",
  eventCorpId: event.corpId,
  eventId: event.eventId,
  eventBornTime: event.bornTime,
  eventUnifiedAppId: event.unifiedAppId,
  data: { suiteTicket: Redacted.value(event.suiteTicket) }
})

/**
 * As it is posted to a callback URL, before it is encrypted. Source: reference 1.6 [D]; that the time is text is
 * inferred from the other callbacks [I].
 *
 * @since 0.1.0
 * @category conversions
 * @example
 * ```ts
 * import { Emulator, SuiteTicket } from "@effect-dingtalk/emulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const emulator = yield* Emulator.Emulator
 *   return SuiteTicket.toCallback(yield* emulator.pushSuiteTicket("suitequickstart")).EventType
 * })
 * Effect.runPromise(Effect.provide(program, Emulator.layer())).then(console.log) // suite_ticket
 * ```
 */
export const toCallback = (event: SuiteTicket): {
  readonly SuiteKey: string
  readonly EventType: "suite_ticket"
  readonly TimeStamp: string
  readonly SuiteTicket: string
} => ({
  SuiteKey: event.suiteKey,
  EventType: "suite_ticket",
  TimeStamp: String(event.bornTime),
  SuiteTicket: Redacted.value(event.suiteTicket)
})
