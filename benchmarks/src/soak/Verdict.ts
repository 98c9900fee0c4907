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
/** What may come and go in a heap that holds nothing. */
const SLACK = 8 * MB

const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length

/** The second fifth of the run, when everything is warm, against its last. */
export const growth = (memory: ReadonlyArray<Soak.Memory>, field: "rss" | "heap") => {
  const part = Math.max(1, Math.floor(memory.length / 5))
  const [early, late] = [memory.slice(part, 2 * part), memory.slice(-part)].map((of) => mean(of.map((m) => m[field])))
  return { early, late }
}

const mb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`

const none = (name: string, value: number): Check => ({ name, value: String(value), isMet: value === 0 })

export const of = (found: Found): ReadonlyArray<Check> => {
  const errors = Object.values(found.errors).reduce((sum, count) => sum + count, 0)
  const ended = found.right + errors + found.interrupted
  const heap = growth(found.memory, "heap")
  const rss = growth(found.memory, "rss")
  return [
    { name: "ended in a value, a typed error or interrupted", value: String(ended), isMet: ended === found.calls },
    // Otherwise nothing that follows says anything.
    { name: "right values, most of all", value: String(found.right), isMet: found.right > found.calls / 2 },
    none("wrong or swapped", found.wrong),
    none("defects", found.defects),
    none("unhandled rejections", found.unhandled),
    none("secrets in spans, logs and errors", found.leaks.length),
    none("sockets left open", Math.max(found.sockets, found.served.openSockets)),
    {
      name: "heap after collection, early and late",
      value: `${mb(heap.early)}, ${mb(heap.late)}`,
      isMet: heap.late <= heap.early + SLACK
    },
    {
      name: "resident memory, early and late",
      value: `${mb(rss.early)}, ${mb(rss.late)}`,
      // The allocator gives back late and in pieces: it may breathe, not climb.
      isMet: rss.late <= rss.early * 1.25 + SLACK
    }
  ]
}

const list = (counts: { readonly [name: string]: number }) =>
  Object.entries(counts).map(([name, count]) => `  ${name.padEnd(28)} ${count.toLocaleString("en-US").padStart(12)}`)

export const table = (found: Found, verdict: ReadonlyArray<Check>): string =>
  [
    `${found.calls.toLocaleString("en-US")} calls with ${found.carrier} in ${found.seconds.toFixed(1)} s (${
      Math.round(found.calls / found.seconds).toLocaleString("en-US")
    }/s); ${found.spans.toLocaleString("en-US")} spans and ${found.logs.toLocaleString("en-US")} log lines searched`,
    "",
    "what the server did",
    ...list({ requests: found.served.requests, "token requests": found.served.tokenRequests, ...found.served.faults }),
    `  at most ${found.served.mostSockets} sockets at once`,
    "",
    "what the callers got",
    ...list({ "right values": found.right, "went away": found.interrupted, ...found.errors }),
    "",
    ...verdict.map(({ isMet, name, value }) => `  ${isMet ? "pass" : "FAIL"}  ${name}: ${value}`),
    ...[...found.examples, ...found.leaks].map((text) => `\n${text}`)
  ].join("\n")
