// Packs every publishable package as it would go out and checks what a user would get.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve, sep } from "node:path"
import { bin, files, node, packages, root } from "./workspace.mjs"

node([resolve(root, ".ci/build.mjs")])

// The pnpm that runs this script, or else the pinned one: only pnpm applies publishConfig and workspace ranges.
const [pinned] = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8")).packageManager.split("+")
const execpath = process.env.npm_execpath ?? ""
const [command, ...prefix] = /pnpm[^/\\]*$/.test(execpath) ? [process.execPath, execpath] : ["npx", "-y", pinned]

const out = mkdtempSync(join(tmpdir(), "packages-"))
process.on("exit", () => rmSync(out, { recursive: true, force: true }))

const quietly = (what, args) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" })
  if (status === 0) return
  console.error(`${what}\n${stdout}${stderr}`)
  process.exit(1)
}

for (const { dir, json, name } of packages) {
  const tarball = join(out, `${name}.tgz`)
  const { status } = spawnSync(command, [...prefix, "pack", "--out", tarball], {
    cwd: dir,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32"
  })
  if (status !== 0) {
    console.error(`pnpm pack failed for ${json.name}`)
    process.exit(1)
  }
  // attw cannot expand "./*".
  const modules = files(resolve(dir, "dist"), ".js")
    .map((file) => relative(resolve(dir, "dist"), file).replace(/\.js$/, ""))
    .filter((module) => !module.includes(sep) && module !== "index" && module !== "bin")
  quietly(`publint ${json.name}`, [bin("publint"), "run", tarball, "--strict"])
  quietly(`attw ${json.name}`, [
    bin("@arethetypeswrong/cli", "attw"),
    tarball,
    "--profile",
    "esm-only",
    "--format",
    "ascii",
    "--no-emoji",
    ...(modules.length > 0 ? ["--include-entrypoints", ...modules] : [])
  ])
  console.log(`${json.name}@${json.version}: good`)
}
