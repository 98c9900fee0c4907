/**
 * The packages as npm would deliver them, and the programs that are measured, as plain JavaScript in a directory of
 * this run alone. What runs through tsx pays for the transpiler at every start, and for the names that it keeps at every
 * closure; and the packages' own `dist` may be old.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { transform } from "esbuild"
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const here = fileURLToPath(new URL("..", import.meta.url))
const packages = resolve(here, "../packages")
const require = createRequire(import.meta.url)

// It has no types of its own.
const babel: {
  readonly transformAsync: (code: string, options: object) => Promise<{ readonly code: string }>
} = require("@babel/core")
const annotatePureCalls = require.resolve("babel-plugin-annotate-pure-calls")
// As `.ci/build.mjs` does it; these have no types either.
const ci = (name: string): Promise<any> => import(new URL(`../../.ci/${name}.mjs`, import.meta.url).href)

const PEERS = ["effect", "@effect/platform", "undici"]

export class BuildFailed extends Data.TaggedError("BuildFailed")<{ readonly message: string }> {}

export interface Stage {
  readonly dir: string
  /** where a program of `src/child` went */
  readonly child: (name: string) => string
}

const build = async (from: string, to: string, each: (code: string) => Promise<string>) => {
  const entries = await readdir(from, { recursive: true, withFileTypes: true })
  await Promise.all(entries.map(async (entry) => {
    if (!entry.isFile() || !entry.name.endsWith(".ts")) return
    const file = join(entry.parentPath, entry.name)
    const { code } = await transform(await readFile(file, "utf8"), {
      loader: "ts",
      format: "esm",
      target: "es2022",
      sourcefile: file,
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } }
    })
    const out = join(to, file.slice(from.length)).replace(/\.ts$/, ".js")
    await mkdir(dirname(out), { recursive: true })
    await writeFile(out, await each(code))
  }))
}

const buildPackage = async (dir: string, name: string) => {
  const json = JSON.parse(await readFile(join(packages, name, "package.json"), "utf8"))
  const out = join(dir, "node_modules", json.name)
  const { pureDeclarations } = await ci("pure-declarations")
  await build(join(packages, name, "src"), join(out, "dist"), async (code) => {
    const pure = await babel.transformAsync(code, {
      babelrc: false,
      configFile: false,
      plugins: [pureDeclarations, annotatePureCalls]
    })
    return pure.code
  })
  const { publishConfig, sideEffects, version } = json
  await writeFile(
    join(out, "package.json"),
    JSON.stringify({ name: json.name, version, type: "module", sideEffects, exports: publishConfig.exports })
  )
  return { name: json.name, dist: join(out, "dist") }
}

/** Like `.ci/build.mjs`: as few files as are published, and a bundler drops what it would drop of those. */
const buildPackages = async (dir: string) => {
  const { merge } = await ci("merge")
  await merge(await Promise.all(["core", "auth", "http"].map((name) => buildPackage(dir, name))), { sourcemap: false })
}

/** What the packages stand on is their neighbour, as after `npm install`: Node looks for it no further up than there. */
const linkPeers = async (dir: string) => {
  const modules = join(dir, "node_modules")
  await mkdir(join(modules, "@effect"), { recursive: true })
  await Promise.all(
    PEERS.map((name) => symlink(join(here, "node_modules", name), join(modules, name), "junction"))
  )
}

/** Below `benchmarks`, so that everything else resolves as it does for its sources. */
export const make = Effect.acquireRelease(
  Effect.tryPromise({
    try: async () => {
      await mkdir(join(here, "build"), { recursive: true })
      return await mkdtemp(join(here, "build", "run-"))
    },
    catch: (error) => new BuildFailed({ message: String(error) })
  }),
  (dir) => Effect.promise(() => rm(dir, { recursive: true, force: true }))
).pipe(
  Effect.tap((dir) =>
    Effect.tryPromise({
      try: () =>
        Promise.all([
          linkPeers(dir),
          buildPackages(dir),
          build(join(here, "src"), join(dir, "src"), (code) => Promise.resolve(code))
        ]),
      catch: (error) => new BuildFailed({ message: String(error) })
    })
  ),
  Effect.map((dir): Stage => ({ dir, child: (name) => join(dir, "src", "child", `${name}.js`) }))
)
