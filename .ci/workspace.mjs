import { spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("..", import.meta.url))

/** The publishable packages: `{ name, dir, json }`, by name. */
export const packages = readdirSync(resolve(root, "packages")).sort().flatMap((name) => {
  const dir = resolve(root, "packages", name)
  const file = resolve(dir, "package.json")
  return existsSync(file) ? [{ name, dir, json: JSON.parse(readFileSync(file, "utf8")) }] : []
})

/** Every file below `dir` whose path ends in `suffix`. */
export const files = (dir, suffix) =>
  existsSync(dir)
    ? readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
      .map((entry) => resolve(entry.parentPath ?? entry.path, entry.name))
      .sort()
    : []

/** Runs `node <args>` and ends this process with its status when that is not 0. */
export const node = (args, options = {}) => {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit", ...options })
  if (status !== 0) process.exit(status ?? 1)
}

/** Runs `node <args>` for each task `{ name, args, ...options }`, several at a time, and shows the output of those that fail. */
export const nodes = async (tasks) => {
  const queue = [...tasks]
  const run = ({ args, name, ...options }) =>
    new Promise((done, fail) => {
      const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options })
      let output = ""
      const keep = (chunk) => output += chunk
      child.stdout.setEncoding("utf8").on("data", keep)
      child.stderr.setEncoding("utf8").on("data", keep)
      child.on("error", fail)
      child.on("close", (status) => {
        if (status !== 0) {
          process.exitCode = 1
          console.error(`${name}\n${output}`)
        } else console.log(`${name}: good`)
        done()
      })
    })
  const worker = async () => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) await run(task)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
}

/** The script behind a dependency's command, so that it starts without a shell. */
export const bin = (dependency, name = dependency.split("/").at(-1)) => {
  const dir = resolve(root, "node_modules", dependency)
  const json = JSON.parse(readFileSync(resolve(dir, "package.json"), "utf8"))
  return resolve(dir, typeof json.bin === "string" ? json.bin : json.bin[name])
}
