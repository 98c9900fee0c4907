/**
 * What a run found, and how it is told.
 */
import type { Bundle } from "./bundle.js"
import type * as Cold from "./cold.js"
import type { Kind } from "./contenders.js"
import { IN_FLIGHT } from "./contenders.js"
import type * as Throughput from "./throughput.js"

export interface Report {
  readonly date: string
  readonly machine: {
    readonly processor: string
    readonly cores: number
    readonly gigabytes: number
    readonly platform: string
    readonly node: string
    /** of the last minute, before the run: above 1 or so, others were at work too */
    readonly loadBefore: number
  }
  readonly versions: { readonly [name: string]: string }
  readonly settings: { readonly inFlight: number; readonly quick: boolean } & Throughput.Settings
  readonly profile: ReadonlyArray<Throughput.Row>
  readonly user: ReadonlyArray<Throughput.Row>
  readonly imports: ReadonlyArray<Cold.Row>
  readonly bundle: Omit<Bundle, "code">
  readonly warmToken: { readonly get: number; readonly cachedWithTTL: number }
  readonly herd: { readonly callers: number; readonly tokenRequests: number }
  readonly targets: ReadonlyArray<Target>
  readonly seconds: number
}

export interface Target {
  readonly name: string
  /** absent where nothing could be measured */
  readonly value?: number | undefined
  readonly unit: string
  readonly bound: "at least" | "at most"
  readonly target: number
  readonly isMet: boolean
}

const OWN = "UndiciHttpClient"

export const labelOf = ({ isTraced, kind }: { readonly kind: Kind; readonly isTraced: boolean }): string => {
  const traced = isTraced ? ", traced" : ""
  switch (kind) {
    case "pool":
      return "undici.Pool, raw"
    case "fetch":
      return "fetch, raw"
    case "official":
      return "@alicloud/dingtalk"
    case "UndiciHttpClient":
      return `ours, UndiciHttpClient${traced}`
    case "NodeHttpClient.layerUndici":
      return `ours, layerUndici${traced}`
    case "FetchHttpClient":
      return `ours, FetchHttpClient${traced}`
    case "FetchTransport":
      return `ours, FetchTransport${traced}`
  }
}

/** Design, section 9. */
export const targetsOf = (report: Omit<Report, "targets" | "seconds">): ReadonlyArray<Target> => {
  const find = (rows: ReadonlyArray<Throughput.Row>, kind: Kind, isTraced = false) =>
    rows.find((row) => row.kind === kind && row.isTraced === isTraced)
  const imports = report.imports.find(({ name }) => name.startsWith("ours: "))
  const own = find(report.profile, OWN)
  const official = find(report.profile, "official")
  const target = (
    name: string,
    value: number | undefined,
    bound: Target["bound"],
    aim: number,
    unit = ""
  ): Target => ({
    name,
    value,
    unit,
    bound,
    target: aim,
    isMet: value !== undefined && (bound === "at least" ? value >= aim : value <= aim)
  })
  return [
    target("getUser, of undici.Pool", find(report.user, OWN)?.ratio, "at least", 0.8),
    target("getUser traced, of undici.Pool", find(report.user, OWN, true)?.ratio, "at least", 0.5),
    target("getProfile, of undici.Pool", own?.ratio, "at least", 0.8),
    target("getProfile traced, of undici.Pool", find(report.profile, OWN, true)?.ratio, "at least", 0.5),
    target(
      "getProfile, times the official SDK",
      own === undefined || official === undefined ? undefined : own.ratio / official.ratio,
      "at least",
      2
    ),
    target("import beyond effect and platform", imports?.millis, "at most", 40, "ms"),
    target("memory beyond effect and platform", imports?.megabytes, "at most", 8, "MB"),
    target("bundle of \"get one user\"", report.bundle.gzip / 1000, "at most", 85, "kB"),
    target("a token from a warm cache", report.warmToken.get / 1000, "at most", 2, "us"),
    target("token requests of the herd", report.herd.tokenRequests, "at most", 1),
    target(
      "wrong answers",
      [...report.profile, ...report.user].reduce((sum, { wrong }) => sum + wrong, 0),
      "at most",
      0
    )
  ]
}

