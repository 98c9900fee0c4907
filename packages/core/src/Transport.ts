/**
 * The port for one exchange with the platform. It knows nothing of where tokens come from.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Types from "effect/Types"
import type { CommonError, TransportError } from "./DingTalkError.js"
import type { Credential, Endpoint, Handler } from "./Endpoint.js"
import * as Hosts from "./Hosts.js"
import { answer, handlersOf } from "./internal/answer.js"
import * as WireRequest from "./WireRequest.js"

/**
 * Sends a prepared request, with a token or without, as often as it is called.
 *
 * @since 0.1.0
 * @category models
 */
export type Exchange<S, E> = (token?: Redacted.Redacted) => Effect.Effect<S, CommonError | E>

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** the hosts that this transport talks to: a token of one is good for no other */
  readonly hosts: Hosts.Hosts
  /** checks and encodes at once, so that a bad payload fails before a token is fetched for it */
  readonly prepare: <P, S, E, Auth extends Credential, SI>(
    endpoint: Endpoint<P, S, E, Auth, SI>,
    payload: P
  ) => Either.Either<Exchange<S, E>, TransportError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Transport extends Context.Tag("@effect-dingtalk/core/Transport")<Transport, Service>() {}

/**
 * One exchange of one endpoint, with the token that is given or none. For whoever looks after tokens; an application
 * uses `DingTalk.call`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const exchange = <P, S, E, Auth extends Credential, SI>(
  endpoint: Endpoint<P, S, E, Auth, SI>,
  payload: Types.NoInfer<P>,
  token?: Redacted.Redacted
): Effect.Effect<S, CommonError | E, Transport> =>
  Effect.flatMap(Transport, (transport) =>
    Either.match(transport.prepare(endpoint, payload), {
      onLeft: Effect.fail,
      onRight: (send): Effect.Effect<S, CommonError | E> => send(token)
    }))

/**
 * Answers per endpoint, for tests of what keeps tokens. An endpoint without an answer is a defect that names it.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest = (handlers: ReadonlyArray<Handler>): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(handlersOf("Transport", handlers), (known) => ({
      hosts: Hosts.com,
      prepare: (endpoint, payload) =>
        Either.map(WireRequest.encode(endpoint, payload), () => () => answer("Transport", known, endpoint, payload))
    }))
  )
