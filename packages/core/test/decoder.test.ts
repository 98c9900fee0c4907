/**
 * The one pass that reads answers must never differ from what it stands for: loosening, and then `effect/Schema`.
 */
import { Contact, Identifier, Int64, Lenient, OAuth2 } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck, ParseResult, Redacted, Schema } from "effect"
import { memo } from "../src/internal/loosen.js"

class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, y: Schema.optional(Schema.String) }) {}

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend(() => Tree))
})

const schemas: ReadonlyArray<readonly [name: string, schema: Schema.Schema<any, any>]> = [
  ["a user", Contact.User],
  ["a profile", Contact.Profile],
  ["a token", OAuth2.GetAccessToken.success],
  ["a role", Contact.Role],
  ["a string", Schema.String],
  ["a number", Schema.Number],
  ["a boolean", Schema.Boolean],
  ["a literal of each kind", Schema.Literal("a", 1, true, null)],
  ["an enumeration that may grow", Schema.Union(Schema.Literal("sso", "dingtalk"), Schema.String)],
  ["a list of ids", Schema.Array(Identifier.DeptId)],
  ["a list that is not empty", Schema.NonEmptyArray(Schema.String)],
  ["a pair", Schema.Tuple(Schema.String, Schema.Number)],
  ["a list of lists", Schema.Array(Schema.Array(Schema.Number))],
  ["long integers", Schema.Struct({ order: Int64.Int64, orders: Schema.Array(Int64.Int64) })],
  ["a record", Schema.Record({ key: Schema.String, value: Schema.Number })],
  [
    "a record of anything",
    Schema.Struct({ extension: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })) })
  ],
  [
    "nullable, optional and default",
    Schema.Struct({
      a: Schema.NullOr(Schema.String),
      b: Schema.optional(Schema.NullOr(Schema.Number)),
      c: Schema.optionalWith(Schema.Boolean, { default: () => true }),
      d: Schema.optionalWith(Schema.String, { as: "Option" }),
      e: Schema.optionalWith(Schema.Number, { exact: true }),
      f: Schema.optionalWith(Schema.Number, { nullable: true })
    })
  ],
  ["renamed fields", Schema.Struct({ a: Schema.propertySignature(Schema.Number).pipe(Schema.fromKey("A")) })],
  ["an empty struct", Schema.Struct({})],
  ["a class", Point],
  ["a list of a class", Schema.Array(Point)],
  ["a tree", Tree],
  ["transformed", Schema.Struct({ at: Schema.DateFromString, n: Schema.NumberFromString, t: Schema.Trim })],
  [
    "checked",
    Schema.Struct({ n: Schema.Number.pipe(Schema.between(1, 10)), s: Schema.String.pipe(Schema.maxLength(3)) })
  ],
  ["either of two structs", Schema.Union(Schema.Struct({ a: Schema.Number }), Schema.Struct({ b: Schema.String }))],
  ["anything", Schema.Unknown]
]

const names = [
  ...Object.keys(Contact.User.fields),
  ...["a", "A", "b", "c", "d", "e", "f", "x", "y", "n", "s", "t", "at", "name", "children", "order", "orders", "id"],
  ...["accessToken", "expireIn", "extension", "unionId", "__proto__", "constructor"]
]

const scalar = FastCheck.oneof(
  FastCheck.constantFrom(
    null,
    "",
    "true",
    "FALSE",
    "1",
    "0",
    "12",
    "1e3",
    "-7",
    "[1,2]",
    "[\"a\"]",
    "{\"a\":1}",
    "{}",
    "[",
    "sso"
  ),
  FastCheck.boolean(),
  FastCheck.integer(),
  FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
  FastCheck.string({ maxLength: 8 }),
  FastCheck.constant("179997318850453160")
)

const json = FastCheck.letrec((tie) => ({
  value: FastCheck.oneof(
    { maxDepth: 4 },
    scalar,
    FastCheck.array(tie("value"), { maxLength: 3 }),
    FastCheck.array(FastCheck.tuple(FastCheck.constantFrom(...names), tie("value")), { maxLength: 6 }).map((entries) =>
      JSON.parse(`{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`)
    )
  )
})).value

/** What stands behind a Redacted, so that two of them compare by it. */
const plain = (value: unknown): unknown => {
  if (Redacted.isRedacted(value)) return { redacted: Redacted.value(value) }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]))
  }
  return value
}

describe("decoder", () => {
  for (const [name, schema] of schemas) {
    const fast = Lenient.decode(schema)
    const slow = ParseResult.decodeUnknownEither(schema)
    const agree = (value: unknown) => {
      const expected = slow(memo(schema.ast)?.(value) ?? value)
      const actual = fast(value)
      assert.strictEqual(actual._tag, expected._tag, JSON.stringify(value))
      if (Either.isRight(actual) && Either.isRight(expected)) {
        assert.deepStrictEqual(plain(actual.right), plain(expected.right))
      }
    }

    it(`${name}: any JSON is read as effect/Schema reads it once loosened, or refused as it is`, () => {
      FastCheck.assert(FastCheck.property(json, agree), { numRuns: 2000 })
    })
  }

  it("a value that fits is not refused, so that agreeing says something", () => {
    const user = {
      userid: "zhangsan",
      unionid: "u",
      active: "true",
      dept_id_list: "[1,2]",
      role_list: { id: "1", name: "x" }
    }
    assert.deepStrictEqual(Either.getOrThrow(Lenient.decode(Contact.User)(user)), {
      userid: "zhangsan",
      unionid: "u",
      name: "",
      active: true,
      dept_id_list: [1, 2],
      dept_order_list: [],
      leader_in_dept: [],
      dept_position_list: [],
      role_list: [{ id: 1, name: "x" }]
    } as any)
  })
})
