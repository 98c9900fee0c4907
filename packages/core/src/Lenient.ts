/**
 * Lenient in, strict out: reads what DingTalk and its documentation really send into what a plain schema says.
 *
 * A number or a numeric string, a boolean or `"true"`, a list or its one element, a list or object written as JSON in
 * a string, and `null`, `""` or absence for "no value": the schema says which is meant, and only what differs from it
 * is touched. So an endpoint is declared with ordinary schemas, and every endpoint is lenient. Unknown fields are
 * dropped, unknown members of an enumeration are a matter of the schema (`Schema.Union(Literal, String)`).
 * Source: the guide's samples, reference 0 and 6.2.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { compile, departs } from "./internal/decoder.js"
import { describeIssue } from "./internal/issue.js"
import { memo } from "./internal/loosen.js"

/**
 * Says where a value departs from its schema, and never what the value is: it may be a secret.
 *
 * @since 0.1.0
 * @category models
 */
export interface Departure {
  /** such as `result.role_list[0].id`, or `""` for the whole */
  readonly path: string
  /** such as `expected a number, got a string` */
  readonly reason: string
}

/**
 * Reads a value that came from DingTalk. The value is not changed.
 *
 * @since 0.1.0
 * @category decoding
 * @example
 * ```ts
 * import { Lenient } from "@effect-dingtalk/core"
 * import { Either, Schema } from "effect"
 *
 * const User = Schema.Struct({ active: Schema.Boolean, dept_id_list: Schema.Array(Schema.Number) })
 * const read = Lenient.decode(User)
 * console.log(Either.getOrThrow(read({ active: "true", dept_id_list: "[2,3,4]" }))) // { active: true, dept_id_list: [2, 3, 4] }
 * ```
 */
export const decode = <A, I>(schema: Schema.Schema<A, I>): (value: unknown) => Either.Either<A, Departure> => {
  const fast = compile(schema.ast)
  // Only an answer that departs needs to be told where.
  const explain = (value: unknown) =>
    Either.mapLeft(ParseResult.decodeUnknownEither(schema)(memo(schema.ast)?.(value) ?? value), describeIssue)
  return (value) => {
    try {
      const decoded = fast(value)
      return decoded === departs ? explain(value) : Either.right(decoded as A)
    } catch (error) {
      // Only a schema that holds itself goes as deep as the value does.
      if (error instanceof RangeError) return Either.left({ path: "", reason: "is nested too deeply" })
      throw error
    }
  }
}
