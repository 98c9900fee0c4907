// Effect's own diagnostics (floating effects, missing yield*, ...) over the sources and examples.
import { relative, resolve } from "node:path"
import { bin, files, nodes, packages, root } from "./workspace.mjs"

const projects = [
  ...packages.map(({ dir }) => ({ sources: resolve(dir, "src"), config: resolve(dir, "tsconfig.src.json") })),
  { sources: resolve(root, "examples/src"), config: resolve(root, "examples/tsconfig.json") }
].filter(({ sources }) => files(sources, ".ts").length > 0)

await nodes(projects.map(({ config, sources }) => ({
  name: relative(root, sources),
  args: [
    bin("@effect/language-service", "effect-language-service"),
    "diagnostics",
    "--strict",
    "--severity",
    "error,warning",
    "--format",
    "text",
    "--project",
    config
  ]
})))
