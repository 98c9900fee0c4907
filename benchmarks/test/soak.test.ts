/**
 * The soak in small: the command itself, with a process for its callers, and by its own verdict; and with each of what
 * carries calls, in this process. The million is `npx -y pnpm@10.34.9 soak`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Layers from "../src/layers.js"
import * as FaultServer from "../src/soak/FaultServer.js"
import * as Soak from "../src/soak/Soak.js"
import type * as Verdict from "../src/soak/Verdict.js"
import { command } from "./command.js"

const faultServer = Effect.acquireRelease(
  Effect.promise(() => FaultServer.start({ share: 0.2, seed: 1 })),
  (server) => Effect.promise(() => server.close())
)

const never = (faults: ReadonlyArray<FaultServer.Fault>, { served }: { readonly served: FaultServer.Stats }) =>
  faults.filter((fault) => served.faults[fault] === 0)

interface Printed extends Verdict.Found {
  readonly verdict: ReadonlyArray<Verdict.Check>
}

// One after another: each listens to the whole process for rejections that nobody takes.
describe.sequential("calls with a fifth of them in trouble", () => {
  it.effect("20000 by the command, whose verdict is met", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* command("soak", ["--calls", "20000", "--json"])
      assert.strictEqual(stderr, "")
      const found: Printed = JSON.parse(stdout)
      assert.deepStrictEqual(found.verdict.filter(({ isMet }) => !isMet), [])
      assert.isAbove(found.verdict.length, 10)
      assert.deepStrictEqual([...found.examples, ...found.leaks], [])
      assert.strictEqual(code, 0)
      assert.strictEqual(found.calls, 20_000)
      assert.isAtLeast(found.memory.length, 20)
      // Nobody was spared: every kind of trouble came up, and the session's token was changed for others.
      assert.deepStrictEqual(never(FaultServer.FAULTS, found), [])
      assert.isAbove(found.served.refreshes, 1)
    }), 180_000)

  it.effect("ends with 1 when the verdict is not met", () =>
    Effect.gen(function*() {
      // With everything in trouble, most calls cannot end well.
      const { code, stdout } = yield* command("soak", ["--calls", "400", "--faults", "1", "--json"])
      const { verdict }: Printed = JSON.parse(stdout)
      assert.include(verdict.filter(({ isMet }) => !isMet).map(({ name }) => name), "right values, most of all")
      assert.strictEqual(code, 1)
    }), 180_000)

  for (const carrier of Layers.CARRIERS) {
    const calls = 1000
    it.scopedLive(`${calls} with ${carrier}`, () =>
      Effect.gen(function*() {
        const server = yield* faultServer
        const result = yield* Effect.promise(async () =>
          Soak.run({
            url: server.url,
            carrier,
            calls,
            // On a busy machine too, most of them are to end well before their deadline.
            inFlight: 30,
            seed: 1,
            deadline: "3 seconds"
          })
        )
        const errors = Object.values(result.errors).reduce((sum, count) => sum + count, 0)
        assert.deepStrictEqual(result.examples, [])
        assert.deepStrictEqual(result.leaks, [])
        assert.strictEqual(result.wrong, 0)
        assert.strictEqual(result.defects, 0)
        assert.strictEqual(result.unhandled, 0)
        assert.strictEqual(result.right + errors + result.interrupted, calls)
        assert.isAbove(result.right, calls / 2)
        assert.isAbove(result.spans, calls)
        assert.isAbove(result.logs, 0)
        // Nobody was spared; what is rarer than that comes up above.
        assert.deepStrictEqual(never(FaultServer.FREQUENT, { served: server.stats() }), [])
      }), 180_000)
  }
})
