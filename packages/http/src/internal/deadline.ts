import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"

type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>

// Global everywhere, but in no library of the ECMAScript standard; the handle is an object in Node and its like alone.
declare const setTimeout: (f: () => void, millis: number) => unknown
declare const clearTimeout: (handle: any) => void
declare const performance: { readonly now: () => number }

interface Timer {
  readonly ref?: () => void
  readonly unref?: () => void
}

const LONGEST_TIMER = 2 ** 31 - 1

const live = Context.get(DefaultServices.liveServices, Clock.Clock)

/** The time of day may be set back; this clock is not. */
const nowOf = (clock: Clock.Clock): number =>
  Math.round(clock === live ? performance.now() : Number(clock.unsafeCurrentTimeNanos()) / 1e6)

/**
 * One call under way. It is its own place in the queue of those that will be late, so that to come and go costs nothing.
 *
 * @internal
 */
export abstract class Entry {
  at = 0
  before: Entry | undefined = undefined
  after: Entry | undefined = undefined
  isWaiting = false
  abstract expire(): void
}

/**
 * `Effect.timeoutFail` for many calls with one and the same duration. That costs two fibers and a timer a call, which
 * is most of what a call costs; as these end in the order in which they began, one timer does for all.
 *
 * @internal
 */
export class Deadline {
  private first: Entry | undefined = undefined
  private last: Entry | undefined = undefined
  /** of whoever waits */
  private clock: Clock.Clock | undefined = undefined
  private timer: Timer | undefined = undefined
  private sweeper: Fiber.RuntimeFiber<void> | undefined = undefined

  constructor(readonly millis: number) {}

  /** `false` while others wait by another clock. */
  enter(entry: Entry, clock: Clock.Clock, fiber: RunningFiber): boolean {
    if (!Number.isFinite(this.millis)) return true
    if (this.last === undefined) {
      this.clock = clock
      this.first = entry
    } else if (this.clock !== clock) {
      return false
    } else {
      entry.before = this.last
      this.last.after = entry
    }
    entry.at = nowOf(clock) + this.millis
    entry.isWaiting = true
    this.last = entry
    if (entry.before === undefined) this.watch(clock, fiber)
    return true
  }

  leave(entry: Entry): void {
    if (!entry.isWaiting) return
    entry.isWaiting = false
    const { after, before } = entry
    if (before === undefined) this.first = after
    else before.after = after
    if (after === undefined) this.last = before
    else after.before = before
    entry.before = entry.after = undefined
    if (this.first === undefined) this.rest()
  }

  /** Those that are late; gives how long it is to the next one. */
  private sweep(clock: Clock.Clock): number {
    const now = nowOf(clock)
    for (let entry = this.first; entry !== undefined; entry = this.first) {
      if (entry.at > now) return entry.at - now
      this.leave(entry)
      entry.expire()
    }
    return Infinity
  }

  private watch(clock: Clock.Clock, fiber: RunningFiber): void {
    if (clock === live) {
      if (this.timer === undefined) this.wind(this.millis)
      else this.timer.ref?.()
    } else {
      const { currentContext: context } = fiber
      const runtime = Runtime.make({
        context,
        fiberRefs: fiber.getFiberRefs(),
        runtimeFlags: Runtime.defaultRuntimeFlags
      })
      const sweep: Effect.Effect<void> = Effect.suspend(() => {
        const left = this.sweep(clock)
        return left === Infinity ? Effect.void : Effect.zipRight(clock.sleep(Duration.millis(left)), sweep)
      })
      this.sweeper = Runtime.runFork(runtime)(sweep)
    }
  }

  private wind(millis: number): void {
    this.timer = setTimeout(() => {
      this.timer = undefined
      const left = this.clock === live ? this.sweep(live) : Infinity
      if (left !== Infinity && this.timer === undefined) this.wind(left)
    }, Math.min(millis, LONGEST_TIMER)) as Timer
  }

  /** Nobody waits: nothing may keep the process from ending. */
  private rest(): void {
    if (this.sweeper !== undefined) {
      this.sweeper.unsafeInterruptAsFork(FiberId.none)
      this.sweeper = undefined
    } else if (this.timer?.unref !== undefined) {
      // It stays for whoever comes next.
      this.timer.unref()
    } else if (this.timer !== undefined) {
      clearTimeout(this.timer)
      this.timer = undefined
    }
  }
}

/**
 * Runs an Effect until the entry expires, also where the caller may not be interrupted, such as in a finalizer.
 *
 * @internal
 */
export const within = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  entry: Pick<Entry, "isWaiting"> & { onExpire: (() => void) | undefined },
  onLate: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.withFiberRuntime<A, E | E2, R>((parent, { runtimeFlags }) => {
    const context = parent.currentContext as Context.Context<R>
    const runtime = Runtime.make({ context, fiberRefs: parent.getFiberRefs(), runtimeFlags })
    // Begun where it is also waited for, so that no interruption comes between.
    return Effect.async<A, E | E2>((resume) => {
      // Between what called for this and its beginning, time may have run out.
      if (!entry.isWaiting) return resume(Effect.failSync(onLate))
      const child = Runtime.runFork(runtime)(Effect.interruptible(effect))
      const done = child.unsafePoll()
      if (done !== null) return resume(done)
      entry.onExpire = () => resume(Effect.zipRight(Fiber.interrupt(child), Effect.failSync(onLate)))
      child.addObserver(resume)
      return Effect.suspend(() => Fiber.interrupt(child))
    })
  })
