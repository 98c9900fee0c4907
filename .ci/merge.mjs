// One file per package: to find, read and compile a module costs a program more, when it starts, than to run it.
import { build } from "esbuild"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, relative, resolve } from "node:path"

const MERGED = "internal/merged.js"

const slashed = (path) => path.replaceAll("\\", "/")

const relativeTo = (from, to) => {
  const path = slashed(relative(from, to))
  return path.startsWith(".") ? path : `./${path}`
}

/**
 * What `index.js` reaches goes into one file, and each module becomes a list of what it exports from there, so that
 * every path stays what it was. What the index leaves out, because of its dependencies, stays a file of its own.
 */
export const merge = async (dist, { sourcemap = true } = {}) => {
  const options = { absWorkingDir: dist, format: "esm", target: "esnext", write: false, metafile: true }
  const bundle = { ...options, bundle: true, packages: "external", platform: "neutral", outfile: resolve(dist, MERGED) }
  const reached = await build({ ...bundle, entryPoints: ["index.js"] })
  const modules = Object.keys(reached.metafile.inputs).filter((module) => module !== "index.js").sort()
  if (modules.length < 2) return

  const apart = await build({ ...options, entryPoints: modules, outdir: "." })
  const exported = new Map(modules.map((module) => {
    const code = readFileSync(resolve(dist, module), "utf8")
    if (/^export \* from/m.test(code)) throw new Error(`${module}: \`export *\` does not say what it exports`)
    const { exports } = Object.values(apart.metafile.outputs).find(({ entryPoint }) => entryPoint === module)
    const prefix = module.replace(/\.js$/, "").replaceAll(/\W/g, "_")
    return [module, exports.map((name) => [name, `${prefix}$${name}`])]
  }))
  const merged = await build({
    ...bundle,
    stdin: {
      contents: Array.from(
        exported,
        ([module, names]) =>
          `export { ${names.map(([name, inMerged]) => `${name} as ${inMerged}`).join(", ")} } from "./${module}"`
      ).join("\n"),
      resolveDir: dist
    },
    sourcemap: sourcemap ? "linked" : false
  })

  for (const { contents, path } of merged.outputFiles) writeFileSync(path, contents)
  for (const [module, names] of exported) {
    const file = resolve(dist, module)
    const from = relativeTo(dirname(file), resolve(dist, MERGED))
    const list = names.map(([name, inMerged]) => `${inMerged} as ${name}`).join(", ")
    writeFileSync(file, `export { ${list} } from "${from}"\n`)
    rmSync(`${file}.map`, { force: true })
  }
}
