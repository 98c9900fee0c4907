import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import * as DingTalk from "@effect-dingtalk/core/DingTalk"
import type { CommonError, InvalidAuthCode } from "@effect-dingtalk/core/DingTalkError"
import { SignInRequired, TransportError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { AppCredentials } from "../AppCredentials.js"
import type { Options, Session, UserTokens } from "../UserSession.js"
import * as Background from "./background.js"
import * as tokenCell from "./tokenCell.js"

/** @internal */
export type Failure = CommonError | SignInRequired

/** @internal */
export type Exchange = (refreshToken: Redacted.Redacted, before: UserTokens) => Effect.Effect<UserTokens, Failure>

/**
 * How a session gets its next tokens: by an exchange of its own, or by what another process has brought.
 *
 * @internal
 */
export type Rotation = (
  current: UserTokens,
  rejected: Redacted.Redacted | undefined,
  exchange: Exchange
) => Effect.Effect<UserTokens, Failure>

/** @internal */
export const signInRequired = (cause?: InvalidAuthCode) => {
  const { _tag, ...context } = cause ?? { _tag: undefined, endpoint: OAuth2.GetUserToken.name }
  return new SignInRequired(context)
}

/**
 * Somebody has signed the person out: the access token at hand is of no use any more either.
 *
 * @internal
 */
export class Ended extends SignInRequired {}

/** @internal */
export const toTokens = (answer: OAuth2.UserToken, askedAt: number, before?: UserTokens): UserTokens => ({
  accessToken: answer.accessToken,
  // Left out, it means "keep yours".
  refreshToken: answer.refreshToken ?? before?.refreshToken,
  expiresAt: askedAt + tokenCell.lifeOf(answer.expireIn),
  issuedAt: askedAt,
  corpId: answer.corpId ?? before?.corpId
})

/**
 * When tokens were asked for; of a session that was taken up without it, by what the platform documents.
 *
 * @internal
 */
export const issuedAtOf = (tokens: UserTokens): number =>
  tokens.issuedAt ?? tokens.expiresAt - tokenCell.lifeOf(undefined)

/** Without a store: nobody else has this refresh token. */
const alone: Rotation = (current, _, exchange) =>
  current.refreshToken === undefined ? Effect.fail(signInRequired()) : exchange(current.refreshToken, current)

/** @internal */
export const late = (timeout: Duration.Duration) =>
  new TransportError({
    endpoint: OAuth2.GetUserToken.name,
    reason: "Timeout",
    description: `no token within ${Duration.format(timeout)}`
  })

/** @internal */
export const start = (
  tokens: UserTokens,
  options: Options & {
    readonly rotation?: Rotation
    /** for how long a session that is over is not looked at again */
    readonly overFor?: Duration.Duration
  }
): Effect.Effect<Session, never, DingTalk.DingTalk | AppCredentials> =>
  Effect.gen(function*() {
    const fork = yield* Background.make()
    const dingtalk = yield* DingTalk.DingTalk
    const credentials = yield* AppCredentials
    const timeout = Duration.decode(options.timeout ?? "10 seconds")
    const rotation = options.rotation ?? alone
    const overFor = options.overFor ?? Duration.infinity
    let current = tokens

    // Whatever becomes of it, the platform has rotated: the session goes on with what it has.
    const tell = Effect.suspend(() => options.onRotate?.(current) ?? Effect.void).pipe(
      Effect.interruptible,
      Effect.timeoutOption(timeout),
      Effect.exit,
      Effect.flatMap((exit) =>
        Exit.isSuccess(exit) && Option.isSome(exit.value)
          ? Effect.void
          : Effect.logWarning("DingTalk session: onRotate did not keep the new tokens; they are in `tokens`")
      )
    )

    const exchange: Exchange = (refreshToken, before) =>
      Effect.flatMap(Clock.currentTimeMillis, (askedAt) =>
        dingtalk.call(OAuth2.GetUserToken, {
          clientId: credentials.clientId,
          clientSecret: credentials.clientSecret,
          grantType: "refresh_token",
          refreshToken
        }).pipe(
          Effect.catchTag("InvalidAuthCode", (error) => Effect.fail(signInRequired(error))),
          Effect.map((answer) => {
            current = toTokens(answer, askedAt, before)
            return current
          })
        ))

    const rotate = (rejected: Redacted.Redacted | undefined) =>
      Effect.suspend(() => rotation(current, rejected, exchange)).pipe(
        Effect.tap((next) => {
          const isOurs = current === next
          current = next
          return isOurs ? Effect.flatMap(Effect.sync(() => fork(tell)), Fiber.await) : Effect.void
        }),
        Effect.map((next): tokenCell.Issued => {
          const askedAt = issuedAtOf(next)
          return { value: next.accessToken, expireIn: (next.expiresAt - askedAt) / 1000, askedAt }
        }),
        Effect.withSpan("DingTalk.userToken", { root: true })
      )

    // An exchange spends its refresh token, so it is never given up: who no longer waits leaves it to the next.
    let underWay: Fiber.RuntimeFiber<tokenCell.Issued, Failure> | undefined

    const begin = (rejected: Redacted.Redacted | undefined) => {
      const fiber = fork(rotate(rejected))
      // What it brings is left to the next; why it failed says nothing to who comes later.
      fiber.addObserver((exit) => {
        if (Exit.isFailure(exit) && underWay === fiber) underWay = undefined
      })
      return fiber
    }

    const acquire = (rejected: Redacted.Redacted | undefined): Effect.Effect<tokenCell.Issued, Failure> =>
      Effect.suspend(() => {
        const fiber = underWay ??= begin(rejected)
        return Fiber.join(fiber).pipe(
          Effect.onExit(() =>
            Effect.sync(() => {
              if (fiber.unsafePoll() !== null && underWay === fiber) underWay = undefined
            })
          ),
          Effect.timeoutFail({ duration: timeout, onTimeout: () => late(timeout) })
        )
      })

    const cell = yield* tokenCell.make<Failure>({
      acquire,
      finality: (error) => error._tag === "SignInRequired" ? overFor : undefined,
      ends: (error) => error instanceof Ended,
      refresh: "onDemand",
      fork,
      initial: tokens
    })

    return {
      get: cell.get,
      unsafePeek: cell.unsafePeek,
      invalidate: cell.invalidate,
      corpId: tokens.corpId,
      tokens: Effect.sync(() => current)
    }
  })

/** @internal */
export const isSame = (self: UserTokens, that: UserTokens): boolean =>
  AccessToken.isSame(self.accessToken, that.accessToken)
