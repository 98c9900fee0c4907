import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>

/**
 * Whether spans go anywhere: Effect's own tracer makes them for nobody, and they cost more than the rest of a call.
 *
 * @internal
 */
export const isListenedTo = (fiber: RunningFiber): boolean =>
  fiber.currentTracer !== native && fiber.getFiberRef(FiberRef.currentTracerEnabled)

const visible = (span: Tracer.AnySpan): Option.Option<Tracer.AnySpan> => {
  if (!Context.get(span.context, Tracer.DisablePropagation)) return Option.some(span)
  return span._tag === "Span" ? Option.flatMap(span.parent, visible) : Option.none()
}

/** @internal */
export const parentOf = (fiber: RunningFiber): Option.Option<Tracer.AnySpan> =>
  Option.flatMap(Context.getOption(fiber.currentContext, Tracer.ParentSpan), visible)

const timeOf = (fiber: RunningFiber, clock: Clock.Clock): bigint =>
  fiber.getFiberRef(FiberRef.currentTracerTimingEnabled) ? clock.unsafeCurrentTimeNanos() : 0n

/**
 * `Effect.makeSpan` at once, for who is not an Effect.
 *
 * @internal
 */
export const begin = (
  fiber: RunningFiber,
  clock: Clock.Clock,
  name: string,
  parent: Option.Option<Tracer.AnySpan>,
  kind: Tracer.SpanKind,
  attributes: ReadonlyArray<readonly [name: string, value: unknown]>
): Tracer.Span => {
  const span = fiber.currentTracer.span(
    name,
    parent,
    Context.empty(),
    Array.from(fiber.getFiberRef(FiberRef.currentTracerSpanLinks)),
    timeOf(fiber, clock),
    kind
  )
  HashMap.forEach(fiber.getFiberRef(FiberRef.currentTracerSpanAnnotations), (value, key) => span.attribute(key, value))
  for (const [key, value] of attributes) span.attribute(key, value)
  return span
}

/** @internal */
export const end = (
  fiber: RunningFiber,
  clock: Clock.Clock,
  span: Tracer.Span,
  exit: Exit.Exit<unknown, unknown>
): void => {
  if (span.status._tag === "Started") span.end(timeOf(fiber, clock), exit)
}
