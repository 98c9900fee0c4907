/**
 * JSON as DingTalk writes it.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"

const STARTS_WITH_NUMBER = /^\s*-?\d/
// A string, or a number with its fraction and exponent: the only two JSON tokens in which digits occur.
const STRING_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const INTEGER = /^-?\d+$/
// A string that never ends counts as one: to look for its end from each of its quotes would take for ever.
const STRING_OR_COMMENT = /"[^"\\]*(?:\\[^][^"\\]*)*"?|#[^\n]*/g

const LONG = 16

const isDigit = (code: number): boolean => code >= 48 && code <= 57
const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9
/** `:`, `,` or `[`; in valid JSON whatever else looks like a number there is inside of a string */
const isBefore = (code: number): boolean => code === 58 || code === 44 || code === 91
const isAfter = (code: number): boolean => code === 44 || code === 93 || code === 125

const isUnsafe = (digits: string): boolean => !Number.isSafeInteger(Number(digits))

/**
 * The text with quotes around the long integers. No number with so many digits fits between two of the places that are
 * looked at, so most of the text is not.
 */
const quoteLong = (text: string): string => {
  let parts: Array<string> | undefined
  let done = 0
  for (let i = LONG - 1; i < text.length; i += LONG) {
    if (!isDigit(text.charCodeAt(i))) continue
    let start = i
    let end = i + 1
    while (isDigit(text.charCodeAt(start - 1))) start--
    while (isDigit(text.charCodeAt(end))) end++
    i += Math.floor((end - i) / LONG) * LONG
    if (end - start < LONG) continue
    if (text.charCodeAt(start - 1) === 45) start--
    let before = start - 1
    while (isSpace(text.charCodeAt(before))) before--
    let after = end
    while (isSpace(text.charCodeAt(after))) after++
    if (!isBefore(text.charCodeAt(before)) || !isAfter(text.charCodeAt(after))) continue
    const digits = text.slice(start, end)
    if (!isUnsafe(digits)) continue
    ;(parts ??= []).push(text.slice(done, start), digits)
    done = end
  }
  if (parts === undefined) return text
  parts.push(text.slice(done))
  return parts.join("\"")
}

const parseLossless = (text: string): unknown => {
  const quoted = quoteLong(text)
  if (quoted !== text) {
    try {
      return JSON.parse(quoted)
    } catch {
      // Either it is no JSON, or a string held what looks like a number: quotes inside of a string always break it.
    }
  } else if (!STARTS_WITH_NUMBER.test(text)) return JSON.parse(text)
  // Before the slow way, which takes long for what is no JSON.
  JSON.parse(text)
  return JSON.parse(
    text.replace(STRING_OR_NUMBER, (token) => INTEGER.test(token) && isUnsafe(token) ? `"${token}"` : token)
  )
}

const withoutComments = (text: string): string =>
  text.replace(STRING_OR_COMMENT, (token) => token[0] === "#" ? "" : token)

/**
 * Parses JSON. Integers beyond 2^53 arrive as strings of their digits, so that none is rounded. Text that is not JSON
 * is tried once more without `# …` comments, which the samples of the platform's own guide have. The left side holds
 * no part of the text, which may be a secret.
 *
 * @since 0.1.0
 * @category conversions
 * @example
 * ```ts
 * import { WireJson } from "@effect-dingtalk/core"
 * import { Either } from "effect"
 *
 * console.log(Either.getOrThrow(WireJson.parse(`{"order":179997318850453160}`))) // { order: "179997318850453160" }
 * ```
 */
export const parse = (withMark: string): Either.Either<unknown, "NotJson"> => {
  // Some clients leave the byte order mark where it is.
  const text = withMark.charCodeAt(0) === 0xFEFF ? withMark.slice(1) : withMark
  try {
    return Either.right(parseLossless(text))
  } catch {
    if (!text.includes("#")) return Either.left("NotJson")
  }
  try {
    return Either.right(parseLossless(withoutComments(text)))
  } catch {
    return Either.left("NotJson")
  }
}

const MARK = "\uF8F0"

/**
 * Writes JSON; a `bigint` becomes a bare number with all its digits.
 *
 * @since 0.1.0
 * @category conversions
 */
export const stringify = (value: unknown): string => {
  try {
    return JSON.stringify(value)
  } catch {
    // It holds a bigint, nearly always; whatever else is wrong with it comes up again.
    return stringifyWithBigInts(value)
  }
}

const stringifyWithBigInts = (value: unknown): string => {
  const write = (mark: string): string =>
    JSON.stringify(value, (_key, part) => typeof part === "bigint" ? `${mark}${part}` : part)
  const text = write("")
  // A mark that occurs nowhere in the value, so that nothing but a bigint loses its quotes.
  let mark = MARK
  while (text.includes(mark)) mark += MARK
  return write(mark).replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1")
}
