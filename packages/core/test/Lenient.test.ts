import { Contact, Lenient } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Either, FastCheck as fc, Option, ParseResult, Schema, SchemaAST as AST } from "effect"
import { memo } from "../src/internal/loosen.js"

const read = <A, I>(schema: Schema.Schema<A, I>, value: unknown): A =>
  Either.getOrThrowWith(Lenient.decode(schema)(value), ({ path, reason }) => new Error(`${path} ${reason}`))

const departure = <A, I>(schema: Schema.Schema<A, I>, value: unknown): Lenient.Departure =>
  Either.getOrThrow(Either.flip(Lenient.decode(schema)(value)))

class Address extends Schema.Class<Address>("Address")({
  city: Schema.String,
  zip: Schema.optional(Schema.Number),
  primary: Schema.Boolean
}) {}

interface Node {
  readonly id: number
  readonly name?: string | undefined
  readonly children: ReadonlyArray<Node>
}
const Node: Schema.Schema<Node> = Schema.Struct({
  id: Schema.Int,
  name: Schema.optional(Schema.String),
  children: Schema.Array(Schema.suspend((): Schema.Schema<Node> => Node))
})

interface Chain {
  readonly value: boolean
  readonly next: Chain | null
}
const Chain: Schema.Schema<Chain> = Schema.Struct({
  value: Schema.Boolean,
  next: Schema.NullOr(Schema.suspend((): Schema.Schema<Chain> => Chain))
})

const Defaults = Schema.Struct({
  plain: Schema.Number,
  optional: Schema.optional(Schema.Number),
  withDefault: Schema.optionalWith(Schema.Number, { default: () => 7 }),
  exact: Schema.optionalWith(Schema.Boolean, { exact: true }),
  nullable: Schema.NullOr(Schema.Number),
  option: Schema.optionalWith(Schema.Number, { as: "Option" }),
  fromNull: Schema.OptionFromNullOr(Schema.Int),
  list: Schema.optionalWith(Schema.Array(Schema.Int), { default: () => [] })
})

const Unions = Schema.Struct({
  shape: Schema.Union(
    Schema.Struct({ kind: Schema.Literal("circle"), radius: Schema.Int }),
    Schema.Struct({ kind: Schema.Literal("square"), side: Schema.Int, filled: Schema.Boolean })
  ),
  level: Schema.Literal(0, 1, 2),
  either: Schema.Union(Schema.Int, Schema.Struct({ value: Schema.Int })),
  text: Schema.Union(Schema.Int, Schema.String),
  open: Schema.Union(Schema.Literal("sso", "dingtalk"), Schema.String)
})

const Nested = Schema.Struct({
  matrix: Schema.Array(Schema.Array(Schema.Int)),
  people: Schema.Array(Schema.Struct({ names: Schema.Array(Schema.String), active: Schema.Boolean })),
  counts: Schema.Record({ key: Schema.String, value: Schema.Int }),
  flags: Schema.Record({ key: Schema.String, value: Schema.Struct({ on: Schema.Boolean }) }),
  wait: Schema.DurationFromMillis,
  some: Schema.NonEmptyArray(Schema.Int)
})

// --- a loosening: what the platform may have sent in place of what a schema says -------------------------------------

/** Draws from a tape, so that a failure shrinks. */
type Choose = (count: number) => number

const tape = fc.array(fc.nat(997), { minLength: 1, maxLength: 60 })

const chooser = (values: ReadonlyArray<number>): Choose => {
  let i = 0
  return (count) => values[i++ % values.length]! % count
}

const core = (ast: AST.AST): AST.AST =>
  ast._tag === "Refinement" || ast._tag === "Transformation"
    ? core(ast.from)
    : ast._tag === "Suspend"
    ? core(ast.f())
    : ast

const members = (ast: AST.AST): ReadonlyArray<AST.AST> =>
  ast._tag === "Union" ? ast.types.flatMap((t) => members(core(t))) : [ast]

