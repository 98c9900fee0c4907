import { type TokenCipher, TokenStore } from "@effect-dingtalk/auth"
import * as FileTokenStore from "@effect-dingtalk/auth/FileTokenStore"
import { Error as PlatformError, FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Redacted, TestClock } from "effect"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import {
  encryptionKey,
  logged,
  row,
  shown,
  token,
  tokenStoreContract,
  unusedKey,
  unusedName
} from "./contract/tokenStore.js"

const LONG = { replaces: undefined, keepFor: Duration.hours(1) }

const here = Fs.mkdtempSync(Path.join(Os.tmpdir(), "dingtalk-tokens-"))
afterAll(() => Fs.rmSync(here, { recursive: true, force: true }))

let used = 0
/** A directory that is not there yet. */
const unused = () => Path.join(here, `${used++}`, "tokens")

const open = (directory: string) => Effect.provide(FileTokenStore.backing(directory), NodeContext.layer)

const build = (options: FileTokenStore.Options, fs?: Partial<FileSystem.FileSystem>) =>
  Effect.map(
    Layer.build(
      FileTokenStore.layer(options).pipe(
        Layer.provide(
          fs === undefined
            ? Layer.empty
            : Layer.effect(FileSystem.FileSystem, Effect.map(FileSystem.FileSystem, (real) => ({ ...real, ...fs })))
        ),
        Layer.provide(NodeContext.layer)
      )
    ),
    Context.get(TokenStore.TokenStore)
  )

const walk = (directory: string): ReadonlyArray<string> =>
  Fs.existsSync(directory)
    ? Fs.readdirSync(directory, { recursive: true }).map((name) => Path.join(directory, String(name)))
    : []

const cellOf = (directory: string, key: string) => Path.join(directory, createHash("sha256").update(key).digest("hex"))

/** The file that holds the text of the current state. */
const fileOf = (directory: string, key: string): string => {
  const cell = cellOf(directory, key)
  const entries = Fs.readdirSync(cell)
  const state = entries.find((entry) => entry.startsWith("at."))!.slice(3)
  return Path.join(cell, entries.find((entry) => entry.startsWith(`${state}.`))!)
}

const shared = unused()
tokenStoreContract("files", {
  open: open(shared),
  corrupt: (key, how) =>
    Effect.sync(() => {
      const file = fileOf(shared, key)
      if (how === "garbage") Fs.writeFileSync(file, Buffer.from([0, 255, 1, 254, 123]))
      else Fs.truncateSync(file, how === "empty" ? 0 : Fs.statSync(file).size - 9)
    }),
  raw: Effect.sync(() =>
    walk(shared).map((path) => {
      try {
        return `${path} ${Fs.statSync(path).isFile() ? Fs.readFileSync(path, "latin1") : ""}`
      } catch {
        return "" // removed meanwhile, by another test
      }
    }).join("\n")
  ),
  broken: Effect.suspend(() => {
    const file = Path.join(here, `file-${used++}`)
    Fs.writeFileSync(file, "")
    return open(file)
  })
})

