/**
 * The way of a call: check and encode, token, exchange, one replay with a new token where the old one is refused, all
 * within one deadline and one span.
 *
 * @since 0.1.0
 */
import type * as AccessToken from "@effect-dingtalk/core/AccessToken"
import type { Service } from "@effect-dingtalk/core/DingTalk"
import { DingTalk } from "@effect-dingtalk/core/DingTalk"
import type { CommonError, SignInRequired } from "@effect-dingtalk/core/DingTalkError"
import { TokenExpired, TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { CallContext, CallError, Credential, Endpoint } from "@effect-dingtalk/core/Endpoint"
import { TokenService } from "@effect-dingtalk/core/TokenService"
import type { Exchange } from "@effect-dingtalk/core/Transport"
import { Transport } from "@effect-dingtalk/core/Transport"
import { UserSession } from "@effect-dingtalk/core/UserSession"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** the longest that one call may take, tokens and replay included; 30 seconds unless it says otherwise */
  readonly deadline?: Duration.DurationInput | undefined
}

/**
 * Sends with a token; where the platform refuses that token, drops it and sends once more with the next one. A token
 * is looked at before the request is, so a refused call has done nothing and may be sent again whatever it does.
 */
const sendWith = <S, E, E2>(
  tokens: AccessToken.Source<E2>,
  send: Exchange<S, E>
): Effect.Effect<S, CommonError | E | E2> =>
  Effect.flatMap(
    tokens.get,
    (token) =>
      Effect.catchIf(send(token.value), (error) =>
        error instanceof TokenExpired, (error) =>
        tokens.invalidate(token.value).pipe(
          Effect.zipRight(tokens.get),
          // Not replaced: it came back from the platform a moment ago and was refused, so it would be again.
          Effect.flatMap((next): Effect.Effect<S, CommonError | E> =>
            next === token ? Effect.fail(error) : send(next.value)
          )
        ))
  )

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Transport | TokenService> =>
  Effect.gen(function*() {
    const transport = yield* Transport
    const tokens = yield* TokenService
    const deadline = Duration.decode(options.deadline ?? "30 seconds")
    const late = `no answer within ${Duration.format(deadline)}, tokens and replay included`

    const travel = <S, E>(
      credential: Credential,
      send: Exchange<S, E>
    ): Effect.Effect<S, CommonError | SignInRequired | E, UserSession> => {
      switch (credential) {
        case "none":
          return send()
        case "app":
          return sendWith(tokens, send)
        case "user":
          return Effect.flatMap(UserSession, (session) => sendWith(session, send))
      }
    }

    const call = <P, S, E, Auth extends Credential, SI>(
      endpoint: Endpoint<P, S, E, Auth, SI>,
      payload: P
    ): Effect.Effect<S, CallError<E, Auth>, CallContext<Auth>> =>
      Effect.suspend(() => {
        const prepared = transport.prepare(endpoint, payload)
        if (Either.isLeft(prepared)) return Effect.fail(prepared.left)
        return Effect.timeoutFail(travel(endpoint.credential, prepared.right), {
          duration: deadline,
          onTimeout: () => new TransportError({ endpoint: endpoint.name, reason: "Timeout", description: late })
        })
      }).pipe(
        Effect.withSpan(`DingTalk.${endpoint.name}`, {
          captureStackTrace: false,
          attributes: { "dingtalk.endpoint": endpoint.name }
        })
        // Only an endpoint with the credential `user` looks for a session, and only its type asks for one.
      ) as Effect.Effect<S, any, any>

    return { call }
  })

/**
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
 * import { FetchHttpClient } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 *
 * const DingTalkLayer = DingTalkHttp.layer().pipe(
 *   Layer.provideMerge(TokenService.layerConfig()),
 *   Layer.provide(HttpTransport.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * const program = Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(DingTalkLayer))
 * console.log(Effect.isEffect(program)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<DingTalk, never, Transport | TokenService> =>
  Layer.effect(DingTalk, make(options))

/**
 * With the deadline from `DINGTALK_DEADLINE`, such as `10 seconds`, or from a `Config` of your own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options> = {
    deadline: Config.duration("DINGTALK_DEADLINE").pipe(Config.withDefault(Duration.seconds(30)))
  }
): Layer.Layer<DingTalk, ConfigError, Transport | TokenService> =>
  Layer.effect(DingTalk, Effect.flatMap(Config.unwrap(config), make))