const takesText = (ast: AST.AST): boolean => members(core(ast)).some((type) => type._tag === "StringKeyword")

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A one-element list may be written as its element, unless that could be read as the list itself. */
const standsAlone = (element: unknown): boolean =>
  element !== undefined && element !== null && element !== "" && !Array.isArray(element) &&
  !(typeof element === "string" && /^\s*\[/.test(element))

const loosen = (ast: AST.AST, value: unknown, choose: Choose): unknown => {
  const type = core(ast)
  switch (type._tag) {
    case "Union": {
      const fits = type.types.find((t) => ParseResult.is(Schema.encodedSchema(Schema.make(t)))(value))
      // Where text is a value of its own, text is what it stays; one kind of scalar may be written as text.
      if (fits === undefined || takesText(type)) return value
      return loosen(fits, value, choose)
    }
    case "NumberKeyword":
    case "BooleanKeyword":
    case "Literal":
      if ((typeof value === "number" && !Object.is(value, -0)) || typeof value === "boolean") {
        switch (choose(3)) {
          case 0:
            return String(value)
          case 1:
            return typeof value === "boolean" ? Number(value) : value
          default:
            return value
        }
      }
      return value
    case "TupleType": {
      const item = type.rest[0]?.type
      if (!Array.isArray(value) || item === undefined) return value
      const list = value.map((element) => loosen(item, element, choose))
      switch (choose(4)) {
        case 0:
          return list.length === 1 && standsAlone(list[0]) ? list[0] : list
        case 1:
          return JSON.stringify(list)
        case 2:
          return list.length === 0 ? [null, "", undefined][choose(3)] : list
        default:
          return list
      }
    }
    case "TypeLiteral": {
      if (!isObject(value)) return value
      const out: Record<string, unknown> = {}
      const index = type.indexSignatures[0]
      for (const [name, field] of Object.entries(value)) {
        const signature = type.propertySignatures.find((signature) => signature.name === name)
        const fieldType = signature?.type ?? index?.type
        out[name] = fieldType === undefined || field === undefined ? field : loosen(fieldType, field, choose)
      }
      for (const { isOptional, name, type: fieldType } of type.propertySignatures) {
        const field = value[name as string]
        if (field === undefined && (isOptional || members(core(fieldType)).some(AST.isUndefinedKeyword))) {
          const nothing = [undefined, null, ""][choose(4)]
          if (nothing !== undefined) out[name as string] = nothing
        } else if (field === null) {
          const nothing = [null, "", undefined][choose(3)]
          if (nothing === undefined) delete out[name as string]
          else out[name as string] = nothing
        }
      }
      if (index === undefined && choose(2) === 0) out[`unknown_${choose(5)}`] = [null, "x", 1, { a: [1] }][choose(4)]
      return choose(4) === 0 ? JSON.stringify(out) : out
    }
    default:
      return value
  }
}

/** What has no meaning of its own to tell from "no value": `""` where a value is optional or nullable. */
const holdsNothing = (value: unknown): boolean =>
  value === "" ||
  (Array.isArray(value) ? value.some(holdsNothing) : isObject(value) && Object.values(value).some(holdsNothing))

const hasOddNumber = (value: unknown): boolean =>
  typeof value === "number"
    ? !Number.isFinite(value) || Object.is(value, -0) || (Number.isInteger(value) && !Number.isSafeInteger(value))
    : Array.isArray(value)
    ? value.some(hasOddNumber)
    : isObject(value) && Object.values(value).some(hasOddNumber)

const json = (value: unknown): unknown => value === undefined ? undefined : JSON.parse(JSON.stringify(value))

/** JSON without the key that means something else to JavaScript than to JSON. */
const isTame = (value: unknown): boolean => !JSON.stringify(value ?? null).includes("__proto__")

const survives = <A, I>(name: string, schema: Schema.Schema<A, I>) =>
  it(`any loosening of any ${name} is read to the same value, and left as it was`, () => {
    const decode = Lenient.decode(schema)
    const strict = Schema.decodeUnknownSync(schema)
    let loosened = 0
    fc.assert(
      fc.property(Arbitrary.make(schema), tape, (value, values) => {
        const wire = Schema.encodeSync(schema)(value)
        fc.pre(!hasOddNumber(wire))
        const encoded = json(wire)
        fc.pre(!holdsNothing(encoded) && isTame(encoded))
        const loose = json(loosen(AST.encodedAST(schema.ast), encoded, chooser(values)))
        const before = JSON.stringify(loose)
        if (before !== JSON.stringify(encoded)) loosened++
        const answer = decode(loose)
        assert.deepStrictEqual(answer, Either.right(strict(encoded as I)))
        assert.strictEqual(JSON.stringify(loose), before)
        // What is right as it is stays so, and reading is not a matter of how often.
        assert.deepStrictEqual(decode(encoded), Either.right(strict(encoded as I)))
      }),
      { numRuns: 300 }
    )
    assert.isAbove(loosened, 50)
  })

describe("Lenient", () => {
  describe("what the platform may send", () => {
    survives("user", Contact.User)
    survives("profile", Contact.Profile)
    survives("struct of optional and nullable fields", Defaults)
    survives("struct of unions", Unions)
    survives("nested lists and records", Nested)
    survives("class", Address)
    survives("list of classes", Schema.Array(Address))
    survives("tree", Node)
    survives("chain", Chain)
  })

  describe("numbers", () => {
    const rows: ReadonlyArray<readonly [text: string, number: number]> = [
      ["0", 0],
      ["-1", -1],
      ["1597573616828", 1597573616828],
      ["1.5", 1.5],
      ["-2.5e3", -2500],
      [" 12 ", 12],
      ["007", 7],
      ["9007199254740991", Number.MAX_SAFE_INTEGER]
    ]
    for (const [text, number] of rows) {
      it(`the text ${JSON.stringify(text)} is the number ${number}`, () =>
        assert.strictEqual(read(Schema.Number, text), number))
    }
    for (
      const text of [
        "",
        " ",
        "1,5",
        "0x10",
        "1e",
        "--1",
        "NaN",
        "Infinity",
        "1e400",
        "-1e999",
        "true",
        "９",
        "[1]",
        "1 2",
        "9007199254740993",
        "179997318850453160",
        "1_000"
      ]
    ) {
      it(`the text ${JSON.stringify(text)} is no number`, () =>
        assert.strictEqual(departure(Schema.Number, text).path, ""))
    }
    it("a boolean is no number", () => assert.isTrue(Either.isLeft(Lenient.decode(Schema.Number)(true))))
  })

  describe("booleans", () => {
    for (const yes of [true, "true", "True", "TRUE", 1, "1"]) {
      it(`${JSON.stringify(yes)} is true`, () => assert.isTrue(read(Schema.Boolean, yes)))
    }
    for (const no of [false, "false", "False", 0, "0"]) {
      it(`${JSON.stringify(no)} is false`, () => assert.isFalse(read(Schema.Boolean, no)))
    }
    for (const neither of ["", "yes", 2, -1, null, [], "t", " true"]) {
      it(`${JSON.stringify(neither)} is neither`, () =>
        assert.isTrue(Either.isLeft(Lenient.decode(Schema.Boolean)(neither))))
    }
  })

  describe("text", () => {
    for (
      const text of [
        "[1]",
        "[\"a\"]",
        "{\"a\":1}",
        "{}",
        "[]",
        "true",
        "false",
        "123",
        "1.50",
        "007",
        "null",
        "\"a\"",
        "[x",
        "{x",
        " a ",
        "",
        "# a",
        "179997318850453160"
      ]
    ) {
      it(`${JSON.stringify(text)} stays as it is, in a field, an optional one, a list, a record and a union`, () => {
        assert.strictEqual(read(Schema.String, text), text)
        assert.deepStrictEqual(read(Schema.Struct({ a: Schema.String }), { a: text }), { a: text })
        assert.deepStrictEqual(read(Schema.Array(Schema.String), [text, text]), [text, text])
        assert.deepStrictEqual(read(Schema.Array(Schema.String), [text]), [text])
        assert.deepStrictEqual(read(Schema.Record({ key: Schema.String, value: Schema.String }), { a: text }), {
          a: text
        })
        assert.strictEqual(read(Schema.Union(Schema.Number, Schema.String), text), text)
        assert.deepStrictEqual(read(Schema.Union(Schema.Array(Schema.Number), Schema.String), text), text)
        if (text !== "") {
          assert.deepStrictEqual(read(Schema.Struct({ a: Schema.optional(Schema.String) }), { a: text }), { a: text })
        }
      })
    }
    it("a number or a boolean is its text", () => {
      assert.strictEqual(read(Schema.String, 86), "86")
      assert.strictEqual(read(Schema.String, false), "false")
      assert.strictEqual(read(Schema.Literal("86", "87"), 86), "86")
    })
    it("a list, an object and null are no text", () => {
      for (const value of [[], ["a"], {}, null, undefined]) {
        assert.isTrue(Either.isLeft(Lenient.decode(Schema.String)(value)))
      }
    })
  })

  describe("lists", () => {
    const Texts = Schema.Array(Schema.String)
    const Numbers = Schema.Array(Schema.Number)

    it("as JSON text, also with blanks around", () => {
      assert.deepStrictEqual(read(Numbers, " [2,3,\"4\"] "), [2, 3, 4])
      assert.deepStrictEqual(read(Texts, "[\"a\",1]"), ["a", "1"])
      assert.deepStrictEqual(read(Numbers, "[]"), [])
    })

    it("text that only begins like a list is the one element of a list of texts", () => {
      for (const text of ["[x", "[", "[1,", "[draft] hello"]) assert.deepStrictEqual(read(Texts, text), [text])
    })

    it("text that looks like an object is the one element of a list of texts", () => {
      for (const text of ["{\"a\":1}", "{}", "{x", "true", "12"]) assert.deepStrictEqual(read(Texts, text), [text])
    })

    it("one object written as JSON text is the one element of a list of objects", () => {
      const Roles = Schema.Array(Schema.Struct({ id: Schema.Number }))
      assert.deepStrictEqual(read(Roles, "{\"id\":\"1\"}"), [{ id: 1 }])
      assert.deepStrictEqual(read(Roles, ["{\"id\":\"1\"}"]), [{ id: 1 }])
      assert.deepStrictEqual(read(Roles, "[\"{\\\"id\\\":1}\"]"), [{ id: 1 }])
    })

    it("one element, and none", () => {
      assert.deepStrictEqual(read(Numbers, "5"), [5])
      assert.deepStrictEqual(read(Numbers, 0), [0])
      assert.deepStrictEqual(read(Schema.Array(Schema.Boolean), false), [false])
      for (const nothing of [null, "", undefined]) assert.deepStrictEqual(read(Numbers, nothing), [])
    })

    it("a required list that is absent is empty", () => {
      assert.deepStrictEqual(read(Schema.Struct({ a: Numbers }), {}), { a: [] })
    })

    it("integers beyond 2^53 inside JSON text keep their digits as text", () => {
      assert.deepStrictEqual(read(Texts, "[179997318850453160,1]"), ["179997318850453160", "1"])
    })

    it("of a hundred thousand elements are read whole", () => {
      const list = Array.from({ length: 100_000 }, (_, i) => String(i))
      const out = read(Numbers, list)
      assert.deepStrictEqual([out.length, out[0], out[99_999]], [100_000, 0, 99_999])
      assert.strictEqual(list[1], "1")
    })

    it("of a fixed length are taken as they are", () => {
      assert.deepStrictEqual(read(Schema.Tuple(Schema.String, Schema.Number), ["a", 1]), ["a", 1])
    })
  })

  describe("no value", () => {
    it("null, an empty text and absence are the same for what is optional", () => {
      const schema = Schema.Struct({
        a: Schema.optional(Schema.Number),
        b: Schema.optionalWith(Schema.Boolean, { default: () => true }),
        c: Schema.optionalWith(Schema.String, { as: "Option" }),
        d: Schema.optional(Schema.Struct({ e: Schema.Number })),
        f: Schema.optional(Schema.Array(Schema.Number))
      })
      for (const nothing of [null, "", undefined]) {
        const out = read(schema, { a: nothing, b: nothing, c: nothing, d: nothing, f: nothing })
        assert.deepStrictEqual([out.a, out.b, out.c, out.d, out.f], [
          undefined,
          true,
          Option.none(),
          undefined,
          undefined
        ])
        if (nothing !== undefined) assert.deepStrictEqual(out, read(schema, {}))
      }
      assert.deepStrictEqual(read(schema, {}), { b: true, c: Option.none() } as any)
    })

    it("null, an empty text and absence are null for what is nullable", () => {
      const schema = Schema.Struct({
        number: Schema.NullOr(Schema.Number),
        text: Schema.NullOr(Schema.String),
        list: Schema.NullOr(Schema.Array(Schema.Number)),
        option: Schema.OptionFromNullOr(Schema.Boolean)
      })
      const expected = { number: null, text: null, list: null, option: Option.none() }
      for (const nothing of [null, "", undefined]) {
        assert.deepStrictEqual(
          read(schema, { number: nothing, text: nothing, list: nothing, option: nothing }),
          expected
        )
      }
      assert.deepStrictEqual(read(schema, {}), expected)
    })

    it("is a departure for what is required", () => {
      for (
        const schema of [Schema.Number, Schema.Boolean, Schema.Struct({ b: Schema.Number })] as Array<
          Schema.Schema<any>
        >
      ) {
        for (const nothing of [null, "", undefined]) {
          assert.strictEqual(departure(Schema.Struct({ a: schema }), { a: nothing }).path, "a")
        }
        assert.strictEqual(departure(Schema.Struct({ a: schema }), {}).reason, "is missing")
      }
    })

    it("an empty text is a text where one is required", () => {
      assert.deepStrictEqual(read(Schema.Struct({ a: Schema.String }), { a: "" }), { a: "" })
    })

    it("0 and false are values", () => {
      const schema = Schema.Struct({ a: Schema.optional(Schema.Number), b: Schema.optional(Schema.Boolean) })
      assert.deepStrictEqual(read(schema, { a: 0, b: false }), { a: 0, b: false })
    })

    it("an object without fields is not the absence of one", () => {
      const schema = Schema.Struct({ a: Schema.optional(Schema.Struct({ b: Schema.optional(Schema.Number) })) })
      assert.deepStrictEqual(read(schema, { a: {} }), { a: {} })
      assert.deepStrictEqual(read(schema, { a: "{}" }), { a: {} })
    })
  })

  describe("unions", () => {
    it("the member that fits as it is comes before one that fits loosened", () => {
      assert.strictEqual(read(Schema.Union(Schema.Number, Schema.String), "1"), "1")
      assert.strictEqual(read(Schema.Union(Schema.Boolean, Schema.Number), 1), 1)
      assert.strictEqual(read(Schema.Union(Schema.Literal(1), Schema.Literal("1")), "1"), "1")
    })

    it("else the first that fits loosened", () => {
      assert.strictEqual(read(Schema.Literal(0, 1), "1"), 1)
      assert.strictEqual(read(Schema.Literal(true, "maybe"), "TRUE"), true)
      assert.deepStrictEqual(read(Schema.Union(Schema.Number, Schema.Struct({ a: Schema.Number })), "{\"a\":\"1\"}"), {
        a: 1
      })
    })

    it("a new member of an open enumeration is taken, one of a closed enumeration is a departure", () => {
      const open = Schema.Union(Schema.Literal("sso", "dingtalk"), Schema.String)
      assert.strictEqual(read(open, "feishu"), "feishu")
      const { path, reason } = departure(Schema.Struct({ a: Schema.Literal("sso", "dingtalk") }), { a: "SENTINEL" })
      assert.strictEqual(path, "a")
      assert.notInclude(reason, "SENTINEL")
    })
  })

  describe("records and prototypes", () => {
    const Extension = Schema.Record({ key: Schema.String, value: Schema.Unknown })

    it("a record as JSON text", () => {
      assert.deepStrictEqual(read(Extension, "{\"Hobby\":\"Travel\",\"Age\":\"24\"}"), { Hobby: "Travel", Age: "24" })
    })

    it("values that no schema describes stay as they are", () => {
      assert.deepStrictEqual(read(Extension, { a: "[1]", b: "true", c: [null, ""] }), {
        a: "[1]",
        b: "true",
        c: [null, ""]
      })
    })

    it("the key __proto__ sets no prototype", () => {
      const input = JSON.parse("{\"__proto__\":{\"polluted\":true},\"a\":\"1\"}")
      for (const schema of [Extension, Schema.Record({ key: Schema.String, value: Schema.Any })]) {
        for (const value of [input, JSON.stringify(input)]) {
          const out = read(schema, value) as any
          assert.isUndefined(out.polluted)
          assert.strictEqual(Object.getPrototypeOf(out), Object.prototype)
          assert.deepStrictEqual(Object.keys(out), ["a"])
        }
      }
      const flags = read(
        Schema.Record({ key: Schema.String, value: Schema.Struct({ on: Schema.Boolean }) }),
        JSON.parse("{\"__proto__\":{\"on\":\"true\"},\"a\":{\"on\":\"true\"}}")
      ) as any
      assert.deepStrictEqual(flags, { a: { on: true } })
      assert.isUndefined(flags.on)
      assert.isUndefined(({} as any).polluted)
      assert.strictEqual(Object.keys(input)[0], "__proto__")
    })

    it("constructor, toString and the like are keys like others", () => {
      const input = { constructor: "1", toString: "2", hasOwnProperty: "3" }
      assert.deepStrictEqual(read(Schema.Record({ key: Schema.String, value: Schema.Number }), input as any), {
        constructor: 1,
        toString: 2,
        hasOwnProperty: 3
      } as any)
      assert.deepStrictEqual(read(Schema.Struct({ a: Schema.optional(Schema.Number) }), input), {})
    })

    it("a field is not inherited from the prototype of all objects", () => {
      const schema = Schema.Struct({
        constructor: Schema.optional(Schema.String),
        valueOf: Schema.optional(Schema.Number)
      })
      assert.deepStrictEqual(Object.keys(read(schema as any, {}) as any), [])
      assert.deepStrictEqual(
        read(schema as any, { constructor: 1, valueOf: "2" }),
        { constructor: "1", valueOf: 2 } as any
      )
    })

    it("an array is no object and an object no array of entries", () => {
      assert.isTrue(Either.isLeft(Lenient.decode(Extension)([1])))
      assert.isTrue(Either.isLeft(Lenient.decode(Schema.Array(Schema.Number))({ 0: 1 })))
    })
  })

  describe("departures", () => {
    const schema = Schema.Struct({
      name: Schema.String,
      roles: Schema.Array(Schema.Struct({ id: Schema.Number, tags: Schema.Array(Schema.Boolean) })),
      counts: Schema.Record({ key: Schema.String, value: Schema.Number }),
      short: Schema.String.pipe(Schema.maxLength(3)),
      kind: Schema.Literal("a", "b"),
      shape: Schema.Union(Schema.Number, Schema.Struct({ side: Schema.Number }))
    })
    const good = { name: "n", roles: [], counts: {}, short: "s", kind: "a", shape: 1 }
    const rows: ReadonlyArray<readonly [change: Record<string, unknown>, path: string]> = [
      [{ name: { SENTINEL: 1 } }, "name"],
      [{ name: undefined }, "name"],
      [{ roles: [{ id: "SENTINEL", tags: [] }] }, "roles[0].id"],
      [{ roles: [{ id: 1, tags: [] }, { id: 1, tags: [true, "SENTINEL"] }] }, "roles[1].tags[1]"],
      [{ roles: "SENTINEL" }, "roles[0]"],
      [{ roles: "[\"SENTINEL\"]" }, "roles[0]"],
      [{ counts: { a: "SENTINEL" } }, "counts.a"],
      [{ counts: "SENTINEL" }, "counts"],
      [{ short: "SENTINEL" }, "short"],
      [{ kind: "SENTINEL" }, "kind"],
      [{ shape: "SENTINEL" }, "shape"]
    ]
    for (const [change, path] of rows) {
      it(`${JSON.stringify(change)} is told by its path ${path} alone`, () => {
        assert.isTrue(Either.isRight(Lenient.decode(schema)(good)))
        const told = departure(schema, { ...good, ...change })
        assert.strictEqual(told.path, path)
        assert.notStrictEqual(told.reason, "")
        assert.notInclude(told.reason, "SENTINEL")
      })
    }

    it("tell no number either", () => {
      for (
        const [change, path] of [
          [{ roles: [{ id: 1, tags: [4711] }] }, "roles[0].tags[0]"],
          [{ roles: [4711] }, "roles[0]"],
          [{ counts: 4711 }, "counts"],
          [{ counts: { a: true } }, "counts.a"],
          [{ short: 4711 }, "short"],
          [{ kind: 4711 }, "kind"]
        ] as const
      ) {
        const told = departure(schema, { ...good, ...change })
        assert.strictEqual(told.path, path)
        assert.notMatch(told.reason, /4711|true/)
      }
    })

    it("of the whole have no path", () => {
      assert.strictEqual(departure(schema, "SENTINEL").path, "")
      assert.strictEqual(departure(Schema.Array(Schema.Number), ["SENTINEL"]).path, "[0]")
    })

    it("never hold a text of the value, whatever the value", () => {
      const marked = fc.jsonValue({ maxDepth: 4, stringUnit: fc.constantFrom("\u{1F512}") }).map((value) =>
        JSON.parse(JSON.stringify(value, (_key, part) => typeof part === "string" ? `\u{1F512}${part}` : part))
      )
      let departures = 0
      for (
        const target of [Contact.User, Contact.Profile, Nested, Unions, Defaults, Node] as Array<
          Schema.Schema<any, any>
        >
      ) {
        const decode = Lenient.decode(target)
        const names = (core(target.ast) as AST.TypeLiteral).propertySignatures.map(({ name }) => String(name))
        fc.assert(fc.property(fc.dictionary(fc.constantFrom(...names), marked), (value) => {
          const answer = decode(value)
          if (Either.isRight(answer)) return
          departures++
          assert.notInclude(answer.left.reason, "\u{1F512}")
        }))
      }
      assert.isAbove(departures, 100)
    })
  })

  it("what is read in one pass is what effect/Schema reads of the loosened value, and no more is accepted", () => {
    const schemas = [
      Contact.User,
      Contact.Profile,
      Nested,
      Unions,
      Defaults,
      Node,
      Chain,
      Address,
      Schema.Array(Address),
      Schema.Struct({ any: Schema.Unknown, maybe: Schema.optional(Schema.Unknown), not: Schema.NullOr(Schema.String) }),
      Schema.Struct({ at: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("when")), not: Schema.Boolean }),
      Schema.Struct({ a: Schema.Int }, Schema.Record({ key: Schema.String, value: Schema.Int })),
      Schema.Struct({ a: Schema.optionalWith(Schema.NonEmptyString, { nullable: true }), b: Schema.Trim })
    ] as Array<Schema.Schema<any, any>>
    /** A value that is right but for one place, at most. */
    const almost = (value: unknown, choose: Choose, odd: unknown): unknown => {
      if (choose(4) === 0) return odd
      if (Array.isArray(value) && value.length > 0) {
        const at = choose(value.length)
        return value.map((part, i) => i === at ? almost(part, choose, odd) : part)
      }
      if (!isObject(value) || Object.keys(value).length === 0) return odd
      const at = choose(Object.keys(value).length)
      return Object.fromEntries(
        Object.entries(value).flatMap(([name, part], i) =>
          i !== at ? [[name, part]] : choose(5) === 0 ? [] : [[name, almost(part, choose, odd)]]
        )
      )
    }
    const scalars = fc.constantFrom<unknown>(
      null,
      "",
      " ",
      "x",
      "1",
      "[]",
      "[1]",
      "{}",
      "true",
      0,
      1,
      1.5,
      true,
      [],
      {},
      [[]],
      [null]
    )
    const counts = { Left: 0, Right: 0 }
    for (const schema of schemas) {
      const decode = Lenient.decode(schema)
      const strict = ParseResult.decodeUnknownEither(schema)
      fc.assert(
        fc.property(Arbitrary.make(schema), tape, fc.oneof(scalars, fc.jsonValue()), (made, values, odd) => {
          const choose = chooser(values)
          const loose = json(loosen(AST.encodedAST(schema.ast), json(Schema.encodeSync(schema)(made)), choose))
          const value = choose(8) === 0 ? odd : almost(loose, choose, odd)
          const expected = strict(memo(schema.ast)?.(value) ?? value)
          const answer = decode(value)
          counts[expected._tag]++
          if (Either.isLeft(expected)) assert.isTrue(Either.isLeft(answer), JSON.stringify(value))
          else assert.deepStrictEqual(answer, Either.right(expected.right))
        }),
        { numRuns: 400 }
      )
    }
    assert.isAbove(counts.Left, 500)
    assert.isAbove(counts.Right, 500)
  })

  it("any JSON at all is read or told apart without a throw and without a change", () => {
    const schemas = [Contact.User, Contact.Profile, Nested, Unions, Defaults, Node, Chain, Address] as Array<
      Schema.Schema<any, any>
    >
    fc.assert(
      fc.property(fc.constantFrom(...schemas), fc.jsonValue(), (schema, value) => {
        const before = JSON.stringify(value)
        assert.isTrue(Either.isEither(Lenient.decode(schema)(value)))
        assert.strictEqual(JSON.stringify(value), before)
      }),
      { numRuns: 1000 }
    )
  })

  it("a frozen value is read too", () => {
    const input = Object.freeze({
      userid: "u",
      unionid: "n",
      admin: "true",
      dept_id_list: Object.freeze(["1"]),
      email: ""
    })
    assert.deepInclude(read(Contact.User, input), { admin: true, dept_id_list: [1] as any })
    assert.deepStrictEqual(input.dept_id_list, ["1"])
  })

  it("a schema that turns what it reads into something else is lenient on what it reads", () => {
    assert.deepStrictEqual(read(Schema.DurationFromMillis, "1500"), Duration.millis(1500))
    assert.deepStrictEqual(read(Schema.Struct({ at: Schema.DateFromNumber }), { at: "0" }), { at: new Date(0) })
    const address = read(Address, "{\"city\":\"Hangzhou\",\"zip\":\"310000\",\"primary\":\"true\"}")
    assert.instanceOf(address, Address)
    assert.deepStrictEqual({ ...address }, { city: "Hangzhou", zip: 310000, primary: true })
  })

  it("a tree is read to any depth that the platform could mean", () => {
    let tree: unknown = { id: "0", children: "" }
    for (let i = 1; i <= 300; i++) tree = { id: String(i), children: tree }
    let node = read(Node, tree)
    let depth = 0
    while (node.children.length > 0) {
      node = node.children[0]!
      depth++
    }
    assert.deepStrictEqual([depth, node.id], [300, 0])
  })

  it("a list nested deeper than a machine can go is a departure", () => {
    let tree: unknown = { id: 0, children: [] }
    for (let i = 1; i <= 100_000; i++) tree = { id: i, children: [tree] }
    assert.strictEqual(departure(Node, tree).reason, "is nested too deeply")
  })

  it("what a schema throws by itself is not taken for a wrong answer", () => {
    const broken = Schema.transform(Schema.String, Schema.String, {
      decode: () => {
        throw new TypeError("broken")
      },
      encode: (text) => text
    })
    assert.throws(() => Lenient.decode(broken)("a"), TypeError)
  })
})
