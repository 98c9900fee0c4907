/**
 * Imports what it is told, group by group, and says what each group cost: milliseconds and resident bytes.
 */
import { createRequire } from "node:module"

const require = createRequire(import.meta.url)
const groups: ReadonlyArray<ReadonlyArray<string>> = JSON.parse(process.argv[2])

const costs: Array<{ readonly millis: number; readonly bytes: number }> = []
for (const modules of groups) {
  const bytes = process.memoryUsage.rss()
  const start = performance.now()
  await Promise.all(
    modules.map((name) => name.startsWith("require:") ? require(name.slice("require:".length)) : import(name))
  )
  costs.push({ millis: performance.now() - start, bytes: process.memoryUsage.rss() - bytes })
}
process.stdout.write(JSON.stringify(costs))
process.exit()
