/**
 * A 64-bit integer, kept as its decimal digits: DingTalk sends integers above 2^53 as bare JSON numbers, which
 * `JSON.parse` rounds. A string keeps every digit and, unlike a `bigint`, survives `JSON.stringify`.
 *
 * @since 0.1.0
 */
import type * as Brand from "effect/Brand"
import * as order from "effect/Order"
import * as Schema from "effect/Schema"

/**
 * @since 0.1.0
 * @category models
 */
export type Int64 = string & Brand.Brand<"Int64">

const PATTERN = /^-?(?:0|[1-9]\d*)$/

/**
 * Source: reference 6.2, `dept_order_list[].order`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Int64: Schema.brand<typeof Schema.String, "Int64"> = Schema.String.pipe(
  Schema.filter((s) => PATTERN.test(s), {
    identifier: "Int64",
    description: "Int64: an integer in decimal digits",
    arbitrary: () => (fc) => fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
  }),
  Schema.brand("Int64")
) as any

/**
 * @since 0.1.0
 * @category conversions
 * @example
 * ```ts
 * import { Int64 } from "@effect-dingtalk/core"
 *
 * console.log(Int64.toBigInt(Int64.fromBigInt(179997318850453160n)) + 1n) // 179997318850453161n
 * ```
 */
export const toBigInt = (self: Int64): bigint => BigInt(self)

/**
 * @since 0.1.0
 * @category conversions
 */
export const fromBigInt = (value: bigint): Int64 => String(value) as Int64

/**
 * By value, not by text.
 *
 * @since 0.1.0
 * @category instances
 */
export const Order: order.Order<Int64> = order.mapInput(order.bigint, toBigInt)
