// Packs every publishable package as it would go out and checks what a user would get.
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative, resolve, sep } from "node:path"
import { pathToFileURL } from "node:url"
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
    // For the other packages alone, and so without types.
    "--exclude-entrypoints",
    "internal/merged",
    ...(modules.length > 0 ? ["--include-entrypoints", ...modules] : [])
  ])
  console.log(`${json.name}@${json.version}: good`)
}

// As they would be installed, with what they stand on beside them.
const link = (from, to) => {
  mkdirSync(dirname(to), { recursive: true })
  symlinkSync(from, to, "junction")
}
const modules = join(out, "node_modules")
const own = new Set(packages.map(({ json }) => json.name))
const linked = new Set()
for (const { dir, json, name } of packages) {
  const to = join(modules, json.name)
  mkdirSync(to, { recursive: true })
  const { status } = spawnSync("tar", ["-xzf", join(out, `${name}.tgz`), "-C", to, "--strip-components=1"], {
    stdio: "inherit"
  })
  if (status !== 0) process.exit(1)
  const beside = resolve(dir, "node_modules")
  for (const first of readdirSync(beside)) {
    const scoped = first.startsWith("@")
      ? readdirSync(join(beside, first)).map((second) => `${first}/${second}`)
      : [first]
    for (const dependency of scoped) {
      if (dependency.startsWith(".") || own.has(dependency) || linked.has(dependency)) continue
      linked.add(dependency)
      link(resolve(beside, dependency), join(modules, dependency))
    }
  }
}

// The two indexes of each package, of which Node takes one and bundlers the other, and its modules by their own paths
// have the same in them: the very same values, or a program had two of each class.
const program = `
const differ = (what) => { throw new Error(what + " differ") }
for (const [name, index, paths] of JSON.parse(process.argv[1])) {
  const [forNode, forBundlers] = await Promise.all([import(name), import(index)])
  if (String(Object.keys(forNode).sort()) !== String(Object.keys(forBundlers).sort())) differ("the indexes of " + name)
  for (const [module, members] of Object.entries(forBundlers)) {
    const byPath = await import(name + "/" + module)
    for (const other of [forNode[module], byPath]) {
      if (String(Object.keys(other).sort()) !== String(Object.keys(members).sort())) differ(name + "/" + module)
      for (const member of Object.keys(members)) {
        if (other[member] !== members[member]) differ(name + "/" + module + "." + member)
      }
    }
  }
  for (const path of paths) await import(name + "/" + path)
  console.log(name + ": loads, " + Object.keys(forNode).length + " modules in its index")
}
`
const loads = packages.map(({ json }) => {
  const dist = join(modules, json.name, "dist")
  const paths = readdirSync(dist)
    .filter((file) => /^[A-Z]\w+\.js$/.test(file))
    .map((file) => file.replace(/\.js$/, ""))
  return [json.name, pathToFileURL(join(dist, "index.js")).href, paths]
})
node(["--input-type=module", "--eval", program, JSON.stringify(loads)], { cwd: out })

for (const { json } of packages) {
  for (const [command, file] of Object.entries(json.bin ?? json.publishConfig?.bin ?? {})) {
    quietly(`${command} --help`, [join(modules, json.name, file), "--help"])
    console.log(`${command} --help: good`)
  }
}
