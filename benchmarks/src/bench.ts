/**
 * The figures of the README, in one run: `npx -y pnpm@10.34.9 bench`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from "node:os"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Bundle from "./bundle.js"
import * as Chart from "./chart.js"
import * as Child from "./child.js"
import type { Warm } from "./child/token.js"
import * as Cold from "./cold.js"
import * as Contenders from "./contenders.js"
import * as Report from "./report.js"
import * as Stage from "./stage.js"
import * as Throughput from "./throughput.js"

const HELP = `npx -y pnpm@10.34.9 bench [options]

  --quick       half a minute's look, before anything is warm: not to be quoted
  --rounds N    repetitions of each contender
  --calls N     ends each turn after so many calls, and all else as soon: for tests, and no figure means anything
  --json        prints JSON and nothing else
  --verbose     shows what is in the bundle
  --svg FILE    writes the bar chart
  --profile DIR writes a CPU profile of each contender, which costs time of its own
  --from FILE   takes the figures from what --json printed once, instead of measuring
`

const DEFAULT: Throughput.Settings = {
  warmUp: { millis: 5000, most: 12_000 },
  repetitions: 5,
  millis: 600,
  seats: 3
}
const QUICK: Throughput.Settings = { warmUp: { millis: 1500, most: 3000 }, repetitions: 2, millis: 250, seats: 1 }

const { values: args } = parseArgs({
  // `pnpm bench -- --json` hands the dashes on.
  args: process.argv.slice(2).filter((arg) => arg !== "--"),
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    calls: { type: "string" },
    json: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    svg: { type: "string" },
    from: { type: "string" },
    profile: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const require = createRequire(import.meta.url)

/** Looked for from the packages' entries: few of them let their package.json be imported. */
const versionOf = (name: string): string => {
  let dir = dirname(require.resolve(name))
  while (
    !existsSync(join(dir, "package.json")) || JSON.parse(readFileSync(join(dir, "package.json"), "utf8")).name !== name
  ) {
    dir = dirname(dir)
  }
  return JSON.parse(readFileSync(join(dir, "package.json"), "utf8")).version
}

const progress = (text: string) => {
  if (!args.json && process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

const measure = Effect.gen(function*() {
  const start = performance.now()
  const usual = args.quick ? QUICK : DEFAULT
  const most = Number(args.calls) || undefined
  const settings: Throughput.Settings = {
    ...usual,
    warmUp: { ...usual.warmUp, most: most ?? usual.warmUp.most },
    most,
    repetitions: Math.max(1, Number(args.rounds) || usual.repetitions),
    profile: args.profile === undefined ? undefined : resolve(args.profile)
  }
  const [loadBefore] = loadavg()
  progress("building")
  const stage = yield* Stage.make
  const server = yield* Child.make<{ readonly url: string }>(stage.child("server"))
  const tableOf = (table: Contenders.Table) =>
    Throughput.measure(stage, server, table, Contenders.contenders(table, args.quick), settings, progress)

  const user = yield* tableOf("user")
  const profile = yield* tableOf("profile")
  const imports = yield* Cold.measure(stage, most !== undefined ? 0 : args.quick ? 1 : 7, progress)
  progress("bundle, token, herd")
  const { code: _, ...bundle } = yield* Bundle.measure(stage)
  const warm = yield* Child.run<Warm>(stage.child("token"), ["warm", args.quick ? "3" : "9", String(most ?? 200_000)])
  const before = yield* server.ask<Throughput.Usage>({})
  const callers = yield* Child.run<number>(stage.child("token"), ["herd", server.ready.url])
  const after = yield* server.ask<Throughput.Usage>({})
  progress("")

  const found = {
    date: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model.trim() ?? arch(),
      cores: availableParallelism(),
      gigabytes: Math.round(totalmem() / 2 ** 30),
      platform: `${platform()} ${arch()}`,
      node: process.versions.node,
      loadBefore
    },
    versions: Object.fromEntries(
      ["effect", "@effect/platform", "@effect/platform-node", "undici", "@alicloud/dingtalk"].map((name) => [
        name,
        versionOf(name)
      ])
    ),
    settings: { ...settings, inFlight: Contenders.IN_FLIGHT, quick: args.quick },
    user,
    profile,
    imports,
    bundle,
    warmToken: { get: Throughput.median(warm.get), cachedWithTTL: Throughput.median(warm.cachedWithTTL) },
    herd: { callers, tokenRequests: after.tokenRequests - before.tokenRequests }
  }
  const seconds = (performance.now() - start) / 1000
  return { ...found, targets: Report.targetsOf(found), seconds } satisfies Report.Report
}).pipe(Effect.scoped)

const program = Effect.gen(function*() {
  if (args.help) return yield* Console.log(HELP)
  const from = args.from
  const report: Report.Report = from === undefined
    ? yield* measure
    : yield* Effect.sync(() => {
      const text = readFileSync(resolve(from), "utf8")
      // Without its -s, pnpm put lines of its own before.
      return JSON.parse(text.slice(text.indexOf("{\n"))) as Report.Report
    })
  const svg = args.svg
  if (svg !== undefined) yield* Effect.sync(() => writeFileSync(resolve(svg), Chart.svg(report)))
  yield* Console.log(args.json ? JSON.stringify(report, undefined, 2) : Report.table(report, args.verbose))
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
