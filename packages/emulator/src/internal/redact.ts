import * as HashMap from "effect/HashMap"
import type { Parsed } from "./call.js"
import type { Ordered } from "./state.js"
import { listed } from "./state.js"

const HIDDEN = "<redacted>"

const SECRET_NAME =
  /token|secret|ticket|password|passwd|authorization|cookie|signature|apikey|^(?:auth|tmp|sso|tmpauth)?code$|^sign$/

const isSecret = (name: string): boolean => SECRET_NAME.test(name.toLowerCase().replace(/[^a-z]/g, ""))

// A name that is no name may be a whole JSON text in the wrong place.
const PLAIN_NAME = /^[\w.-]{1,64}$/

// Tokens and codes look so, wherever they turn up.
const TOKEN_LIKE = /[0-9a-f]{32}/gi

const MAX_TEXT = 4096

const MAX_DEPTH = 8

const pair = (name: string, value: string): string =>
  `${PLAIN_NAME.test(name) ? name : HIDDEN}=${isSecret(name) ? HIDDEN : nested(value)}`

const nested = (text: string): string => /^\s*[[{]/.test(text) ? jsonText(text) : text

const jsonValue = (value: unknown, depth: number): unknown => {
  if (typeof value === "string") return nested(value)
  if (typeof value !== "object" || value === null) return value
  if (depth >= MAX_DEPTH) return "…"
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => jsonValue(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).slice(0, 100).map(([name, item]) =>
      PLAIN_NAME.test(name) ? [name, isSecret(name) ? HIDDEN : jsonValue(item, depth + 1)] : [HIDDEN, HIDDEN]
    )
  )
}

const jsonText = (text: string): string => {
  if (text.length > MAX_TEXT) return `<${text.length} characters>`
  try {
    return JSON.stringify(jsonValue(JSON.parse(text), 0))
  } catch {
    return `<${text.length} characters, not JSON>`
  }
}

const form = (text: string): string =>
  Array.from(new URLSearchParams(text), ([name, value]) => pair(name, value)).join("&")

const bodyOf = ({ body, contentType }: Parsed): string => {
  if (body === "") return ""
  if (body.length > MAX_TEXT) return `<${body.length} characters>`
  return contentType === "form" ? form(body) : jsonText(body)
}

// Up to so many, each secret is looked for within every text; of more than that, only those that stand alone.
const MAX_SECRETS = 200

const WORD = /[\w.+/=-]+/g

// Of a state that stays as it is, they are listed once.
const lists = new WeakMap<object, ReadonlyArray<string>>()

const listOf = (secrets: Ordered<string>): ReadonlyArray<string> => {
  const known = lists.get(secrets)
  if (known !== undefined) return known
  const list = HashMap.size(secrets.map) > MAX_SECRETS
    ? []
    // A secret of a few characters, as tests have, would blot out every word.
    : listed(secrets).filter((secret) => secret.length >= 8)
  lists.set(secrets, list)
  return list
}

const without = (text: string, secrets: Ordered<string>): string => {
  let out = text.replace(TOKEN_LIKE, HIDDEN)
  for (const secret of listOf(secrets)) if (out.includes(secret)) out = out.replaceAll(secret, HIDDEN)
  return HashMap.size(secrets.map) <= MAX_SECRETS
    ? out
    : out.replace(WORD, (word) => word.length >= 8 && HashMap.has(secrets.map, word) ? HIDDEN : word)
}

export const redactPath = (call: Parsed, secrets: Ordered<string>): string =>
  without(call.path.slice(0, MAX_TEXT), secrets)

/** The parts of a request that may be shown. */
export const redact = (call: Parsed, secrets: Ordered<string>): {
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
} => {
  const clean = (text: string) => without(text, secrets)
  return {
    path: redactPath(call, secrets),
    query: clean(call.rawQuery.length > MAX_TEXT ? `<${call.rawQuery.length} characters>` : form(call.rawQuery)),
    headers: Object.fromEntries(
      Object.entries(call.headers).map(([name, value]) => [name, isSecret(name) ? HIDDEN : clean(value)])
    ),
    body: clean(bodyOf(call))
  }
}
