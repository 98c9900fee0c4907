import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import {
  encodedOf,
  fromJsonText,
  isNothing,
  isRecord,
  memo,
  takesNull,
  toBoolean,
  toNumber,
  toText,
  withoutUndefined
} from "./loosen.js"

/**
 * What a decoder gives for a value that is not what its schema says.
 *
 * @internal
 */
export const departs: unique symbol = Symbol.for("@effect-dingtalk/core/departs")

type Decode = (value: unknown) => unknown

// For a schema that is not one of the plain ones below, `effect/Schema` itself.
const general = (ast: AST.AST): Decode => {
  const loosen = memo(ast)
  const decode = ParseResult.decodeUnknownEither(Schema.make(ast))
  return (value) => Either.getOrElse(decode(loosen === undefined ? value : loosen(value)), () => departs)
}

const text: Decode = (value) => {
  if (typeof value === "string") return value
  const out = toText(value)
  return typeof out === "string" ? out : departs
}

const number: Decode = (value) => {
  const out = typeof value === "number" ? value : toNumber(value)
  return typeof out === "number" ? out : departs
}

const boolean: Decode = (value) => {
  const out = typeof value === "boolean" ? value : toBoolean(value)
  return typeof out === "boolean" ? out : departs
}

const refinement = (ast: AST.Refinement): Decode => {
  const from = memoized(ast.from)
  return (value) => {
    const out = from(value)
    return out === departs || Option.isSome(ast.filter(out, AST.defaultParseOption, ast)) ? departs : out
  }
}

const list = (ast: AST.TupleType): Decode => {
  if (ast.elements.length > 0 || ast.rest.length !== 1) return general(ast)
  const item = memoized(ast.rest[0].type)
  return (input) => {
    if (isNothing(input)) return []
    const value = Array.isArray(input) ? input : fromJsonText(input, "[")
    if (!Array.isArray(value)) {
      const only = item(value)
      return only === departs ? departs : [only]
    }
    const out: Array<unknown> = []
    for (let i = 0; i < value.length; i++) {
      const decoded = item(value[i])
      if (decoded === departs) return departs
      out.push(decoded)
    }
    return out
  }
}

type Roomy = new(isNever: boolean) => Record<string, unknown>

/**
 * Makes objects like `{}` with room for many fields: V8 goes by the assignments that it reads here, and later by what
 * the first objects had. Otherwise it makes more room again and again, which takes as long as all else.
 */
const roomy = (): Roomy => {
  function Roomy(this: any, isNever: boolean) {
    if (isNever) {
      this.a =
        this.b =
        this.c =
        this.d =
        this.e =
        this.f =
        this.g =
        this.h =
        this.i =
        this.j =
        this.k =
        this.l =
        this.m =
        this.n =
        this.o =
        this.p =
        this.q =
        this.r =
        this.s =
        this.t =
        this.u =
        this.v =
        this.w =
        this.x =
          0
    }
  }
  Roomy.prototype = Object.prototype
  return Roomy as unknown as Roomy
}

const record = (ast: AST.TypeLiteral): Decode => {
  const [index] = ast.indexSignatures
  if (ast.indexSignatures.length !== 1 || !AST.isStringKeyword(index.parameter)) return general(ast)
  const decode = memoized(index.type)
  return (input) => {
    const value = isRecord(input) ? input : fromJsonText(input, "{")
    if (!isRecord(value)) return departs
    const out: Record<string, unknown> = {}
    for (const name of Object.keys(value)) {
      // Data, not the parent of data.
      if (name === "__proto__") continue
      const decoded = decode(value[name])
      if (decoded === departs) return departs
      out[name] = decoded
    }
    return out
  }
}

const struct = (ast: AST.TypeLiteral): Decode => {
  if (ast.propertySignatures.length === 0 && ast.indexSignatures.length > 0) return record(ast)
  if (
    ast.indexSignatures.length > 0 || ast.propertySignatures.length === 0 ||
    ast.propertySignatures.some(({ name }) => typeof name !== "string" || name === "__proto__")
  ) return general(ast)
  const fields = ast.propertySignatures.map((field) => {
    const type = withoutUndefined(field.type)
    const encoded = encodedOf(type)
    return {
      name: field.name as string,
      decode: memoized(type),
      isOptional: field.isOptional || type !== field.type,
      nothing: takesNull(encoded) ? null : AST.isTupleType(encoded) ? [] : undefined
    }
  })
  const Out = roomy()
  return (input) => {
    const value = isRecord(input) ? input : fromJsonText(input, "{")
    if (!isRecord(value)) return departs
    const out = new Out(false)
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]
      const before = value[field.name]
      const isAbsent = before === undefined || before === null || before === ""
      if (isAbsent && field.isOptional) continue
      const decoded = field.decode(isAbsent && field.nothing !== undefined ? field.nothing : before)
      if (decoded === departs) return departs
      out[field.name] = decoded
    }
    return out
  }
}

/** Fields with a default, and their like: decoded as they are on the wire, then put in place one by one. */
const structWithDefaults = (ast: AST.Transformation, kind: AST.TypeLiteralTransformation): Decode => {
  const from = memoized(ast.from)
  const signatures = kind.propertySignatureTransformations
  if (signatures.some(({ from, to }) => from !== to)) return general(ast)
  return (value) => {
    const out = from(value)
    if (out === departs) return departs
    const fields = out as Record<PropertyKey, unknown>
    for (let i = 0; i < signatures.length; i++) {
      const { decode, to } = signatures[i]
      const before = fields[to]
      const after = decode(before === undefined ? Option.none() : Option.some(before))
      if (Option.isSome(after)) fields[to] = after.value
      else delete fields[to]
    }
    return fields
  }
}

const compileNode = (ast: AST.AST): Decode => {
  switch (ast._tag) {
    case "StringKeyword":
      return text
    case "NumberKeyword":
      return number
    case "BooleanKeyword":
      return boolean
    case "UnknownKeyword":
    case "AnyKeyword":
      return (value) => value
    case "Refinement":
      return refinement(ast)
    case "TupleType":
      return list(ast)
    case "TypeLiteral":
      return struct(ast)
    case "Transformation":
      return ast.transformation._tag === "TypeLiteralTransformation" && AST.isTypeLiteral(ast.from)
        ? structWithDefaults(ast, ast.transformation)
        : general(ast)
    case "Suspend": {
      let decode: Decode | undefined
      return (value) => (decode ??= memoized(ast.f()))(value)
    }
    default:
      return general(ast)
  }
}

const compiled = new WeakMap<AST.AST, Decode>()

const memoized = (ast: AST.AST): Decode => {
  let decode = compiled.get(ast)
  if (decode === undefined) compiled.set(ast, decode = compileNode(ast))
  return decode
}

/**
 * One pass that loosens and checks at once: what `effect/Schema` gives for a loosened value, at a fraction of its cost,
 * or `departs` without a reason.
 *
 * @internal
 */
export const compile = (ast: AST.AST): Decode => memoized(ast)
