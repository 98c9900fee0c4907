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
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { describeIssue } from "./internal/issue.js"
import * as WireJson from "./WireJson.js"

type Loosen = (value: unknown) => unknown

const identity: Loosen = (value) => value

const NUMBER = /^\s*-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\s*$/

const toNumber: Loosen = (value) => {
  if (typeof value !== "string" || !NUMBER.test(value)) return value
  const number = Number(value)
  // Digits that a number cannot keep stay text, and the schema then refuses them: better no id than a wrong one.
  if (!Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number))) return value
  return number
}

const toBoolean: Loosen = (value) => {
  switch (typeof value === "string" ? value.toLowerCase() : value) {
    case "true":
    case "1":
    case 1:
      return true
    case "false":
    case "0":
    case 0:
      return false
    default:
      return value
  }
}

const toText: Loosen = (value) => typeof value === "number" || typeof value === "boolean" ? String(value) : value

const toLiteral = (literal: AST.LiteralValue): Loosen => {
  switch (typeof literal) {
    case "number":
      return toNumber
    case "boolean":
      return toBoolean
    case "string":
      return toText
    default:
      return identity
  }
}

const fromJsonText = (value: unknown, open: "[" | "{"): unknown => {
  if (typeof value !== "string") return value
  const text = value.trim()
  return text[0] === open ? Either.getOrElse(WireJson.parse(text), () => value) : value
}

const isNothing = (value: unknown): boolean => value === undefined || value === null || value === ""

const takesNull = (ast: AST.AST): boolean =>
  AST.isUnion(ast) ? ast.types.some(takesNull) : AST.isLiteral(ast) && ast.literal === null

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const loosenArray = (ast: AST.TupleType): Loosen => {
  const rest = ast.rest[0]
  if (rest === undefined) return identity
  const item = memo(rest.type)
  return (input) => {
    if (isNothing(input)) return []
    // The one element may be JSON in a string as well, which is for the element's own schema to say.
    const value = fromJsonText(input, "[")
    const list = Array.isArray(value) ? value : [value]
    if (item === undefined) return list
    let out = list
    for (let i = 0; i < list.length; i++) {
      const before = list[i]
      const after = item(before)
      if (after === before) continue
      if (out === list) out = list.slice()
      out[i] = after
    }
    return out
  }
}

const loosenStruct = (ast: AST.TypeLiteral): Loosen => {
  const fields = ast.propertySignatures.map((field) => {
    const type = withoutUndefined(field.type)
    return {
      name: field.name as string,
      loosen: memo(type) ?? identity,
      isOptional: field.isOptional || type !== field.type,
      isList: AST.isTupleType(encodedOf(type)),
      isNullable: takesNull(encodedOf(type))
    }
  })
  const known = new Set(fields.map((field) => field.name))
  const index = ast.indexSignatures[0]
  const other = index === undefined ? undefined : memo(index.type)
  return (input) => {
    const value = fromJsonText(input, "{")
    if (!isRecord(value)) return value
    let out = value
    const own = () => out === value ? out = { ...value } : out
    // Data, not the parent of data: a record would take it for its prototype.
    if (index !== undefined && Object.prototype.hasOwnProperty.call(value, "__proto__")) delete own()["__proto__"]
    for (const { isList, isNullable, isOptional, loosen, name } of fields) {
      const before = value[name]
      if (isNothing(before)) {
        if (isOptional) {
          if (before !== undefined) delete own()[name]
        } else if (isNullable) {
          if (before !== null) own()[name] = null
        } else if (isList) own()[name] = []
        else if (before === "") {
          const after = loosen(before)
          if (after !== before) own()[name] = after
        }
        continue
      }
      const after = loosen(before)
      if (after !== before) own()[name] = after
    }
    if (other !== undefined) {
      for (const name of Object.keys(value)) {
        if (known.has(name) || name === "__proto__") continue
        const after = other(value[name])
        if (after !== value[name]) own()[name] = after
      }
    }
    return out
  }
}

const loosenUnion = (ast: AST.Union): Loosen => {
  const members = ast.types.map((type) => ({ loosen: memo(type) ?? identity, is: ParseResult.is(Schema.make(type)) }))
  return (value) => {
    for (const member of members) {
      if (member.is(value)) return value
    }
    for (const member of members) {
      const after = member.loosen(value)
      if (after !== value && member.is(after)) return after
    }
    return value
  }
}

const encodedOf = (ast: AST.AST): AST.AST => {
  switch (ast._tag) {
    case "Transformation":
      return encodedOf(ast.from)
    case "Refinement":
      return encodedOf(ast.from)
    default:
      return ast
  }
}

const withoutUndefined = (ast: AST.AST): AST.AST => {
  if (!AST.isUnion(ast)) return ast
  const types = ast.types.filter((type) => !AST.isUndefinedKeyword(type))
  return types.length === ast.types.length ? ast : AST.Union.make(types)
}

const compiled = new WeakMap<AST.AST, Loosen>()

const memo = (ast: AST.AST): Loosen | undefined => {
  const loosen = compiled.get(ast) ?? compile(ast)
  compiled.set(ast, loosen)
  return loosen === identity ? undefined : loosen
}

const compile = (ast: AST.AST): Loosen => {
  switch (ast._tag) {
    case "NumberKeyword":
      return toNumber
    case "BooleanKeyword":
      return toBoolean
    case "StringKeyword":
    case "TemplateLiteral":
      return toText
    case "Literal":
      return toLiteral(ast.literal)
    case "Refinement":
    case "Transformation":
      return memo(ast.from) ?? identity
    case "TupleType":
      return loosenArray(ast)
    case "TypeLiteral":
      return loosenStruct(ast)
    case "Union":
      return loosenUnion(AST.Union.make(ast.types.map(AST.encodedAST)) as AST.Union)
    case "Suspend": {
      let loosen: Loosen | undefined
      return (value) => (loosen ??= memo(ast.f()) ?? identity)(value)
    }
    default:
      return identity
  }
}

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
  const loosen = memo(schema.ast) ?? identity
  const strict = ParseResult.decodeUnknownEither(schema)
  return (value) => {
    try {
      return Either.mapLeft(strict(loosen(value)), describeIssue)
    } catch (error) {
      // Only a schema that holds itself goes as deep as the value does.
      if (error instanceof RangeError) return Either.left({ path: "", reason: "is nested too deeply" })
      throw error
    }
  }
}
