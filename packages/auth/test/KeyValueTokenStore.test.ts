import { TokenStore } from "@effect-dingtalk/auth"
import * as KeyValueTokenStore from "@effect-dingtalk/auth/KeyValueTokenStore"
import { KeyValueStore } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Option, Redacted, TestClock } from "effect"
import { row, token, tokenStoreContract, unusedKey, unusedName } from "./contract/tokenStore.js"

/** A `KeyValueStore` in a `Map`, as a browser has one: it takes nothing but text. */
const make = () => {
  const entries = new Map<string, string>()
  const store = KeyValueStore.makeStringOnly({
    get: (key) => Effect.sync(() => Option.fromNullable(entries.get(key))),
    set: (key, value) => Effect.sync(() => void entries.set(key, value)),
    remove: (key) => Effect.sync(() => void entries.delete(key)),
    clear: Effect.sync(() => entries.clear()),
    size: Effect.sync(() => entries.size)
  })
  return { entries, store }
}

const { entries, store } = make()

tokenStoreContract("a KeyValueStore", {
  open: Effect.sync(() => KeyValueTokenStore.backing(store)),
  corrupt: (key, how) =>
    Effect.sync(() => {
      for (const [name, text] of entries) {
        if (!name.startsWith("token.") || !text.includes(JSON.stringify(key))) continue
        entries.set(name, how === "empty" ? "" : how === "garbage" ? "\u0000\ufffd{]" : text.slice(0, -10))
      }
    }),
  raw: Effect.sync(() => JSON.stringify([...entries]))
})

describe("KeyValueTokenStore", () => {
  it.scoped("stands on the file system of the platform too, with any key", () =>
    Effect.gen(function*() {
      const { FileSystem } = yield* Effect.promise(() => import("@effect/platform"))
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "dingtalk-kv-" })
      const context = yield* Layer.build(KeyValueStore.layerFileSystem(directory))
      const backing = KeyValueTokenStore.backing(Context.get(context, KeyValueStore.KeyValueStore))
      const key = `${"A%/..".repeat(100)}${unusedKey()}`.slice(0, 512)
      const written = row()
      assert.isTrue(yield* backing.write(key, written, { replaces: undefined, keepFor: Duration.hours(1) }))
      assert.deepStrictEqual(yield* backing.read(key), written)
      assert.isFalse(yield* backing.write(key, row(), { replaces: undefined, keepFor: Duration.hours(1) }))
      assert.isUndefined(yield* backing.read(key.toLowerCase()))
      yield* backing.remove(key)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("leaves nothing behind of what has ended, been removed or released", () =>
    Effect.gen(function*() {
      const { entries, store } = make()
      const backing = KeyValueTokenStore.backing(store)
      const keep = { replaces: undefined, keepFor: Duration.minutes(1) }
      yield* backing.write("ended", row(), keep)
      yield* backing.write("removed", row(), keep)
      yield* backing.acquire("released", "a", Duration.minutes(1))
      assert.strictEqual(entries.size, 3)
      yield* backing.remove("removed")
      yield* backing.release("released", "a")
      yield* TestClock.adjust("61 seconds")
      assert.isUndefined(yield* backing.read("ended"))
      assert.strictEqual(entries.size, 0)
    }))

  it.scoped("a lease that was taken before the clock was set back does not last until it has caught up", () =>
    Effect.gen(function*() {
      const backing = KeyValueTokenStore.backing(make().store)
      yield* TestClock.setTime(1_000_000)
      assert.isTrue(yield* backing.acquire("key", "a", Duration.seconds(3)))
      yield* TestClock.setTime(500_000)
      assert.isTrue(yield* backing.acquire("key", "b", Duration.seconds(3)))
    }))

  it.scoped("a Layer over the store of the platform; two of them share it", () =>
    Effect.gen(function*() {
      const both = yield* Layer.build(
        Layer.provideMerge(KeyValueTokenStore.layer(), KeyValueStore.layerMemory)
      )
      const one = Context.get(both, TokenStore.TokenStore)
      const other = yield* TokenStore.TokenStore.pipe(
        Effect.provide(KeyValueTokenStore.layer()),
        Effect.provide(both)
      )
      const key = unusedName()
      const version = yield* one.write(key, token("value"), { replaces: undefined })
      const found = yield* other.read(key)
      assert.strictEqual(found.version, version)
      assert.strictEqual(Redacted.value(found.token!.value), "value")
    }))
})
