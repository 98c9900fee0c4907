/**
 * Calls per second and processor time per call, in interleaved repetitions.
 *
 * Every contender has one process of its own for a whole table. In a process shared by all, one's garbage would be
 * collected in another's turn, and code that many share (Effect's fiber loop, undici) would be compiled for the worst
 * mixture; in a fresh process for every repetition most of the time would go to warming up. Those who wait hold only
 * idle connections. Turns go round (A B C, A B C, …), so that a machine that is slow for a while is slow for all, and
 * each repetition is compared with `undici.Pool` in the same round.
 */
import * as Effect from "effect/Effect"
import * as Child from "./child.js"
import type { Measured, Turn } from "./child/load.js"
import type { Contender, Kind, Table } from "./contenders.js"
import type { Stage } from "./stage.js"

export interface Settings {
  /** By calls, because the compiler goes by them: it takes thousands until the cost of one no longer falls. */
  readonly warmUp: Required<Turn>
  readonly repetitions: number
  readonly millis: number
  /** a directory for the CPU profiles of all contenders; they cost time of their own */
  readonly profile?: string | undefined
}

export interface Row {
  readonly kind: Kind
  readonly isTraced: boolean
  readonly callsPerSecond: number
  /** of `undici.Pool` */
  readonly ratio: number
  /** microseconds of the caller's process */
  readonly cpuPerCall: number
  /** calls per second of processor time, of `undici.Pool`'s */
  readonly cpuRatio: number
  /** how busy the server was: near 1, it and not the caller is what sets the pace */
  readonly serverLoad: number
  /** the slowest and the fastest repetition */
  readonly range: readonly [number, number]
  readonly repetitions: ReadonlyArray<number>
  readonly calls: number
  readonly wrong: number
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export interface Usage {
  readonly tokenRequests: number
  readonly cpu: number
}

export type Server = Child.Child<{ readonly url: string }>

interface Result extends Measured {
  readonly serverLoad: number
}

const rate = ({ calls, seconds }: Measured) => calls / seconds
const cost = ({ calls, cpu }: Measured) => cpu / calls

export const measure = (
  stage: Stage,
  server: Server,
  table: Table,
  contenders: ReadonlyArray<Contender>,
  settings: Settings,
  progress: (text: string) => void
): Effect.Effect<ReadonlyArray<Row>, Child.ChildFailed> =>
  Effect.gen(function*() {
    const seats = yield* Effect.forEach(contenders, (contender) =>
      Effect.map(
        Child.make(
          stage.child("load"),
          [table, JSON.stringify(contender), server.ready.url],
          settings.profile === undefined ? [] : [
            "--cpu-prof",
            `--cpu-prof-dir=${settings.profile}`,
            `--cpu-prof-name=${table}-${contender.kind}${contender.isTraced ? "-traced" : ""}.cpuprofile`
          ]
        ),
        (child) => ({ contender, child, turns: Array<Result>() })
      ), { concurrency: 2 })
    progress(`${table}: warming up`)
    yield* Effect.forEach(seats, ({ child }) => child.ask<Measured>(settings.warmUp), {
      concurrency: 2,
      discard: true
    })
    for (let round = 1; round <= settings.repetitions; round++) {
      progress(`${table}: round ${round} of ${settings.repetitions}`)
      for (const { child, turns } of seats) {
        const before = yield* server.ask<Usage>({})
        const measured = yield* child.ask<Measured>({ millis: settings.millis })
        const after = yield* server.ask<Usage>({})
        turns.push({ ...measured, serverLoad: (after.cpu - before.cpu) / 1e6 / measured.seconds })
      }
    }
    const reference = seats[0].turns
    return seats.map(({ contender: { isTraced, kind }, turns }): Row => {
      const rates = turns.map(rate)
      return {
        kind,
        isTraced,
        callsPerSecond: median(rates),
        ratio: median(turns.map((turn, i) => rate(turn) / rate(reference[i]))),
        cpuPerCall: median(turns.map(cost)),
        cpuRatio: median(turns.map((turn, i) => cost(reference[i]) / cost(turn))),
        serverLoad: median(turns.map((turn) => turn.serverLoad)),
        range: [Math.min(...rates), Math.max(...rates)],
        repetitions: rates,
        calls: turns.reduce((sum, { calls }) => sum + calls, 0),
        wrong: turns.reduce((sum, { wrong }) => sum + wrong, 0)
      }
    })
  }).pipe(Effect.scoped)
