/**
 * A command of this package as its user runs it, in a process of its own.
 */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export const command = (name: "bench" | "soak", args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.async<Ended>((resume) => {
    const file = fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))
    const child = execFile(
      process.execPath,
      ["--import", "tsx", file, ...args],
      { maxBuffer: 2 ** 26 },
      (_, stdout, stderr) => resume(Effect.succeed({ code: child.exitCode, stdout, stderr }))
    )
    // Not killed: it takes its processes and its files with it.
    return Effect.sync(() => child.kill("SIGINT"))
  })
