/**
 * The Redis of the tests: a real one, found by `REDIS_URL` or at its usual address; and servers of our own, to be killed.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Cluster, Redis } from "ioredis"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const url = process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379"

const isThere = async () => {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: 2000, retryStrategy: () => null })
  client.on("error", () => {})
  try {
    await client.connect()
    return (await client.ping()) === "PONG"
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

const without = await isThere() ? undefined : "there is no Redis at its usual address, nor at REDIS_URL"
const withoutServer = spawnSync("redis-server", ["--version"]).status === 0
  ? undefined
  : "redis-server is not installed, which the tests would stop and start"

const when = (reason: string | undefined, mustBe: boolean, tests: () => void) => {
  if (reason === undefined) tests()
  else if (mustBe && process.env["CI"] === "true") it(`needs a Redis`, () => assert.fail(reason))
  else it.skip(`skipped: ${reason}`, () => {})
}

export const withRedis = (tests: () => void): void => when(without, true, tests)

export const withServers = (tests: () => void): void => when(without ?? withoutServer, true, tests)

export const unusedPrefix = (): string => `dingtalk-test-${randomBytes(9).toString("base64url")}:`

/** A plain client, to look behind the store's back. */
export const client = (address = url) =>
  Effect.acquireRelease(
    Effect.sync(() => new Redis(address).on("error", () => {})),
    (client) => Effect.sync(() => client.disconnect())
  )

export const keysOf = (client: Redis, prefix: string) =>
  Effect.promise(async () => {
    const keys: Array<string> = []
    for await (const some of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
      for (const key of some as Array<string>) keys.push(key)
    }
    return keys.sort()
  })

export const clear = (prefix: string) =>
  Effect.scoped(Effect.gen(function*() {
    const redis = yield* client()
    const keys = yield* keysOf(redis, prefix)
    if (keys.length > 0) yield* Effect.promise(() => redis.del(...keys))
  }))

const unusedPort = () =>
  Effect.async<number>((resume) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number }
      server.close(() => resume(Effect.succeed(port)))
    })
  })

export interface Server {
  readonly port: number
  readonly url: string
  /** as a machine that loses its power */
  readonly kill: Effect.Effect<void>
  readonly start: Effect.Effect<void>
  readonly remove: Effect.Effect<void>
  /** it accepts connections, and does not answer */
  readonly hang: Effect.Effect<void>
  readonly go: Effect.Effect<void>
}

export const server = (...options: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const port = yield* unusedPort()
      // A server loads what it finds where it starts.
      const cwd = mkdtempSync(join(tmpdir(), "redis-"))
      let child: ChildProcess | undefined
      const kill = Effect.async<void>((resume) => {
        if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
      const start = Effect.async<void>((resume) => {
        const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...options]
        child = spawn("redis-server", args, { cwd, stdio: ["ignore", "pipe", "ignore"] })
        let output = ""
        child.stdout!.on("data", (chunk) => {
          output += chunk
          if (output.includes("Ready to accept connections")) resume(Effect.void)
        })
      })
      const result: Server = {
        port,
        url: `redis://127.0.0.1:${port}`,
        kill,
        start,
        remove: Effect.zipRight(kill, Effect.sync(() => rmSync(cwd, { recursive: true, force: true }))),
        hang: Effect.sync(() => void child?.kill("SIGSTOP")),
        go: Effect.sync(() => void child?.kill("SIGCONT"))
      }
      yield* start
      return result
    }),
    ({ remove }) => remove
  )

/** Of two nodes that have half of the slots each. */
export const cluster = Effect.gen(function*() {
  const nodes = yield* Effect.all([
    server("--cluster-enabled", "yes"),
    server("--cluster-enabled", "yes")
  ])
  const [first, second] = yield* Effect.all([client(nodes[0].url), client(nodes[1].url)])
  yield* Effect.promise(async () => {
    await first.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
    await second.call("CLUSTER", "ADDSLOTSRANGE", 8192, 16_383)
    await first.call("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
  })
  const isWhole = Effect.promise(async () => {
    const infos = await Promise.all([first.cluster("INFO"), second.cluster("INFO")])
    return infos.every((info) => info.includes("cluster_state:ok"))
  })
  while (!(yield* isWhole)) yield* Effect.sleep("50 millis")
  const all = yield* Effect.acquireRelease(
    Effect.sync(() => new Cluster([{ host: "127.0.0.1", port: nodes[0].port }]).on("error", () => {})),
    (client) => Effect.sync(() => client.disconnect())
  )
  return { client: all, nodes }
})

export const nobody = Effect.map(unusedPort(), (port) => `redis://127.0.0.1:${port}`)

export interface Child {
  readonly go: Effect.Effect<void>
  readonly result: Effect.Effect<unknown>
}

/** A process that has said that it is ready. */
export const child = (name: string, task: object) =>
  Effect.acquireRelease(
    Effect.async<Child & { readonly process: ChildProcess }>((resume) => {
      const file = fileURLToPath(new URL(`child/${name}.ts`, import.meta.url))
      const process_ = spawn(process.execPath, ["--import", "tsx", file, JSON.stringify(task)], {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        stdio: ["pipe", "pipe", "inherit"]
      })
      let output = ""
      let isReady = false
      const ended = new Promise<unknown>((resolve, reject) =>
        process_.on("close", (code) => {
          const last = output.trim().split("\n").at(-1)!
          if (code === 0) resolve(JSON.parse(last))
          else reject(new Error(`${name} ended with ${code}: ${output}`))
        })
      )
      ended.catch(() => {})
      process_.stdout!.on("data", (chunk) => {
        output += chunk
        if (isReady || !output.includes("ready\n")) return
        isReady = true
        resume(Effect.succeed({
          process: process_,
          go: Effect.sync(() => void process_.stdin!.write("go\n")),
          result: Effect.promise(() => ended)
        }))
      })
    }),
    ({ process }) => Effect.sync(() => void process.kill("SIGKILL"))
  )
