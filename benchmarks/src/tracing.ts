/**
 * A tracer to whom spans matter: Effect's own spans, kept until the next thousand push them out, as an exporter does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"

const KEPT = 1024

export const layer: Layer.Layer<never> = Layer.unwrapEffect(Effect.map(Effect.tracer, (native) => {
  const kept: Array<Tracer.Span> = []
  let at = 0
  return Layer.setTracer(Tracer.make({
    span: (...args) => {
      const span = native.span(...args)
      kept[at++ % KEPT] = span
      return span
    },
    context: (run, fiber) => native.context(run, fiber)
  }))
}))
