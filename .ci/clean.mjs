import { rmSync } from "node:fs"
import { resolve } from "node:path"
import { packages, root } from "./workspace.mjs"

for (const dir of [...packages.map((pkg) => pkg.dir), resolve(root, "examples")]) {
  for (const name of ["build", "dist", "docs", ".readme"]) rmSync(resolve(dir, name), { recursive: true, force: true })
}
