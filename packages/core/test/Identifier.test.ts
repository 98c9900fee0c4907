import { Identifier } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, FastCheck as fc, Schema } from "effect"

const texts = [
  ["UserId", Identifier.UserId, 64],
  ["UnionId", Identifier.UnionId, 128],
  ["OpenId", Identifier.OpenId, 128],
  ["CorpId", Identifier.CorpId, 128],
  ["ClientId", Identifier.ClientId, 128]
] as const

const numbers = [["DeptId", Identifier.DeptId], ["RoleId", Identifier.RoleId]] as const

describe("Identifier", () => {
  for (const [name, schema, max] of texts) {
    it(`${name} is 1 to ${max} characters of any kind`, () => {
      const is = Schema.is(schema as unknown as Schema.Schema<string>)
      for (const id of ["a", "张三", "a b", "0", "x".repeat(max)]) assert.isTrue(is(id), id)
      for (const id of ["", "x".repeat(max + 1), 1, null, undefined, {}]) assert.isFalse(is(id), String(id))
    })

    it(`any ${name} that a test makes up is one`, () => {
      const { from } = { from: schema as unknown as Schema.Schema<string> }
      fc.assert(fc.property(Arbitrary.make(from), (id) => assert.isTrue(Schema.is(from)(id))))
    })
  }

  for (const [name, schema] of numbers) {
    it(`${name} is an integer that JavaScript can hold`, () => {
      const is = Schema.is(schema as unknown as Schema.Schema<number>)
      for (const id of [1, 0, -1, 919684607, Number.MAX_SAFE_INTEGER]) assert.isTrue(is(id), String(id))
      for (const id of [1.5, Number.MAX_SAFE_INTEGER + 1, Infinity, Number.NaN, "1", null]) {
        assert.isFalse(is(id), String(id))
      }
    })

    it(`any ${name} that a test makes up is one`, () => {
      const from = schema as unknown as Schema.Schema<number>
      fc.assert(fc.property(Arbitrary.make(from), (id) => assert.isTrue(Schema.is(from)(id))))
    })
  }

  it("unbranded keeps the checks", () => {
    const schema = Identifier.unbranded(Identifier.UserId)
    assert.strictEqual(Schema.encodeSync(schema)("zhangsan"), "zhangsan")
    assert.isFalse(Schema.is(schema)(""))
  })
})
