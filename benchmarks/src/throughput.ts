/**
 * Calls per second and processor time per call, in interleaved repetitions.
 *
 * Every contender has processes of its own for a whole table. In a process shared by all, one's garbage would be
 * collected in another's turn, and code that many share (Effect's fiber loop, undici) would be compiled for the worst
 * mixture; in a fresh process for every repetition most of the time would go to warming up. Those who wait hold only
 * idle connections. Turns go round (A B C, A B C, …), so that a machine that is slow for a while is slow for all, and
 * each repetition is compared with `undici.Pool` in the same round.
 *
 * How fast a process is for the rest of its life is also what its compiler happened to inline while it warmed up: the
 * same code is a fifth faster in one process than in the next. So those on whom a target goes have several (seats), and
 * of each round the median seat counts, that of the Pool as well.
 */
import * as Effect from "effect/Effect"
import * as Child from "./child.js"
import type { Measured, Turn } from "./child/load.js"
import type { Contender, Kind, Table } from "./contenders.js"
import { isInTargets } from "./contenders.js"
import type { Stage } from "./stage.js"

export interface Settings {
  /** By calls, because the compiler goes by them: it takes thousands until the cost of one no longer falls. */
  readonly warmUp: Required<Turn>
  readonly repetitions: number
  readonly millis: number
  /** ends a turn sooner; for tests */
  readonly most?: number | undefined
  /** the processes of each contender on whom a target goes; the others have one */
  readonly seats: number
  /** a directory for the CPU profiles of all contenders; they cost time of their own */
  readonly profile?: string | undefined
}

export interface Row {
  readonly kind: Kind
  readonly isTraced: boolean
  readonly callsPerSecond: number
  /** of `undici.Pool` */
  readonly ratio: number
  /** the same of each process by itself, the slowest first */
  readonly seats: ReadonlyArray<number>
  /** microseconds of the caller's process */
  readonly cpuPerCall: number
  /** calls per second of processor time, of `undici.Pool`'s */
  readonly cpuRatio: number
  /** how busy the server was: near 1, it and not the caller is what sets the pace */
  readonly serverLoad: number
  /** calls per second of the median seat, round by round */
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

export interface Result extends Measured {
  readonly serverLoad: number
}

/** The turns of each of a contender's processes. */
export interface Turns {
  readonly contender: Contender
  readonly seats: ReadonlyArray<ReadonlyArray<Result>>
}

const rate = ({ calls, seconds }: Measured) => calls / seconds
const cost = ({ calls, cpu }: Measured) => cpu / calls

const ofRounds = (seats: Turns["seats"], figure: (turn: Result) => number): ReadonlyArray<number> =>
  seats[0].map((_, round) => median(seats.map((turns) => figure(turns[round]))))

/** The first contender is the one with whom all are compared. */
export const rowsOf = (all: ReadonlyArray<Turns>): ReadonlyArray<Row> => {
  const [reference] = all
  const poolRates = ofRounds(reference.seats, rate)
  const poolCosts = ofRounds(reference.seats, cost)
  return all.map(({ contender: { isTraced, kind }, seats }): Row => {
    const rates = ofRounds(seats, rate)
    const costs = ofRounds(seats, cost)
    const turns = seats.flat()
    return {
      kind,
      isTraced,
      callsPerSecond: median(rates),
      ratio: median(rates.map((rate, i) => rate / poolRates[i])),
      seats: seats.map((turns) => median(turns.map((turn, i) => rate(turn) / poolRates[i]))).sort((a, b) => a - b),
      cpuPerCall: median(costs),
      cpuRatio: median(costs.map((cost, i) => poolCosts[i] / cost)),
      serverLoad: median(turns.map(({ serverLoad }) => serverLoad)),
      repetitions: rates,
      calls: turns.reduce((sum, { calls }) => sum + calls, 0),
      wrong: turns.reduce((sum, { wrong }) => sum + wrong, 0)
    }
  })
}

export const measure = (
  stage: Stage,
  server: Server,
  table: Table,
  contenders: ReadonlyArray<Contender>,
  settings: Settings,
  progress: (text: string) => void
): Effect.Effect<ReadonlyArray<Row>, Child.ChildFailed> =>
  Effect.gen(function*() {
    const seats = yield* Effect.forEach(
      contenders.flatMap((contender) =>
        Array.from({ length: isInTargets(contender) ? settings.seats : 1 }, (_, seat) => ({ contender, seat }))
      ),
      ({ contender, seat }) =>
        Effect.map(
          Child.make(
            stage.child("load"),
            [table, JSON.stringify(contender), server.ready.url],
            settings.profile === undefined ? [] : [
              "--cpu-prof",
              `--cpu-prof-dir=${settings.profile}`,
              `--cpu-prof-name=${table}-${contender.kind}${contender.isTraced ? "-traced" : ""}-${seat + 1}.cpuprofile`
            ]
          ),
          (child) => ({ contender, seat, child, turns: Array<Result>() })
        ),
      { concurrency: 2 }
    )
    progress(`${table}: warming up`)
    yield* Effect.forEach(seats, ({ child }) => child.ask<Measured>(settings.warmUp), {
      concurrency: 2,
      discard: true
    })
    // All first seats, all second ones, …: those of one contender are not neighbours.
    const order = [...seats].sort((a, b) => a.seat - b.seat)
    for (let round = 1; round <= settings.repetitions; round++) {
      progress(`${table}: round ${round} of ${settings.repetitions}`)
      for (const { child, turns } of order) {
        const before = yield* server.ask<Usage>({})
        const measured = yield* child.ask<Measured>({ millis: settings.millis, most: settings.most })
        const after = yield* server.ask<Usage>({})
        turns.push({ ...measured, serverLoad: (after.cpu - before.cpu) / 1e6 / measured.seconds })
      }
    }
    const turnsOf = (contender: Contender) =>
      seats.filter((seat) => seat.contender === contender).map(({ turns }) => turns)
    return rowsOf(contenders.map((contender) => ({ contender, seats: turnsOf(contender) })))
  }).pipe(Effect.scoped)
