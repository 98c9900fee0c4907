/**
 * An emulator as the `HttpClient` of a program: no sockets, and the wire is still the wire.
 *
 * @since 0.1.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Emulator } from "./Emulator.js"
import type { Service } from "./Emulator.js"

interface Body {
  readonly text: string
  readonly contentType: string | undefined
}

const readWeb = (
  request: HttpClientRequest.HttpClientRequest,
  init: ConstructorParameters<typeof Response>[0]
): Effect.Effect<Body, HttpClientError.RequestError> =>
  Effect.tryPromise({
    try: async () => {
      const web = new Response(init)
      return { contentType: web.headers.get("content-type") ?? undefined, text: await web.text() }
    },
    catch: (cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause })
  })

const bodyOf = (
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Body, HttpClientError.RequestError> => {
  const { body } = request
  switch (body._tag) {
    case "Empty":
      return Effect.succeed({ text: "", contentType: undefined })
    case "Uint8Array":
      return Effect.succeed({ text: new TextDecoder().decode(body.body), contentType: body.contentType })
    case "Raw":
      return readWeb(request, body.body as ConstructorParameters<typeof Response>[0])
    case "FormData":
      return readWeb(request, body.formData)
    case "Stream":
      return Stream.runFold(Stream.decodeText(body.stream), "", (text, part) => text + part).pipe(
        Effect.map((text) => ({ text, contentType: body.contentType })),
        Effect.mapError((cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause }))
      )
  }
}

// A web `Response` refuses a body, even an empty one, for these.
const WITHOUT_BODY = new Set([204, 205, 304])

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (emulator: Service): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.flatMap(bodyOf(request), ({ contentType, text }) =>
      Effect.map(
        emulator.handle({
          method: request.method,
          path: url.pathname,
          query: url.search.slice(1),
          headers: {
            host: url.host,
            ...(contentType === undefined ? {} : { "content-type": contentType }),
            ...request.headers
          },
          body: text
        }),
        ({ body, headers, status }) =>
          HttpClientResponse.fromWeb(
            request,
            new Response(request.method === "HEAD" || WITHOUT_BODY.has(status) ? null : body, { status, headers })
          )
      ))
  )

/**
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Emulator, EmulatorHttpClient } from "@effect-dingtalk/emulator"
 * import { HttpClient } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 *
 * const dingtalk = EmulatorHttpClient.layer.pipe(Layer.provideMerge(Emulator.layer()))
 *
 * const program = Effect.gen(function*() {
 *   const response = yield* HttpClient.get("https://oapi.dingtalk.io/gettoken", {
 *     urlParams: { appkey: "dingquickstart", appsecret: "quickstart-secret" }
 *   })
 *   return yield* response.json
 * })
 * Effect.runPromise(Effect.provide(program, dingtalk)).then(
 *   (answer) => console.log(Object.keys(answer as object)) // [ 'errcode', 'access_token', 'errmsg', 'expires_in' ]
 * )
 * ```
 */
export const layer: Layer.Layer<HttpClient.HttpClient, never, Emulator> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(Emulator, make)
)
