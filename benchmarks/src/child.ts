/**
 * Child processes that live as long as their scope and answer one question at a time.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { execFile, fork } from "node:child_process"

/** What the child wrote to its standard error is the message. */
export class ChildFailed extends Data.TaggedError("ChildFailed")<{ readonly message: string }> {}

const PATIENCE = 3000

export interface Child<Ready> {
  readonly ready: Ready
  readonly ask: <A>(question: unknown) => Effect.Effect<A, ChildFailed>
}

const answerOf = <A>(child: ChildProcess, what: string, stderr: () => string): Effect.Effect<A, ChildFailed> =>
  Effect.async<A, ChildFailed>((resume) => {
    const gone = () => resume(Effect.fail(new ChildFailed({ message: `${what} ended: ${stderr().trim()}` })))
    const told = (answer: unknown) => {
      child.off("exit", gone)
      resume(Effect.succeed(answer as A))
    }
    child.once("message", told)
    child.once("exit", gone)
    if (child.exitCode !== null) gone()
    return Effect.sync(() => {
      child.off("message", told)
      child.off("exit", gone)
    })
  })

export const make = <Ready>(
  file: string,
  args: ReadonlyArray<string> = [],
  nodeArgs: ReadonlyArray<string> = []
): Effect.Effect<Child<Ready>, ChildFailed, Scope.Scope> =>
  Effect.gen(function*() {
    let stderr = ""
    const what = `${file.split(/[\\/]/).at(-1)} ${args.join(" ")}`
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        // Not this process's own arguments: the child runs what is built, without tsx.
        const child = fork(file, args, { execArgv: [...nodeArgs], stdio: ["ignore", "ignore", "pipe", "ipc"] })
        child.stderr!.setEncoding("utf8").on("data", (text: string) => {
          stderr = (stderr + text).slice(-4000)
        })
        return child
      }),
      (child) =>
        Effect.async<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          // By itself, so that it can write what it was told to write when it ends.
          const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE)
          child.once("exit", () => {
            clearTimeout(timer)
            resume(Effect.void)
          })
          if (child.connected) child.disconnect()
        })
    )
    const ready = yield* answerOf<Ready>(child, what, () => stderr)
    return {
      ready,
      ask: <A>(question: unknown) =>
        Effect.suspend(() => {
          const answer = answerOf<A>(child, what, () => stderr)
          if (child.connected) child.send(question as object)
          return answer
        })
    }
  })

/** Runs to its end; its standard output is JSON. */
export const run = <A>(file: string, args: ReadonlyArray<string>, nodeArgs: ReadonlyArray<string> = []) =>
  Effect.async<A, ChildFailed>((resume) => {
    const child = execFile(process.execPath, [...nodeArgs, file, ...args], (error, stdout, stderr) =>
      resume(
        error === null
          ? Effect.sync(() => JSON.parse(stdout) as A)
          : Effect.fail(new ChildFailed({ message: `${file}: ${stderr.trim() || error.message}` }))
      ))
    return Effect.sync(() => child.kill("SIGKILL"))
  })
