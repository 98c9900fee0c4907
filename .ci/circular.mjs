// No module may import itself by way of others. Type imports are erased and do not count.
import madge from "madge"
import { resolve } from "node:path"
import { files, packages, root } from "./workspace.mjs"

const sources = packages.flatMap(({ dir }) => files(resolve(dir, "src"), ".ts"))
const result = await madge(sources, {
  baseDir: root,
  fileExtensions: ["ts"],
  tsConfig: resolve(root, "tsconfig.base.json"),
  detectiveOptions: { ts: { skipTypeImports: true } }
})

const cycles = result.circular()
for (const cycle of cycles) console.error(cycle.join(" > "))
console.log(`${sources.length} modules, ${cycles.length} cycles`)

// madge skips what it cannot resolve: were that one of ours, a cycle could hide behind it.
const skipped = result.warnings().skipped.filter((name) => name.startsWith("."))
if (skipped.length > 0) console.error(`not resolved: ${skipped.join(", ")}`)

process.exit(cycles.length + skipped.length > 0 ? 1 : 0)