const number = (value: number, digits = 0) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  return rows
    .map((row) => `  ${row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("   ")}`)
    .map((line) => line.trimEnd())
    .join("\n")
}

const rangeOf = ({ seats }: Throughput.Row) =>
  seats.length === 1 ? "" : `${number(seats[0], 2)}–${number(seats[seats.length - 1], 2)}`

const rates = (rows: ReadonlyArray<Throughput.Row>) =>
  columns([
    ["", "calls/s", "of Pool", "by process", "CPU us/call", "of Pool", "server"],
    ...rows.map((row) => [
      labelOf(row),
      number(row.callsPerSecond),
      number(row.ratio, 2),
      rangeOf(row),
      number(row.cpuPerCall, 1),
      number(row.cpuRatio, 2),
      `${number(row.serverLoad * 100)} %`
    ])
  ])

const digitsOf = (target: Target) => target.unit === "" && target.bound === "at least" ? 2 : target.unit === "" ? 0 : 1

export const machineOf = ({ machine }: Pick<Report, "machine">) =>
  `${machine.processor}, ${machine.cores} cores, ${machine.gigabytes} GB, ${machine.platform}, Node ${machine.node}`

export const table = (report: Report, isVerbose: boolean): string => {
  const { bundle, herd, imports, machine, settings, targets, warmToken } = report
  const { millis, quick, repetitions, seats } = settings
  return [
    `${report.date.slice(0, 10)}, ${machineOf(report)}`,
    ...(machine.loadBefore > machine.cores / 2
      ? [`MEASURED UNDER LOAD: the load average was ${number(machine.loadBefore, 1)} before the run`]
      : []),
    ...(quick ? ["A quick run, before the compiler is done with ours: good to see that it works, not to quote."] : []),
    "",
    `getUser (oapi, POST, ${IN_FLIGHT} in flight), median of ${repetitions} x ${millis} ms${
      seats > 1 ? `, and of the ${seats} processes of whom a target goes on` : ""
    }`,
    rates(report.user),
    "",
    "getProfile (api, GET), where the official SDK has a method",
    rates(report.profile),
    "",
    "import in a fresh process, built files",
    columns([["", "ms", "MB"], ...imports.map((row) => [row.name, number(row.millis, 1), number(row.megabytes, 1)])]),
    "",
    `bundle of "get one user": ${number(bundle.bytes / 1000, 1)} kB minified, ${number(bundle.gzip / 1000, 1)} kB gzip`,
    `  over FetchHttpClient in place of FetchTransport: ${number(bundle.gzipOverClient / 1000, 1)} kB gzip`,
    `  a plain request of FetchHttpClient, with none of ours: ${number(bundle.gzipWithoutOurs / 1000, 1)} kB gzip`,
    ...(isVerbose
      ? [columns(bundle.inputs.slice(0, 25).map(({ bytes, file }) => [file, `${number(bytes / 1000, 1)} kB`]))]
      : []),
    `a token from a warm cache: ${number(warmToken.get)} ns; a hit of Effect.cachedWithTTL: ${
      number(warmToken.cachedWithTTL)
    } ns`,
    `${number(herd.callers)} callers at once, cold: ${number(herd.tokenRequests)} token request${
      herd.tokenRequests === 1 ? "" : "s"
    }`,
    "",
    "targets (design, section 9)",
    columns(targets.map((target) => [
      target.name,
      target.value === undefined ? "–" : `${number(target.value, digitsOf(target))} ${target.unit}`.trim(),
      `${target.bound} ${target.target} ${target.unit}`.trim(),
      target.value === undefined ? "not measured" : target.isMet ? "pass" : "SHORT"
    ])),
    "",
    `${number(report.seconds)} s`
  ].join("\n")
}
