/**
 * The soak in small, with each of what carries calls: the million is a command of its own, `npx -y pnpm@10.34.9 soak`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Layers from "../src/layers.js"
import * as FaultServer from "../src/soak/FaultServer.js"
import * as Soak from "../src/soak/Soak.js"

const faultServer = Effect.acquireRelease(
  Effect.promise(() => FaultServer.start({ share: 0.2, seed: 1 })),
  (server) => Effect.promise(() => server.close())
)

// One after another: each listens to the whole process for rejections that nobody takes.
describe.sequential("calls with a fifth of them in trouble", () => {
  for (const carrier of Layers.CARRIERS) {
    const calls = carrier === Layers.CARRIERS[0] ? 5000 : 1000
    it.scopedLive(`${calls} with ${carrier}`, () =>
      Effect.gen(function*() {
        const server = yield* faultServer
        const result = yield* Effect.promise(async () =>
          Soak.run({
            url: server.url,
            carrier,
            calls,
            inFlight: 100,
            seed: 1,
            // On a busy machine too, most of them are to end well.
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
        // Nobody was spared: every kind of trouble came up.
        const { faults } = server.stats()
        assert.deepStrictEqual(FaultServer.FAULTS.filter((fault) => faults[fault] === 0), [])
      }), 60_000)
  }
})
