import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

interface Entry {
  readonly at: number
  readonly expire: () => void
}

/** The time of day may be set back; this clock is not. */
const nowOf = (clock: Clock.Clock): number => Math.round(Number(clock.unsafeCurrentTimeNanos()) / 1e6)

/**
 * `Effect.timeoutFail` for many calls with one and the same duration. That costs two fibers and a timer a call, which
 * is most of what a call costs; as these end in the order in which they began, one timer does for all.
 *
 * @internal
 */
export const make = (millis: number) => {
  const entries = new Set<Entry>()
  let sweeper: Fiber.RuntimeFiber<void> | undefined
  let sweeperClock: Clock.Clock | undefined

  const sweep = (clock: Clock.Clock): Effect.Effect<void> =>
    Effect.suspend(() => {
      const now = nowOf(clock)
      for (const entry of entries) {
        if (entry.at > now) {
          return Effect.zipRight(clock.sleep(Duration.millis(entry.at - now)), sweep(clock))
        }
        entries.delete(entry)
        entry.expire()
      }
      sweeper = undefined
      return Effect.void
    })

  const leave = (entry: Entry) => {
    entries.delete(entry)
    if (entries.size > 0 || sweeper === undefined) return
    // Its timer would keep the process from ending.
    sweeper.unsafeInterruptAsFork(FiberId.none)
    sweeper = undefined
  }

  return <A, E, R, E2>(
    effect: Effect.Effect<A, E, R>,
    clock: Clock.Clock,
    onLate: () => E2
  ): Effect.Effect<A, E | E2, R> => {
    if (!Number.isFinite(millis)) return effect
    if (sweeper !== undefined && sweeperClock !== clock) {
      return Effect.timeoutFail(Effect.interruptible(effect), { duration: millis, onTimeout: onLate })
    }
    return Effect.withFiberRuntime<A, E | E2, R>((parent, { runtimeFlags }) => {
      const around = { context: parent.currentContext as Context.Context<R>, fiberRefs: parent.getFiberRefs() }
      const runtime = Runtime.make({ ...around, runtimeFlags })
      // Begun where it is also waited for, so that no interruption comes between.
      return Effect.async<A, E | E2>((resume) => {
        // Also where the caller may not be interrupted, such as in a finalizer: the deadline holds there too.
        const child = Runtime.runFork(runtime)(Effect.interruptible(effect))
        const done = child.unsafePoll()
        if (done !== null) return resume(done)
        const entry: Entry = {
          at: nowOf(clock) + millis,
          expire: () => resume(Effect.zipRight(Fiber.interrupt(child), Effect.failSync(onLate)))
        }
        entries.add(entry)
        child.addObserver((exit) => {
          leave(entry)
          resume(exit)
        })
        if (sweeper === undefined) {
          sweeperClock = clock
          sweeper = Runtime.runFork(Runtime.make({ ...around, runtimeFlags: Runtime.defaultRuntimeFlags }))(
            sweep(clock)
          )
        }
        return Effect.suspend(() => {
          leave(entry)
          return Fiber.interrupt(child)
        })
      })
    })
  }
}
