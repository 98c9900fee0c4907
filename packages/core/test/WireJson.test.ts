import { WireJson } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"

const parsed = (text: string): unknown => Either.getOrThrow(WireJson.parse(text))

/** Text that looks like what the codec looks for: digits, quotes, comments, and the mark that it uses itself. */
const nasty = fc.array(
  fc.constantFrom(
    "\uF8F0",
    "\uF8F1",
    "123",
    "9007199254740993",
    "-1",
    "\"",
    "\\",
    "#",
    "\n",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    " ",
    "e5",
    "."
  ),
  { maxLength: 8 }
).map((parts) => parts.join(""))
const text = fc.oneof(nasty, fc.string({ unit: "binary" }))

/** A value with bigints in it, and what reading what was written of it gives. */
const value = fc.letrec<{ any: readonly [written: unknown, read: unknown] }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(text, fc.boolean(), fc.constant(null), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
      .filter((part) => typeof part !== "number" || Number.isSafeInteger(part) || !/^-?\d+$/.test(String(part)))
      .map((part) => [part, Object.is(part, -0) ? 0 : part] as const),
    fc.oneof(fc.bigInt(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })).map((part) =>
      [part, Number.isSafeInteger(Number(part)) ? Number(part) : String(part)] as const
    ),
    fc.array(tie("any"), { maxLength: 4 }).map((parts) =>
      [parts.map(([written]) => written), parts.map(([, read]) => read)] as const
    ),
    fc.array(fc.tuple(text.filter((key) => key !== "__proto__"), tie("any")), { maxLength: 4 }).map((fields) =>
      [
        Object.fromEntries(fields.map(([key, [written]]) => [key, written])),
        Object.fromEntries(fields.map(([key, [, read]]) => [key, read]))
      ] as const
    )
  )
})).any

