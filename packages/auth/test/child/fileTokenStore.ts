/** A process of its own that works on a shared directory: one line of JSON in for each job, one out with what it did. */
import * as FileTokenStore from "@effect-dingtalk/auth/FileTokenStore"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { createInterface } from "node:readline"

// Not from the contract: that would load vitest.
const version = () => randomBytes(16).toString("base64url")
const keepFor = Duration.hours(1)

// Nothing but the mode that is asked for keeps others out.
process.umask(0)

const work = (job: string, directory: string, key: string, times: number) =>
  Effect.gen(function*() {
    const backing = yield* FileTokenStore.backing(directory)
    switch (job) {
      // One row, which nobody has written yet.
      case "first": {
        const id = version()
        return [yield* backing.write(key, { text: id, version: id }, { replaces: undefined, keepFor }), id]
      }
      // One more, as often as asked, without losing what others add.
      case "count": {
        let lost = 0
        for (let i = 0; i < times; i++) {
          for (;;) {
            const found = yield* backing.read(key)
            const next = { text: String(Number(found?.text ?? 0) + 1), version: version() }
            if (yield* backing.write(key, next, { replaces: found?.version, keepFor })) break
            lost++
          }
        }
        return lost
      }
      // Who has had the lease says since when and until when.
      case "lease": {
        const held: Array<readonly [number, number]> = []
        while (held.length < times) {
          const owner = version()
          if (!(yield* backing.acquire(key, owner, Duration.minutes(1)))) {
            yield* Effect.sleep("1 millis")
            continue
          }
          const since = performance.timeOrigin + performance.now()
          yield* Effect.sleep("2 millis")
          held.push([since, performance.timeOrigin + performance.now()])
          yield* backing.release(key, owner)
        }
        return held
      }
      // Writes, takes leases and removes until it is killed.
      default:
        for (;;) {
          const found = yield* backing.read(key)
          const id = version()
          yield* backing.write(key, { text: `${id}${"x".repeat(20_000)}${id}`, version: id }, {
            replaces: found?.version,
            keepFor
          })
          yield* backing.acquire(key, id, keepFor)
          yield* backing.release(key, id)
          if (Math.random() < 0.1) yield* backing.remove(key)
        }
    }
  }).pipe(Effect.provide(NodeFileSystem.layer), Effect.provide(NodePath.layer), Effect.runPromise)

console.log("ready")
for await (const line of createInterface({ input: process.stdin })) {
  const [job, directory, key, times] = JSON.parse(line)
  console.log(JSON.stringify(await work(job, directory, key, times)))
}
