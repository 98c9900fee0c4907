/**
 * `Transport` over `fetch` itself, with nothing between: for an edge or a worker, where each kilobyte of a bundle counts.
 *
 * @since 0.1.0
 */
import * as Hosts from "@effect-dingtalk/core/Hosts"
import { type Service, Transport } from "@effect-dingtalk/core/Transport"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { directly } from "./internal/attempt.js"
import type { Answer, Send } from "./internal/direct.js"
import { makeTools, textOf, toService } from "./internal/exchange.js"

/**
 * As much of `fetch` as is used; the platform's own is one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fetch {
  (url: string, init: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: string
    readonly redirect: "manual"
    /** an `AbortSignal` */
    readonly signal: any
  }): Promise<Response>
}

/**
 * As much of a `Response` as is used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Response {
  readonly status: number
  readonly headers: {
    readonly get: (name: string) => string | null
    readonly forEach: (f: (value: string, name: string) => void) => void
  }
  /** a `ReadableStream` of bytes */
  readonly body: { readonly getReader: () => any; readonly cancel: () => Promise<void> } | null
  readonly text: () => Promise<string>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `Hosts.com` unless it says otherwise */
  readonly hosts?: Hosts.Hosts | undefined
  /**
   * in place of the global one, such as that of a service binding; it sees tokens, and must not follow redirects, which
   * would carry the token away
   */
  readonly fetch?: Fetch | undefined
  /** an answer longer than this is refused unread; 16 MiB unless it says otherwise */
  readonly maxBodyBytes?: number | undefined
}

// Global wherever there is a `fetch`, but in no library of the ECMAScript standard.
declare const AbortController: new() => { readonly signal: unknown; readonly abort: () => void }

/** The body, or nothing where it is longer than is allowed: a length is announced and may be believed, or bytes are counted. */
const readText = async (response: Response, limit: number): Promise<string | undefined> => {
  const { body, headers } = response
  if (body === null) return ""
  const announced = Number(headers.get("content-length") ?? Number.NaN)
  if (announced > limit) return undefined
  if (announced <= limit && headers.get("content-encoding") === null) return response.text()
  const reader = body.getReader()
  const chunks: Array<Uint8Array> = []
  let size = 0
  for (let next = await reader.read(); next.done === false; next = await reader.read()) {
    size += next.value.length
    if (size > limit) return undefined
    chunks.push(next.value)
  }
  return textOf(chunks, size)
}

/** Headers are read by few, and only then made into a record. */
class Read implements Answer {
  readonly status: number
  constructor(private readonly response: Response, readonly body: string) {
    this.status = response.status
  }
  get headers(): Answer["headers"] {
    const headers: Record<string, string> = {}
    this.response.headers.forEach((value, name) => headers[name] = value)
    return headers
  }
}

const toRecord = (headers: ReadonlyArray<string>): Record<string, string> => {
  const record: Record<string, string> = {}
  for (let i = 0; i < headers.length; i += 2) record[headers[i]] = headers[i + 1]
  return record
}

const sendBy = (given: Fetch | undefined): Send => ({ body, headers, method, origin, path }, limit, receiver) => {
  const controller = new AbortController()
  let isAborted = false

  // Looked up at each call, as a program or its tests may replace it.
  const answer = async () =>
    (given ?? (globalThis as unknown as { readonly fetch: Fetch }).fetch)(`${origin}${path}`, {
      method,
      headers: toRecord(headers),
      ...(body === null ? undefined : { body }),
      // A redirect would carry the token to whatever host it names.
      redirect: "manual",
      signal: controller.signal
    })

  const exchange = async (): Promise<() => void> => {
    let status: number | undefined
    try {
      const response = await answer()
      status = response.status
      const text = await readText(response, limit)
      if (text !== undefined) return () => receiver.onAnswer(new Read(response, text))
      controller.abort()
      return () => receiver.onTrouble("tooLong", undefined, status)
    } catch (error) {
      return () => receiver.onTrouble(status === undefined ? "unanswered" : "cut", error, status)
    }
  }

  void exchange().then((tell) => {
    if (!isAborted) tell()
  })
  return {
    abort: () => {
      isAborted = true
      controller.abort()
    }
  }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Service => {
  const tools = makeTools(options.hosts ?? Hosts.com, options.maxBodyBytes)
  const own = directly(sendBy(options.fetch))(tools)
  return toService(tools, own.toExchange, own)
}

/**
 * In place of `HttpTransport` and an `HttpClient`. "Get one user" bundles to a fifth less with it; on Node
 * `UndiciHttpClient` is faster.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { DingTalkHttp, FetchTransport } from "@effect-dingtalk/http"
 * import { Effect, Layer } from "effect"
 *
 * const DingTalkLayer = DingTalkHttp.layer().pipe(
 *   Layer.provide(TokenService.layerConfig()),
 *   Layer.provide(FetchTransport.layer())
 * )
 *
 * const program = Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(DingTalkLayer))
 * console.log(Effect.isEffect(program)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<Transport> => Layer.sync(Transport, () => make(options))

/**
 * With the hosts from `DINGTALK_REGION` and its like (see `Hosts.config`), or from a `Config` of your own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Omit<Options, "hosts"> & { readonly hosts?: Config.Config<Hosts.Hosts> | undefined } = {}
): Layer.Layer<Transport, ConfigError> =>
  Layer.effect(Transport, Effect.map(options.hosts ?? Hosts.config, (hosts) => make({ ...options, hosts })))
