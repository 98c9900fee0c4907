// ESM and declarations to packages/*/dist, then pure annotations so that bundlers can drop what is not used, then one
// file per package so that programs start fast.
import { transformFileAsync } from "@babel/core"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { merge } from "./merge.mjs"
import { pureDeclarations } from "./pure-declarations.mjs"
import { bin, files, node, packages } from "./workspace.mjs"

for (const { dir } of packages) {
  rmSync(resolve(dir, "dist"), { recursive: true, force: true })
  rmSync(resolve(dir, "build/build.tsbuildinfo"), { force: true })
}

node([bin("typescript", "tsc"), "-b", "tsconfig.build.json"])

for (const { dir } of packages) {
  for (const file of files(resolve(dir, "dist"), ".js")) {
    const { code, map } = await transformFileAsync(file, {
      babelrc: false,
      configFile: false,
      plugins: [pureDeclarations, "annotate-pure-calls"],
      sourceMaps: true,
      inputSourceMap: JSON.parse(readFileSync(`${file}.map`, "utf8"))
    })
    writeFileSync(file, `${code}\n//# sourceMappingURL=${file.split(/[\\/]/).at(-1)}.map\n`)
    writeFileSync(`${file}.map`, JSON.stringify(map))
  }
}

await merge(packages.map(({ dir, json }) => ({ name: json.name, dist: resolve(dir, "dist") })))
