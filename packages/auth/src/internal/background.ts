import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as List from "effect/List"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** @internal */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>

/**
 * Runs what belongs to none of the callers: without the span and the log annotations under which it was built, and
 * interruptible even where that was not.
 *
 * @internal
 */
export const make = (scope?: Scope.Scope): Effect.Effect<Fork> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const own = runtime.pipe(
      Runtime.updateContext((context: Context.Context<never>) => Context.omit(Tracer.ParentSpan)(context as any)),
      Runtime.setFiberRef(FiberRef.currentLogAnnotations, HashMap.empty()),
      Runtime.setFiberRef(FiberRef.currentLogSpan, List.empty())
    ) as Runtime.Runtime<never>
    const runFork = Runtime.runFork(own)
    return (effect) => runFork(Effect.interruptible(effect), scope === undefined ? undefined : { scope })
  })
