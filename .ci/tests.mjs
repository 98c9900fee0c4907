// Reads vitest's JSON report, prints the count, and fails when anything failed or a test file was left out.
import { readFileSync } from "node:fs"
import { relative, resolve } from "node:path"
import { files, packages, root } from "./workspace.mjs"

const { testResults } = JSON.parse(readFileSync(process.argv[2], "utf8"))
const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
const count = (status) => tests.filter((test) => test.status === status).length

// A file that does not load has no tests to fail.
const broken = testResults.filter(({ assertionResults, status }) =>
  status === "failed" && !assertionResults.some((test) => test.status === "failed")
)
const ran = new Set(testResults.map(({ name }) => resolve(name)))
const left = [...packages.map(({ dir }) => dir), resolve(root, "examples"), resolve(root, "benchmarks")]
  .flatMap((dir) => files(resolve(dir, "test"), ".test.ts"))
  .filter((file) => !ran.has(file))

const passed = count("passed")
const failed = count("failed") + broken.length
for (const file of left) console.error(`did not run: ${relative(root, file)}`)
if (passed + failed < tests.length) console.log(`${tests.length - passed - count("failed")} skipped`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || left.length > 0 || passed === 0 ? 1 : 0)
