/**
 * The verdict of a soak can fail, each of its checks by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Verdict from "../src/soak/Verdict.js"

const MB = 2 ** 20

const memory = (grow: { readonly heap?: number; readonly external?: number; readonly rss?: number } = {}) =>
  Array.from({ length: 20 }, (_, i) => ({
    done: (i + 1) * 1000,
    // As measured: it swings by half a megabyte, with what is under way.
    heap: 26 * MB + (i % 3) * 0.25 * MB + (grow.heap ?? 0) * (i / 19),
    external: 3 * MB + (grow.external ?? 0) * (i / 19),
    rss: 120 * MB + (grow.rss ?? 0) * (i / 19)
  }))

const good: Verdict.Found = {
  carrier: "UndiciHttpClient",
  calls: 20_000,
  right: 17_600,
  errors: { "TransportError Decode": 350, Unavailable: 1950 },
  interrupted: 100,
  wrong: 0,
  defects: 0,
  unhandled: 0,
  leaks: [],
  spans: 46_000,
  logs: 2600,
  examples: [],
  memory: memory(),
  seconds: 10,
  sockets: 0,
  served: { requests: 23_000, tokenRequests: 27, refreshes: 7, faults: {}, openSockets: 0, mostSockets: 128 }
}

const failed = (doctored: Partial<Verdict.Found>) =>
  Verdict.of({ ...good, ...doctored }).filter(({ isMet }) => !isMet).map(({ name }) => name)

describe("the verdict of a soak", () => {
  it("is met where nothing is wrong", () => {
    assert.deepStrictEqual(failed({}), [])
  })

  const cases: ReadonlyArray<readonly [name: string, doctored: Partial<Verdict.Found>, check: string]> = [
    ["one wrong answer", { right: 17_599, wrong: 1 }, "wrong or swapped"],
    ["one defect", { right: 17_599, defects: 1 }, "defects"],
    ["a call of which nothing was heard", { right: 17_599 }, "ended in a value, a typed error or interrupted"],
    ["mostly errors", { right: 9600, errors: { Unavailable: 10_300 } }, "right values, most of all"],
    ["one unhandled rejection", { unhandled: 1 }, "unhandled rejections"],
    ["one secret in a span", { leaks: ["span DingTalk.contact.getUser: …"] }, "secrets in spans, logs and errors"],
    ["spans that nobody looked at", { spans: 0 }, "spans and log lines were searched"],
    ["log lines that nobody looked at", { logs: 0 }, "spans and log lines were searched"],
    ["a socket of the callers", { sockets: 1 }, "sockets left open"],
    ["a socket of the server", { served: { ...good.served, openSockets: 1 } }, "sockets left open"],
    ["200 bytes of heap for each call", {
      memory: memory({ heap: 200 * 20_000 })
    }, "heap after collection, early and late"],
    ["200 bytes of buffers for each call", {
      memory: memory({ external: 200 * 20_000 })
    }, "buffers outside the heap, early and late"],
    ["64 MB that nobody accounts for", { memory: memory({ rss: 64 * MB }) }, "resident memory, early and late"]
  ]
  for (const [name, doctored, check] of cases) {
    it(`is not met with ${name}`, () => {
      const names = failed(doctored)
      assert.include(names, check)
      // What is counted as wrong has not ended well either; nothing else is to blame.
      assert.deepStrictEqual(
        names.filter((name) => name !== "ended in a value, a typed error or interrupted"),
        check === "ended in a value, a typed error or interrupted" ? [] : [check]
      )
    })
  }

  it("is not met without enough samples of memory", () => {
    assert.deepStrictEqual(failed({ memory: memory().slice(0, 9) }).length, 3)
  })
})
