// Runs scripts of package.json one after another and stops at the first that fails.
// It calls their commands itself: pnpm need not be on PATH.
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { delimiter, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const { scripts } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"))
const env = { ...process.env, PATH: resolve(root, "node_modules/.bin") + delimiter + process.env.PATH }

for (const name of process.argv.slice(2)) {
  if (scripts[name] === undefined) {
    console.error(`no script named ${name}`)
    process.exit(2)
  }
  console.log(`--- ${name}`)
  const start = performance.now()
  const { status } = spawnSync(scripts[name], { cwd: root, env, shell: true, stdio: "inherit" })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  if (status !== 0) {
    console.error(`--- FAILED: ${name} (${seconds} s)`)
    process.exit(1)
  }
  console.log(`--- ${name}: ${seconds} s`)
}
