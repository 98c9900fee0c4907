import type { Request } from "../Exchange.js"

/** Random texts in the forms of the platform. */
export interface Ids {
  /** as tokens look: 32 hex characters */
  readonly hex: () => string
  /** `requestid` of the new gateway */
  readonly uuid: () => string
  /** `request_id` of the legacy gateway */
  readonly short: () => string
}

/** A request, taken apart once. */
export interface Call {
  /** by the emulator's clock */
  readonly now: number
  readonly ids: Ids
  readonly method: string
  /** percent-encoded */
  readonly path: string
  readonly query: URLSearchParams
  readonly rawQuery: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly contentType: "json" | "form" | "none" | "other"
  readonly remoteAddress: string
  /** what a request that has to be signed should be signed with; made before, because it takes a promise */
  readonly signature: string | undefined
}

export type Parsed = Omit<Call, "now" | "ids" | "signature">

const contentTypeOf = (header: string | undefined): Call["contentType"] => {
  const type = (header ?? "").split(";")[0]!.trim().toLowerCase()
  if (type === "") return "none"
  if (type === "application/x-www-form-urlencoded") return "form"
  return type === "application/json" || type.endsWith("+json") || type === "text/json" ? "json" : "other"
}

export const parse = (request: Request): Parsed => {
  const mark = request.path.indexOf("?")
  const ownQuery = mark === -1 ? "" : request.path.slice(mark + 1)
  const rawQuery = [ownQuery, request.query ?? ""].filter((part) => part !== "").join("&")
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (typeof value === "string") headers[name.toLowerCase()] = value
  }
  return {
    method: request.method.toUpperCase(),
    path: mark === -1 ? request.path : request.path.slice(0, mark),
    query: new URLSearchParams(rawQuery),
    rawQuery,
    headers,
    body: request.body ?? "",
    contentType: contentTypeOf(headers["content-type"]),
    remoteAddress: (request.remoteAddress ?? "127.0.0.1").replace(/^::ffff:/, "")
  }
}

/** Anything else than an object is of no use to any endpoint. */
export const parseObject = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined
  } catch {
    return undefined
  }
}
