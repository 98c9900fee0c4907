// One process of `trouble.test.ts`: says "ready", waits for a line, does its task until the next line, and prints what
// came of it.
import { TokenService, UserSession, UserSessions } from "@effect-dingtalk/auth"
import { Contact } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Either, Exit, Layer, Logger, LogLevel, ManagedRuntime, type Redacted } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { createInterface } from "node:readline"
import { digest, type Outcome, type Task } from "./trouble-process.js"
import * as Store from "./trouble-store.js"

const task = JSON.parse(process.env["TASK"]!) as Task

// Nothing keeps root from a file.
const NOBODY = 65_534
if (task.place.kind === "file" && process.getuid!() === 0) {
  process.setgid!(NOBODY)
  process.setuid!(NOBODY)
}

const runtime = ManagedRuntime.make(
  DingTalkHttp.layer({ limiter: false }).pipe(
    Layer.provideMerge(TokenService.layerConfig()),
    Layer.provideMerge(Store.layer(task.place)),
    Layer.provide(HttpTransport.layerConfig()),
    Layer.provide(NodeHttpClient.layerUndici),
    // What it says of the store is not the question here.
    Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
  )
)

process.once("SIGTERM", () => void runtime.dispose().then(() => process.exit(0)))

const over = new AbortController()
const delay = monitorEventLoopDelay()
delay.enable()
const lag = () => delay.max / 1e6

const calls = Effect.gen(function*() {
  const outcome = { calls: 0, longest: 0, failures: [] as Array<string> }
  do {
    const from = performance.now()
    const result = yield* Effect.either(Contact.getUser({ userid: "zhangsan" }))
    outcome.calls++
    outcome.longest = Math.max(outcome.longest, performance.now() - from)
    if (Either.isLeft(result)) outcome.failures.push(`${result.left._tag}: ${result.left.message}`)
    yield* Effect.sleep("25 millis")
  } while (!over.signal.aborted)
  return { ...outcome, lag: lag() }
})

const hashOf = (token: Redacted.Redacted | undefined) => token === undefined ? "none" : digest(token)

/** A call of the person's own, with the session as this process took it up before it was told to go. */
const call = (held: UserSession.Session) =>
  Effect.gen(function*() {
    const from = performance.now()
    const answer = yield* Contact.getMe.pipe(
      Effect.provideService(UserSession.UserSession, held),
      Effect.timeout("20 seconds"),
      Effect.either
    )
    const longest = performance.now() - from
    const { accessToken, refreshToken } = yield* held.tokens
    return {
      calls: 1,
      longest,
      lag: lag(),
      failures: Either.isLeft(answer) ? [answer.left._tag] : [],
      tokens: [hashOf(accessToken), hashOf(refreshToken)]
    }
  })

const main = async () => {
  const { session } = task
  const held = session === undefined ? undefined : await runtime.runPromise(UserSessions.open({ id: session }))
  const lines = createInterface({ input: process.stdin })
  lines.once("line", async () => {
    lines.once("line", () => over.abort())
    const exit = await runtime.runPromiseExit(held === undefined ? calls : call(held))
    // Else it was told to end meanwhile.
    if (Exit.isSuccess(exit)) console.log(JSON.stringify(exit.value satisfies Outcome))
    await runtime.dispose()
    process.exit(0)
  })
  console.log("ready")
}
main().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
