#!/usr/bin/env node
/**
 * `dingtalk-emulator`: an emulator as a server on loopback.
 *
 * @since 0.1.0
 */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { isLoopback } from "./internal/loopback.js"
import { whenWrapperDies } from "./internal/wrappers.js"

// First of all, so that a signal during the start is an end like any other.
let stop = (): void => process.exit(0)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop())

const USAGE = `Usage: dingtalk-emulator [options]

A whole DingTalk on your own machine: both gateways and the sign-in page on one port.

Options:
  --port <number>        port to listen on, 0 for a free one (default 8765)
  --host <address>       loopback address to listen on (default 127.0.0.1)
  --lifetime <seconds>   life of access tokens (default 7200)
  --redirect-uri <uri>   one more redirect URI of the app; may be given several times
  --version              show the version
  -h, --help             show this text

It stops on SIGINT, SIGTERM and SIGHUP, and by POST /_emulator/stop.`

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

const NAME = /^--[\w-]+$/

// `pnpm emulator -- --port 1` passes the dashes on, and a negative number would be taken for an option.
const args = process.argv.slice(process.argv[2] === "--" ? 3 : 2).flatMap((arg, index, all) =>
  /^-\d/.test(arg) && NAME.test(all[index - 1] ?? "")
    ? []
    : NAME.test(arg) && /^-\d/.test(all[index + 1] ?? "")
    ? [`${arg}=${all[index + 1]}`]
    : [arg]
)

const readOptions = () => {
  try {
    return parseArgs({
      args,
      options: {
        port: { type: "string", default: "8765" },
        host: { type: "string", default: "127.0.0.1" },
        lifetime: { type: "string", default: "7200" },
        "redirect-uri": { type: "string", multiple: true, default: [] },
        version: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false }
      }
    }).values
  } catch (cause) {
    // What follows is about positional arguments, and there are none.
    const [reason] = String(cause instanceof Error ? cause.message : cause).split(/\n|\. /)
    return refuse(`${reason!.replace(/\.$/, "")}; see --help`)
  }
}

const options = readOptions()
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
if (options.version) {
  console.log(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version)
  process.exit(0)
}
const port = integer("port", options.port, 0, 65535)
const lifetime = integer("lifetime", options.lifetime, 1, 10 ** 9)
const host = isLoopback(options.host)
  ? options.host
  : refuse(`--host wants a loopback address such as 127.0.0.1, not ${JSON.stringify(options.host)}`)
const redirectUris = options["redirect-uri"].map((uri) =>
  /^https?:\/\/[!-~]+$/.test(uri) && URL.canParse(uri)
    ? uri
    : refuse(`--redirect-uri wants a whole URI such as https://app.example/callback, not ${JSON.stringify(uri)}`)
)

whenWrapperDies(() => stop())

// Only now, so that help and mistakes are answered at once.
const [Cause, Effect, Exit, Emulator, EmulatorServer, { partner, quickstart }, ThirdParty] = await Promise.all([
  import("effect/Cause"),
  import("effect/Effect"),
  import("effect/Exit"),
  import("./Emulator.js"),
  import("./EmulatorServer.js"),
  import("./Organization.js"),
  import("./ThirdParty.js"),
  // The server would load it only when the rest is there.
  import("@effect/platform-node/NodeHttpServer")
])

const announce = ({ url }: { readonly url: string }) =>
  Effect.sync(() =>
    console.log(`DingTalk emulator listening on ${url}
Client ID dingquickstart, Client Secret quickstart-secret, userid zhangsan
Try: curl ${url}/v1.0/oauth2/accessToken -H 'Content-Type: application/json' -d '{"appKey":"dingquickstart","appSecret":"quickstart-secret"}'
Third-party app: Suite Key suitequickstart, Suite Secret suite-quickstart-secret, authorised by dingquickstartcorp and dingpartnercorp
Its suite ticket: curl -X POST ${url}/_emulator/suite-tickets/push
What was asked: curl ${url}/_emulator/requests`)
  )

const app = quickstart.applications[0]!
const organization = {
  ...quickstart,
  applications: [{ ...app, redirectUris: [...app.redirectUris, ...redirectUris] }]
}

const main = Effect.flatMap(
  EmulatorServer.EmulatorServer,
  (server) => Effect.zipRight(announce(server), server.stopped)
).pipe(
  Effect.provide(EmulatorServer.layer({ port, host })),
  Effect.provide(Emulator.layer({
    organization,
    organizations: [partner],
    thirdPartyApplications: [ThirdParty.quickstart],
    tokenLifetime: lifetime * 1000
  }))
)

const reasonOf = (error: unknown): string => {
  const inner: unknown = error instanceof Error && error.cause !== undefined ? error.cause : error
  if (typeof inner === "object" && inner !== null && "code" in inner && inner.code === "EADDRINUSE") {
    return `port ${port} of ${host} is taken; choose another one with --port`
  }
  return inner instanceof Error ? inner.message : String(inner)
}

const fiber = Effect.runFork(main)
// A package manager may pass on what the terminal has sent already: only the first signal counts.
stop = () => {
  stop = () => {}
  fiber.unsafeInterruptAsFork(fiber.id())
  // Whatever may hold it up.
  setTimeout(() => process.exit(0), 1500).unref()
}
fiber.addObserver((exit) => {
  if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
    console.error(`dingtalk-emulator: ${reasonOf(Cause.squash(exit.cause))}`)
    process.exit(1)
  }
  process.exit(0)
})
