import type * as AccessToken from "@effect-dingtalk/core/AccessToken"
import type { CommonError } from "@effect-dingtalk/core/DingTalkError"
import { PermissionDenied, TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as TokenStore from "../TokenStore.js"
import * as Background from "./background.js"
import * as sharedToken from "./sharedToken.js"
import * as tokenCell from "./tokenCell.js"
import * as Turns from "./turns.js"

/**
 * One kind of token of one app, or of one app in one organisation.
 *
 * @internal
 */
export interface Kept {
  readonly key: TokenStore.Key
  /** the name of the endpoint that gives it */
  readonly endpoint: string
  readonly fetch: Effect.Effect<tokenCell.Issued, CommonError>
  /** fails where a fetch is bound to, and costs no request: nobody takes a place in the queue for it */
  readonly ready?: Effect.Effect<unknown, CommonError> | undefined
  /** a failure that may be over at any moment, and that costs no request meanwhile */
  readonly isPassing?: ((error: CommonError) => boolean) | undefined
}

/** @internal */
export interface Upkeep {
  readonly one: (kept: Kept) => Effect.Effect<tokenCell.TokenCell<CommonError>>
  readonly many: (of: (subject: string) => Kept, options: Many) => Effect.Effect<
    (subject: string) => AccessToken.Source<CommonError>
  >
}

/** @internal */
export interface Many {
  readonly idleAfter?: Duration.DurationInput | undefined
  /** fetches, of all the subjects together */
  readonly perSecond?: number | undefined
  /** told of each subject whose token is not kept any more */
  readonly onDrop?: ((subject: string) => void) | undefined
}

const COOL_DOWN = Duration.seconds(30)
const SHORT_COOL_DOWN = Duration.seconds(5)
// Whatever a gateway on the way says, an hour is long enough to ask again.
const LONGEST = Duration.hours(1)
// Processes that share a token must not all wake at once; one that has it alone keeps to the guide's ten minutes.
const SHARED_SPREAD = Duration.toMillis("30 seconds")
// Thousands of tokens that were fetched together, after a start, must not be due together.
const MANY_SPREAD = Duration.toMillis("20 minutes")
const SHORTEST_SWEEP = Duration.toMillis("1 second")

/** Asking again cannot mend these, or must wait: until then callers fail at once, without a request. */
const finality = (error: CommonError): Duration.Duration | undefined => {
  switch (error._tag) {
    case "InvalidCredentials":
    case "IpNotAllowed":
      return COOL_DOWN
    case "PermissionDenied":
      return SHORT_COOL_DOWN
    case "IpBanned":
    case "RateLimited":
      return error.retryAfter === undefined ? undefined : Duration.min(error.retryAfter, LONGEST)
    default:
      return undefined
  }
}

/** What has cost no request lets nobody wait: it was refused here, or the store of a ticket has failed. */
const passing = (error: CommonError): "busy" | "throttled" | undefined => {
  switch (error._tag) {
    case "RateLimited":
    case "IpBanned":
      return "throttled"
    case "TransportError":
      return error.reason === "Encode" || error.reason === "Store" ? undefined : "busy"
    default:
      return "busy"
  }
}

/**
 * Spaces fetches evenly, first come first served: who goes away while waiting gives the place back.
 *
 * @internal
 */
export const pace = (perSecond: number): <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E> => {
  if (perSecond === Infinity) return (effect) => effect
  const gap = 1000 / perSecond
  const turn = Turns.make(1)
  let next = 0

  const wait = Effect.clockWith((clock) => {
    const now = clock.unsafeCurrentTimeMillis()
    // A clock that was set back keeps nobody waiting for longer than one gap.
    const wait = Math.min(Math.max(next - now, 0), gap)
    const take = Effect.sync(() => {
      next = clock.unsafeCurrentTimeMillis() + gap
    })
    return wait === 0 ? take : Effect.zipRight(clock.sleep(Duration.millis(wait)), take)
  })
  return (effect) => Effect.zipRight(turn(wait), effect)
}

/**
 * Says which organisation it was that has not authorised the app.
 *
 * @internal
 */
export const naming =
  (corpId: string) => <A, R>(effect: Effect.Effect<A, CommonError, R>): Effect.Effect<A, CommonError, R> =>
    Effect.mapError(effect, (error) => {
      if (error._tag !== "PermissionDenied" || !UNAUTHORISED.has(error.code ?? "")) return error
      const { _tag, ...fields } = error
      return new PermissionDenied({
        ...fields,
        advice: `the organisation ${corpId} has not authorised the app, or no longer does`
      })
    })

const UNAUTHORISED = new Set(["invalidAuthInfo", "unauthorized.client"])

/**
 * What looks after tokens for as long as its scope lives: closing that stops timers and fetches under way.
 *
 * @internal
 */
export const make = (options: {
  readonly timeout?: Duration.DurationInput | undefined
}): Effect.Effect<Upkeep, never, Scope.Scope> =>
  Effect.gen(function*() {
    const store = Option.getOrUndefined(yield* Effect.serviceOption(TokenStore.TokenStore))
    const fork = yield* Background.make(yield* Effect.scope)
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosed = true
      })
    )
    const timeout = Duration.decode(options.timeout ?? "10 seconds")

    const cellOf = (
      { endpoint, fetch, isPassing, key, ready }: Kept,
      own: { readonly spread: number; readonly idleAfter?: number; readonly paced?: ReturnType<typeof pace> }
    ) => {
      const late = () =>
        new TransportError({ endpoint, reason: "Timeout", description: `no token within ${Duration.format(timeout)}` })
      const limited = Effect.timeoutFail(fetch, { duration: timeout, onTimeout: late })
      const acquire = sharedToken.make({
        store,
        key,
        ready,
        paced: own.paced,
        patience: timeout,
        fetch: limited
      })
      return tokenCell.make<CommonError>({
        // Whoever waits comes and goes; a fetch belongs to none of their traces.
        acquire: (rejected, before) =>
          Effect.withSpan(acquire(rejected, before), "DingTalk.token", {
            root: true,
            attributes: {
              "dingtalk.client_id": key.clientId,
              "dingtalk.token.kind": key.kind,
              ...(key.subject === undefined ? undefined : { "dingtalk.corp_id": key.subject })
            }
          }),
        finality: (error) => isPassing?.(error) === true ? undefined : finality(error),
        passing: (error) => isPassing?.(error) === true ? undefined : passing(error),
        refresh: "scheduled",
        fork,
        isClosed: () => isClosed,
        spread: own.spread,
        idleAfter: own.idleAfter
      })
    }

    return {
      one: (kept) => cellOf(kept, { spread: store === undefined ? 0 : SHARED_SPREAD }),
      many: (of, { idleAfter, onDrop, perSecond = 20 }) =>
        Effect.suspend(() => {
          if (!(perSecond > 0)) return Effect.dieMessage("perSecond: expected a number above 0")
          const idle = Duration.toMillis(idleAfter ?? "30 minutes")
          const paced = pace(perSecond)
          const cells = new Map<string, tokenCell.TokenCell<CommonError>>()
          const own = { spread: MANY_SPREAD, idleAfter: idle, paced }

          // A token that is still good costs a request where no store has it: it goes when it would have to be refreshed.
          const isSpare = (cell: tokenCell.TokenCell<CommonError>, now: number): boolean =>
            !cell.isBusy() && now - cell.lastUsedAt() >= idle && (store !== undefined || now >= cell.dueAt())

          /** Whether there is anything left to look after. */
          const sweep = Effect.clockWith((clock) =>
            Effect.sync(() => {
              const now = clock.unsafeCurrentTimeMillis()
              for (const [subject, cell] of cells) {
                if (!isSpare(cell, now)) continue
                cell.drop()
                cells.delete(subject)
                onDrop?.(subject)
              }
              if (cells.size === 0) isSweeping = false
              return isSweeping
            })
          )
          let isSweeping = false
          const wake = () => {
            if (isSweeping || isClosed) return
            isSweeping = true
            fork(
              Effect.iterate(true, {
                while: identity,
                body: () => Effect.zipRight(Effect.sleep(Duration.millis(Math.max(idle / 2, SHORTEST_SWEEP))), sweep)
              })
            )
          }

          const cell = (subject: string): Effect.Effect<tokenCell.TokenCell<CommonError>> =>
            Effect.suspend(() => {
              const known = cells.get(subject)
              if (known !== undefined) return Effect.succeed(known)
              return Effect.map(cellOf(of(subject), own), (made) => {
                const raced = cells.get(subject)
                if (raced !== undefined) return raced
                cells.set(subject, made)
                if (Number.isFinite(idle)) wake()
                return made
              })
            })

          return Effect.succeed((subject: string): AccessToken.Source<CommonError> => ({
            get: Effect.flatMap(cell(subject), (cell) => cell.get),
            unsafePeek: (now) => cells.get(subject)?.unsafePeek?.(now),
            invalidate: (rejected) => Effect.suspend(() => cells.get(subject)?.invalidate(rejected) ?? Effect.void)
          }))
        })
    }
  })
