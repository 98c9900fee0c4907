/**
 * A platform `HttpClient` for Node that speaks to an undici dispatcher by its callbacks: no promise and no stream on
 * the way of a call, a body that has arrived is read at once. Needs `undici`.
 *
 * @since 0.1.0
 */
/// <reference types="node" />
import * as Cookies from "@effect/platform/Cookies"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { constants } from "node:buffer"
import type { Socket } from "node:net"
import { Readable } from "node:stream"
import type { Transform } from "node:stream"
import * as Zlib from "node:zlib"
import type * as Undici from "undici"
import { directly } from "./internal/attempt.js"
import type { Answer, Exchanging, Handle, Receiver, Send, Trouble } from "./internal/direct.js"
import { exchanger } from "./internal/direct.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** how many connections one origin gets, 128 unless it says otherwise; what exceeds them waits its turn */
  readonly connections?: number | undefined
  /** how long an idle connection is kept, 4 seconds unless it says otherwise: less than servers commonly do */
  readonly keepAliveTimeout?: Duration.DurationInput | undefined
  /**
   * How much of a server's own `keep-alive: timeout` hint is believed, 1 minute unless it says otherwise. undici takes 2
   * seconds off the hint first: after a hint of no more than that the connection is not used again.
   */
  readonly keepAliveMaxTimeout?: Duration.DurationInput | undefined
  /**
   * How long a connection may take to come up, through a proxy from end to end, 10 seconds unless it says otherwise.
   * Other timeouts are left to Effect.
   */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * The proxy's URL, or `false` for none. Unless it says otherwise, what `HTTPS_PROXY` and `HTTP_PROXY` name, in either
   * case. Hosts of `NO_PROXY` and the machine itself are reached directly.
   */
  readonly proxy?: string | Redacted.Redacted | false | undefined
  /**
   * Whatever else undici's `Agent` takes, TLS above all: `connect` is for hosts, behind a proxy too. A proxy that itself
   * speaks TLS has a trust of its own, `proxyTls`: it is neither shown the certificate meant for hosts, nor left
   * unchecked along with them. Only for hosts behind a proxy, and before `connect`, is `requestTls`.
   *
   * A `connect` that is a function gets the tunnel of an `https:` host as `httpSocket`, and a connector of undici's
   * `buildConnector` speaks TLS through it; one that dials by itself goes past the proxy. It is not asked where
   * `requestTls` is set, nor for the proxy itself, for `http:` hosts behind it, or behind a SOCKS proxy.
   */
  readonly agent?:
    | (Undici.Agent.Options & Pick<Undici.ProxyAgent.Options, "proxyTls" | "requestTls">)
    | undefined
}

const ATTR_HTTP_REQUEST_HEADER = (name: string): string => `http.request.header.${name}`
const ATTR_HTTP_REQUEST_METHOD = "http.request.method"
const ATTR_HTTP_RESPONSE_HEADER = (name: string): string => `http.response.header.${name}`
const ATTR_HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
const ATTR_SERVER_ADDRESS = "server.address"
const ATTR_SERVER_PORT = "server.port"
const ATTR_URL_FULL = "url.full"
const ATTR_URL_PATH = "url.path"
const ATTR_URL_SCHEME = "url.scheme"
const ATTR_URL_QUERY = "url.query"

/** So much of a body is taken in unasked; then the socket waits for a reader. */
const HIGH_WATER_MARK = 64 * 1024
/** Requests still under way when the pool's scope closes get so long. */
const GRACE_MILLIS = 500
const MAX_ENCODINGS = 5
/** A longer timer would go off at once. */
const MAX_MILLIS = 2 ** 31 - 1

/** Timeouts are left to Effect's. */
const NO_TIMEOUT = 0

const PENDING = 0
const OPEN = 1
const COMPLETE = 2
const FAILED = 3

/** `HttpClient.withScope` leaves here what to abort a request by; `HttpClient.make` reads it from here too. */
const scopedRequests = globalValue(
  "@effect/platform/HttpClient/scopedRequests",
  () => new WeakMap<HttpClientRequest.HttpClientRequest, AbortController>()
)

class AbortError extends Error {
  override readonly name = "AbortError"
  readonly code = "UND_ERR_ABORTED"
  constructor() {
    super("the request was aborted")
  }
}

type RawHeaders = ReadonlyArray<Buffer | ReadonlyArray<Buffer>>
type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What is under way with a dispatcher that is ours to close. */
class UnderWay {
  private count = 0
  private onNone: (() => void) | undefined = undefined

  begin(): void {
    this.count++
  }

  end(): void {
    if (--this.count === 0) this.onNone?.()
  }

