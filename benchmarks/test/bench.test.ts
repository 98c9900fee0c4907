/**
 * The bench from end to end, with so few calls that no figure means anything: everybody answers, and is told of.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Contenders from "../src/contenders.js"
import * as Report from "../src/report.js"
import * as Throughput from "../src/throughput.js"
import { command } from "./command.js"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "bench-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
)

const nameOf = ({ isTraced, kind }: Contenders.Contender) => `${kind}${isTraced ? ", traced" : ""}`

describe("the bench", () => {
  it.scopedLive("measures every contender, and tells of all in its table and chart", () =>
    Effect.gen(function*() {
      const dir = yield* directory
      const [json, svg] = [join(dir, "bench.json"), join(dir, "bench.svg")]
      const measured = yield* command("bench", ["--quick", "--rounds", "1", "--calls", "200", "--json"])
      assert.strictEqual(measured.stderr, "")
      assert.strictEqual(measured.code, 0)
      const report: Report.Report = JSON.parse(measured.stdout)
      for (const table of ["user", "profile"] as const) {
        const rows = report[table]
        assert.deepStrictEqual(rows.map(nameOf), Contenders.contenders(table, true).map(nameOf))
        for (const row of rows) {
          const name = `${table}, ${nameOf(row)}`
          assert.isAbove(row.calls, 0, name)
          assert.strictEqual(row.wrong, 0, name)
          for (const figure of [row.callsPerSecond, row.ratio, row.cpuPerCall, row.cpuRatio, ...row.seats]) {
            assert.isTrue(Number.isFinite(figure) && figure > 0, name)
          }
        }
      }
      assert.strictEqual(report.herd.tokenRequests, 1)
      assert.deepStrictEqual(report.targets.filter(({ value }) => value === undefined), [])

      writeFileSync(json, measured.stdout)
      const told = yield* command("bench", ["--from", json, "--svg", svg])
      assert.strictEqual(told.stderr, "")
      assert.strictEqual(told.code, 0)
      const chart = readFileSync(svg, "utf8")
      const about = [
        report.date.slice(0, 10),
        `${report.machine.cores} cores`,
        `${report.machine.gigabytes} GB`,
        report.machine.node
      ]
      for (const text of [...about, ...[...report.user, ...report.profile].map(Report.labelOf)]) {
        assert.include(chart, text)
        assert.include(told.stdout, text)
      }
      assert.notMatch(chart + told.stdout, /NaN|undefined|Infinity/)
      for (const { name } of report.targets) assert.include(told.stdout, `  ${name}  `)
    }), 240_000)

  it("names each contender apart", () => {
    for (const table of ["user", "profile"] as const) {
      const labels = Contenders.contenders(table, false).map(Report.labelOf)
      assert.strictEqual(new Set(labels).size, labels.length)
    }
  })
})

describe("the figures of a table", () => {
  const turn = (calls: number): Throughput.Result => ({ calls, wrong: 0, seconds: 1, cpu: calls, serverLoad: 0.5 })
  const seat = (...calls: ReadonlyArray<number>) => calls.map(turn)

  it("go by the median process of a round, and by the median round", () => {
    const [pool, ours] = Throughput.rowsOf([
      {
        contender: { kind: "pool", isTraced: false },
        seats: [seat(100, 50, 100), seat(90, 45, 90), seat(110, 55, 110)]
      },
      // One process that is slow for life; and the machine was slow in the second round.
      {
        contender: { kind: "UndiciHttpClient", isTraced: false },
        seats: [seat(80, 40, 80), seat(60, 30, 60), seat(88, 44, 88)]
      }
    ])
    assert.strictEqual(pool.ratio, 1)
    assert.deepStrictEqual(pool.seats, [0.9, 1, 1.1])
    assert.strictEqual(ours.ratio, 0.8)
    assert.deepStrictEqual(ours.seats, [0.6, 0.8, 0.88])
    assert.strictEqual(ours.callsPerSecond, 80)
    assert.deepStrictEqual(ours.repetitions, [80, 40, 80])
    assert.strictEqual(ours.calls, 570)
  })

  it("show a wrong answer of any process, and miss the target with it", () => {
    const rows = Throughput.rowsOf([
      { contender: { kind: "pool", isTraced: false }, seats: [seat(100), [{ ...turn(100), wrong: 1 }], seat(100)] }
    ])
    assert.strictEqual(rows[0].wrong, 1)
  })
})
