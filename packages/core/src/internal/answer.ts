import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Service } from "../DingTalk.js"
import type { CommonError } from "../DingTalkError.js"
import type { Credential, Endpoint, Handler } from "../Endpoint.js"
import * as Lenient from "../Lenient.js"
import * as WireRequest from "../WireRequest.js"

/**
 * Two answers to one endpoint would leave it to their order which one counts.
 *
 * @internal
 */
export const handlersOf = (
  port: string,
  handlers: ReadonlyArray<Handler>
): Effect.Effect<ReadonlyMap<string, Handler>> => {
  const known = new Map(handlers.map((handler) => [handler.endpoint.name, handler]))
  const twice = handlers.find((handler) => known.get(handler.endpoint.name) !== handler)
  return twice === undefined
    ? Effect.succeed(known)
    : Effect.dieMessage(`${port}.layerTest has two answers for "${twice.endpoint.name}"`)
}

/**
 * A test that asks for what nobody answers, or answers what the endpoint cannot have sent, is wrong: both are defects.
 *
 * @internal
 */
export const answer = <P, S, E, Auth extends Credential, SI>(
  port: string,
  handlers: ReadonlyMap<string, Handler>,
  endpoint: Endpoint<P, S, E, Auth, SI>,
  payload: P
): Effect.Effect<S, CommonError | E> =>
  Effect.suspend(() => {
    const handler = handlers.get(endpoint.name)
    if (handler === undefined) {
      return Effect.dieMessage(
        `${port}.layerTest has no answer for "${endpoint.name}"; it answers ${
          handlers.size === 0 ? "nothing" : Array.from(handlers.keys()).join(", ")
        }`
      )
    }
    return Effect.flatMap(handler.handle(payload), (value) =>
      Either.match(Lenient.decode(endpoint.success)(value), {
        onLeft: ({ path, reason }) =>
          Effect.dieMessage(`${port}.layerTest: the answer to "${endpoint.name}" does not fit: ${path} ${reason}`),
        onRight: Effect.succeed
      }))
  })

/**
 * `DingTalk`, or what stands for it, out of answers per endpoint.
 *
 * @internal
 */
export const answering = (port: string, handlers: ReadonlyArray<Handler>): Effect.Effect<Service> =>
  Effect.map(handlersOf(port, handlers), (known) => ({
    call: (endpoint, payload) =>
      Either.match(WireRequest.encode(endpoint, payload), {
        onLeft: Effect.fail,
        onRight: () => answer(port, known, endpoint, payload)
      }) as Effect.Effect<any, any, any>
  }))
