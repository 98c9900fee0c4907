import type * as PlatformError from "@effect/platform/Error"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Schema from "effect/Schema"
import { type Row, TokenStoreError } from "../TokenStore.js"

declare const crypto: {
  readonly subtle: { readonly digest: (algorithm: "SHA-256", bytes: Uint8Array) => Promise<ArrayBuffer> }
}
declare const TextEncoder: new() => { readonly encode: (text: string) => Uint8Array }

/** A name that every file system takes, however long the key is and whatever is in it. */
export const hashOf = (key: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(key))),
    (digest) => Encoding.encodeHex(new Uint8Array(digest))
  )

// JSON has no infinity.
const Until = Schema.NullOr(Schema.Number)

const rowCodec = Schema.parseJson(
  Schema.Struct({ key: Schema.String, version: Schema.String, until: Until, text: Schema.String })
)
const leaseCodec = Schema.parseJson(
  Schema.Struct({ key: Schema.String, owner: Schema.String, since: Schema.Number, until: Until })
)

const endOf = (now: number, duration: Duration.Duration): number | null => {
  const until = now + Duration.toMillis(duration)
  return Number.isFinite(until) ? until : null
}

const isOver = (until: number | null, now: number): boolean => until !== null && now >= until

export const encodeRow = (key: string, row: Row, now: number, keepFor: Duration.Duration): string =>
  JSON.stringify({ key, version: row.version, until: endOf(now, keepFor), text: row.text })

/** `undefined` where it has ended, is not of this key or cannot be understood. */
export const decodeRow = (text: string, key: string, now: number): Row | undefined => {
  const record = Schema.decodeUnknownEither(rowCodec)(text)
  return Either.isRight(record) && record.right.key === key && !isOver(record.right.until, now)
    ? { text: record.right.text, version: record.right.version }
    : undefined
}

/** `true` for what has an end, and is past it. */
export const hasEnded = (text: string, now: number): boolean => {
  const record = Schema.decodeUnknownEither(Schema.Union(rowCodec, leaseCodec))(text)
  return Either.isRight(record) && isOver(record.right.until, now)
}

export const encodeLease = (key: string, owner: string, now: number, leaseFor: Duration.Duration): string =>
  JSON.stringify({ key, owner, since: now, until: endOf(now, leaseFor) })

/** Whose lease it is; `undefined` where it is nobody's. */
export const ownerOf = (text: string, key: string, now: number): string | undefined => {
  const lease = Schema.decodeUnknownEither(leaseCodec)(text)
  if (Either.isLeft(lease) || lease.right.key !== key || isOver(lease.right.until, now)) return undefined
  // Taken in the future: the clock was set back, and the lease must not last until it has caught up.
  return lease.right.since > now + 1000 ? undefined : lease.right.owner
}

/** What the platform says names a path, and never what was to be written there. */
export const explain =
  (operation: TokenStoreError["operation"]) => (error: PlatformError.PlatformError): TokenStoreError =>
    new TokenStoreError({
      operation,
      description: error._tag === "SystemError" ? error.description ?? error.reason : "the platform refused it"
    })
