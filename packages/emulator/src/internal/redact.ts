import type { Parsed } from "./call.js"

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

/** The parts of a request that may be shown. */
export const redact = (call: Parsed, secrets: ReadonlyArray<string>): {
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
} => {
  const clean = (text: string) => {
    let out = text.replace(TOKEN_LIKE, HIDDEN)
    // A secret of a few characters, as tests have, would blot out every word.
    for (const secret of secrets) if (secret.length >= 8 && out.includes(secret)) out = out.replaceAll(secret, HIDDEN)
    return out
  }
  return {
    path: clean(call.path.slice(0, MAX_TEXT)),
    query: clean(call.rawQuery.length > MAX_TEXT ? `<${call.rawQuery.length} characters>` : form(call.rawQuery)),
    headers: Object.fromEntries(
      Object.entries(call.headers).map(([name, value]) => [name, isSecret(name) ? HIDDEN : clean(value)])
    ),
    body: clean(bodyOf(call))
  }
}
