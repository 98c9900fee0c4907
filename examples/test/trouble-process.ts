// Starts `trouble-worker.ts`, and what passes between it and `trouble.test.ts`.
import { Effect, Redacted } from "effect"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { Place } from "./trouble-store.js"

export interface Task {
  readonly place: Place
  /** takes up this session, and calls once with it; else it calls until it is told to stop */
  readonly session?: string | undefined
}

export interface Outcome {
  readonly calls: number
  /** milliseconds */
  readonly longest: number
  /** for how long the process itself had no processor at most: a machine may be busy with other tests */
  readonly lag: number
  readonly failures: ReadonlyArray<string>
  /** of the session, as digests */
  readonly tokens?: ReadonlyArray<string>
}

export const digest = (token: Redacted.Redacted): string =>
  createHash("sha256").update(Redacted.value(token)).digest("hex")

export const start = (task: Task, url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const file = fileURLToPath(new URL("trouble-worker.ts", import.meta.url))
        const child = spawn(process.execPath, ["--import", "tsx", file], {
          stdio: ["pipe", "pipe", "inherit"],
          env: {
            ...process.env,
            TASK: JSON.stringify(task),
            DINGTALK_URL: url,
            DINGTALK_CLIENT_ID: "dingquickstart",
            DINGTALK_CLIENT_SECRET: "quickstart-secret"
          }
        })
        const lines: Array<string> = []
        const reader = createInterface({ input: child.stdout })
        reader.on("line", (line) => lines.push(line))
        const closed = once(child, "close")
        await Promise.race([once(reader, "line"), closed])
        return { child, closed, lines }
      }),
      ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    ({ child, closed, lines }) => {
      const say = Effect.sync(() => void child.stdin.write("\n"))
      const signal = (name: NodeJS.Signals) =>
        Effect.promise(async () => {
          child.kill(name)
          await closed
        })
      const outcome = Effect.promise(async () => {
        await closed
        return lines.length < 2 ? undefined : JSON.parse(lines[1]!) as Outcome
      })
      return {
        go: say,
        /** `undefined`: it was killed */
        outcome,
        stop: Effect.zipRight(say, outcome),
        kill: signal("SIGKILL"),
        /** as whoever deploys anew does it */
        end: signal("SIGTERM")
      }
    }
  )