describe("what is on the disk", () => {
  it.scoped("belongs to nobody else, however it is made", () =>
    Effect.gen(function*() {
      const directory = unused()
      const store = yield* build({ directory })
      const key = unusedName()
      const version = yield* store.write(key, token("one"), { replaces: undefined })
      yield* store.write(key, token("two"), { replaces: version })
      yield* store.lease(unusedName())
      const paths = [Path.dirname(directory), directory, ...walk(directory)]
      assert.isAtLeast(paths.length, 8)
      for (const path of paths) assert.strictEqual(Fs.statSync(path).mode & 0o077, 0, path)
    }))

  it.scoped("is no more than what counts", () =>
    Effect.gen(function*() {
      const directory = unused()
      const backing = yield* open(directory)
      const key = unusedKey()
      let last: string | undefined
      for (let i = 0; i < 20; i++) {
        const next = row()
        assert.isTrue(yield* backing.write(key, next, { ...LONG, replaces: last }))
        assert.isFalse(yield* backing.write(key, row(), { ...LONG, replaces: last }))
        last = next.version
      }
      yield* Effect.all(
        Array.from({ length: 20 }, () => backing.write(key, row(), { ...LONG, replaces: last })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(Fs.readdirSync(directory).length, 1)
      assert.strictEqual(Fs.readdirSync(cellOf(directory, key)).length, 2)
      yield* backing.remove(key)
      const [at, ...others] = Fs.readdirSync(cellOf(directory, key))
      assert.deepStrictEqual(others, [])
      assert.strictEqual(Fs.statSync(Path.join(cellOf(directory, key), at!)).size, 0)
    }))

  it.scoped("is tidied up: what has ended, what nobody uses, and what died before it had a place", () =>
    Effect.gen(function*() {
      const directory = unused()
      const now = Date.now()
      yield* TestClock.setTime(now)
      const backing = yield* open(directory)
      const keys = ["ended", "removed", "recent", "kept"] as const
      for (const key of keys) {
        yield* backing.write(key, row(), {
          replaces: undefined,
          keepFor: Duration.minutes(key === "ended" ? 1 : 600)
        })
      }
      yield* backing.acquire("lease", "a", Duration.seconds(3))
      yield* backing.remove("removed")
      yield* backing.remove("recent")
      const half = Path.join(directory, "new.0123")
      Fs.mkdirSync(half)
      Fs.writeFileSync(Path.join(half, "x.at."), "half")
      Fs.mkdirSync(Path.join(directory, "lost+found"))
      const touch = (paths: ReadonlyArray<string>, at: number) => {
        for (const path of paths) Fs.utimesSync(path, new Date(at), new Date(at))
      }
      touch(Fs.readdirSync(directory).map((name) => Path.join(directory, name)), now)
      touch([half, cellOf(directory, "removed"), cellOf(directory, "kept")], now - 7_200_000)
      yield* TestClock.adjust("2 minutes")
      yield* build({ directory })
      const here = (key: string) => Fs.existsSync(cellOf(directory, key))
      yield* Effect.promise(async () => {
        for (let i = 0; i < 200 && (here("removed") || Fs.existsSync(half)); i++) {
          await new Promise((on) => setTimeout(on, 20))
        }
        await new Promise((on) => setTimeout(on, 100))
      })
      assert.deepStrictEqual(keys.map(here), [true, false, true, true])
      assert.isFalse(Fs.existsSync(half))
      assert.isTrue(Fs.existsSync(Path.join(directory, "lost+found")))
      assert.strictEqual(Fs.readdirSync(cellOf(directory, "ended")).length, 1)
      assert.strictEqual(Fs.readdirSync(`${cellOf(directory, "lease")}.lease`).length, 1)
      assert.isDefined(yield* backing.read("kept"))
      assert.isTrue(yield* backing.write("removed", row(), LONG))
      assert.isTrue(yield* backing.write("ended", row(), LONG))
    }))
})

describe("damage", () => {
  const damages: Record<string, (cell: string, file: string) => void> = {
    "its text is gone": (_, file) => Fs.rmSync(file),
    "its text is a directory": (_, file) => {
      Fs.rmSync(file)
      Fs.mkdirSync(Path.join(file, "and", "more"), { recursive: true })
    },
    "its state is gone": (cell) => {
      for (const entry of Fs.readdirSync(cell)) if (entry.startsWith("at.")) Fs.rmSync(Path.join(cell, entry))
    },
    "it has two states": (cell) => Fs.writeFileSync(Path.join(cell, "at.zzz"), ""),
    "it is empty": (cell) => {
      for (const entry of Fs.readdirSync(cell)) Fs.rmSync(Path.join(cell, entry))
    },
    "it is of another key": (_, file) =>
      Fs.writeFileSync(file, Fs.readFileSync(file, "utf8").replace("api.dingtalk.com", "api.dingtalk.org"))
  }
  for (const [what, damage] of Object.entries(damages)) {
    it.scoped(`a record is none where ${what}, and is made good by the next write`, () =>
      Effect.gen(function*() {
        const directory = unused()
        const [one, other] = yield* Effect.all([open(directory), open(directory)])
        const key = unusedKey()
        const [before, after, later] = [row(), row(), row()]
        yield* one.write(key, before, LONG)
        damage(cellOf(directory, key), fileOf(directory, key))
        assert.isUndefined(yield* other.read(key))
        assert.isFalse(yield* other.write(key, row(), { ...LONG, replaces: before.version }))
        assert.isTrue(yield* other.write(key, after, LONG))
        assert.deepStrictEqual(yield* one.read(key), after)
        assert.isTrue(yield* one.write(key, later, { ...LONG, replaces: after.version }))
        assert.strictEqual(Fs.readdirSync(cellOf(directory, key)).length, 2)
        assert.strictEqual(Fs.readdirSync(directory).length, 1)
      }))

    it.scoped(`it can be removed where ${what}`, () =>
      Effect.gen(function*() {
        const directory = unused()
        const backing = yield* open(directory)
        const key = unusedKey()
        yield* backing.write(key, row(), LONG)
        damage(cellOf(directory, key), fileOf(directory, key))
        yield* backing.remove(key)
        assert.isUndefined(yield* backing.read(key))
        assert.isTrue(yield* backing.write(key, row(), LONG))
      }))
  }

  it.scoped("files of others beside a record do no harm", () =>
    Effect.gen(function*() {
      const directory = unused()
      const backing = yield* open(directory)
      const key = unusedKey()
      const [first, second] = [row(), row()]
      yield* backing.write(key, first, LONG)
      for (const name of [".DS_Store", "x", "zzz.zzz", "at", "new.1"]) {
        Fs.writeFileSync(Path.join(directory, name), "foreign")
        Fs.writeFileSync(Path.join(cellOf(directory, key), name), "foreign")
      }
      assert.deepStrictEqual(yield* backing.read(key), first)
      assert.isTrue(yield* backing.write(key, second, { ...LONG, replaces: first.version }))
      assert.deepStrictEqual(yield* backing.read(key), second)
    }))

  it.scoped("a directory that goes away is made again", () =>
    Effect.gen(function*() {
      const directory = unused()
      const backing = yield* open(directory)
      const key = unusedKey()
      const first = row()
      yield* backing.write(key, first, LONG)
      Fs.rmSync(directory, { recursive: true })
      assert.isUndefined(yield* backing.read(key))
      assert.isFalse(yield* backing.write(key, row(), { ...LONG, replaces: first.version }))
      assert.isTrue(yield* backing.write(key, row(), LONG))
      yield* backing.remove(unusedKey())
      yield* backing.release(unusedKey(), "a")
    }))

  it.scoped("a process that slept for however long does not overwrite what others wrote since", () =>
    Effect.gen(function*() {
      const directory = unused()
      const awake = yield* open(directory)
      const key = unusedKey()
      const rows = [row(), row(), row(), row()] as const
      let pause: Effect.Effect<void> = Effect.void
      for (const call of ["rename", "open"] as const) {
        for (const others of ["write twice", "remove", "remove and write", "forget it all"]) {
          const sleepy = yield* FileTokenStore.backing(directory).pipe(
            Effect.provide(Layer.effect(
              FileSystem.FileSystem,
              Effect.map(FileSystem.FileSystem, (fs) => ({
                ...fs,
                [call]: (...args: Array<any>) => Effect.zipRight(pause, (fs[call] as any)(...args))
              }))
            )),
            Effect.provide(NodeContext.layer)
          )
          for (const replaces of [rows[0].version, undefined]) {
            yield* awake.remove(key)
            if (replaces !== undefined) assert.isTrue(yield* awake.write(key, rows[0], LONG))
            let isPaused = false
            pause = Effect.suspend(() => {
              if (isPaused) return Effect.void
              isPaused = true
              return Effect.gen(function*() {
                yield* awake.write(key, rows[1], { ...LONG, replaces })
                if (others === "write twice") yield* awake.write(key, rows[2], { ...LONG, replaces: rows[1].version })
                if (others.startsWith("remove")) yield* awake.remove(key)
                if (others === "remove and write") yield* awake.write(key, rows[2], LONG)
                if (others === "forget it all") Fs.rmSync(directory, { recursive: true })
              }).pipe(Effect.orDie)
            })
            const expected = others === "remove" || others === "forget it all" ? undefined : rows[2]
            // An error is as good as a no: the directory went away under it.
            const write = sleepy.write(key, rows[3], { ...LONG, replaces })
            const isWritten = yield* others === "forget it all" ? Effect.orElseSucceed(write, () => false) : write
            const found = yield* awake.read(key)
            assert.isTrue(isPaused)
            // Where nothing is there any more, nothing is what it was to replace.
            if (replaces === undefined && expected === undefined && isWritten) {
              assert.deepStrictEqual(found, rows[3])
            } else {
              assert.deepStrictEqual([isWritten, found], [false, expected], `${call}, ${others}, ${replaces}`)
            }
          }
        }
      }
    }))
})

describe("what can go wrong", () => {
  const asRoot = process.getuid?.() === 0

  const failing = (description: string) => () =>
    Effect.fail(
      new PlatformError.SystemError({
        reason: "Unknown",
        module: "FileSystem",
        method: "write",
        description,
        pathOrDescriptor: 3
      })
    )
  const faults: Record<string, Partial<FileSystem.FileSystem>> = {
    "the disk is full": { open: failing("ENOSPC: no space left on device, write") as never },
    "it is read-only": {
      makeDirectory: failing("EROFS: read-only file system, mkdir") as never,
      open: failing("EROFS: read-only file system, open") as never
    },
    "nothing can be renamed": { rename: failing("EIO: i/o error, rename") as never }
  }
  for (const [what, fs] of Object.entries(faults)) {
    it.scoped(`where ${what}, a write is an error, the rest goes on and nothing is left lying about`, () =>
      Effect.gen(function*() {
        const directory = unused()
        const sound = yield* open(directory)
        const key = unusedName()
        const known = row("{}")
        yield* sound.write(TokenStore.nameOf(key), known, LONG)
        const before = walk(directory)
        const store = yield* build({ directory, coolDown: 0 }, fs)
        for (const [name, replaces] of [[key, known.version], [unusedName(), undefined]] as const) {
          const secret = "sentinel-of-a-token"
          const { lines, value } = yield* logged(Effect.exit(store.write(name, token(secret), { replaces })))
          assert.isTrue(Exit.isFailure(value))
          assert.match(shown(value), /TokenStoreError/)
          assert.match(shown(value), /ENOSPC|EROFS|EIO/)
          assert.notInclude(shown(value) + lines.join(), secret)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(store.lease(name))))
        }
        assert.strictEqual((yield* store.read(key)).version, known.version)
        assert.deepStrictEqual(walk(directory), before)
      }))
  }

  it.scoped("a path that is a file, or leads through one", () =>
    Effect.gen(function*() {
      const file = Path.join(here, "a-file")
      Fs.writeFileSync(file, "not a directory", { mode: 0o600 })
      for (const directory of [file, Path.join(file, "deeper")]) {
        const store = yield* build({ directory, coolDown: 0 })
        const key = unusedName()
        for (
          const operation of [
            store.read(key),
            store.write(key, token("sentinel"), { replaces: undefined }),
            store.lease(key),
            store.remove(key)
          ]
        ) {
          const { lines, value } = yield* logged(Effect.exit(operation))
          assert.match(shown(value), /TokenStoreError/)
          assert.match(shown(value), /ENOTDIR|EEXIST/)
          assert.notInclude(shown(value) + lines.join(), "sentinel")
        }
      }
      assert.strictEqual(Fs.readFileSync(file, "utf8"), "not a directory")
    }))

  it.scoped.skipIf(asRoot)("a directory that may not be written to, or not even read", () =>
    Effect.gen(function*() {
      const directory = unused()
      const store = yield* build({ directory, coolDown: 0 })
      const key = unusedName()
      const version = yield* store.write(key, token("value"), { replaces: undefined })
      yield* Effect.addFinalizer(() => Effect.sync(() => Fs.chmodSync(directory, 0o700)))
      Fs.chmodSync(directory, 0o500)
      assert.strictEqual((yield* store.read(key)).version, version)
      assert.isTrue(
        Exit.isFailure(yield* Effect.exit(store.write(unusedName(), token("v"), { replaces: undefined })))
      )
      Fs.chmodSync(directory, 0o000)
      assert.match(shown(yield* Effect.exit(store.read(key))), /EACCES/)
      Fs.chmodSync(directory, 0o700)
      assert.strictEqual((yield* store.read(key)).version, version)
    }))

  it.scoped("one that others may write to is refused, unless what is in it is encrypted", () =>
    Effect.gen(function*() {
      for (const mode of [0o777, 0o770, 0o1777, 0o702]) {
        const directory = unused()
        Fs.mkdirSync(directory, { recursive: true })
        Fs.chmodSync(directory, mode)
        const exit = yield* Effect.exit(build({ directory }))
        assert.match(shown(exit), /TokenStoreError/)
        assert.include(shown(exit), `others may write to ${directory}`)
        const encryption: TokenCipher.Options = { keys: [encryptionKey("k1")] }
        const store = yield* build({ directory, encryption })
        assert.isString(yield* store.write(unusedName(), token("value"), { replaces: undefined }))
        for (const path of walk(directory)) assert.strictEqual(Fs.statSync(path).mode & 0o077, 0, path)
      }
      for (const mode of [0o755, 0o700]) {
        const directory = unused()
        Fs.mkdirSync(directory, { recursive: true })
        Fs.chmodSync(directory, mode)
        yield* build({ directory })
      }
    }))

  it.scoped("a lease that was taken before the clock was set back does not last until it has caught up", () =>
    Effect.gen(function*() {
      const backing = yield* open(unused())
      yield* TestClock.setTime(1_000_000)
      assert.isTrue(yield* backing.acquire("key", "a", Duration.seconds(3)))
      yield* TestClock.setTime(500_000)
      assert.isTrue(yield* backing.acquire("key", "b", Duration.seconds(3)))
    }))
})

