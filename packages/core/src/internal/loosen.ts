import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import * as WireJson from "../WireJson.js"

/** @internal */
export type Loosen = (value: unknown) => unknown

const identity: Loosen = (value) => value

const NUMBER = /^\s*-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\s*$/

/** @internal */
export const toNumber: Loosen = (value) => {
  if (typeof value !== "string" || !NUMBER.test(value)) return value
  const number = Number(value)
  // Digits that a number cannot keep stay text, and the schema then refuses them: better no id than a wrong one.
  if (!Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number))) return value
  return number
}

/** @internal */
export const toBoolean: Loosen = (value) => {
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

/** @internal */
export const toText: Loosen = (value) => typeof value === "number" || typeof value === "boolean" ? String(value) : value

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

/** @internal */
export const fromJsonText = (value: unknown, open: "[" | "{"): unknown => {
  if (typeof value !== "string") return value
  const text = value.trim()
  return text[0] === open ? Either.getOrElse(WireJson.parse(text), () => value) : value
}

/** @internal */
export const isNothing = (value: unknown): boolean => value === undefined || value === null || value === ""

/** @internal */
export const takesNull = (ast: AST.AST): boolean =>
  AST.isUnion(ast) ? ast.types.some(takesNull) : AST.isLiteral(ast) && ast.literal === null

/** @internal */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
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

/** @internal */
export const encodedOf = (ast: AST.AST): AST.AST => {
  switch (ast._tag) {
    case "Transformation":
      return encodedOf(ast.from)
    case "Refinement":
      return encodedOf(ast.from)
    default:
      return ast
  }
}

/** @internal */
export const withoutUndefined = (ast: AST.AST): AST.AST => {
  if (!AST.isUnion(ast)) return ast
  const types = ast.types.filter((type) => !AST.isUndefinedKeyword(type))
  return types.length === ast.types.length ? ast : AST.Union.make(types)
}

const compiled = new WeakMap<AST.AST, Loosen>()

/**
 * Brings a value nearer to a schema where it departs in one of the known ways; `undefined` where nothing can.
 *
 * @internal
 */
export const memo = (ast: AST.AST): Loosen | undefined => {
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
