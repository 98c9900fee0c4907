// One file per package: to find, read and compile a module costs a program more, when it starts, than to run it.
import { build } from "esbuild"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, relative, resolve } from "node:path"

const MERGED = "internal/merged.js"
const FOR_NODE = "internal/node.js"

const relativeTo = (from, to) => {
  const path = relative(from, to).replaceAll("\\", "/")
  return path.startsWith(".") ? path : `./${path}`
}

const list = (pairs) => pairs.map(([from, to]) => `  ${from} as ${to}`).join(",\n")

/** How a package's file has what a module of it exports. */
const inMerged = (module, name) => `${module.replace(/\.js$/, "").replaceAll(/\W/g, "_")}$${name}`

const settings = (dist) => ({
  absWorkingDir: dist,
  format: "esm",
  target: "esnext",
  write: false,
  metafile: true,
  packages: "external",
  platform: "neutral"
})

/** What `index.js` reaches, but itself, and what each of these modules exports. */
const survey = async ({ dist, name }) => {
  const reached = await build({ ...settings(dist), bundle: true, entryPoints: ["index.js"], outdir: "." })
  const modules = Object.keys(reached.metafile.inputs).filter((module) => module !== "index.js").sort()
  const { packages: _, ...apart } = settings(dist)
  const { metafile } = await build({ ...apart, entryPoints: modules, outdir: "." })
  const outputs = Object.values(metafile.outputs)
  const exported = new Map(modules.map((module) => {
    const code = readFileSync(resolve(dist, module), "utf8")
    if (/^export \* from/m.test(code)) throw new Error(`${module}: \`export *\` does not say what it exports`)
    return [module, outputs.find(({ entryPoint }) => entryPoint === module).exports]
  }))
  return { dist, name, exported }
}

/** A module of another package, from that package's one file. */
const neighbours = (surveys) => ({
  name: "neighbours",
  setup({ onLoad, onResolve }) {
    const namespace = "neighbour"
    onResolve({ filter: /^@/ }, ({ path, namespace: importer }) => {
      if (importer === namespace) return { path, external: true }
      const survey = surveys.find(({ name }) => path.startsWith(`${name}/`))
      const module = survey && `${path.slice(survey.name.length + 1)}.js`
      if (!survey?.exported.has(module)) return undefined
      return { path, namespace, pluginData: { survey, module }, sideEffects: false }
    })
    onLoad({ filter: /^/, namespace }, ({ pluginData: { module, survey } }) => ({
      contents: `export {\n${
        list(survey.exported.get(module).map((name) => [inMerged(module, name), name]))
      }\n} from "${survey.name}/${MERGED.replace(/\.js$/, "")}"`
    }))
  }
})

const mergeOne = async ({ dist, exported }, surveys, sourcemap) => {
  const file = resolve(dist, MERGED)
  const to = (module) => (name) => [name, inMerged(module, name)]
  const merged = await build({
    ...settings(dist),
    bundle: true,
    outfile: file,
    stdin: {
      contents: Array.from(
        exported,
        ([module, names]) => `export {\n${list(names.map(to(module)))}\n} from "./${module}"`
      ).join("\n"),
      resolveDir: dist
    },
    plugins: [neighbours(surveys)],
    sourcemap: sourcemap ? "linked" : false
  })

  const write = () => {
    const index = readFileSync(resolve(dist, "index.js"), "utf8")
    for (const { contents, path } of merged.outputFiles) writeFileSync(path, contents)
    for (const [module, names] of exported) {
      const path = resolve(dist, module)
      const from = relativeTo(dirname(path), file)
      writeFileSync(path, `export {\n${list(names.map((name) => [inMerged(module, name), name]))}\n} from "${from}"\n`)
      rmSync(`${path}.map`, { force: true })
    }
    const namespaces = Array.from(
      index.matchAll(/^(?:export|import) \* as (\w+) from "\.\/(.+)";?$/gm),
      ([, name, module]) => [name, exported.get(module).map(to(module))]
    )
    if (namespaces.length === 0) throw new Error(`${dist}: no module is found in the index`)
    const imported = namespaces.flatMap(([, names]) => names.map(([, name]) => `  ${name}`)).join(",\n")
    const objects = namespaces.map(([name, names]) => {
      const members = names.map(([member, value]) => `  ${member}: ${value}`).join(",\n")
      return `export const ${name} = {\n${members}\n}\n`
    })
    const forNode = resolve(dist, FOR_NODE)
    const from = relativeTo(dirname(forNode), file)
    writeFileSync(forNode, [`import {\n${imported}\n} from "${from}"\n`, ...objects].join("\n"))
  }
  return write
}

/**
 * For each of the packages `{ name, dist }`: what its index reaches goes into one file, and each module becomes a list of
 * what it exports from there, so that every path stays what it was. What the index leaves out, because of its
 * dependencies, stays a file of its own. What one package has from another it has from that one's file.
 *
 * The index itself is there twice, with the same values in it: of modules for bundlers, which drop what is not used, and
 * for Node of objects, so that it need not load each of those lists.
 */
export const merge = async (packages, { sourcemap = true } = {}) => {
  const surveys = await Promise.all(packages.map(survey))
  const writes = await Promise.all(surveys.map((each) => mergeOne(each, surveys, sourcemap)))
  for (const write of writes) write()
}
