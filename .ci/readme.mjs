// Type-checks every ```ts block of the READMEs, each as a module of its own.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { relative, resolve } from "node:path"
import ts from "typescript"
import { packages, root } from "./workspace.mjs"

// Within examples, because that is the place from where every package resolves.
const out = resolve(root, "examples/.readme")
rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })

const blocks = new Map()
for (const readme of [root, ...packages.map(({ dir }) => dir)].map((dir) => resolve(dir, "README.md"))) {
  if (!existsSync(readme)) continue
  const name = relative(root, readme)
  let block
  for (const [index, line] of readFileSync(readme, "utf8").split(/\r?\n/).entries()) {
    if (block !== undefined && /^\s*`{3,}\s*$/.test(line)) {
      const file = resolve(out, `${name.replaceAll(/[\\/]/g, "-")}-${block.line}.ts`)
      // Blank lines in front: the line numbers are those of the README.
      writeFileSync(file, `export {};${"\n".repeat(block.line)}${block.code.join("\n")}\n`)
      blocks.set(file, name)
      block = undefined
    } else if (block !== undefined) block.code.push(line)
    else if (/^\s*`{3,}(?:ts|typescript)\b/.test(line)) block = { line: index + 1, code: [] }
  }
  if (block !== undefined) {
    console.error(`${name}:${block.line}: the block is not closed`)
    process.exit(1)
  }
}

const { config } = ts.readConfigFile(resolve(root, "tsconfig.base.json"), ts.sys.readFile)
const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, root)
const program = ts.createProgram([...blocks.keys()], {
  ...options,
  composite: false,
  incremental: false,
  declaration: false,
  declarationMap: false,
  noEmit: true,
  noUnusedLocals: false,
  types: ["node"],
  typeRoots: [resolve(root, "node_modules/@types")]
})

let failures = 0
const report = (diagnostic) => {
  failures++
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")
  if (diagnostic.file === undefined) return console.error(text)
  const { character, line } = ts.getLineAndCharacterOfPosition(diagnostic.file, diagnostic.start ?? 0)
  const name = blocks.get(resolve(diagnostic.file.fileName)) ?? relative(root, diagnostic.file.fileName)
  console.error(`${name}:${line + 1}:${character + 1} TS${diagnostic.code} ${text}`)
}

program.getOptionsDiagnostics().forEach(report)
program.getGlobalDiagnostics().forEach(report)
for (const file of blocks.keys()) {
  const source = program.getSourceFile(file)
  program.getSyntacticDiagnostics(source).forEach(report)
  program.getSemanticDiagnostics(source).forEach(report)
}

console.log(`${blocks.size} blocks, ${failures} errors`)
process.exit(failures > 0 ? 1 : 0)