  /** By the machine's clock: a test's stands still. */
  none(): Promise<void> {
    return new Promise((resolve) => {
      if (this.count === 0) return resolve()
      const timer = setTimeout(resolve, GRACE_MILLIS)
      this.onNone = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** One request and its answer as undici tells it: the handler of its dispatch. */
class Exchange implements Undici.Dispatcher.DispatchHandler {
  phase: typeof PENDING | typeof OPEN | typeof COMPLETE | typeof FAILED = PENDING
  failure: unknown = undefined
  status = 0
  rawHeaders: RawHeaders = []
  chunks: Array<Buffer> = []
  /** who waits for the next chunk, or the end */
  onChunk: (() => void) | undefined = undefined
  /** who waits for the end */
  onEnd: Set<() => void> | undefined = undefined
  private buffered = 0
  private paused = false
  private cancel: ((error: Error) => void) | undefined = undefined
  private unpause: (() => void) | undefined = undefined

  constructor(
    readonly underWay: UnderWay | undefined,
    private resume: ((effect: Effect.Effect<Exchange, unknown>) => void) | undefined,
    readonly upload: Readable | undefined
  ) {
    underWay?.begin()
  }

  onConnect(cancel: (error?: Error) => void): void {
    // Interrupted before its turn came. Our own dispatcher drops it for a throw; `cancel` would cost the connection.
    if (this.phase === FAILED) {
      if (this.underWay !== undefined) throw this.failure
      return cancel(this.failure as Error)
    }
    this.cancel = cancel
  }

  onHeaders(status: number, headers: RawHeaders, unpause: () => void): boolean {
    if (status < 200 || this.phase !== PENDING) return true
    this.phase = OPEN
    this.status = status
    this.rawHeaders = headers
    this.unpause = unpause
    // The fiber goes on in a later microtask: by then a small body has arrived as well.
    this.deliver(Exit.succeed(this))
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.phase !== OPEN) return true
    this.chunks.push(chunk)
    this.buffered += chunk.length
    this.onChunk?.()
    this.paused = this.buffered >= HIGH_WATER_MARK && this.onEnd === undefined
    return !this.paused
  }

  onComplete(): void {
    if (this.phase !== OPEN) return
    this.phase = COMPLETE
    this.underWay?.end()
    this.cancel = this.unpause = undefined
    this.wake()
  }

  onError(error: unknown): void {
    if (this.phase >= COMPLETE) return
    const wasPending = this.phase === PENDING
    this.phase = FAILED
    this.failure = error
    this.underWay?.end()
    this.upload?.destroy()
    if (wasPending) this.deliver(Exit.fail(error))
    else this.wake()
  }

  /** Nothing when all has arrived. Otherwise the end of the connection, if there is one yet, and of all callbacks. */
  abort(reason: unknown = new AbortError()): void {
    if (this.phase >= COMPLETE) return
    this.onError(reason)
    this.chunks = []
    this.cancel?.(reason as Error)
  }

  take(): Array<Buffer> {
    const chunks = this.chunks
    this.chunks = []
    this.buffered = 0
    return chunks
  }

  /** After `take`, when its chunks are in place: more of them may come before this returns. */
  flow(): void {
    if (!this.paused) return
    this.paused = false
    this.unpause?.()
  }

  /** Lets go of the fiber: its span holds the response, which would never count as abandoned. */
  private deliver(exit: Exit.Exit<Exchange, unknown>): void {
    const resume = this.resume
    this.resume = undefined
    resume?.(exit)
  }

  private wake(): void {
    this.onChunk?.()
    if (this.onEnd !== undefined) { for (const end of this.onEnd) end() }
  }
}

/** Frees the connection of an answer that nobody read and nobody can read any more. */
const abandoned = new FinalizationRegistry<Exchange>((exchange) => exchange.abort())

const NO_BYTES = Buffer.alloc(0)
const { MAX_LENGTH } = constants
const HEADER_PROTO = Object.getPrototypeOf(Headers.empty) as object

const latin1 = (raw: Buffer | ReadonlyArray<Buffer>): string | ReadonlyArray<string> =>
  Buffer.isBuffer(raw) ? raw.toString("latin1") : (raw as ReadonlyArray<Buffer>).map((one) => one.toString("latin1"))

const isOneText = (raw: RawHeaders): raw is ReadonlyArray<Buffer> => {
  const memory = (raw[0] as Buffer).buffer
  let end = 0
  for (const part of raw) {
    if (!Buffer.isBuffer(part) || part.buffer !== memory || part.byteOffset < end) return false
    end = part.byteOffset + part.length
  }
  return true
}

/** The pairs of a header, names lower-cased. Usually all of them lie in one packet: then they are decoded at a stroke. */
const forEachHeader = (raw: RawHeaders, f: (name: string, value: string | ReadonlyArray<string>) => void): void => {
  if (raw.length === 0) return
  if (isOneText(raw)) {
    const start = raw[0]!.byteOffset
    const last = raw[raw.length - 1]!
    const text = Buffer.from(last.buffer, start, last.byteOffset + last.length - start).toString("latin1")
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!
      const value = raw[i + 1]!
      const at = value.byteOffset - start
      f(
        text.slice(name.byteOffset - start, name.byteOffset - start + name.length).toLowerCase(),
        text.slice(at, at + value.length)
      )
    }
    return
  }
  for (let i = 0; i < raw.length; i += 2) f((latin1(raw[i]!) as string).toLowerCase(), latin1(raw[i + 1]!))
}

const parseHeaders = (raw: RawHeaders): Headers.Headers => {
  const headers: Record<string, string> = Object.create(HEADER_PROTO)
  forEachHeader(raw, (name, value) => {
    const text = typeof value === "string" ? value : value.join(", ")
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${text}` : text
  })
  return headers as Headers.Headers
}

/** As undici's own `body.text()`: without a byte order mark, and U+FFFD for what is not UTF-8. */
const decodeText = (bytes: Buffer): string =>
  bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
    ? bytes.toString("utf8", 3)
    : bytes.toString("utf8")

/** `deflate` is zlib's format by the standard, and without its header by some servers. */
const isZlib = (bytes: Uint8Array): boolean => (bytes[0]! & 0x0f) === 0x08

interface Encoding {
  readonly stream: (first: Uint8Array) => Transform
  readonly whole: (bytes: Buffer, most: Most, done: (error: Error | null, bytes: Buffer) => void) => void
}

interface Most {
  readonly maxOutputLength?: number
}

const gzip: Encoding = { stream: () => Zlib.createGunzip(), whole: Zlib.gunzip }

const ENCODINGS: Record<string, Encoding | undefined> = {
  gzip,
  "x-gzip": gzip,
  br: { stream: () => Zlib.createBrotliDecompress(), whole: Zlib.brotliDecompress },
  deflate: {
    stream: (first) => isZlib(first) ? Zlib.createInflate() : Zlib.createInflateRaw(),
    whole: (bytes, most, done) => isZlib(bytes) ? Zlib.inflate(bytes, most, done) : Zlib.inflateRaw(bytes, most, done)
  }
}

/** In the order of undoing; none if one of them is unknown: such a body is handed over as it came. */
const encodingsOf = (headers: Headers.Headers): ReadonlyArray<Encoding> => {
  const names = headers["content-encoding"]?.toLowerCase().split(",").map((name) => name.trim()) ?? []
  const encodings = names.filter((name) => name !== "" && name !== "identity").reverse().map((name) => ENCODINGS[name])
  return encodings.length <= MAX_ENCODINGS && encodings.every((encoding) => encoding !== undefined) ? encodings : []
}

const decodeWhole = (
  encodings: ReadonlyArray<Encoding>,
  bytes: Buffer,
  most: Most,
  done: (error: Error | null, bytes: Buffer) => void
): void => {
  const [first, ...rest] = encodings
  if (first === undefined || bytes.length === 0) return done(null, bytes)
  first.whole(
    bytes,
    most,
    (error, decoded) => error === null ? decodeWhole(rest, decoded, most, done) : done(error, decoded)
  )
}

/** One header, without the text of the others. */
const findHeader = (raw: RawHeaders, name: string): string | undefined => {
  for (let i = 0; i < raw.length; i += 2) {
    const written = raw[i] as Buffer
    // Letters of either case differ in one bit.
    if (
      written.length === name.length && (written[0]! | 0x20) === name.charCodeAt(0) &&
      written.toString("latin1").toLowerCase() === name
    ) return String(latin1(raw[i + 1]!))
  }
  return undefined
}

const isPlain = (raw: RawHeaders): boolean => findHeader(raw, "content-encoding") === undefined

type Body<A> = Effect.Effect<A, HttpClientError.ResponseError>

class ResponseImpl extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  private cachedHeaders: Headers.Headers | undefined = undefined
  private cachedCookies: Cookies.Cookies | undefined = undefined
  private cachedBytes: Buffer | undefined = undefined
  private cachedText: string | undefined = undefined
  private cachedArrayBuffer: ArrayBuffer | undefined = undefined
  private cachedFormData: FormData | undefined = undefined
  private isStreamed = false

  constructor(
    readonly request: HttpClientRequest.HttpClientRequest,
    private readonly exchange: Exchange
  ) {
    super()
  }

  get [HttpIncomingMessage.TypeId](): HttpIncomingMessage.TypeId {
    return HttpIncomingMessage.TypeId
  }

  get [HttpClientResponse.TypeId](): HttpClientResponse.TypeId {
    return HttpClientResponse.TypeId
  }

  get status(): number {
    return this.exchange.status
  }

  get headers(): Headers.Headers {
    return this.cachedHeaders ??= parseHeaders(this.exchange.rawHeaders)
  }

  get cookies(): Cookies.Cookies {
    if (this.cachedCookies !== undefined) return this.cachedCookies
    const lines: Array<string> = []
    forEachHeader(this.exchange.rawHeaders, (name, value) => {
      if (name !== "set-cookie") return
      if (typeof value === "string") lines.push(value)
      else lines.push(...value)
    })
    return this.cachedCookies = lines.length === 0 ? Cookies.empty : Cookies.fromSetCookie(lines)
  }

  get remoteAddress(): Option.Option<string> {
    return Option.none()
  }

  private decodeError(cause: unknown, description?: string): HttpClientError.ResponseError {
    return new HttpClientError.ResponseError({
      request: this.request,
      response: this,
      reason: "Decode",
      cause,
      ...(description === undefined ? undefined : { description })
    })
  }

  /** All that has arrived, if that is all there is, and in no encoding. */
  private get arrived(): Buffer | undefined {
    if (this.cachedBytes !== undefined) return this.cachedBytes
    const exchange = this.exchange
    if (exchange.phase !== COMPLETE || this.isStreamed || !isPlain(exchange.rawHeaders)) return undefined
    const chunks = exchange.chunks
    return this.cachedBytes = chunks.length === 1 ? chunks[0]! : chunks.length === 0 ? NO_BYTES : Buffer.concat(chunks)
  }

  private get bytes(): Body<Buffer> {
    return Effect.async((resume) => {
      const arrived = this.arrived
      if (arrived !== undefined) return resume(Effect.succeed(arrived))
      if (this.isStreamed) {
        return resume(Effect.fail(this.decodeError(undefined, "the body has been read as a stream already")))
      }
      const exchange = this.exchange
      const onEnd = () => {
        if (exchange.phase !== COMPLETE) return resume(Effect.fail(this.decodeError(exchange.failure)))
        if (this.cachedBytes !== undefined) return resume(Effect.succeed(this.cachedBytes))
        decodeWhole(encodingsOf(this.headers), Buffer.concat(exchange.chunks), {}, (error, bytes) => {
          if (error !== null) return resume(Effect.fail(this.decodeError(error)))
          resume(Effect.succeed(this.cachedBytes ??= bytes))
        })
      }
      if (exchange.phase >= COMPLETE) return onEnd()
      abandoned.unregister(this)
      const readers = exchange.onEnd ??= new Set()
      readers.add(onEnd)
      exchange.flow()
      return Effect.sync(() => {
        readers.delete(onEnd)
        if (readers.size === 0) exchange.abort()
      })
    })
  }

  get text(): Body<string> {
    if (this.cachedText !== undefined) return Effect.succeed(this.cachedText)
    const arrived = this.arrived
    return arrived === undefined
      ? Effect.map(this.bytes, (bytes) => this.cachedText ??= decodeText(bytes))
      : Effect.succeed(this.cachedText = decodeText(arrived))
  }

  private parseJson(text: string): Body<unknown> {
    try {
      return Effect.succeed(text === "" ? null : JSON.parse(text))
    } catch (cause) {
      return Effect.fail(this.decodeError(cause))
    }
  }

  get json(): Body<unknown> {
    return Effect.flatMap(this.text, (text) => this.parseJson(text))
  }

  get urlParamsBody(): Body<UrlParams.UrlParams> {
    return Effect.flatMap(this.text, (text) =>
      Effect.try({
        try: () => UrlParams.fromInput(new URLSearchParams(text)),
        catch: (cause) => this.decodeError(cause)
      }))
  }

  get formData(): Body<FormData> {
    return Effect.suspend(() =>
      this.cachedFormData === undefined
        ? Effect.flatMap(this.bytes, (bytes) =>
          Effect.tryPromise({
            try: async () => {
              const headers = { "content-type": this.headers["content-type"] ?? "" }
              return this.cachedFormData ??= await new globalThis.Response(bytes, { headers }).formData()
            },
            catch: (cause) => this.decodeError(cause)
          }))
        : Effect.succeed(this.cachedFormData)
    )
  }

  get arrayBuffer(): Body<ArrayBuffer> {
    return Effect.map(
      this.bytes,
      (bytes) =>
        this.cachedArrayBuffer ??= bytes.buffer.slice(
          bytes.byteOffset,
          bytes.byteOffset + bytes.byteLength
        ) as ArrayBuffer
    )
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return Stream.suspend(() => {
      const arrived = this.arrived
      if (arrived !== undefined) return arrived.length === 0 ? Stream.empty : Stream.succeed(arrived)
      if (this.isStreamed || this.exchange.onEnd !== undefined) {
        return Stream.fail(this.decodeError(undefined, "the body has been read already"))
      }
      this.isStreamed = true
      abandoned.unregister(this)
      const encodings = encodingsOf(this.headers)
      const stream = encodings.length === 0 ? this.chunks : this.decodedChunks(encodings)
      return Stream.ensuring(stream, Effect.sync(() => this.exchange.abort()))
    })
  }

  private get chunks(): Stream.Stream<Buffer, HttpClientError.ResponseError> {
    const exchange = this.exchange
    const next = (): Effect.Effect<Chunk.Chunk<Buffer>, Option.Option<HttpClientError.ResponseError>> | undefined => {
      if (exchange.chunks.length > 0) {
        const chunks = Chunk.unsafeFromArray(exchange.take())
        exchange.flow()
        return Effect.succeed(chunks)
      }
      if (exchange.phase === COMPLETE) return Effect.fail(Option.none())
      if (exchange.phase === FAILED) return Effect.fail(Option.some(this.decodeError(exchange.failure)))
      return undefined
    }
    const wait = Effect.async<Chunk.Chunk<Buffer>, Option.Option<HttpClientError.ResponseError>>((resume) => {
      exchange.onChunk = () => {
        exchange.onChunk = undefined
        // In the fiber's own turn: what else arrives by then comes along.
        resume(Effect.suspend(() => next() ?? wait))
      }
      return Effect.sync(() => {
        exchange.onChunk = undefined
      })
    })
    return Stream.repeatEffectChunkOption(Effect.suspend(() => next() ?? wait))
  }

  private decodedChunks(
    encodings: ReadonlyArray<Encoding>
  ): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return Stream.unwrapScoped(
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => new Decoded(this.exchange, encodings)),
          (decoded) => Effect.sync(() => decoded.destroy())
        ),
        (decoded) =>
          Stream.repeatEffectOption(
            Effect.mapError(decoded.pull, Option.map((cause) => this.decodeError(cause)))
          )
      )
    )
  }

  toJSON(): unknown {
    // To look at an answer is not to read it.
    const unread = Effect.fail("unread")
    const self: HttpIncomingMessage.HttpIncomingMessage<unknown> = this.arrived === undefined
      ? Object.create(this, { json: { value: unread }, text: { value: unread } })
      : this
    return HttpIncomingMessage.inspect(self, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }
}

/** One request and its whole answer, for who wants no more than that. */
class WholeExchange implements Undici.Dispatcher.DispatchHandler, Handle, Answer {
  status = 0
  body = ""
  private phase: typeof PENDING | typeof OPEN | typeof COMPLETE | typeof FAILED = PENDING
  private rawHeaders: RawHeaders = []
  private chunk: Buffer = NO_BYTES
  private chunks: Array<Buffer> | undefined = undefined
  private size = 0
  private cancel: ((error: Error) => void) | undefined = undefined

  constructor(
    private readonly underWay: UnderWay | undefined,
    private readonly limit: number,
    private receiver: Receiver | undefined
  ) {
    underWay?.begin()
  }

  get headers(): Headers.Headers {
    return parseHeaders(this.rawHeaders)
  }

  onConnect(cancel: (error?: Error) => void): void {
    // As in `Exchange`.
    if (this.phase === FAILED) {
      if (this.underWay !== undefined) throw new AbortError()
      return cancel(new AbortError())
    }
    this.cancel = cancel
  }

  onHeaders(status: number, headers: RawHeaders): boolean {
    if (status < 200 || this.phase !== PENDING) return true
    this.phase = OPEN
    this.status = status
    this.rawHeaders = headers
    if (Number(findHeader(headers, "content-length")) > this.limit) this.refuse()
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.phase !== OPEN) return true
    if (this.size === 0) this.chunk = chunk
    else (this.chunks ??= [this.chunk]).push(chunk)
    this.size += chunk.length
    if (this.size > this.limit) this.refuse()
    return true
  }

  onComplete(): void {
    if (this.phase !== OPEN) return
    this.phase = COMPLETE
    this.cancel = undefined
    this.underWay?.end()
    const bytes = this.chunks === undefined ? this.chunk : Buffer.concat(this.chunks)
    if (isPlain(this.rawHeaders)) return this.answer(bytes)
    // zlib throws for what is out of its range.
    const most = { maxOutputLength: Math.min(Math.max(1, this.limit), MAX_LENGTH) }
    decodeWhole(encodingsOf(this.headers), bytes, most, (error, decoded) => {
      if (error === null) this.answer(decoded)
      else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") this.tell("tooLong", error)
      else this.tell("cut", error)
    })
  }

  onError(error: unknown): void {
    if (this.phase >= COMPLETE) return
    const wasPending = this.phase === PENDING
    this.fail()
    this.tell(!wasPending ? "cut" : isUnsent(error) ? "unsent" : "unanswered", error)
  }

  /** The end of the connection, if there is one yet, and of all callbacks. */
  abort(): void {
    this.release()
    if (this.phase < COMPLETE) this.fail()
  }

  private refuse(): void {
    const receiver = this.release()
    this.abort()
    receiver?.onTrouble("tooLong", undefined, this.status)
  }

  private fail(): void {
    this.phase = FAILED
    this.underWay?.end()
    this.chunks = undefined
    this.chunk = NO_BYTES
    this.cancel?.(new AbortError())
    this.cancel = undefined
  }

  private answer(bytes: Buffer): void {
    this.body = decodeText(bytes)
    this.chunks = undefined
    this.chunk = NO_BYTES
    this.release()?.onAnswer(this)
  }

  private tell(trouble: Trouble, cause: unknown): void {
    this.release()?.onTrouble(trouble, cause, this.status === 0 ? undefined : this.status)
  }

  private release(): Receiver | undefined {
    const receiver = this.receiver
    this.receiver = undefined
    return receiver
  }
}

/** A compressed body, decoded as it comes. */
class Decoded {
  private readonly encoded: Readable
  private readonly decoders: Array<Transform> = []
  private decoded: Readable | undefined = undefined
  private isHungry = true
  private hasEnded = false
  private failure: Option.Option<unknown> | undefined = undefined
  private onChange: (() => void) | undefined = undefined

  constructor(private readonly exchange: Exchange, private readonly encodings: ReadonlyArray<Encoding>) {
    this.encoded = new Readable({
      read: () => {
        this.isHungry = true
        this.feed()
      }
    })
    exchange.onChunk = () => this.feed()
    this.feed()
  }

  private end(failure: Option.Option<unknown>): void {
    this.failure ??= failure
    this.onChange?.()
  }

  private feed(): void {
    const { exchange } = this
    // While the pipe is full, what comes stays with the exchange, which then holds the socket back.
    if (this.isHungry && exchange.chunks.length > 0) {
      const chunks = Buffer.concat(exchange.take())
      // The decoder may follow from the first byte.
      if (this.decoded === undefined) this.start(chunks)
      this.isHungry = this.encoded.push(chunks)
      exchange.flow()
    }
    if (exchange.phase === FAILED) this.end(Option.some(exchange.failure))
    else if (exchange.phase === COMPLETE && exchange.chunks.length === 0) {
      if (this.decoded === undefined) this.end(Option.none())
      else if (!this.hasEnded) {
        this.hasEnded = true
        this.encoded.push(null)
      }
    }
  }

  private start(first: Uint8Array): void {
    // Not `pipeline`: it stops listening for errors when all is written, and zlib has some left then.
    for (const { stream } of this.encodings) {
      const decoder = stream(first)
      decoder.on("error", (error) => this.end(Option.some(error)))
      this.decoders.push(decoder)
    }
    this.decoded = this.decoders.reduce<Readable>((readable, decoder) => readable.pipe(decoder), this.encoded)
    this.decoded.on("readable", () => this.onChange?.()).on("end", () => this.end(Option.none()))
  }

  readonly pull: Effect.Effect<Uint8Array, Option.Option<unknown>> = Effect.async((resume) => {
    const attempt = () => {
      const chunk: Uint8Array | null = this.decoded?.read() ?? null
      if (chunk === null && this.failure === undefined) return
      this.onChange = undefined
      resume(chunk === null ? Effect.fail(this.failure!) : Effect.succeed(chunk))
    }
    this.onChange = attempt
    attempt()
    return Effect.sync(() => {
      this.onChange = undefined
    })
  })

  destroy(): void {
    this.exchange.onChunk = undefined
    this.encoded.destroy()
    for (const decoder of this.decoders) decoder.destroy()
  }
}

const ORIGIN = /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i
/** What `URL` leaves as it is: no dot segments, nothing to escape, no fragment. */
const PATH = /^\/(?:[\w\-~!$&()*+,;=:@/%]|(?<!\/)\.)*(?:\?[\w\-.~!$&()*+,;=:@/?%]*)?$/
const ENCODED_DOT = /%2e/i
const MAX_ORIGINS = 1000

const isPlainPath = (path: string): boolean => PATH.test(path) && !ENCODED_DOT.test(path)

interface Target {
  readonly origin: string
  readonly path: string
}

const origins = new Map<string, string>()

const toTarget = (url: URL): Target => ({ origin: url.origin, path: url.pathname + url.search })

/** Without a `URL` for an address that it would not change; `undefined` for any other. */
const plainTarget = (url: string): Target | undefined => {
  const slash = url.indexOf("/", 8)
  if (slash === -1) return undefined
  const written = url.slice(0, slash)
  const path = url.slice(slash)
  let origin = origins.get(written)
  if (origin === undefined) {
    if (!ORIGIN.test(written) || !URL.canParse(written)) return undefined
    origin = new URL(written).origin
    if (origins.size === MAX_ORIGINS) origins.clear()
    origins.set(written, origin)
  }
  return isPlainPath(path) ? { origin, path } : undefined
}

const parseUrl = (request: HttpClientRequest.HttpClientRequest): URL | HttpClientError.RequestError => {
  const url = UrlParams.makeUrl(request.url, request.urlParams, request.hash)
  if (url._tag === "Left") return new HttpClientError.RequestError({ request, reason: "InvalidUrl", cause: url.left })
  return url.right.protocol === "http:" || url.right.protocol === "https:"
    ? url.right
    : new HttpClientError.RequestError({ request, reason: "InvalidUrl", description: "neither http nor https" })
}

/** What undici refuses to send, and why it would be the same the next time. */
const ENCODE_CODES = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED", "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH"])

const isUnsent = (error: unknown): boolean => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return typeof code === "string" && ENCODE_CODES.has(code)
}

class UploadError extends Error {
  override readonly name = "UploadError"
}

const toRequestError = (
  request: HttpClientRequest.HttpClientRequest,
  error: unknown
): HttpClientError.RequestError => {
  if (error instanceof UploadError) {
    return new HttpClientError.RequestError({ request, reason: "Encode", cause: error.cause })
  }
  return new HttpClientError.RequestError({ request, reason: isUnsent(error) ? "Encode" : "Transport", cause: error })
}

/** Runs while undici asks for more, and is interrupted when undici gives it up. */
const toReadable = (stream: Stream.Stream<Uint8Array, unknown>, runtime: Runtime.Runtime<never>): Readable => {
  let fiber: Fiber.RuntimeFiber<void, unknown> | undefined
  let more: (() => void) | undefined
  const readable: Readable = new Readable({
    read() {
      fiber ??= start()
      const resume = more
      more = undefined
      resume?.()
    },
    destroy(error, done) {
      fiber?.unsafeInterruptAsFork(fiber.id())
      done(error)
    }
  })
  const start = () => {
    const fiber = Runtime.runFork(runtime)(Stream.runForEach(stream, (bytes) =>
      Effect.async<void>((resume) => {
        if (bytes.length === 0 || readable.push(bytes)) return resume(Effect.void)
        more = () => resume(Effect.void)
      })))
    fiber.addObserver((exit) => {
      if (readable.destroyed) return
      if (Exit.isSuccess(exit)) readable.push(null)
      else readable.destroy(new UploadError("the body could not be read", { cause: Cause.squash(exit.cause) }))
    })
    return fiber
  }
  // undici stops listening when it is done with it.
  return readable.on("error", () => {})
}

type RequestBody = NonNullable<Undici.Dispatcher.DispatchOptions["body"]> | null

/** Whole, so that it has a length: not every server takes a form in chunks. undici's own way with forms is broken in 7.30. */
const encodeForm = (
  request: HttpClientRequest.HttpClientRequest,
  form: FormData
): Effect.Effect<readonly [HttpClientRequest.HttpClientRequest, Uint8Array], HttpClientError.RequestError> =>
  Effect.tryPromise({
    try: async () => {
      const encoded = new globalThis.Response(form)
      const type = encoded.headers.get("content-type")
      const typed = type === null || Headers.has(request.headers, "content-type")
        ? request
        : HttpClientRequest.setHeader(request, "content-type", type)
      return [typed, new Uint8Array(await encoded.arrayBuffer())]
    },
    catch: (cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause })
  })

const exchangeWith = (
  dispatcher: Undici.Dispatcher,
  underWay: UnderWay | undefined,
  request: HttpClientRequest.HttpClientRequest,
  { origin, path }: Target,
  body: RequestBody,
  signal: AbortSignal | undefined,
  onResponse: ((response: HttpClientResponse.HttpClientResponse) => void) | undefined
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
  Effect.uninterruptibleMask((restore) => {
    let exchange: Exchange | undefined
    return Effect.matchCauseEffect(
      restore(Effect.async<Exchange, unknown>((resume) => {
        const started = exchange = new Exchange(underWay, resume, body instanceof Readable ? body : undefined)
        if (signal !== undefined) {
          if (signal.aborted) return started.onError(signal.reason)
          signal.addEventListener("abort", () => started.abort(signal.reason), { once: true })
        }
        try {
          dispatcher.dispatch(
            {
              origin,
              path,
              method: request.method,
              // A `ProxyAgent` writes into them, and requests share theirs: `Headers.empty` would name one host for all.
              headers: { ...request.headers },
              body,
              headersTimeout: NO_TIMEOUT,
              bodyTimeout: NO_TIMEOUT
            },
            started
          )
        } catch (error) {
          started.onError(error)
        }
      })),
      {
        onSuccess: (exchange) => {
          const response = new ResponseImpl(request, exchange)
          if (exchange.phase === OPEN && signal === undefined) abandoned.register(response, exchange, response)
          onResponse?.(response)
          return Effect.succeed(response)
        },
        onFailure: (cause) => {
          exchange?.abort()
          return Effect.failCause(Cause.map(cause, (error) => toRequestError(request, error)))
        }
      }
    )
  })

const send = (
  dispatcher: Undici.Dispatcher,
  underWay: UnderWay | undefined,
  request: HttpClientRequest.HttpClientRequest,
  target: Target,
  onResponse?: (response: HttpClientResponse.HttpClientResponse) => void
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
  const signal = scopedRequests.get(request)?.signal
  const { body } = request
  const exchange = (request: HttpClientRequest.HttpClientRequest, body: RequestBody) =>
    exchangeWith(dispatcher, underWay, request, target, body, signal, onResponse)
  switch (body._tag) {
    case "Empty":
      return exchange(request, null)
    case "Uint8Array":
      return exchange(request, body.body)
    case "Raw":
      return body.body instanceof FormData
        ? Effect.flatMap(encodeForm(request, body.body), ([request, bytes]) => exchange(request, bytes))
        : exchange(request, body.body as RequestBody)
    case "FormData":
      return Effect.flatMap(encodeForm(request, body.formData), ([request, bytes]) => exchange(request, bytes))
    case "Stream":
      return Effect.flatMap(
        Effect.runtime<never>(),
        (runtime) => exchange(request, toReadable(body.stream, runtime))
      )
  }
}

/** Without Effect: what a call of `HttpTransport` does many times. */
const sendOver = (dispatcher: Undici.Dispatcher, underWay: UnderWay | undefined): Send => {
  // Of many calls to one endpoint with one token, each has the same.
  let lastPlain = ""
  const plain = (origin: string, path: string): string => {
    if (path === lastPlain) return path
    if (!isPlainPath(path)) return toTarget(new URL(`${origin}${path}`)).path
    return lastPlain = path
  }
  return ({ body, headers, method, origin, path }, limit, receiver) => {
    const exchange = new WholeExchange(underWay, limit, receiver)
    try {
      dispatcher.dispatch(
        {
          origin,
          path: plain(origin, path),
          method: method as Undici.Dispatcher.HttpMethod,
          headers,
          body,
          headersTimeout: NO_TIMEOUT,
          bodyTimeout: NO_TIMEOUT
        },
        exchange
      )
    } catch (error) {
      exchange.onError(error)
    }
    return exchange
  }
}

/** `Headers.redact` would copy all headers to hide a few. */
const isRedacted = (name: string, names: ReadonlyArray<string | RegExp>): boolean =>
  names.some((key) => typeof key === "string" ? key.toLowerCase() === name : key.test(name))

const isSucceed = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Success<A, never> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

const over = (
  dispatcher: Undici.Dispatcher,
  underWay: UnderWay | undefined,
  context: Context.Context<never>
): HttpClient.HttpClient => {
  const traced = (request: HttpClientRequest.HttpClientRequest, fiber: RunningFiber) => {
    const url = parseUrl(request)
    if (!(url instanceof URL)) return Effect.fail(url)
    const names = fiber.getFiberRef(Headers.currentRedactedNames)
    const annotate = (span: Tracer.Span, attribute: (name: string) => string, headers: Headers.Headers) => {
      for (const name of Object.keys(headers)) {
        span.attribute(attribute(name), isRedacted(name, names) ? "<redacted>" : headers[name])
      }
    }
    // What the layer was built with counts where the caller says nothing, as with the platform's layers.
    const contextOf = (key: string) => fiber.currentContext.unsafeMap.has(key) ? fiber.currentContext : context
    const spanName = Context.get(contextOf(HttpClient.SpanNameGenerator.key), HttpClient.SpanNameGenerator)
    const parent = Context.getOption(contextOf(Tracer.ParentSpan.key), Tracer.ParentSpan)
    const options = { kind: "client", captureStackTrace: false, parent: Option.getOrUndefined(parent) } as const
    return Effect.useSpan(spanName(request), options, (span) => {
      span.attribute(ATTR_HTTP_REQUEST_METHOD, request.method)
      span.attribute(ATTR_SERVER_ADDRESS, url.origin)
      if (url.port !== "") span.attribute(ATTR_SERVER_PORT, Number(url.port))
      span.attribute(ATTR_URL_FULL, url.toString())
      span.attribute(ATTR_URL_PATH, url.pathname)
      span.attribute(ATTR_URL_SCHEME, url.protocol.slice(0, -1))
      if (url.search.length > 1) span.attribute(ATTR_URL_QUERY, url.search.slice(1))
      annotate(span, ATTR_HTTP_REQUEST_HEADER, request.headers)
      const sent = fiber.getFiberRef(HttpClient.currentTracerPropagation)
        ? HttpClientRequest.setHeaders(request, HttpTraceContext.toHeaders(span))
        : request
      const controller = scopedRequests.get(request)
      if (controller !== undefined && sent !== request) scopedRequests.set(sent, controller)
      const effect = send(dispatcher, underWay, sent, toTarget(url), (response) => {
        span.attribute(ATTR_HTTP_RESPONSE_STATUS_CODE, response.status)
        annotate(span, ATTR_HTTP_RESPONSE_HEADER, response.headers)
      })
      // Only a body of ours runs under it.
      return sent.body._tag === "Stream" ? Effect.withParentSpan(effect, span) : effect
    })
  }

  const untraced = (
    request: HttpClientRequest.HttpClientRequest
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
    let target = request.urlParams.length === 0 && request.hash._tag === "None" ? plainTarget(request.url) : undefined
    if (target === undefined) {
      const url = parseUrl(request)
      if (!(url instanceof URL)) return Effect.fail(url)
      target = toTarget(url)
    }
    return send(dispatcher, underWay, request, target)
  }

  const execute = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.withFiberRuntime<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>((fiber) =>
      fiber.getFiberRef(FiberRef.currentTracerEnabled) &&
        !fiber.getFiberRef(HttpClient.currentTracerDisabledWhen)(request)
        ? traced(request, fiber)
        : untraced(request)
    )

  const client = HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    // Only `mapRequest` and its like make a request more than a value.
    (request) => isSucceed(request) ? execute(request.value) : Effect.flatMap(request, execute),
    Effect.succeed
  )
  const exchanging: Exchanging = { [exchanger]: directly(sendOver(dispatcher, underWay)) }
  return Object.assign(client, exchanging)
}

/**
 * Over a dispatcher of your own: a `Pool`, a `MockAgent`, an `Agent` composed with interceptors. It stays open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDispatcher = (dispatcher: Undici.Dispatcher): HttpClient.HttpClient =>
  over(dispatcher, undefined, Context.empty())

const toAddress = (proxy: string | Redacted.Redacted): string =>
  typeof proxy === "string" ? proxy : Redacted.value(proxy)

/** curl asks the proxy for the machine itself too; a proxy elsewhere cannot know it. */
const LOOPBACK = "localhost,127.0.0.1,[::1]"

interface ProxySettings {
  readonly httpProxy: string
  readonly httpsProxy: string
  readonly noProxy: string
}

const SCHEME = /^[a-z][a-z\d+.-]*:\/\//i
const PROXY_PROTOCOLS = new Set(["http:", "https:", "socks:", "socks5:"])

/** As undici will read it. What is wrong with it is not said in the words of `URL`, which repeat the password. */
const checked = (name: string, written: string): string => {
  // Like curl.
  const address = written === "" || SCHEME.test(written) ? written : `http://${written}`
  const isUrl = () => {
    try {
      const { password, protocol, username } = new URL(address)
      decodeURIComponent(username + password)
      return PROXY_PROTOCOLS.has(protocol)
    } catch {
      return false
    }
  }
  if (address === "" || isUrl()) return address
  throw new Error(`${name} is not the URL of a proxy: http://host:port, with "%" for what is special in a password`)
}

const proxySettings = (proxy: Options["proxy"]): ProxySettings | undefined => {
  if (proxy === false) return undefined
  const { env } = process
  const httpProxy = proxy === undefined ? env["http_proxy"] ?? env["HTTP_PROXY"] ?? "" : toAddress(proxy)
  const httpsProxy = proxy === undefined ? env["https_proxy"] ?? env["HTTPS_PROXY"] ?? "" : toAddress(proxy)
  const noProxy = env["no_proxy"] ?? env["NO_PROXY"] ?? ""
  if ((httpProxy === "" && httpsProxy === "") || noProxy === "*") return undefined
  return {
    httpProxy: checked(proxy === undefined ? "HTTP_PROXY" : "proxy", httpProxy),
    httpsProxy: checked(proxy === undefined ? "HTTPS_PROXY" : "proxy", httpsProxy),
    noProxy: noProxy === "" ? LOOPBACK : `${noProxy},${LOOPBACK}`
  }
}

type Connector = Undici.buildConnector.connector

/** For these a client of undici connects again, as often as it fails: right between two requests, not for a tunnel. */
const ENDLESS_CODES = new Set(["UND_ERR_SOCKET", "UND_ERR_INFO"])

class TunnelError extends Error {
  override readonly name = "TunnelError"
  readonly code = "ECONNRESET"
  constructor(cause: unknown) {
    super("the proxy closed the connection", { cause })
  }
}

/** undici's tunnel, which has no end to its wait for the proxy's answer, nor to its attempts. */
const tunnelling = (
  tunnel: Connector,
  ownConnector: Connector | undefined,
  millis: number,
  onTimeout: (message: string) => Error
): Connector =>
(options, callback) => {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  const drop = (socket: Socket | null) => void socket?.on("error", () => {}).destroy()
  const end = (error: Error | null, socket: Socket | null): void => {
    if (isOver) return drop(socket)
    isOver = true
    clearTimeout(timer)
    if (error === null) return callback(null, socket!)
    callback("code" in error && ENDLESS_CODES.has(String(error.code)) ? new TunnelError(error) : error, null)
  }
  if (millis > 0) {
    timer = setTimeout(() => {
      const error = onTimeout(`no connection to ${options.hostname} through the proxy within ${millis} ms`)
      end(error, null)
      controller.abort(error)
    }, millis)
  }
  const { signal } = controller
  if (ownConnector === undefined || options.protocol !== "https:") {
    // Not in undici's types, but it listens.
    const withSignal: Undici.buildConnector.Options & { readonly signal: AbortSignal } = { ...options, signal }
    return tunnel(withSignal, end)
  }
  // For `http:` it hands over the tunnel as it is.
  const bare: Undici.buildConnector.Options & { readonly signal: AbortSignal } = {
    ...options,
    ...(options.port ? undefined : { host: `${options.host}:443`, port: "443" }),
    protocol: "http:",
    signal
  }
  tunnel(bare, (error, httpSocket) => {
    if (error !== null || isOver) return end(error, httpSocket)
    ownConnector({ ...options, httpSocket }, (error: Error | null, socket: Socket | null) => {
      if (error !== null) drop(httpSocket)
      end(error, socket)
    })
  })
}

/** Of what `connect` says of hosts, this is about the socket: behind a proxy, the one to the proxy. */
const SOCKET_OPTIONS = new Set([
  "autoSelectFamily",
  "autoSelectFamilyAttemptTimeout",
  "family",
  "hints",
  "keepAlive",
  "keepAliveInitialDelay",
  "lookup"
])

const toMillis = (duration: Duration.DurationInput): number => Math.min(Duration.toMillis(duration), MAX_MILLIS)

const makeDispatcher = async (options: Options): Promise<Undici.Dispatcher> => {
  const agent = options.agent ?? {}
  const connectTimeout = toMillis(options.connectTimeout ?? 10_000)
  const agentOptions: Undici.Agent.Options = {
    ...agent,
    connections: options.connections ?? 128,
    keepAliveTimeout: toMillis(options.keepAliveTimeout ?? 4000),
    keepAliveMaxTimeout: toMillis(options.keepAliveMaxTimeout ?? 60_000),
    connectTimeout
  }
  const proxy = proxySettings(options.proxy)
  // Not the whole of undici: its fetch, caches and sockets would take four times as long to load.
  if (proxy === undefined) {
    // @ts-expect-error has no types of its own
    const { default: Agent } = await import("undici/lib/dispatcher/agent.js")
    return new Agent(agentOptions)
  }
  // To tunnel, it calls methods that only the whole of undici adds.
  const { Client, EnvHttpProxyAgent, errors, Pool } = await import("undici")
  const connector = typeof agent.connect === "function" ? agent.connect : undefined
  const connect = typeof agent.connect === "function" ? {} : agent.connect ?? {}
  const timeout = Math.min(connect.timeout ?? connectTimeout, MAX_MILLIS)
  const { allowH2, autoSelectFamily, autoSelectFamilyAttemptTimeout, localAddress, maxCachedSessions } = agent
  const through = (tunnel: Connector) =>
    tunnelling(
      tunnel,
      agent.requestTls === undefined ? connector : undefined,
      timeout,
      (message) => new errors.ConnectTimeoutError(message)
    )
  return new EnvHttpProxyAgent({
    ...agentOptions,
    ...proxy,
    // What a `Pool` would make of the same options, which get no further than to hosts reached directly.
    requestTls: {
      ...(allowH2 === undefined ? undefined : { allowH2 }),
      ...(maxCachedSessions === undefined ? undefined : { maxCachedSessions }),
      timeout,
      ...connect,
      ...agent.requestTls
    },
    // Of hosts behind it, a proxy has no use for their TLS, but their sockets are those to it.
    clientFactory: (origin) =>
      new Pool(origin, {
        ...(localAddress === undefined ? undefined : { localAddress }),
        ...(autoSelectFamily === undefined ? undefined : { autoSelectFamily }),
        ...(autoSelectFamilyAttemptTimeout === undefined ? undefined : { autoSelectFamilyAttemptTimeout }),
        connect: {
          timeout,
          ...Object.fromEntries(Object.entries(connect).filter(([name]) => SOCKET_OPTIONS.has(name))),
          ...agent.proxyTls
        }
      }),
    factory: (origin, options: Undici.Pool.Options) => {
      const { connect } = options
      const isTunnel = typeof connect === "function" && connect !== connector
      const pooled = isTunnel ? { ...options, connect: through(connect) } : options
      if (agent.factory !== undefined) return agent.factory(origin, pooled)
      return pooled.connections === 1 ? new Client(origin, pooled) : new Pool(origin, pooled)
    }
  })
}

/**
 * With a pool of its own, which closes with the scope: what is under way then gets half a second to end.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.suspend(() => {
    const underWay = new UnderWay()
    return Effect.acquireRelease(
      Effect.promise(() => makeDispatcher(options)),
      // Not by `close`: after it an `Agent` no longer knows what to destroy.
      (dispatcher) => Effect.promise(() => underWay.none().then(() => dispatcher.destroy()))
    ).pipe(
      Effect.flatMap((dispatcher) =>
        Effect.map(Effect.context<never>(), (context) => over(dispatcher, underWay, context))
      )
    )
  })

/**
 * In place of `NodeHttpClient.layerUndici` or `FetchHttpClient.layer`. Provide it once: each layer is a pool of its own.
 *
 * No redirect is followed, compressed answers are decoded, and `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured.
 * A request that undici would not send, or whose body fails, is a `RequestError` with the reason `Encode`.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { HttpTransport } from "@effect-dingtalk/http"
 * import * as UndiciHttpClient from "@effect-dingtalk/http/UndiciHttpClient"
 * import { Layer } from "effect"
 *
 * const transport = HttpTransport.layer().pipe(Layer.provide(UndiciHttpClient.layer({ connections: 32 })))
 * console.log(Layer.isLayer(transport)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<HttpClient.HttpClient> =>
  Layer.scoped(HttpClient.HttpClient, make(options))

/**
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Omit<Options, "agent">>
): Layer.Layer<HttpClient.HttpClient, ConfigError> =>
  Layer.scoped(HttpClient.HttpClient, Effect.flatMap(Config.unwrap(options), make))

/**
 * Over a dispatcher of your own, see `fromDispatcher`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerDispatcher = (dispatcher: Undici.Dispatcher): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(Effect.context<never>(), (context) => over(dispatcher, undefined, context))
  )
