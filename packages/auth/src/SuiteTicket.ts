/**
 * The suite ticket of a third-party app: the platform pushes a new one about every 5 hours, and without the latest no
 * token of an organisation is given.
 *
 * @since 0.1.0
 */
import type { CommonError } from "@effect-dingtalk/core/DingTalkError"
import { InvalidCredentials, TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TokenStore from "./TokenStore.js"

/**
 * An event that says it brings a suite ticket and brings none. It does not hold the event.
 *
 * @since 0.1.0
 * @category errors
 */
export class SuiteTicketError extends Schema.TaggedError<SuiteTicketError>("@effect-dingtalk/auth/SuiteTicketError")(
  "SuiteTicketError",
  {
    /** the field that is wrong, such as `data.suiteTicket` */
    field: Schema.String,
    description: Schema.String
  }
) {
  override get message(): string {
    return `suite ticket: ${this.field} ${this.description}`
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * the latest, of all that any process has received; fails with `InvalidCredentials`, which says what to do, where there
   * is none yet, and with `TransportError` (`Store`) where nobody can say because the store does not answer
   */
  readonly get: Effect.Effect<Redacted.Redacted, CommonError>
  /**
   * Hand every pushed event to this, decrypted and parsed, in any of the three forms of the platform: of a Stream
   * connection, of an HTTP callback, of a database synchronisation. `true`: it was a suite ticket of this app, and is
   * kept; `false`: it was something else. Acknowledge the event in both cases; where this fails, do not, and the platform
   * pushes it again. Older tickets than the one at hand are passed over. Source: reference 1.6.
   */
  readonly receive: (event: unknown) => Effect.Effect<boolean, SuiteTicketError | TokenStore.TokenStoreError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class SuiteTicket extends Context.Tag("@effect-dingtalk/auth/SuiteTicket")<SuiteTicket, Service>() {}

/**
 * Hands a pushed event to the `SuiteTicket` of the context.
 *
 * @since 0.1.0
 * @category accessors
 * @example
 * ```ts
 * import { SuiteTicket } from "@effect-dingtalk/auth"
 * import { Effect } from "effect"
 *
 * // in the handler of your callback URL, once the event is decrypted
 * const onEvent = (event: unknown) =>
 *   SuiteTicket.receive(event).pipe(
 *     Effect.as("success"),
 *     Effect.catchAll((error) => Effect.as(Effect.logWarning(error), "try again"))
 *   )
 * console.log(Effect.isEffect(onEvent({ EventType: "check_url" }))) // true
 * ```
 */
export const receive = (
  event: unknown
): Effect.Effect<boolean, SuiteTicketError | TokenStore.TokenStoreError, SuiteTicket> =>
  Effect.flatMap(SuiteTicket, (tickets) => tickets.receive(event))

interface Pushed {
  /** where the event says whose it is */
  readonly owner?: string | undefined
  readonly ticket: unknown
  readonly field: string
  /** milliseconds since the epoch; `undefined` where the event does not say */
  readonly at: number | undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

const parsed = (value: unknown): unknown => {
  if (typeof value !== "string") return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

// Below this, a time since the epoch is in seconds.
const SECONDS_UNTIL = 1e11

const millis = (value: unknown): number | undefined => {
  const number = typeof value === "number" || (typeof value === "string" && value !== "") ? Number(value) : NaN
  if (!Number.isFinite(number) || number <= 0) return undefined
  return number < SECONDS_UNTIL ? number * 1000 : number
}

/** `undefined` where the event is of another kind. */
const pushedOf = (event: unknown): Pushed | undefined => {
  const body = parsed(event)
  if (!isRecord(body)) return undefined
  // A frame of a Stream connection has what matters in its headers.
  const from = isRecord(body["headers"]) && body["eventType"] === undefined
    ? { ...body["headers"], data: body["data"] } as Record<string, unknown>
    : body
  if (from["eventType"] === "suite_ticket") {
    const data = parsed(from["data"])
    return {
      field: "data.suiteTicket",
      ticket: isRecord(data) ? data["suiteTicket"] : undefined,
      at: millis(from["eventBornTime"])
    }
  }
  if (from["EventType"] === "suite_ticket") {
    const owner = from["SuiteKey"]
    return {
      owner: typeof owner === "string" ? owner : undefined,
      field: "SuiteTicket",
      ticket: from["SuiteTicket"],
      at: millis(from["TimeStamp"])
    }
  }
  if (from["syncAction"] === "suite_ticket") {
    return { field: "suiteTicket", ticket: from["suiteTicket"], at: undefined }
  }
  return undefined
}

/** The body of a callback, as it comes; what is in it cannot be told. */
const isEncrypted = (event: unknown): boolean => {
  const body = parsed(event)
  return isRecord(body) && typeof body["encrypt"] === "string" && body["EventType"] === undefined &&
    body["eventType"] === undefined
}

interface Known {
  readonly ticket: Redacted.Redacted
  readonly at: number
}

// No push is lost for so long; then it is too old to be of use.
const KEEP = Duration.days(30)
// A time that is further ahead than clocks differ is none: every later ticket would be taken for an older one.
const AHEAD = Duration.toMillis("1 day")
// Whoever is first each time has brought a newer ticket, or else this store cannot compare.
const ATTEMPTS = 5

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly suiteKey: string
  /** one that does not change: an app that was developed for one customer may send any text */
  readonly fixed?: Redacted.Redacted | undefined
}): Effect.Effect<Service, never, Transport.Transport> =>
  Effect.gen(function*() {
    const { hosts } = yield* Transport.Transport
    const store = Option.getOrUndefined(yield* Effect.serviceOption(TokenStore.TokenStore))
    const key: TokenStore.Key = { host: hosts.api, clientId: options.suiteKey, kind: "suiteTicket" }
    if (store === undefined && options.fixed === undefined) {
      yield* Effect.logWarning(
        "DingTalk suite ticket: no TokenStore is provided, so a restart loses it; the next one is pushed within 5 hours"
      )
    }
    let known: Known | undefined

    const learn = (found: TokenStore.Found) => {
      if (found.token !== undefined && (known === undefined || found.token.issuedAt > known.at)) {
        known = { ticket: found.token.value, at: found.token.issuedAt }
      }
    }

    const write = (
      store: TokenStore.Service,
      pushed: Known,
      attempts = ATTEMPTS
    ): Effect.Effect<void, TokenStore.TokenStoreError> =>
      Effect.flatMap(store.read(key), (found) => {
        // The same one again, or an older one that was on its way for longer.
        if (found.token !== undefined && found.token.issuedAt >= pushed.at) return Effect.void
        const token = { value: pushed.ticket, issuedAt: pushed.at, expiresAt: pushed.at + Duration.toMillis(KEEP) }
        return Effect.flatMap(
          store.write(key, token, { replaces: found.version, keepFor: KEEP }),
          (version) => {
            if (version !== undefined) return Effect.void
            if (attempts > 1) return write(store, pushed, attempts - 1)
            return Effect.fail(
              new TokenStore.TokenStoreError({ operation: "write", description: "the suite ticket was not taken" })
            )
          }
        )
      })

    const none = new InvalidCredentials({
      endpoint: OAuth2.GetSuiteAccessToken.name,
      advice: "no suite ticket has been received yet; hand the platform's events to SuiteTicket.receive"
    })
    const unknown = (error: TokenStore.TokenStoreError) =>
      new TransportError({
        endpoint: OAuth2.GetSuiteAccessToken.name,
        reason: "Store",
        description: `no suite ticket is at hand, and the store that may have one does not answer: ${error.message}`
      })
    const latest = Effect.suspend(() => known === undefined ? Effect.fail(none) : Effect.succeed(known.ticket))

    return {
      get: options.fixed !== undefined
        ? Effect.succeed(options.fixed)
        : store === undefined
        ? latest
        // Another process may have received a newer one.
        : Effect.matchEffect(store.read(key), {
          onSuccess: (found): Effect.Effect<Redacted.Redacted, CommonError> => {
            learn(found)
            return latest
          },
          onFailure: (error): Effect.Effect<Redacted.Redacted, CommonError> =>
            known === undefined ? Effect.fail(unknown(error)) : latest
        }),
      receive: (event) =>
        Effect.gen(function*() {
          if (isEncrypted(event)) {
            return yield* new SuiteTicketError({
              field: "encrypt",
              description: "is an event that is still encrypted: decrypt it with the callback's token and aesKey first"
            })
          }
          const pushed = pushedOf(event)
          if (pushed === undefined) return false
          if (pushed.owner !== undefined && pushed.owner !== options.suiteKey) {
            yield* Effect.logWarning("DingTalk suite ticket: one of another app was passed over").pipe(
              Effect.annotateLogs({ of: pushed.owner.slice(0, 128), app: options.suiteKey })
            )
            return false
          }
          if (typeof pushed.ticket !== "string" || pushed.ticket.trim() === "") {
            const description = pushed.ticket === undefined ? "is missing" : "is not a text"
            return yield* new SuiteTicketError({ field: pushed.field, description })
          }
          const now = yield* Clock.currentTimeMillis
          const at = pushed.at === undefined || pushed.at > now + AHEAD ? now : pushed.at
          const next = { ticket: Redacted.make(pushed.ticket), at }
          if (known === undefined || at > known.at) known = next
          if (store !== undefined) yield* write(store, next)
          return true
        })
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: {
  readonly suiteKey: string
  readonly fixed?: Redacted.Redacted | undefined
}): Layer.Layer<SuiteTicket, never, Transport.Transport> => Layer.effect(SuiteTicket, make(options))

/**
 * One fixed ticket, for tests.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (ticket = "test-suite-ticket"): Layer.Layer<SuiteTicket> =>
  Layer.succeed(SuiteTicket, { get: Effect.succeed(Redacted.make(ticket)), receive: () => Effect.succeed(false) })
