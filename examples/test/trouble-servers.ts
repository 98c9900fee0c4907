// Servers of `trouble.test.ts`'s own, which it may treat as it likes. Nothing here blocks: the emulator is in the same
// process.
import { PgClient } from "@effect/sql-pg"
import { Data, Effect, Redacted } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn, spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer as createHttpServer, request } from "node:http"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

class ServerError extends Data.TaggedError("ServerError")<{ readonly message: string }> {}

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

export const isThere = (url: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const { hostname, port: own } = new URL(url)
    const socket = connect(own === "" ? port : Number(own), hostname)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

/** A directory that is removed with the scope, whoever owns it. */
export const directory = (owner?: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const place = mkdtempSync(join(tmpdir(), "dingtalk-trouble-"))
      if (owner !== undefined) chownSync(place, owner, owner)
      return place
    }),
    (place) => Effect.sync(() => rmSync(place, { recursive: true, force: true }))
  )

export const hasRedis = spawnSync("redis-server", ["--version"]).status === 0

export const redis = Effect.gen(function*() {
  const port = yield* freePort
  const cwd = yield* directory()
  let child: ChildProcess | undefined
  const kill = Effect.async<void>((resume) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
  const start = Effect.async<void>((resume) => {
    const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    child = spawn("redis-server", args, { cwd, stdio: ["ignore", "pipe", "ignore"] })
    let output = ""
    child.stdout!.on("data", (chunk) => {
      output += chunk
      if (output.includes("Ready to accept connections")) resume(Effect.void)
    })
  })
  yield* Effect.acquireRelease(start, () => kill)
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    start,
    hang: Effect.sync(() => void child?.kill("SIGSTOP")),
    go: Effect.sync(() => void child?.kill("SIGCONT"))
  }
})

const PROGRAMS = "/usr/lib/postgresql"

/** Where the programs of an installed PostgreSQL server are. */
export const programs: string | undefined = existsSync(PROGRAMS)
  ? readdirSync(PROGRAMS).sort((a, b) => Number(b) - Number(a)).map((version) => join(PROGRAMS, version, "bin"))
    .find((bin) => existsSync(join(bin, "initdb")))
  : undefined

// A server does not run as root.
const isRoot = process.getuid?.() === 0
const id = (flag: string) => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout)

const run = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.async<void, ServerError>((resume) => {
    const who = isRoot ? { uid: id("-u"), gid: id("-g") } : {}
    // `pg_ctl` gives its output to the server, which keeps it open.
    const stdio = program === "pg_ctl" ? "ignore" : ["ignore", "ignore", "pipe"] as const
    const child = spawn(join(programs!, program), args, { stdio: stdio as "ignore", cwd: tmpdir(), ...who })
    child.once("exit", (code) =>
      resume(code === 0 ? Effect.void : new ServerError({ message: `${program} ended with ${code}` })))
  })

export const postgres = Effect.gen(function*() {
  const data = yield* directory(isRoot ? id("-u") : undefined)
  const port = yield* freePort
  yield* run("initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
  const settings = `-p ${port} -h 127.0.0.1 -k ${data} -F`
  const start = run("pg_ctl", "-D", data, "-w", "-t", "30", "-l", join(data, "log"), "-o", settings, "start")
  const stop = run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
  yield* Effect.acquireRelease(start, () => Effect.ignore(stop))
  return { url: `postgres://tester@127.0.0.1:${port}/postgres`, start, stop }
})

/** On a connection of its own, behind the store's back. */
export const inPostgres = <A, E>(url: string, effect: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  Effect.flatMap(PgClient.PgClient, effect).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })),
    Effect.orDie
  )

export interface Proxy {
  readonly url: string
  /** from now on the answers of this path are kept back */
  readonly holdBack: (path: string) => Effect.Effect<void>
  /** how many were */
  readonly held: () => number
  readonly letGo: Effect.Effect<void>
}

/** Between a process and the platform: what the platform has done, and the process never learns. */
export const proxy = (to: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly server: ReturnType<typeof createHttpServer> } & Proxy>((resume) => {
        let path: string | undefined
        let held = 0
        const server = createHttpServer((incoming, outgoing) => {
          const { headers, method, url } = incoming
          const onward = request(new URL(url!, to), { method: method!, headers }, (answer) => {
            if (path !== undefined && url!.startsWith(path)) {
              held++
              answer.resume()
              return
            }
            outgoing.writeHead(answer.statusCode!, answer.headers)
            answer.pipe(outgoing)
          })
          onward.on("error", () => outgoing.destroy())
          incoming.pipe(onward)
        }).listen(0, "127.0.0.1", () => {
          const { port } = server.address() as { readonly port: number }
          resume(Effect.succeed({
            server,
            url: `http://127.0.0.1:${port}`,
            held: () => held,
            letGo: Effect.sync(() => {
              path = undefined
            }),
            holdBack: (of) =>
              Effect.sync(() => {
                path = of
              })
          }))
        })
      }),
      ({ server }) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    ({ server: _, ...proxy }): Proxy => proxy
  )

/** What is in a table, as its owner may dump it. */
export const dump = (url: string, table: string) =>
  inPostgres(url, (sql) => sql<{ readonly row: string }>`SELECT e::text AS row FROM ${sql(table)} AS e`).pipe(
    Effect.map((rows) => rows.map(({ row }) => row).join("\n"))
  )
