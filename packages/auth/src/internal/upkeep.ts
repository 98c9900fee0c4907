import type * as AccessToken from "@effect-dingtalk/core/AccessToken"
import type { CommonError } from "@effect-dingtalk/core/DingTalkError"
import { TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as TokenStore from "../TokenStore.js"
import * as Background from "./background.js"
import * as sharedToken from "./sharedToken.js"
import * as tokenCell from "./tokenCell.js"

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
  /** a failure that may be over at any moment, and that costs no request meanwhile */
  readonly isPassing?: ((error: CommonError) => boolean) | undefined
}

/** @internal */
export interface Upkeep {
  readonly store: TokenStore.Service | undefined
  readonly fork: Background.Fork
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
}

const COOL_DOWN = Duration.seconds(30)
const SHORT_COOL_DOWN = Duration.seconds(5)
// Whatever a gateway on the way says, an hour is long enough to ask again.
const LONGEST = Duration.hours(1)
// Processes that share a token must not all wake at once; one that has it alone keeps to the guide's ten minutes.
const SHARED_SPREAD = Duration.toMillis("30 seconds")
// Thousands of tokens that were fetched together, after a start, must not be due together.
const MANY_SPREAD = Duration.toMillis("20 minutes")

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

/**
 * Spaces fetches evenly, first come first served: who goes away while waiting gives the place back.
 *
 * @internal
 */
export const pace = (perSecond: number): <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E> => {
  if (perSecond === Infinity) return (effect) => effect
  const gate = Effect.unsafeMakeSemaphore(1)
  const gap = 1000 / perSecond
  let next = 0
  const turn = gate.withPermits(1)(Effect.clockWith((clock) => {
    const now = clock.unsafeCurrentTimeMillis()
    // A clock that was set back keeps nobody waiting for longer than one gap.
    const wait = Math.min(Math.max(next - now, 0), gap)
    const take = Effect.sync(() => {
      next = clock.unsafeCurrentTimeMillis() + gap
    })
    return wait === 0 ? take : Effect.zipRight(clock.sleep(Duration.millis(wait)), take)
  }))
  return (effect) => Effect.zipRight(turn, effect)
}

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
      { endpoint, fetch, isPassing, key }: Kept,
      own: { readonly spread: number; readonly idleAfter?: number; readonly paced?: ReturnType<typeof pace> }
    ) => {
      const late = () =>
        new TransportError({ endpoint, reason: "Timeout", description: `no token within ${Duration.format(timeout)}` })
      const limited = Effect.timeoutFail(fetch, { duration: timeout, onTimeout: late })
      const acquire = sharedToken.make({
        store,
        key,
        patience: timeout,
        fetch: own.paced === undefined ? limited : own.paced(limited)
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
        refresh: "scheduled",
        fork,
        isClosed: () => isClosed,
        spread: own.spread,
        idleAfter: own.idleAfter
      })
    }

    return {
      store,
      fork,
      one: (kept) => cellOf(kept, { spread: store === undefined ? 0 : SHARED_SPREAD }),
      many: (of, { idleAfter, perSecond }) =>
        Effect.sync(() => {
          const idle = Duration.toMillis(idleAfter ?? "30 minutes")
          const paced = pace(perSecond ?? 20)
          const cells = new Map<string, tokenCell.TokenCell<CommonError>>()
          const own = { spread: MANY_SPREAD, idleAfter: idle, paced }

          const sweep = Effect.clockWith((clock) =>
            Effect.sync(() => {
              const now = clock.unsafeCurrentTimeMillis()
              for (const [subject, cell] of cells) {
                if (cell.isBusy() || now - cell.lastUsedAt() < idle) continue
                cell.drop()
                cells.delete(subject)
              }
            })
          )
          let sweeper: unknown
          const wake = () => {
            sweeper ??= fork(
              Effect.sleep(Duration.millis(idle / 2)).pipe(
                Effect.zipRight(sweep),
                Effect.repeat({ while: () => cells.size > 0 }),
                Effect.ensuring(Effect.sync(() => {
                  sweeper = undefined
                }))
              )
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

          return (subject): AccessToken.Source<CommonError> => ({
            get: Effect.flatMap(cell(subject), (cell) => cell.get),
            unsafePeek: (now) => cells.get(subject)?.unsafePeek?.(now),
            invalidate: (rejected) => Effect.suspend(() => cells.get(subject)?.invalidate(rejected) ?? Effect.void)
          })
        })
    }
  })
