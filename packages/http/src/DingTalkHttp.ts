/**
 * The way of a call: check and encode, token, turn, exchange; one replay with a new token where the old one is refused,
 * and retries where they heal and do no harm. All within one deadline and one span.
 *
 * @since 0.1.0
 */
import type * as AccessToken from "@effect-dingtalk/core/AccessToken"
import type { Service } from "@effect-dingtalk/core/DingTalk"
import { DingTalk } from "@effect-dingtalk/core/DingTalk"
import type { CommonError, ErrorContext, SignInRequired } from "@effect-dingtalk/core/DingTalkError"
import { IpBanned, QuotaExhausted, RateLimited, TransportError } from "@effect-dingtalk/core/DingTalkError"
import type { CallContext, CallError, Credential, Endpoint } from "@effect-dingtalk/core/Endpoint"
import { TokenService } from "@effect-dingtalk/core/TokenService"
import type { Exchange } from "@effect-dingtalk/core/Transport"
import { Transport } from "@effect-dingtalk/core/Transport"
import { UserSession } from "@effect-dingtalk/core/UserSession"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Tracer from "effect/Tracer"
import * as DingTalkMetrics from "./DingTalkMetrics.js"
import { make as makeDeadline } from "./internal/deadline.js"
import { isListenedTo } from "./internal/tracing.js"
import * as Limiter from "./Limiter.js"
import * as Retry from "./Retry.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * the longest that one call may take, with its token, its turn, its attempts, its waits and its answer; 30 seconds
   * unless it says otherwise
   */
  readonly deadline?: Duration.DurationInput | undefined
  /** the pace, 20 calls a second to each API unless it says otherwise; `false` neither paces nor pauses */
  readonly limiter?: Limiter.Options | false | undefined
  /** what is tried again; `false` for nothing but the replay with a new token */
  readonly retry?: Retry.Options | false | undefined
}

/** What is known of an endpoint before any of its calls. */
interface Route {
  readonly lane: Limiter.Lane
  readonly metrics: DingTalkMetrics.Recorder
  readonly spanName: string
  readonly spanOptions: Tracer.SpanOptions
}

/** One call under way. */
interface Trip {
  readonly startedAt: number
  readonly endsAt: number
  /** where it is: a failure means something else at each of them */
  stage: "token" | "turn" | "sent"
  token: AccessToken.AccessToken | undefined
  isReplayed: boolean
  attempts: number
  failures: number
  waited: number
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.failureOption(exit.cause)
  if (Option.isSome(error)) return (error.value as { readonly _tag: string })._tag
  return Cause.isInterruptedOnly(exit.cause) ? "Interrupted" : "Defect"
}

// Each Layer is an app of its own, unless it says which.
let apps = 0

