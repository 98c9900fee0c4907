import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { ChildProcess } from "node:child_process"
import { execFile, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))

interface Running {
  readonly child: ChildProcess
  readonly url: string
  readonly firstLine: string
  /** what it printed, and how it ended */
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

const run = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--import", "tsx", bin, ...args], { stdio: ["ignore", "pipe", "pipe"] })
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (data) => stdout += data)
      child.stderr.on("data", (data) => stderr += data)
      const closed = new Promise<number | null>((resolve) => child.once("close", resolve))
      const line = new Promise<string>((resolve) => {
        child.stdout.on("data", () => stdout.includes("\n") && resolve(stdout.split("\n")[0]!))
        child.once("close", () => resolve(""))
      })
      return { child, line, ended: Effect.map(Effect.promise(() => closed), (code) => ({ code, stdout, stderr })) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const start = (...args: ReadonlyArray<string>): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { child, ended, line } = yield* run("--port", "0", ...args)
    const firstLine = yield* Effect.promise(() => line)
    return { child, ended, firstLine, url: firstLine.split(" ").at(-1)! }
  })

const curl = (...args: ReadonlyArray<string>) =>
  Effect.async<string>((resume) => {
    execFile("curl", ["-sS", "--max-time", "10", ...args], (error, stdout) => {
      resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
    })
  })

const hasCurl = await new Promise<boolean>((resolve) => {
  execFile("curl", ["--version"], (error) => resolve(error === null))
})

