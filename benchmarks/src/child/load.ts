/**
 * The load of one contender: it waits until it is told for how long to call.
 */
import type { Contender, Table } from "../contenders.js"
import * as Contenders from "../contenders.js"

export interface Measured extends Contenders.Tally {
  readonly seconds: number
  /** in microseconds, of all threads of this process */
  readonly cpu: number
}

const [table, contender, url] = process.argv.slice(2)
const load = await Contenders.load(table as Table, JSON.parse(contender) as Contender, url)

export interface Turn {
  readonly millis: number
  /** ends it sooner */
  readonly most?: number | undefined
}

process.on("message", ({ millis, most = Infinity }: Turn) => {
  const start = performance.now()
  const before = process.cpuUsage()
  load(start + millis, most).then(
    (tally) => {
      const { system, user } = process.cpuUsage(before)
      const measured: Measured = { ...tally, seconds: (performance.now() - start) / 1000, cpu: system + user }
      process.send!(measured)
    },
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    }
  )
})
process.on("disconnect", () => process.exit())
process.send!({})
