// The API docs of every package. docgen compiles and runs each @example.
import { rmSync } from "node:fs"
import { delimiter, resolve } from "node:path"
import { bin, nodes, packages, root } from "./workspace.mjs"

// docgen looks for tsc and tsx on PATH.
const env = { ...process.env, PATH: resolve(root, "node_modules/.bin") + delimiter + process.env.PATH }

for (const { dir } of packages) {
  // docgen leaves the pages of modules that are gone.
  rmSync(resolve(dir, "docs"), { recursive: true, force: true })
}

await nodes(packages.map(({ dir, json }) => ({
  name: json.name,
  args: [bin("@effect/docgen", "docgen")],
  cwd: dir,
  env
})))