describe("WireJson", () => {
  it("what is written is read again, with every digit of a bigint, whatever the texts around it", () => {
    fc.assert(
      fc.property(value, ([written, read]) => {
        assert.deepStrictEqual(parsed(WireJson.stringify(written)), read)
      }),
      { numRuns: 2000 }
    )
  })

  it("without a bigint it writes as JSON does, and reads what JSON reads", () => {
    fc.assert(fc.property(fc.jsonValue(), (json) => {
      assert.strictEqual(WireJson.stringify(json), JSON.stringify(json))
    }))
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), fc.constantFrom(undefined, 2), (json, indent) => {
        const text = JSON.stringify(json, undefined, indent)
        // Doubles beyond 2^53 that JavaScript writes as integers are the one thing that is read otherwise.
        fc.pre(!/\d{16}/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, "\"\"")))
        assert.deepStrictEqual(parsed(text), JSON.parse(text))
      }),
      { numRuns: 500 }
    )
  })

  it("a text that holds the mark of a bigint keeps its quotes", () => {
    for (
      const text of [
        "\uF8F0123\uF8F1",
        "\uF8F0123",
        "\uF8F0\uF8F0123",
        "\"\uF8F0123\uF8F1",
        "\\\"\uF8F01",
        "\uF8F0-1\uF8F1\"",
        "\uF8F0"
      ]
    ) {
      const written = WireJson.stringify({ big: 9007199254740993n, text, [text]: 1n, list: [text, 2n] })
      assert.deepStrictEqual(JSON.parse(written.replace("9007199254740993", "0")), {
        big: 0,
        text,
        [text]: 1,
        list: [text, 2]
      })
      assert.include(written, "\"big\":9007199254740993,")
    }
  })

  it("a bigint is a bare number, alone and inside", () => {
    assert.strictEqual(WireJson.stringify(179997318850453160n), "179997318850453160")
    assert.strictEqual(WireJson.stringify({ a: [-1n, 0n], b: "1" }), "{\"a\":[-1,0],\"b\":\"1\"}")
  })

  it("undefined is left out and toJSON is asked", () => {
    assert.strictEqual(
      WireJson.stringify({ a: undefined, b: { toJSON: () => 5n }, c: new Date(0) }),
      "{\"b\":5,\"c\":\"1970-01-01T00:00:00.000Z\"}"
    )
  })

  describe("numbers", () => {
    const rows: ReadonlyArray<readonly [text: string, value: unknown]> = [
      ["179997318850453160", "179997318850453160"],
      ["-179997318850453160", "-179997318850453160"],
      ["9007199254740991", 9007199254740991],
      ["-9007199254740991", -9007199254740991],
      ["9007199254740992", "9007199254740992"],
      ["9007199254740993", "9007199254740993"],
      ["123456789012345678901234567890", "123456789012345678901234567890"],
      ["1597573616828", 1597573616828],
      ["1234567890123456", 1234567890123456],
      ["1234567890123456789.5", Number("1234567890123456789.5")],
      ["12345678901234567890e2", Number("12345678901234567890e2")],
      ["12345678901234567890E-5", Number("12345678901234567890E-5")],
      ["0.12345678901234567890", Number("0.12345678901234567890")],
      ["1e400", Infinity],
      ["-0", -0],
      ["0", 0]
    ]
    for (const [text, value] of rows) {
      it(`${text} is ${JSON.stringify(value)}, wherever it stands`, () => {
        assert.deepStrictEqual(parsed(text), value)
        assert.deepStrictEqual(parsed(`[${text},${text}]`), [value, value])
        assert.deepStrictEqual(parsed(`{"a":${text}}`), { a: value })
        assert.deepStrictEqual(parsed(`{"a" : ${text} , "b":[\n${text}\n,\t${text}]}`), { a: value, b: [value, value] })
      })
    }
  })

  it("digits inside texts and names are texts and names", () => {
    for (
      const text of [
        "179997318850453160",
        ":179997318850453160",
        "\\\":179997318850453160,",
        "[-9007199254740993]",
        "a\\\\"
      ]
    ) {
      const json = `{"${text}":"${text}","n":179997318850453160}`
      assert.deepStrictEqual(parsed(json), { ...JSON.parse(json), n: "179997318850453160" })
    }
  })

  describe("comments", () => {
    it("after a value, before it, and alone on a line", () => {
      assert.deepStrictEqual(
        parsed("# head\n{\n  \"a\" : 1, # one, \"two\"\n  # line\n  \"b\" : \"2\" # Core\n}\n# end"),
        {
          a: 1,
          b: "2"
        }
      )
    })

    it("a # inside a text is text, with comments around and without", () => {
      assert.deepStrictEqual(parsed("{\"a\":\"x # y\"}"), { a: "x # y" })
      assert.deepStrictEqual(parsed("{\"a\":\"x # y\", # z\n\"b\":\"\\\" # \\\\\" # w\n}"), {
        a: "x # y",
        b: "\" # \\"
      })
    })

    it("long integers keep their digits among comments", () => {
      assert.deepStrictEqual(parsed("[179997318850453160 # big\n]"), ["179997318850453160"])
    })
  })

  it("what is not JSON is told apart without any of its text", () => {
    for (
      const text of [
        "",
        " ",
        "{",
        "SENTINEL",
        "<html>",
        "{a:1}",
        "[1,]",
        "{\"a\":1}}",
        "#",
        "# only",
        "{\"a\":\"x\n# y\"}",
        "\"",
        "1 2",
        "NaN"
      ]
    ) {
      assert.deepStrictEqual(WireJson.parse(text), Either.left("NotJson" as const))
    }
  })

  it("any text at all is read or refused without a throw, and JSON is never refused", () => {
    fc.assert(
      fc.property(text, (text) => {
        const answer = WireJson.parse(text)
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        if (isJson) assert.isTrue(Either.isRight(answer))
        else if (!text.includes("#")) assert.isTrue(Either.isLeft(answer))
      }),
      { numRuns: 2000 }
    )
  })

  it("a long text that was cut costs no more than its length", () => {
    // With a search from each of its quotes this would take minutes, which is beyond the time of a test.
    const cut = `{"a":1,# comment\n"b":"${"x\\\"".repeat(100_000)}`
    assert.deepStrictEqual(WireJson.parse(cut), Either.left("NotJson" as const))
  })

  it("nesting deeper than a machine can go is not a crash", () => {
    const depth = 1_000_000
    assert.isTrue(Either.isEither(WireJson.parse("[".repeat(depth) + "]".repeat(depth))))
    assert.isTrue(Either.isEither(WireJson.parse(`${"[".repeat(depth)}9007199254740993${"]".repeat(depth)}`)))
  })
})
