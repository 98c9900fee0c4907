/**
 * A million calls, a fifth of them in trouble: `npx -y pnpm@10.34.9 soak`. Ends with 1 when anything was wrong.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as Child from "./child.js"
import type { Carrier } from "./layers.js"
import { CARRIERS } from "./layers.js"
import type * as FaultServer from "./soak/FaultServer.js"
import type * as Soak from "./soak/Soak.js"
import * as Verdict from "./soak/Verdict.js"
import * as Stage from "./stage.js"

const HELP = `npx -y pnpm@10.34.9 soak [options]

  --calls N       1000000 unless it says otherwise
  --in-flight N   100 unless it says otherwise
  --faults SHARE  0.2 unless it says otherwise
  --carrier NAME  ${CARRIERS.join(", ")}
  --seed N        the same faults for the same number
  --json          prints JSON and nothing else
`

const { values: args } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== "--"),
  options: {
    calls: { type: "string", default: "1000000" },
    "in-flight": { type: "string", default: "100" },
    faults: { type: "string", default: "0.2" },
    carrier: { type: "string" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const carrier = CARRIERS.find((name) => name === (args.carrier ?? CARRIERS[0]))

// What is left after a collection is what is held; and the room for young objects is the same from the first call on,
// or resident memory would grow by 50 MB when V8 finds that it is busy.
const CALLERS = ["--expose-gc", "--min-semi-space-size=16", "--max-semi-space-size=16"]

const soak = (carrier: Carrier) =>
  Effect.gen(function*() {
    const stage = yield* Stage.make
    const seed = Number(args.seed)
    const server = yield* Child.make<{ readonly url: string }>(stage.child("faults"), [
      JSON.stringify({ share: Number(args.faults), seed })
    ])
    const result = yield* Child.run<Soak.Result & { readonly sockets: number }>(stage.child("soak"), [
      JSON.stringify({
        url: server.ready.url,
        carrier,
        calls: Number(args.calls),
        inFlight: Number(args["in-flight"]),
        seed,
        // Longer than any throttle that states its end: those are to be waited for.
        deadline: "3 seconds"
      })
    ], CALLERS)
    // The last sockets close after the process that held them.
    yield* Effect.sleep("100 millis")
    const served = yield* server.ask<FaultServer.Stats>({})
    return { carrier, ...result, served }
  }).pipe(Effect.scoped)

const program = Effect.gen(function*() {
  if (args.help) return yield* Console.log(HELP)
  if (carrier === undefined) return yield* Effect.dieMessage(`--carrier is one of ${CARRIERS.join(", ")}`)
  const found = yield* soak(carrier)
  const verdict = Verdict.of(found)
  yield* Console.log(
    args.json ? JSON.stringify({ ...found, verdict }, undefined, 2) : Verdict.table(found, verdict)
  )
  if (verdict.some(({ isMet }) => !isMet)) process.exitCode = 1
})

// Interrupted, it takes its processes and its files with it.
NodeRuntime.runMain(
  Effect.catchAllCause(
    program,
    (cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.failCause(cause) : Effect.sync(() => {
        console.error(Cause.pretty(cause))
        process.exitCode = 1
      })
  )
)
