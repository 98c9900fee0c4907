import type * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"

const kindOf = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  if (value === "") return "an empty string"
  if (Array.isArray(value)) return "a list"
  switch (typeof value) {
    case "object":
      return "an object"
    case "string":
      return `a string of ${(value as string).length} characters`
    default:
      return `a ${typeof value}`
  }
}

const expectationOf = (ast: AST.AST): string => {
  // Its own description prints like a value.
  if (ast._tag === "Declaration" && String(ast).startsWith("Redacted")) return "a Redacted value"
  const description = AST.getDescriptionAnnotation(ast)
  if (description._tag === "Some") return description.value
  switch (ast._tag) {
    case "StringKeyword":
      return "a string"
    case "NumberKeyword":
      return "a number"
    case "BooleanKeyword":
      return "true or false"
    case "Refinement":
    case "Transformation":
      return expectationOf(ast.from)
    case "TypeLiteral":
      return "an object"
    case "TupleType":
      return "a list"
    case "Union":
      return ast.types.map(expectationOf).join(" or ")
    default:
      return String(ast)
  }
}

const pathOf = (path: ParseResult.Path): string =>
  (Array.isArray(path) ? path : [path]).map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`).join("")

const first = <A>(issues: ParseResult.SingleOrNonEmpty<A>): A => Array.isArray(issues) ? issues[0] : issues as A

const describe = (issue: ParseResult.ParseIssue, path: string): { readonly path: string; readonly reason: string } => {
  switch (issue._tag) {
    case "Pointer":
      return describe(issue.issue, path + pathOf(issue.path))
    case "Composite":
      return describe(first(issue.issues), path)
    case "Refinement":
      return issue.kind === "From"
        ? describe(issue.issue, path)
        : { path, reason: `expected ${expectationOf(issue.ast)}, got ${kindOf(issue.actual)}` }
    case "Transformation":
      return describe(issue.issue, path)
    case "Missing":
      return { path, reason: "is missing" }
    case "Unexpected":
      return { path, reason: "is not a known field" }
    case "Forbidden":
      return { path, reason: "cannot be read synchronously" }
    case "Type":
      return { path, reason: `expected ${expectationOf(issue.ast)}, got ${kindOf(issue.actual)}` }
  }
}

/**
 * The first departure, by path and kind. Values are left out: they may be secrets or a person's data.
 *
 * @internal
 */
export const describeIssue = (
  issue: ParseResult.ParseIssue
): { readonly path: string; readonly reason: string } => {
  const { path, reason } = describe(issue, "")
  return { path: path.startsWith(".") ? path.slice(1) : path, reason }
}