describe.sequential("processes", () => {
  const script = fileURLToPath(new URL("./child/fileTokenStore.ts", import.meta.url))

  const child = Effect.acquireRelease(
    Effect.promise(async () => {
      const running = spawn(process.execPath, ["--import", "tsx", script], { stdio: ["pipe", "pipe", "inherit"] })
      const exited = once(running, "exit")
      const lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]()
      await lines.next()
      return {
        tell: (job: string, directory: string, key: string, times = 0) =>
          void running.stdin.write(`${JSON.stringify([job, directory, key, times])}\n`),
        result: Effect.promise(async () => JSON.parse((await lines.next()).value)),
        kill: Effect.promise(async () => {
          running.kill("SIGKILL")
          await exited
        })
      }
    }),
    ({ kill }) => kill
  )

  it.scopedLive(
    "8 of them: one writes the first row, no update is lost, and nobody shares a lease",
    () =>
      Effect.gen(function*() {
        const all = yield* Effect.all(Array.from({ length: 8 }, () => child), { concurrency: 2 })
        const ask = (...job: readonly [string, string, string, number?]) =>
          Effect.suspend(() => {
            for (const { tell } of all) tell(...job)
            return Effect.all(all.map(({ result }) => result), { concurrency: "unbounded" })
          })

        // There is no directory yet: they make it together.
        for (let round = 0; round < 10; round++) {
          const directory = unused()
          const results: ReadonlyArray<[boolean, string]> = yield* ask("first", directory, "key")
          const winners = results.filter(([isWritten]) => isWritten)
          assert.strictEqual(winners.length, 1)
          assert.strictEqual((yield* (yield* open(directory)).read("key"))?.version, winners[0]![1])
          assert.strictEqual(Fs.readdirSync(directory).length, 1)
        }

        const directory = unused()
        const lost: ReadonlyArray<number> = yield* ask("count", directory, "key", 25)
        assert.strictEqual((yield* (yield* open(directory)).read("key"))?.text, "200")
        // They did meet.
        assert.isAbove(lost.reduce((sum, times) => sum + times, 0), 0)
        assert.strictEqual(Fs.readdirSync(directory).length, 1)
        assert.strictEqual(Fs.readdirSync(cellOf(directory, "key")).length, 2)

        const held: Array<readonly [number, number]> = (yield* ask("lease", directory, "lease", 10)).flat()
        assert.strictEqual(held.length, 80)
        held.sort(([a], [b]) => a - b)
        for (const [i, [, until]] of held.slice(0, -1).entries()) assert.isAtLeast(held[i + 1]![0], until)
      }),
    120_000
  )

  it.scopedLive(
    "kill -9 at any point leaves no half record, nothing that others may read, and no trace",
    () =>
      Effect.gen(function*() {
        const directory = unused()
        const backing = yield* open(directory)
        let reads = 0
        const check = Effect.gen(function*() {
          const found = yield* backing.read("key")
          if (found !== undefined) {
            reads++
            assert.strictEqual(found.text, `${found.version}${"x".repeat(20_000)}${found.version}`)
          }
          for (const path of [directory, ...walk(directory)]) {
            const stat = Fs.statSync(path, { throwIfNoEntry: false })
            if (stat !== undefined) assert.strictEqual(stat.mode & 0o077, 0, path)
          }
        })
        for (let round = 0; round < 4; round++) {
          const both = yield* Effect.all([child, child], { concurrency: 2 })
          for (const { tell } of both) tell("hammer", directory, "key")
          const until = performance.now() + 100 + Math.random() * 300
          while (performance.now() < until) yield* Effect.zipRight(check, Effect.sleep("1 millis"))
          for (const { kill } of both) yield* kill
          yield* check
        }
        assert.isAbove(reads, 50)
        // Whoever comes next clears away what the dead have left of this key.
        const found = yield* backing.read("key")
        const last = row()
        assert.isTrue(yield* backing.write("key", last, { ...LONG, replaces: found?.version }))
        assert.deepStrictEqual(yield* backing.read("key"), last)
        assert.strictEqual(Fs.readdirSync(cellOf(directory, "key")).length, 2)
        const value = Redacted.make("value")
        const store = yield* TokenStore.make(backing)
        assert.isString(yield* store.write(unusedName(), { value, issuedAt: 0, expiresAt: 1 }, { replaces: undefined }))
      }),
    120_000
  )
})
