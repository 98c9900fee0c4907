// ESM and declarations to packages/*/dist, then pure annotations so that bundlers can drop what is not used.
import { transformFileAsync } from "@babel/core"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
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
      plugins: ["annotate-pure-calls"],
      sourceMaps: true,
      inputSourceMap: JSON.parse(readFileSync(`${file}.map`, "utf8"))
    })
    writeFileSync(file, `${code}\n//# sourceMappingURL=${file.split(/[\\/]/).at(-1)}.map\n`)
    writeFileSync(`${file}.map`, JSON.stringify(map))
  }
}
