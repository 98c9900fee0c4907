import type { CommonError, TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { Endpoint } from "@effect-dingtalk/core/Endpoint"
import type { Hosts } from "@effect-dingtalk/core/Hosts"
import type { Exchange, Service } from "@effect-dingtalk/core/Transport"
import type * as WireRequest from "@effect-dingtalk/core/WireRequest"
import type * as WireResponse from "@effect-dingtalk/core/WireResponse"
import type * as Clock from "effect/Clock"
import type * as Either from "effect/Either"
import type * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Tracer from "effect/Tracer"

/**
 * What is under way; to `abort` what is over does nothing.
 *
 * @internal
 */
export interface Handle {
  readonly abort: () => void
}

/**
 * A whole answer. Headers are read by few, and only then made of bytes.
 *
 * @internal
 */
export interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
}

/**
 * What goes wrong with an exchange, apart from what the platform says: a token that no header carries; a request that
 * would be refused the next time too; no answer; one that was cut; one that is too long.
 *
 * @internal
 */
export type Trouble = "unsendable" | "unsent" | "unanswered" | "cut" | "tooLong"

/**
 * Whom a client tells what became of a request: one of these, once, unless it was aborted.
 *
 * @internal
 */
export interface Receiver {
  readonly onAnswer: (answer: Answer) => void
  readonly onTrouble: (trouble: Trouble, cause: unknown, status: number | undefined) => void
}

/** @internal */
export interface Outgoing {
  readonly origin: string
  /** with the query */
  readonly path: string
  readonly method: string
  /** names and values by turns */
  readonly headers: Array<string>
  readonly body: string | null
}

/**
 * Sends without Effect: no span, no trace header, no response object, no stream.
 *
 * @internal
 */
export type Send = (outgoing: Outgoing, limit: number, receiver: Receiver) => Handle

/**
 * A token as it travels: the same for every call that it is for.
 *
 * @internal
 */
export interface Carried {
  readonly value: string
  readonly isSendable: boolean
  /** `access_token=…` */
  readonly query: string
}

/**
 * What `HttpTransport` knows of exchanges, whoever makes them.
 *
 * @internal
 */
export interface Tools {
  readonly hosts: Hosts
  readonly limit: number
  readonly carriedOf: (token: Redacted.Redacted) => Carried
  /** with the query */
  readonly pathOf: (request: WireRequest.WireRequest, token: Carried | undefined) => string
  readonly understand: (
    endpoint: Endpoint.Any,
    response: WireResponse.WireResponse,
    payload: unknown,
    token: Redacted.Redacted | undefined,
    span: Tracer.Span | undefined
  ) => Either.Either<any, any>
  readonly errorOf: (
    endpoint: Endpoint.Any,
    trouble: Trouble,
    cause: unknown,
    status: number | undefined
  ) => TransportError
  readonly beginSpan: (
    endpoint: Endpoint.Any,
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    clock: Clock.Clock,
    parent: Option.Option<Tracer.AnySpan>
  ) => Tracer.Span
}

/**
 * Where `HttpTransport` finds how a client makes exchanges without Effect. Combinators make a client without it. The
 * client brings all of that along, so that a bundle with another client has none of it.
 *
 * @internal
 */
export const exchanger: unique symbol = Symbol.for("@effect-dingtalk/http/exchanger")

/** @internal */
export interface Exchanging {
  readonly [exchanger]?: ((tools: Tools) => Direct) | undefined
}

/**
 * Whom a transport tells how an exchange ended: one of these, once, unless it was aborted.
 *
 * @internal
 */
export interface Landing {
  readonly onEnd: (answer: Either.Either<unknown, unknown>) => void
  readonly onDefect: (defect: unknown) => void
}

/** @internal */
export interface Direct {
  readonly encode: (endpoint: Endpoint.Any, payload: unknown) => Either.Either<WireRequest.WireRequest, TransportError>
  /** the same exchange as an Effect */
  readonly toExchange: (
    endpoint: Endpoint.Any,
    payload: unknown,
    request: WireRequest.WireRequest
  ) => Exchange<unknown, CommonError>
  /** with a span where it has a parent for one */
  readonly start: (
    endpoint: Endpoint.Any,
    payload: unknown,
    request: WireRequest.WireRequest,
    token: Redacted.Redacted | undefined,
    clock: Clock.Clock,
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    parent: Tracer.AnySpan | undefined,
    landing: Landing
  ) => Handle
}

/**
 * Where `DingTalkHttp` finds an exchange that is no Effect, if the client below has one.
 *
 * @internal
 */
export const direct: unique symbol = Symbol.for("@effect-dingtalk/http/direct")

/** @internal */
export interface DirectTransport extends Service {
  readonly [direct]?: Direct | undefined
}
