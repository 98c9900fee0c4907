import * as WireJson from "@effect-dingtalk/core/WireJson"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Push, SuiteTicket } from "../SuiteTicket.js"
import { toCallback } from "../SuiteTicket.js"
import type { Callback } from "../ThirdParty.js"
import type { Ids } from "./call.js"
import type { Keys, Sealed } from "./crypto.js"
import { open, seal } from "./crypto.js"

// The platform tries up to 100 times (reference 1.6 [D]); a test would rather know.
const ATTEMPTS = 3

// The newer of two documented limits (reference 8.1 [D]).
const TIME_LIMIT = 2500

const BETWEEN = 100

// By the real clock, like everything that a socket does, because a test may have stopped its own.
const pause = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

const keysOf = ({ aesKey, token }: Callback, ownerKey: string): Keys | undefined =>
  aesKey === undefined || token === undefined
    ? undefined
    : { aesKey: Redacted.value(aesKey), ownerKey, token: Redacted.value(token) }

const sealedAnswer = (text: string): Sealed | undefined => {
  const answer = Either.getOrUndefined(WireJson.parse(text))
  if (typeof answer !== "object" || answer === null) return undefined
  const { encrypt, msg_signature, nonce, timeStamp } = answer as Readonly<Record<string, unknown>>
  return typeof encrypt === "string" && typeof msg_signature === "string" && typeof nonce === "string" &&
      (typeof timeStamp === "string" || typeof timeStamp === "number")
    ? { encrypt, nonce, signature: msg_signature, timestamp: String(timeStamp) }
    : undefined
}

const post = (
  url: string,
  query: Readonly<Record<string, string>>,
  body: string
): Effect.Effect<
  { readonly ok: boolean; readonly text: string },
  HttpClientError.HttpClientError,
  HttpClient.HttpClient
> =>
  HttpClientRequest.post(url).pipe(
    HttpClientRequest.appendUrlParams(query),
    HttpClientRequest.bodyText(body, "application/json;charset=utf-8"),
    HttpClient.execute,
    Effect.flatMap((response) =>
      Effect.map(response.text, (text) => ({ ok: response.status >= 200 && response.status < 300, text }))
    )
  )

const attempt = (event: SuiteTicket, callback: Callback, ids: Ids) =>
  Effect.gen(function*() {
    const message = JSON.stringify(toCallback(event))
    const keys = keysOf(callback, event.suiteKey)
    // The platform always encrypts: that plain text is acknowledged by any success is [I].
    if (keys === undefined) return (yield* post(callback.url, {}, message)).ok
    const sealed = yield* Effect.promise(() => seal(keys, message, event.bornTime, ids))
    const { encrypt, nonce, signature, timestamp } = sealed
    const query = { signature, msg_signature: signature, timestamp, nonce }
    const answer = sealedAnswer((yield* post(callback.url, query, JSON.stringify({ encrypt }))).text)
    return answer !== undefined && (yield* Effect.tryPromise(() => open(keys, answer))) === "success"
  })

// Nobody else is told a ticket, and no span and no header is left behind.
const client = Layer.merge(FetchHttpClient.layer, Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" }))
const untraced = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.locally(HttpClient.currentTracerDisabledWhen, () => true),
    Effect.locally(HttpClient.currentTracerPropagation, false)
  )

/** Posts an event until it is acknowledged, a few times: reference 1.6 and 8.1 [D]. */
export const deliver = (
  event: SuiteTicket,
  callback: Callback | undefined,
  ids: Ids
): Effect.Effect<Pick<Push, "delivery" | "attempts">> => {
  if (callback === undefined) return Effect.succeed({ delivery: "none", attempts: 0 })
  const once = attempt(event, callback, ids).pipe(
    // A server runs what it does for a request to the end, and would wait for whoever never answers.
    Effect.interruptible,
    Effect.raceFirst(Effect.as(pause(TIME_LIMIT), false)),
    Effect.orElseSucceed(() => false)
  )
  const from = (number: number): Effect.Effect<Pick<Push, "delivery" | "attempts">, never, HttpClient.HttpClient> =>
    Effect.flatMap(once, (acknowledged) =>
      acknowledged
        ? Effect.succeed({ delivery: "acknowledged", attempts: number })
        : number >= ATTEMPTS
        ? Effect.succeed({ delivery: "unacknowledged", attempts: number })
        : Effect.zipRight(pause(BETWEEN), Effect.suspend(() => from(number + 1))))
  return untraced(Effect.provide(from(1), client))
}
