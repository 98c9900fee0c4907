/**
 * A token and the end of its life.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/**
 * @since 0.1.0
 * @category models
 */
export interface AccessToken {
  readonly value: Redacted.Redacted
  /** milliseconds since the epoch, counted from before the token was asked for */
  readonly expiresAt: number
}

/**
 * Where a call gets its token from, and whom it tells when the platform refuses it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<out E> {
  /** a usable token: from memory nearly always, else fetched once for all who wait */
  readonly get: Effect.Effect<AccessToken, E>
  /**
   * What `get` would give at this time (milliseconds since the epoch) if it had nothing else to do than to give it:
   * `undefined` when there is none, or a refresh is due. It only saves time, so leave it out where there is no memory.
   */
  readonly unsafePeek?: ((now: number) => AccessToken | undefined) | undefined
  /** drops the token if it is still the one in use; a late rejection of an older one does nothing */
  readonly invalidate: (rejected: Redacted.Redacted) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (value: Redacted.Redacted | string, expiresAt: number): AccessToken => ({
  value: typeof value === "string" ? Redacted.make(value) : value,
  expiresAt
})

/**
 * @since 0.1.0
 * @category getters
 */
export const isSame = (self: Redacted.Redacted, that: Redacted.Redacted): boolean =>
  Redacted.value(self) === Redacted.value(that)
