/**
 * What a soak showed.
 */
import type * as FaultServer from "./FaultServer.js"
import type * as Soak from "./Soak.js"

export interface Found extends Soak.Result {
  readonly carrier: string
  /** of the callers' process, when its Layer was closed */
  readonly sockets: number
  readonly served: FaultServer.Stats
}

export interface Check {
  readonly name: string
  readonly value: string
  readonly isMet: boolean
}

const MB = 2 ** 20

/**
 * What is used after a collection is what is held: by the callers that are under way, a few kilobytes each, and by the
 * compiler, which goes on for some ten thousand calls after the early samples. This is 2 bytes for each call of a
 * million, and less than 200 for each of 20,000: nothing can be kept of every call, and hardly of every failed one.
 */
const HELD = 2 * MB
/**
 * Resident memory is no measure of what is held: it has what was freed and not yet given back, compiled code, and thread
 * stacks as well. It is only here for what neither of the others counts, such as a leak of a native library, and that
 * one climbs for as long as calls are made: the run is to be long enough that it passes this.
 */
const BREATH = 32 * MB

const median = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)[values.length >> 1]

/** The second fifth of the run, when nearly everything is warm, against its last. */
export const growth = (memory: ReadonlyArray<Soak.Memory>, field: "rss" | "heap" | "external") => {
  const part = Math.max(1, Math.floor(memory.length / 5))
  const [early, late] = [memory.slice(part, 2 * part), memory.slice(-part)].map((of) => median(of.map((m) => m[field])))
  return { early, late }
}

const mb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`

const none = (name: string, value: number): Check => ({ name, value: String(value), isMet: value === 0 })

const steady = (name: string, memory: ReadonlyArray<Soak.Memory>, field: "rss" | "heap" | "external", room: number) => {
  // Too few samples show nothing, and that is no pass.
  if (memory.length < 10) return { name, value: `${memory.length} samples`, isMet: false }
  const { early, late } = growth(memory, field)
  return { name, value: `${mb(early)}, ${mb(late)}`, isMet: late <= early + room }
}

export const of = (found: Found): ReadonlyArray<Check> => {
  const errors = Object.values(found.errors).reduce((sum, count) => sum + count, 0)
  const ended = found.right + errors + found.interrupted
  return [
    { name: "ended in a value, a typed error or interrupted", value: String(ended), isMet: ended === found.calls },
    // Otherwise nothing that follows says anything.
    { name: "right values, most of all", value: String(found.right), isMet: found.right > found.calls / 2 },
    {
      name: "spans and log lines were searched",
      value: `${found.spans}, ${found.logs}`,
      isMet: found.spans >= found.calls && found.logs > 0
    },
    none("wrong or swapped", found.wrong),
    none("defects", found.defects),
    none("unhandled rejections", found.unhandled),
    none("secrets in spans, logs and errors", found.leaks.length),
    none("sockets left open", Math.max(found.sockets, found.served.openSockets)),
    steady("heap after collection, early and late", found.memory, "heap", HELD),
    steady("buffers outside the heap, early and late", found.memory, "external", HELD),
    steady("resident memory, early and late", found.memory, "rss", BREATH)
  ]
}

const list = (counts: { readonly [name: string]: number }) =>
  Object.entries(counts).map(([name, count]) => `  ${name.padEnd(36)} ${count.toLocaleString("en-US").padStart(12)}`)

export const table = (found: Found, verdict: ReadonlyArray<Check>): string =>
  [
    `${found.calls.toLocaleString("en-US")} calls with ${found.carrier} in ${found.seconds.toFixed(1)} s (${
      Math.round(found.calls / found.seconds).toLocaleString("en-US")
    }/s); ${found.spans.toLocaleString("en-US")} spans and ${found.logs.toLocaleString("en-US")} log lines searched`,
    "",
    "what the server did",
    ...list({
      requests: found.served.requests,
      "token requests": found.served.tokenRequests,
      refreshes: found.served.refreshes,
      ...found.served.faults
    }),
    `  at most ${found.served.mostSockets} sockets at once`,
    "",
    "what the callers got",
    ...list({ "right values": found.right, "went away": found.interrupted, ...found.errors }),
    "",
    ...verdict.map(({ isMet, name, value }) => `  ${isMet ? "pass" : "FAIL"}  ${name}: ${value}`),
    ...[...found.examples, ...found.leaks].map((text) => `\n${text}`)
  ].join("\n")
