/**
 * What a call puts on the wire, before a host and a token are known.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import { TransportError } from "./DingTalkError.js"
import type { Endpoint, Gateway, Method } from "./Endpoint.js"
import { describeIssue } from "./internal/issue.js"
import * as WireJson from "./WireJson.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface WireRequest {
  readonly gateway: Gateway
  readonly method: Method
  /** percent-encoded, with a leading slash and without the query */
  readonly path: string
  /** `a=1&b=2`, percent-encoded, or `""` */
  readonly query: string
  /** JSON, or `undefined` for none */
  readonly body: string | undefined
}

type Encoder = (payload: any) => Either.Either<WireRequest, TransportError>

const PARAMETER = /\{(\w+)\}/g

const text = (value: unknown): string =>
  typeof value === "object" && value !== null ? WireJson.stringify(value) ?? "" : String(value)

// A surrogate without its other half, on which `encodeURIComponent` throws.
const HALF_CHARACTER = /[\uD800-\uDFFF]/u

const queryOf = (fields: Iterable<readonly [string, unknown]>): string => {
  let out = ""
  for (const [name, value] of fields) {
    if (value === undefined || value === null) continue
    out += `${out === "" ? "" : "&"}${encodeURIComponent(name)}=${encodeURIComponent(text(value))}`
  }
  return out
}

/** The path of the first number that JSON has no form for: it would be written as `null`. */
const findNotFinite = (value: unknown, path: string): string | undefined => {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : path
  if (typeof value !== "object" || value === null) return undefined
  for (const [key, part] of Object.entries(value)) {
    const found = findNotFinite(part, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`)
    if (found !== undefined) return found
  }
  return undefined
}

const compile = (endpoint: Endpoint.Any): Encoder => {
  const encodePayload = ParseResult.encodeUnknownEither(endpoint.payload)
  const { gateway, method } = endpoint
  const inPath = Array.from(endpoint.path.matchAll(PARAMETER), (match) => match[1])
  const hasBody = method === "POST" || method === "PUT" || method === "PATCH"
  const inQuery = new Set(endpoint.query)
  const isPlain = inPath.length === 0 && inQuery.size === 0

  const refuse = (path: string, description: string) =>
    Either.left(new TransportError({ endpoint: endpoint.name, reason: "Encode", path, description }))

  const toBody = (fields: Record<string, unknown>): Either.Either<string, TransportError> => {
    const body = WireJson.stringify(fields)
    const notFinite = body.includes("null") ? findNotFinite(fields, "payload") : undefined
    return notFinite === undefined ? Either.right(body) : refuse(notFinite, "is not a finite number")
  }

  const attempt: Encoder = (payload) => {
    const encoded = encodePayload(payload)
    if (Either.isLeft(encoded)) {
      const { path, reason } = describeIssue(encoded.left)
      return refuse(path === "" ? "payload" : `payload.${path}`, reason)
    }
    const fields = (encoded.right ?? {}) as Record<string, unknown>
    if (isPlain && hasBody) {
      return Either.map(toBody(fields), (body) => ({ gateway, method, path: endpoint.path, query: "", body }))
    }
    const rest = Object.entries(fields).filter(([name]) => !inPath.includes(name))
    const forQuery = hasBody ? rest.filter(([name]) => inQuery.has(name)) : rest
    for (const [name, value] of [...inPath.map((name) => [name, fields[name]] as const), ...forQuery]) {
      const notFinite = findNotFinite(value, `payload.${name}`)
      if (notFinite !== undefined) return refuse(notFinite, "is not a finite number")
      if (HALF_CHARACTER.test(text(value))) {
        return refuse(`payload.${name}`, "holds half of a character: it cannot be part of a URL")
      }
    }
    let path = endpoint.path
    for (const name of inPath) {
      const value = encodeURIComponent(text(fields[name] ?? ""))
      // `..` would climb out of the path, and nothing at all would name another one.
      if (value === "" || value === "." || value === "..") {
        return refuse(`payload.${name}`, "cannot be empty or a dot segment: it is part of the path")
      }
      path = path.replace(`{${name}}`, () => value)
    }
    const query = queryOf(forQuery)
    if (!hasBody) return Either.right({ gateway, method, path, query, body: undefined })
    return Either.map(
      toBody(Object.fromEntries(rest.filter(([name]) => !inQuery.has(name)))),
      (body) => ({ gateway, method, path, query, body })
    )
  }

  return (payload) => {
    try {
      return attempt(payload)
    } catch {
      // A cycle, a getter or `toJSON` that throws, nesting beyond the stack: nothing of it may be told.
      return refuse("payload", "cannot be written as JSON")
    }
  }
}

const compiled = new WeakMap<Endpoint.Any, Encoder>()

/**
 * Checks a payload against its schema and encodes it. Fails with a `TransportError` of reason `Encode` that names the
 * field and tells no value.
 *
 * @since 0.1.0
 * @category encoding
 * @example
 * ```ts
 * import { Contact, WireRequest } from "@effect-dingtalk/core"
 * import { Either } from "effect"
 *
 * console.log(Either.getOrThrow(WireRequest.encode(Contact.GetUser, { userid: "zhangsan" })).body) // {"userid":"zhangsan"}
 * console.log(Either.flip(WireRequest.encode(Contact.GetUser, { userid: "" })).pipe(Either.getOrThrow).path) // payload.userid
 * ```
 */
export const encode = <P, S, E, Auth extends Endpoint.Any["credential"], SI>(
  endpoint: Endpoint<P, S, E, Auth, SI>,
  payload: P
): Either.Either<WireRequest, TransportError> => {
  let encoder = compiled.get(endpoint)
  if (encoder === undefined) compiled.set(endpoint, encoder = compile(endpoint))
  return encoder(payload)
}