const pace = (options: Limiter.Options, endpoint: string): number => {
  const perSecond = options.endpoints?.[endpoint] ?? options.perSecond ?? 20
  if (perSecond > 0) return perSecond
  throw new RangeError(`limiter: ${perSecond} calls a second to ${endpoint} is no pace; \`Infinity\` is none`)
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Transport | TokenService> =>
  Effect.gen(function*() {
    const transport = yield* Transport
    const tokens = yield* TokenService
    const deadline = Duration.decode(options.deadline ?? "30 seconds")
    const deadlineMillis = Duration.toMillis(deadline)
    const withinDeadline = makeDeadline(deadlineMillis)
    const late = `no answer within ${Duration.format(deadline)}, tokens and replay included`

    const limiterOptions = options.limiter === false ? { perSecond: Infinity } : options.limiter ?? {}
    for (const name of ["", ...Object.keys(limiterOptions.endpoints ?? {})]) pace(limiterOptions, name)
    const shared = yield* Effect.serviceOption(Limiter.Limiter)
    const limiter = options.limiter === false
      ? undefined
      : Option.isSome(shared)
      ? shared.value
      : yield* Limiter.make
    const app = limiterOptions.app ?? `app-${++apps}`

    const retry = options.retry === false ? undefined : options.retry ?? {}
    const policy = retry === undefined ? undefined : retry.policy ?? Retry.policy(retry)
    const budget = Retry.budget(retry?.budget)

    const routes = new WeakMap<Endpoint.Any, Route>()
    const routeOf = (endpoint: Endpoint.Any): Route => {
      let route = routes.get(endpoint)
      if (route === undefined) {
        const dot = endpoint.name.lastIndexOf(".")
        route = {
          lane: Limiter.lane({
            host: transport.hosts.api,
            app,
            endpoint: endpoint.name,
            perSecond: pace(limiterOptions, endpoint.name)
          }),
          metrics: DingTalkMetrics.recorderOf(endpoint),
          spanName: `DingTalk.${endpoint.name}`,
          spanOptions: {
            captureStackTrace: false,
            attributes: {
              "rpc.system": "dingtalk",
              ...(dot > 0 ? { "rpc.service": endpoint.name.slice(0, dot) } : undefined),
              "rpc.method": endpoint.name.slice(dot + 1),
              "dingtalk.endpoint": endpoint.name
            }
          }
        }
        routes.set(endpoint, route)
      }
      return route
    }

    const travel = <S, E, E2>(
      endpoint: Endpoint.Any,
      route: Route,
      trip: Trip,
      clock: Clock.Clock,
      send: Exchange<S, E>,
      source: AccessToken.Source<E2> | undefined
    ): Effect.Effect<S, CommonError | E | E2> => {
      type Failed = CommonError | E | E2

      const transmit = (token: AccessToken.AccessToken | undefined): Effect.Effect<S, Failed> => {
        trip.stage = "sent"
        trip.token = token
        trip.attempts++
        return send(token?.value)
      }

      const take = (token: AccessToken.AccessToken | undefined, again: boolean): Effect.Effect<S, Failed> => {
        if (limiter === undefined) return transmit(token)
        trip.stage = "turn"
        return Effect.flatMap(limiter.take(route.lane, { before: trip.endsAt, again }), (waited) => {
          if (waited === 0) return transmit(token)
          trip.waited += waited
          route.metrics.waited(waited)
          if (source === undefined) return transmit(token)
          // It may have been replaced meanwhile; it comes from memory nearly always.
          trip.stage = "token"
          return Effect.flatMap(source.get, transmit)
        })
      }

      // The token first: a turn that waits for a token is taken at another time than it was given for.
      const start = (again: boolean): Effect.Effect<S, Failed> => {
        if (source === undefined) return take(undefined, again)
        const get = () => {
          trip.stage = "token"
          return Effect.flatMap(source.get, (token) => take(token, again))
        }
        if (limiter === undefined) return get()
        trip.stage = "turn"
        return Effect.flatMap(limiter.check(route.lane), get)
      }

      const attempt = (again: boolean): Effect.Effect<S, Failed> => Effect.catchAll(start(again), recover)

      /** A token is looked at before the request is: a refused call has done nothing, and may be sent again. */
      const replay = (source: AccessToken.Source<E2>, error: Failed, rejected: AccessToken.AccessToken) => {
        trip.isReplayed = true
        trip.stage = "token"
        return source.invalidate(rejected.value).pipe(
          Effect.zipRight(source.get),
          Effect.flatMap((next): Effect.Effect<S, Failed> => {
            // Not replaced: it came back from the platform a moment ago and was refused, so it would be again.
            if (next === rejected) {
              trip.stage = "turn"
              return Effect.fail(error)
            }
            route.metrics.retried("token")
            return take(next, true)
          }),
          Effect.catchAll(recover)
        )
      }

      const learn = (error: unknown): Effect.Effect<void> => {
        if (!(error instanceof RateLimited || error instanceof IpBanned)) return Effect.void
        if (error instanceof RateLimited) route.metrics.throttled(error.dimension)
        if (limiter === undefined) return Effect.void
        // A refusal of the token's own endpoint says nothing of this one, but for what it says of the whole host.
        const isOwn = error.endpoint === endpoint.name
        return isOwn || error instanceof IpBanned || error.dimension === "Server"
          ? limiter.pause(route.lane, error)
          : Effect.void
      }

      const recover = (error: Failed): Effect.Effect<S, Failed> => {
        const { stage, token } = trip
        // Refused by the limiter, which has said all there is to say.
        if (stage === "turn") return Effect.fail(error)
        const isSent = stage === "sent"
        if (isSent) recordAnswer(route, error, clock)
        // By its tag: in a program with two copies of the library it may be of the other's class.
        if (isSent && (error as { readonly _tag?: unknown })._tag === "TokenExpired") {
          return source === undefined || token === undefined || trip.isReplayed
            ? Effect.fail(error)
            : replay(source, error, token)
        }
        trip.failures++
        return Effect.zipRight(
          learn(error),
          policy === undefined ? Effect.fail(error) : Effect.flatMap(Random.next, (random) => {
            const failure: Retry.Failure = {
              endpoint,
              error: error as Retry.Failure["error"],
              attempt: trip.failures,
              sent: isSent,
              random
            }
            const wait = policy(failure)
            if (wait === undefined) return Effect.fail(error)
            const pause = Duration.decode(wait)
            if (clock.unsafeCurrentTimeMillis() + Duration.toMillis(pause) >= trip.endsAt) return Effect.fail(error)
            const kind = Retry.kindOf(failure)
            if (!budget.take(kind)) {
              route.metrics.denied()
              return Effect.fail(error)
            }
            route.metrics.retried(kind === "final" ? "policy" : kind)
            const next = Effect.suspend(() => attempt(kind === "throttled"))
            return Duration.toMillis(pause) > 0 ? Effect.zipRight(clock.sleep(pause), next) : next
          })
        )
      }

      return attempt(false)
    }

    const recordAnswer = (route: Route, error: unknown, clock: Clock.Clock) => {
      const isUncounted = error instanceof RateLimited || error instanceof QuotaExhausted || error instanceof IpBanned
      if (!isUncounted && (error as ErrorContext).status !== undefined) {
        route.metrics.answered(clock.unsafeCurrentTimeMillis())
      }
    }

    const depart = <S, E>(
      endpoint: Endpoint.Any,
      route: Route,
      trip: Trip,
      clock: Clock.Clock,
      send: Exchange<S, E>
    ): Effect.Effect<S, CommonError | SignInRequired | E, UserSession> => {
      switch (endpoint.credential) {
        case "none":
          return travel(endpoint, route, trip, clock, send, undefined)
        case "app":
          return travel(endpoint, route, trip, clock, send, tokens)
        case "user":
          return Effect.flatMap(UserSession, (session) => travel(endpoint, route, trip, clock, send, session))
      }
    }

    const arrive = (
      route: Route,
      trip: Trip,
      clock: Clock.Clock,
      span: Tracer.Span | undefined,
      exit: Exit.Exit<unknown, unknown>
    ) => {
      const now = clock.unsafeCurrentTimeMillis()
      const outcome = outcomeOf(exit)
      if (outcome === "success") {
        budget.succeeded()
        route.metrics.answered(now)
      }
      route.metrics.ended(outcome, now - trip.startedAt)
      if (span === undefined) return
      if (outcome !== "success") span.attribute("error.type", outcome)
      span.attribute("dingtalk.attempts", trip.attempts)
      if (trip.waited > 0) span.attribute("dingtalk.limiter.wait_ms", trip.waited)
    }

    const call = <P, S, E, Auth extends Credential, SI>(
      endpoint: Endpoint<P, S, E, Auth, SI>,
      payload: P
    ): Effect.Effect<S, CallError<E, Auth>, CallContext<Auth>> => {
      const route = routeOf(endpoint)
      const go = (span: Tracer.Span | undefined) =>
        Effect.clockWith((clock) => {
          const startedAt = clock.unsafeCurrentTimeMillis()
          const trip: Trip = {
            startedAt,
            endsAt: startedAt + deadlineMillis,
            stage: "token",
            token: undefined,
            isReplayed: false,
            attempts: 0,
            failures: 0,
            waited: 0
          }
          const prepared = transport.prepare(endpoint, payload)
          const way = Either.isLeft(prepared)
            ? Effect.fail(prepared.left)
            : withinDeadline(
              depart(endpoint, route, trip, clock, prepared.right),
              clock,
              () => new TransportError({ endpoint: endpoint.name, reason: "Timeout", description: late })
            )
          return Effect.onExit(
            span === undefined ? way : Effect.provideService(way, Tracer.ParentSpan, span),
            (exit) => Effect.sync(() => arrive(route, trip, clock, span, exit))
          )
        })
      return Effect.withFiberRuntime((fiber) =>
        isListenedTo(fiber) ? Effect.useSpan(route.spanName, route.spanOptions, go) : go(undefined)
      ) as Effect.Effect<S, any, any> // Only an endpoint with the credential `user` looks for a session.
    }

    return { call }
  })

/**
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import { Contact } from "@effect-dingtalk/core"
 * import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
 * import { FetchHttpClient } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 *
 * const DingTalkLayer = DingTalkHttp.layer().pipe(
 *   Layer.provideMerge(TokenService.layerConfig()),
 *   Layer.provide(HttpTransport.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * const program = Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(DingTalkLayer))
 * console.log(Effect.isEffect(program)) // true
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<DingTalk, never, Transport | TokenService> =>
  Layer.effect(DingTalk, make(options))

/**
 * With the deadline from `DINGTALK_DEADLINE`, such as `10 seconds`, and the pace from `DINGTALK_CALLS_PER_SECOND`; or
 * from a `Config` of your own.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { DingTalkHttp } from "@effect-dingtalk/http"
 * import { Config, Layer } from "effect"
 *
 * const paidEdition = DingTalkHttp.layerConfig({
 *   deadline: Config.duration("DEADLINE").pipe(Config.withDefault("10 seconds")),
 *   limiter: Config.integer("EDITION_RATE").pipe(Config.withDefault(40), Config.map((perSecond) => ({ perSecond })))
 * })
 * console.log(Layer.isLayer(paidEdition)) // true
 * ```
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options> = {
    deadline: Config.duration("DINGTALK_DEADLINE").pipe(Config.withDefault(Duration.seconds(30))),
    limiter: Config.number("DINGTALK_CALLS_PER_SECOND").pipe(
      Config.validate({ message: "must be more than 0", validation: (perSecond) => perSecond > 0 }),
      Config.withDefault(20),
      Config.map((perSecond) => ({ perSecond }))
    )
  }
): Layer.Layer<DingTalk, ConfigError, Transport | TokenService> =>
  Layer.effect(DingTalk, Effect.flatMap(Config.unwrap(config), make))
