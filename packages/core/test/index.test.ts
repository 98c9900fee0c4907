import * as core from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"

const folder = new URL("../src/", import.meta.url)

const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll("\\", "/"))

const read = (file: string): string => readFileSync(new URL(file, folder), "utf8")

/** Without comments and the examples in them. Texts stay: a URL in a text may hold `//`, which no comment here does. */
const codeOf = (file: string): string => read(file).replace(/\/\*[^]*?\*\//g, "").replace(/(^|\s)\/\/ .*$/gm, "$1")

describe("index", () => {
  const modules = files.filter((file) => !file.includes("/") && file !== "index.ts").map((file) => file.slice(0, -3))

  it("exports every module as the namespace of its file's name, in the order of the alphabet", () => {
    const lines = codeOf("index.ts").split("\n").filter((line) => line !== "")
    assert.isAbove(modules.length, 10)
    assert.deepStrictEqual(lines, [...modules].sort().map((name) => `export * as ${name} from "./${name}.js"`))
    assert.deepStrictEqual(Object.keys(core), [...modules].sort())
  })

  it("every module has something to use, and what is internal is not exported", () => {
    for (const [name, module] of Object.entries(core)) {
      assert.isAbove(Object.keys(module).length, 0, name)
    }
    assert.isTrue(files.some((file) => file.startsWith("internal/")))
    assert.notInclude(codeOf("index.ts"), "internal")
  })
})

describe("src", () => {
  for (const file of files) {
    it(`${file} imports nothing but modules of effect and of its own package`, () => {
      const from = Array.from(
        codeOf(file).matchAll(/\bfrom\s+"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"|\brequire\(/g),
        (match) => match[1] ?? match[2] ?? match[0]
      )
      for (const module of from) {
        assert.match(module, /^(?:effect\/[A-Za-z]+|\.{1,2}\/(?:internal\/)?[A-Za-z0-9]+\.js)$/)
      }
      assert.strictEqual(from.length, codeOf(file).match(/^\s*(?:import|export \* as)\b/gm)?.length ?? 0)
    })

    it(`${file} uses no clock, no chance, no console and no process`, () => {
      const used = codeOf(file).match(
        /\bDate\.now\b|\bnew Date\b|\bDate\(\)|\bMath\.random\b|\bcrypto\b|\bconsole\.\w|\bprocess\b|\bperformance\b|\bsetTimeout\b|\bfetch\(|\bglobalThis\b|\bBuffer\b/g
      )
      assert.isNull(used)
    })
  }
})
