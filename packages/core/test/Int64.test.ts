import { Int64, Lenient } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Array, Either, FastCheck as fc, Schema } from "effect"

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

describe("Int64", () => {
  it("is decimal digits, with a minus or without", () => {
    const is = Schema.is(Int64.Int64)
    for (const text of ["0", "1", "-1", "179997318850453160", "9223372036854775807"]) assert.isTrue(is(text), text)
    for (const text of ["", "01", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "--1", "-", "１", 1, 1n, null]) {
      assert.isFalse(is(text), String(text))
    }
  })

  it("a bigint survives it, and JSON", () => {
    fc.assert(fc.property(int64, (value) => {
      assert.strictEqual(Int64.toBigInt(Int64.fromBigInt(value)), value)
      assert.isTrue(Schema.is(Int64.Int64)(Int64.fromBigInt(value)))
      assert.strictEqual(JSON.parse(JSON.stringify(Int64.fromBigInt(value))), String(value))
    }))
  })

  it("Order is by value and not by text", () => {
    const sorted = Array.sort(
      [10n, 9n, -10n, -9n, 179997318850453161n, 179997318850453160n].map(Int64.fromBigInt),
      Int64.Order
    )
    assert.deepStrictEqual(sorted as ReadonlyArray<string>, [
      "-10",
      "-9",
      "9",
      "10",
      "179997318850453160",
      "179997318850453161"
    ])
    fc.assert(fc.property(int64, int64, (a, b) => {
      assert.strictEqual(Int64.Order(Int64.fromBigInt(a), Int64.fromBigInt(b)), a < b ? -1 : a > b ? 1 : 0)
    }))
  })

  it("a small number on the wire is its digits, a fraction is none", () => {
    const read = Lenient.decode(Int64.Int64)
    assert.deepStrictEqual(read(1), Either.right(Int64.fromBigInt(1n)))
    assert.deepStrictEqual(read("1"), Either.right(Int64.fromBigInt(1n)))
    for (const odd of [1.5, 1e21, true, ""]) assert.isTrue(Either.isLeft(read(odd)), String(odd))
  })

  it("any that a test makes up is one", () => {
    fc.assert(fc.property(Arbitrary.make(Int64.Int64), (value) => assert.isTrue(Schema.is(Int64.Int64)(value))))
  })
})
