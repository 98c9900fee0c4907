#!/usr/bin/env node
/**
 * `dingtalk-emulator`: an emulator as a server on loopback.
 *
 * @since 0.1.0
 */
import { parseArgs } from "node:util"
import { isLoopback } from "./internal/loopback.js"

const USAGE = `Usage: dingtalk-emulator [options]

A whole DingTalk on your own machine: both gateways and the sign-in page on one port.

Options:
  --port <number>        port to listen on, 0 for a free one (default 8765)
  --host <address>       loopback address to listen on (default 127.0.0.1)
  --lifetime <seconds>   life of access tokens (default 7200)
  --help                 show this text`

const refuse = (reason: string): never => {
  console.error(`dingtalk-emulator: ${reason}`)
  process.exit(2)
}

const integer = (name: string, text: string, min: number, max: number): number => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max
    ? value
    : refuse(`--${name} wants a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`)
}

const readOptions = () => {
  try {
    return parseArgs({
      options: {
        port: { type: "string", default: "8765" },
        host: { type: "string", default: "127.0.0.1" },
        lifetime: { type: "string", default: "7200" },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (cause) {
    return refuse(String(cause instanceof Error ? cause.message : cause).split("\n")[0]!)
  }
}

const options = readOptions()
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
const port = integer("port", options.port, 0, 65535)
const lifetime = integer("lifetime", options.lifetime, 1, 10 ** 9)
const host = isLoopback(options.host)
  ? options.host
  : refuse(`--host wants a loopback address such as 127.0.0.1, not ${JSON.stringify(options.host)}`)

// Only now, so that help and mistakes are answered at once.
const [Cause, Effect, Exit, Emulator, EmulatorServer] = await Promise.all([
  import("effect/Cause"),
  import("effect/Effect"),
  import("effect/Exit"),
  import("./Emulator.js"),
  import("./EmulatorServer.js")
])

const announce = Effect.flatMap(
  EmulatorServer.EmulatorServer,
  ({ url }) =>
    Effect.sync(() =>
      console.log(`DingTalk emulator listening on ${url}
Client ID dingquickstart, Client Secret quickstart-secret, userid zhangsan
Try: curl ${url}/v1.0/oauth2/accessToken -H 'Content-Type: application/json' -d '{"appKey":"dingquickstart","appSecret":"quickstart-secret"}'
What was asked: curl ${url}/_emulator/requests`)
    )
)

const main = Effect.zipRight(announce, Effect.never).pipe(
  Effect.provide(EmulatorServer.layer({ port, host })),
  Effect.provide(Emulator.layer({ tokenLifetime: lifetime * 1000 }))
)

const reasonOf = (error: unknown): string => {
  const inner: unknown = error instanceof Error && error.cause !== undefined ? error.cause : error
  if (typeof inner === "object" && inner !== null && "code" in inner && inner.code === "EADDRINUSE") {
    return `port ${port} of ${host} is taken; choose another one with --port`
  }
  return inner instanceof Error ? inner.message : String(inner)
}

const fiber = Effect.runFork(main)
const stop = () => fiber.unsafeInterruptAsFork(fiber.id())
process.once("SIGINT", stop)
process.once("SIGTERM", stop)
fiber.addObserver((exit) => {
  if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
    console.error(`dingtalk-emulator: ${reasonOf(Cause.squash(exit.cause))}`)
    process.exit(1)
  }
  process.exit(0)
})
