import { Clock, Duration, Effect } from "effect"

interface Sleeper {
  readonly at: number
  readonly nth: number
  readonly wake: () => void
}

/** A heap: the earliest first, and of two at once the one that came first. */
class Sleepers {
  private readonly heap: Array<Sleeper> = []

  private isBefore(i: number, j: number): boolean {
    const [a, b] = [this.heap[i]!, this.heap[j]!]
    return a.at < b.at || (a.at === b.at && a.nth < b.nth)
  }

  private swap(i: number, j: number): void {
    const kept = this.heap[i]!
    this.heap[i] = this.heap[j]!
    this.heap[j] = kept
  }

  push(sleeper: Sleeper): void {
    let i = this.heap.push(sleeper) - 1
    while (i > 0 && this.isBefore(i, (i - 1) >> 1)) {
      this.swap(i, (i - 1) >> 1)
      i = (i - 1) >> 1
    }
  }

  peek(): Sleeper | undefined {
    return this.heap[0]
  }

  pop(): Sleeper | undefined {
    const first = this.heap[0]
    const last = this.heap.pop()
    if (first === undefined || last === undefined || this.heap.length === 0) return first
    this.heap[0] = last
    for (let i = 0;;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.heap.length && this.isBefore(child, least)) least = child
      }
      if (least === i) return first
      this.swap(i, least)
      i = least
    }
  }
}

const macrotask = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/**
 * Time that passes when it is told to, from one sleeper to the next: `TestClock` looks at every fiber before each step,
 * which is too slow for ten thousand of them.
 */
export const make = (start = 1_700_000_000_000) => {
  const sleepers = new Sleepers()
  let now = start
  let nth = 0
  const clock: Clock.Clock = {
    ...Clock.make(),
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(Math.round(now)) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(Math.round(now)) * 1_000_000n),
    sleep: (duration) =>
      Duration.toMillis(duration) <= 0 ? Effect.yieldNow() : Effect.async((resume) => {
        let isGone = false
        sleepers.push({
          at: now + Duration.toMillis(duration),
          nth: nth++,
          wake: () => {
            if (!isGone) resume(Effect.void)
          }
        })
        return Effect.sync(() => {
          isGone = true
        })
      })
  }
  const advance = (duration: Duration.DurationInput): Effect.Effect<void> =>
    Effect.gen(function*() {
      const until = now + Duration.toMillis(duration)
      yield* macrotask
      for (let next = sleepers.peek(); next !== undefined && next.at <= until; next = sleepers.peek()) {
        now = Math.max(now, next.at)
        for (; next !== undefined && next.at <= now; next = sleepers.peek()) sleepers.pop()!.wake()
        yield* macrotask
      }
      now = until
    })
  return {
    advance,
    now: () => now,
    /** runs an effect under this time */
    run: <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => Effect.withClock(effect, clock)
  }
}
