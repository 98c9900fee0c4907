import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import * as WireRequest from "@effect-dingtalk/core/WireRequest"
import type * as WireResponse from "@effect-dingtalk/core/WireResponse"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Tracer from "effect/Tracer"
import type { Answer, Carried, Direct, Handle, Landing, Receiver, Send, Tools, Trouble } from "./direct.js"
import { JSON_TYPE, TOKEN_HEADER, USER_AGENT } from "./headers.js"
import * as tracing from "./tracing.js"

const HEADERS = ["accept", "application/json", "user-agent", USER_AGENT]
const BODY_HEADERS = [...HEADERS, "content-type", JSON_TYPE]

const headersOf = ({ body, gateway }: WireRequest.WireRequest, token: Carried | undefined): Array<string> => {
  const headers = body === undefined ? HEADERS : BODY_HEADERS
  return token === undefined || gateway === "oapi" ? headers : [...headers, TOKEN_HEADER, token.value]
}

/** One exchange under way, and its answer. */
class Attempt implements Receiver, Handle, WireResponse.WireResponse {
  status = 0
  body = ""
  receivedAt = 0
  handle: Handle | undefined = undefined
  private answer: Answer | undefined = undefined

  constructor(
    private readonly tools: Tools,
    private readonly endpoint: Endpoint.Any,
    private readonly payload: unknown,
    private readonly token: Redacted.Redacted | undefined,
    private readonly clock: Clock.Clock,
    private readonly fiber: Fiber.RuntimeFiber<unknown, unknown>,
    private readonly span: Tracer.Span | undefined,
    private readonly landing: Landing
  ) {}

  get headers(): Answer["headers"] {
    return this.answer!.headers
  }

  onAnswer(answer: Answer): void {
    this.answer = answer
    this.status = answer.status
    this.body = answer.body
    this.receivedAt = this.clock.unsafeCurrentTimeMillis()
    let read: Either.Either<unknown, unknown>
    try {
      read = this.tools.understand(this.endpoint, this, this.payload, this.token, this.span)
    } catch (defect) {
      this.endSpan(Exit.die(defect))
      return this.landing.onDefect(defect)
    }
    this.end(read)
  }

  onTrouble(trouble: Trouble, cause: unknown, status: number | undefined): void {
    this.end(Either.left(this.tools.errorOf(this.endpoint, trouble, cause, status)))
  }

  abort(): void {
    this.handle?.abort()
    this.endSpan(Exit.interrupt(this.fiber.id()))
  }

  private end(answer: Either.Either<unknown, unknown>): void {
    if (this.span !== undefined) {
      this.endSpan(Either.isRight(answer) ? Exit.succeed(answer.right) : Exit.fail(answer.left))
    }
    this.landing.onEnd(answer)
  }

  private endSpan(exit: Exit.Exit<unknown, unknown>): void {
    if (this.span !== undefined) tracing.end(this.fiber, this.clock, this.span, exit)
  }
}

/**
 * Exchanges that are no Effects, over a client that needs none.
 *
 * @internal
 */
export const directly = (send: Send) => (tools: Tools): Direct => {
  const { beginSpan, carriedOf, hosts, limit, pathOf } = tools

  const start: Direct["start"] = (endpoint, payload, request, token, clock, fiber, parent, landing) => {
    const span = tracing.isListenedTo(fiber)
      ? beginSpan(endpoint, fiber, clock, parent === undefined ? tracing.parentOf(fiber) : Option.some(parent))
      : undefined
    const attempt = new Attempt(tools, endpoint, payload, token, clock, fiber, span, landing)
    const carried = token === undefined ? undefined : carriedOf(token)
    if (carried?.isSendable === false) {
      attempt.onTrouble("unsendable", undefined, undefined)
      return attempt
    }
    const outgoing = {
      origin: hosts[request.gateway],
      path: pathOf(request, carried),
      method: request.method,
      headers: headersOf(request, carried),
      body: request.body ?? null
    }
    attempt.handle = send(outgoing, limit, attempt)
    return attempt
  }

  return {
    encode: WireRequest.encode,
    start,
    toExchange: (endpoint, payload, request) => (token) =>
      Effect.withFiberRuntime((fiber) => {
        const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
        return Effect.async((resume) => {
          const handle = start(endpoint, payload, request, token, clock, fiber, undefined, {
            onEnd: (answer) => resume(answer as Either.Either<any, any>),
            onDefect: (defect) => resume(Effect.die(defect))
          })
          return Effect.sync(() => handle.abort())
        })
      })
  }
}
