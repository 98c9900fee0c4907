/**
 * An emulator as a server on loopback, for other processes and other languages. Needs `@effect/platform-node`.
 *
 * @since 0.1.0
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Net from "node:net"
import * as ControlPlane from "./ControlPlane.js"
import type { Service } from "./Emulator.js"
import { Emulator } from "./Emulator.js"
import type { Request } from "./Exchange.js"
import { home, isHome } from "./internal/home.js"
import { isLoopback } from "./internal/loopback.js"

/**
 * @since 0.1.0
 * @category tags
 */
export class EmulatorServer extends Context.Tag("@effect-dingtalk/emulator/EmulatorServer")<EmulatorServer, {
  /** such as `http://127.0.0.1:8765`, the one origin of both gateways and of the sign-in page */
  readonly url: string
  /** ends when somebody stopped the server by `POST /_emulator/stop` */
  readonly stopped: Effect.Effect<void>
}>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** a free one if left out or 0 */
  readonly port?: number | undefined
  /** a loopback address; `127.0.0.1` if left out */
  readonly host?: string | undefined
}

// Beyond it nothing is kept: the emulator refuses, and the rest is read and dropped.
const MAX_BODY = 1024 * 1024 + 1

const bodyOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<string, HttpServerError.RequestError> => {
  const length = Number(request.headers["content-length"] ?? Number.NaN)
  if (length === 0 || (Number.isNaN(length) && request.headers["transfer-encoding"] === undefined)) {
    return Effect.succeed("")
  }
  if (length < MAX_BODY) return request.text
  return Effect.map(
    Stream.runFold(request.stream, { chunks: Chunk.empty<Uint8Array>(), size: 0 }, ({ chunks, size }, chunk) => ({
      chunks: size < MAX_BODY ? Chunk.append(chunks, chunk) : chunks,
      size: size + chunk.length
    })),
    ({ chunks, size }) => {
      const bytes = Buffer.concat(Chunk.toReadonlyArray(chunks))
      // One character a byte, so that what was cut off still counts as too long.
      return bytes.toString(size < MAX_BODY ? "utf8" : "latin1")
    }
  )
}

const app = (emulator: Service, stop: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const mark = request.originalUrl.indexOf("?")
    const path = mark === -1 ? request.originalUrl : request.originalUrl.slice(0, mark)
    const given: Request = {
      method: request.method,
      path,
      query: mark === -1 ? "" : request.originalUrl.slice(mark + 1),
      headers: request.headers,
      body: yield* bodyOf(request),
      remoteAddress: Option.getOrUndefined(request.remoteAddress)
    }
    const { body, headers, status } = yield* ControlPlane.isControl(path)
      ? ControlPlane.handle(emulator, given, { stop })
      : isHome(given)
      ? home(emulator, given)
      : emulator.handle(given)
    return body === ""
      ? HttpServerResponse.empty({ status, headers: Headers.fromInput(headers) })
      : HttpServerResponse.text(body, {
        status,
        headers: Headers.fromInput(headers),
        contentType: headers["content-type"] ?? "text/plain"
      })
  }).pipe(
    // The caller went away in the middle of its body.
    Effect.catchTag("RequestError", () => HttpServerResponse.empty({ status: 400 }))
  )

// Time for the answer to leave; by the real clock, because a test may have stopped its own.
const pause = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))

/** A server whose open connections do not outlive its scope. */
const makeServer = (options: Options) =>
  Effect.gen(function*() {
    const host = options.host ?? "127.0.0.1"
    // An emulator hands out secrets to whoever asks.
    if (!isLoopback(host)) {
      return yield* new HttpServerError.ServeError({ cause: new Error(`${host} is not a loopback address`) })
    }
    // Loaded here, so that who stays in process needs neither Node nor its platform package.
    const [http, NodeHttpServer] = yield* Effect.promise(() =>
      Promise.all([import("node:http"), import("@effect/platform-node/NodeHttpServer")])
    )
    const sockets = new Set<Net.Socket>()
    const node = http.createServer({ requestTimeout: 60_000, headersTimeout: 30_000 })
    node.on("connection", (socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    })
    const server = yield* NodeHttpServer.make(() => node, { port: options.port ?? 0, host })
    yield* Effect.addFinalizer(() =>
      Effect.async<void>((resume) => {
        node.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
    )
    return server
  })

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options?: Options
): Effect.Effect<
  Context.Tag.Service<EmulatorServer>,
  HttpServerError.ServeError,
  Emulator | Scope.Scope
> =>
  Effect.gen(function*() {
    const emulator = yield* Emulator
    // Of its own, so that the server can end before the program does.
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const server = yield* Scope.extend(makeServer(options ?? {}), scope)
    const stopped = yield* Deferred.make<void>()
    const stop = pause.pipe(
      Effect.zipRight(Scope.close(scope, Exit.void)),
      Effect.zipRight(Deferred.succeed(stopped, undefined)),
      Effect.forkDaemon
    )
    // A span would hold the query, and with it the token.
    yield* HttpMiddleware.withTracerDisabledWhenEffect(server.serve(app(emulator, Effect.asVoid(stop))), () => true)
      .pipe(
        Scope.extend(scope)
      )
    const { address } = server
    const port = address._tag === "TcpAddress" ? address.port : 0
    const host = options?.host ?? "127.0.0.1"
    return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, stopped: Deferred.await(stopped) }
  })

/**
 * Serves until its scope closes or somebody asks for `POST /_emulator/stop`; then open connections are closed at once.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Emulator, EmulatorServer } from "@effect-dingtalk/emulator"
 * import { Effect, Layer } from "effect"
 *
 * const server = EmulatorServer.layer({ port: 0 }).pipe(Layer.provide(Emulator.layer()))
 *
 * const program = Effect.gen(function*() {
 *   const { url } = yield* EmulatorServer.EmulatorServer
 *   const response = yield* Effect.promise(() => fetch(`${url}/v1.0/oauth2/accessTokne`, { method: "POST" }))
 *   return response.status
 * })
 * Effect.runPromise(Effect.provide(program, server)).then(console.log) // 404
 * ```
 */
export const layer = (options?: Options): Layer.Layer<EmulatorServer, HttpServerError.ServeError, Emulator> =>
  Layer.scoped(EmulatorServer, make(options))
