import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"

const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/**
 * Whether spans go anywhere: Effect's own tracer makes them for nobody, and they cost more than the rest of a call.
 *
 * @internal
 */
export const isListenedTo = (fiber: Fiber.RuntimeFiber<any, any>): boolean =>
  fiber.currentTracer !== native && fiber.getFiberRef(FiberRef.currentTracerEnabled)
