import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as Turns from "../src/internal/turns.js"

describe("turns", () => {
  it.effect("so many at a time, first come first served", () =>
    Effect.gen(function*() {
      const turn = Turns.make(2)
      const gate = yield* Deferred.make<void>()
      const began: Array<number> = []
      const fibers = yield* Effect.forEach([0, 1, 2, 3, 4], (n) =>
        Effect.fork(turn(Effect.zipRight(Effect.sync(() => began.push(n)), Deferred.await(gate)))))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(began, [0, 1])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(began, [0, 1, 2, 3, 4])
    }))

  it.effect("who goes away, waiting or not, and who fails, gives the place back", () =>
    Effect.gen(function*() {
      const turn = Turns.make(1)
      const first = yield* Effect.fork(turn(Effect.never))
      yield* Effect.yieldNow()
      const second = yield* Effect.fork(turn(Effect.never))
      const third = yield* Effect.fork(turn(Effect.succeed("third")))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(third), "third")
      yield* Effect.exit(turn(Effect.fail("no")))
      yield* Effect.exit(turn(Effect.die("no")))
      assert.strictEqual(yield* turn(Effect.succeed("last")), "last")
    }))
})
