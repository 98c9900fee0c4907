import { Data, Effect } from "effect"
import { spawnSync } from "node:child_process"
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

class ClusterError extends Data.TaggedError("ClusterError")<{ readonly message: string }> {}

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
  Effect.suspend(() => {
    const { status, stderr, stdout } = spawnSync(join(programs!, program), args, {
      encoding: "utf8",
      // pg_ctl gives its output to the server, which keeps it open.
      stdio: ["ignore", program === "pg_ctl" ? "ignore" : "pipe", program === "pg_ctl" ? "ignore" : "pipe"],
      cwd: tmpdir(),
      ...(isRoot ? { uid: id("-u"), gid: id("-g") } : {})
    })
    return status === 0 ? Effect.void : new ClusterError({ message: `${program}: ${stderr ?? ""}${stdout ?? ""}` })
  })

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A PostgreSQL of the test's own, which it may treat as it likes. */
export const cluster = Effect.gen(function*() {
  const data = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const dir = mkdtempSync(join(tmpdir(), "store-sql-pg-"))
      if (isRoot) chownSync(dir, id("-u"), id("-g"))
      return dir
    }),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  )
  const port = yield* freePort
  yield* run("initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
  const start = (...settings: ReadonlyArray<string>) =>
    run(
      "pg_ctl",
      "-D",
      data,
      "-w",
      "-t",
      "30",
      "-l",
      join(data, "log"),
      "-o",
      [`-p ${port}`, "-h 127.0.0.1", `-k ${data}`, "-F", ...settings.map((setting) => `-c ${setting}`)].join(" "),
      "start"
    )
  const stop = run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
  yield* Effect.acquireRelease(start(), () => Effect.ignore(stop))
  return { url: `postgres://tester@127.0.0.1:${port}/postgres`, start, stop }
})
