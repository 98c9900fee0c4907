import * as Effect from "effect/Effect"

/**
 * So many at a time, first come first served. A `Semaphore` wakes all who wait each time, which thousands of them would
 * feel.
 *
 * @internal
 */
export const make = (atOnce: number): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> => {
  const queue = new Set<() => void>()
  let free = atOnce

  const leave = Effect.sync(() => {
    const [first] = queue
    if (first === undefined) {
      free++
    } else {
      queue.delete(first)
      first()
    }
  })
  const enter = Effect.async<void>((resume) => {
    const come = () => resume(Effect.void)
    if (free === 0) {
      queue.add(come)
    } else {
      free--
      come()
    }
    return Effect.suspend(() => queue.delete(come) ? Effect.void : leave)
  })
  return (effect) =>
    Effect.uninterruptibleMask((restore) => Effect.zipRight(restore(enter), Effect.ensuring(restore(effect), leave)))
}