describe("dingtalk-emulator", () => {
  it.scopedLive("says where it listens", () =>
    Effect.gen(function*() {
      const { child, ended, firstLine } = yield* start("--lifetime", "60")
      assert.match(firstLine, /^DingTalk emulator listening on http:\/\/127\.0\.0\.1:\d+$/)
      child.kill("SIGINT")
      const { code, stderr, stdout } = yield* ended
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.include(stdout, "Suite Key suitequickstart, Suite Secret suite-quickstart-secret")
    }))

  it.scopedLive.skipIf(!hasCurl)("answers the two commands of the guide", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const token = JSON.parse(
        yield* curl(
          "-X",
          "POST",
          `${url}/v1.0/oauth2/accessToken`,
          "-H",
          "Content-Type: application/json",
          "-d",
          `{
    "appKey": "dingquickstart",
    "appSecret": "quickstart-secret"
  }`
        )
      )
      assert.deepStrictEqual([typeof token.accessToken, token.expireIn], ["string", 7200])
      const getUser = (query: string) =>
        curl(
          "-i",
          `${url}/topapi/v2/user/get${query}`,
          "-X",
          "POST",
          "-H",
          "Content-Type: application/json",
          "-d",
          "{\"userid\":\"zhangsan\",\"language\":\"zh_CN\"}"
        )
      // The guide leaves the token out, and the platform refuses that.
      assert.include(yield* getUser(""), "access_token is blank")
      const user = yield* getUser(`?access_token=${token.accessToken}`)
      assert.match(user, /^HTTP\/1\.1 200 OK/)
      assert.include(user, "\"errcode\":0,\"errmsg\":\"ok\"")
      assert.include(user, "\"title\":\"Technical Director\"")
    }))

  it.scopedLive("a taken port is one line and no trace", () =>
    Effect.gen(function*() {
      const { url } = yield* start()
      const port = new URL(url).port
      const second = yield* run("--port", port)
      const { code, stderr, stdout } = yield* second.ended
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.strictEqual(
        stderr,
        `dingtalk-emulator: port ${port} of 127.0.0.1 is taken; choose another one with --port\n`
      )
    }))

  it.scopedLive("a bad option is one line", () =>
    Effect.gen(function*() {
      const bad = [
        ["--port", "x"],
        ["--port", "65536"],
        ["--host", "0.0.0.0"],
        ["--lifetime", "0"],
        ["--port", "-1"],
        ["--port=abc"],
        ["--redirect-uri", "localhost:3000"],
        ["--port"],
        ["--nonsense"],
        ["stray"]
      ]
      yield* Effect.forEach(bad, (args) =>
        Effect.gen(function*() {
          const { ended } = yield* run(...args)
          const { code, stderr, stdout } = yield* ended
          assert.deepStrictEqual([code, stdout, stderr.trimEnd().split("\n").length], [2, "", 1], stderr)
          const [first = "", second] = args
          if (second === undefined && first !== "--port=abc") assert.match(stderr, /; see --help\n$/)
          if (first.startsWith("--port") && first + second !== "--portundefined") {
            assert.include(stderr, "--port wants a whole number from 0 to 65535, not")
          }
        }), { concurrency: 3 })
      yield* Effect.forEach(["--help", "-h"], (option) =>
        Effect.gen(function*() {
          const help = yield* (yield* run("--", option)).ended
          assert.strictEqual(help.code, 0)
          assert.include(help.stdout, "--lifetime")
        }))
      const version = yield* (yield* run("--version")).ended
      assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
    }))

  it.scopedLive("SIGTERM ends it within a second, with open connections and requests under way", () =>
    Effect.gen(function*() {
      const { child, ended, url } = yield* start()
      yield* Effect.promise(() =>
        fetch(`${url}/_emulator/faults`, {
          method: "POST",
          body: JSON.stringify({ fault: { _tag: "Delay", millis: 60_000 } })
        })
      )
      const waiting = fetch(`${url}/gettoken`).then(() => "answered", () => "gone")
      const idle = Net.connect(Number(new URL(url).port), "127.0.0.1")
      idle.on("error", () => {})
      yield* Effect.promise(() => new Promise((resolve) => idle.once("connect", resolve)))
      idle.write("POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nslow")
      yield* Effect.sleep("100 millis")
      const began = Date.now()
      child.kill("SIGTERM")
      const { code, stderr } = yield* ended
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.isBelow(Date.now() - began, 1000)
      assert.strictEqual(yield* Effect.promise(() => waiting), "gone")
    }))

  it.scopedLive("stops when asked over HTTP, and knows redirect URIs of its own", () =>
    Effect.gen(function*() {
      const uris = ["https://one.example/back", "https://two.example/back"]
      const { ended, url } = yield* start("--redirect-uri", uris[0]!, "--redirect-uri", uris[1]!)
      const state = yield* Effect.promise(() => fetch(`${url}/_emulator/state`).then((response) => response.json()))
      assert.includeMembers((state as any).applications[0].redirectUris, uris)
      yield* Effect.promise(() => fetch(`${url}/_emulator/stop`, { method: "POST" }))
      const { code, stderr } = yield* ended
      assert.deepStrictEqual([code, stderr], [0, ""])
    }))

  it.scopedLive("a signal during the start is an end like any other", () =>
    Effect.gen(function*() {
      const { child, ended } = yield* run("--port", "0")
      yield* Effect.sleep("300 millis")
      child.kill("SIGTERM")
      const { code, stderr } = yield* ended
      // Before its first line runs, Node itself ends it.
      assert.isTrue(code === 0 || code === null, stderr)
    }))

  it.scopedLive.skipIf(process.platform !== "linux")(
    "ends with the package manager that started it",
    () =>
      Effect.gen(function*() {
        // What pnpm does with a script, without pnpm: a program of that name, and a shell between.
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(`${tmpdir()}/emulator-`)),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
        )
        const manager = `${directory}/pnpm.cjs`
        writeFileSync(
          manager,
          `const { spawn } = require("node:child_process")
const script = process.argv[2]
spawn("sh", ["-c", script + "; exit"], { stdio: "inherit", env: { ...process.env, npm_lifecycle_event: "emulator" } })`
        )
        const command = `'${process.execPath}' --import tsx '${bin}' --port 0`
        const child = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, [manager, command], { stdio: ["ignore", "pipe", "inherit"], detached: true })
          ),
          ({ pid }) =>
            Effect.sync(() => {
              try {
                process.kill(-pid!, "SIGKILL")
              } catch {
                // Nothing is left, as it should be.
              }
            })
        )
        let stdout = ""
        const closed = new Promise<void>((resolve) => child.stdout.once("close", resolve))
        const listening = new Promise<void>((resolve) =>
          child.stdout.on("data", (data) => (stdout += data).includes("\n") && resolve())
        )
        yield* Effect.promise(() => listening)
        // Not in a normal start.
        yield* Effect.sleep("600 millis")
        const url = stdout.split("\n")[0]!.split(" ").at(-1)!
        assert.strictEqual(yield* Effect.promise(() => fetch(`${url}/_emulator`).then(({ status }) => status)), 200)
        child.kill("SIGTERM")
        // The last process that holds its end of the pipe is gone.
        yield* Effect.timeout(Effect.promise(() => closed), "2 seconds")
        assert.strictEqual(yield* Effect.promise(() => fetch(url).then(() => "answered", () => "gone")), "gone")
      })
  )
})
