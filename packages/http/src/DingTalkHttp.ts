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
import { Organizations } from "@effect-dingtalk/core/Organizations"
import type { Service as OrganizationsService } from "@effect-dingtalk/core/Organizations"
import { OrganizationTokens } from "@effect-dingtalk/core/OrganizationTokens"
import { SsoTokenService } from "@effect-dingtalk/core/SsoTokenService"
import { SuiteTokenService } from "@effect-dingtalk/core/SuiteTokenService"
import { TokenService } from "@effect-dingtalk/core/TokenService"
import type { Exchange } from "@effect-dingtalk/core/Transport"
import { Transport } from "@effect-dingtalk/core/Transport"
import { UserSession } from "@effect-dingtalk/core/UserSession"
import type { WireRequest } from "@effect-dingtalk/core/WireRequest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Tracer from "effect/Tracer"
import * as DingTalkMetrics from "./DingTalkMetrics.js"
import { Deadline, Entry, within } from "./internal/deadline.js"
import type { DirectTransport, Handle, Landing } from "./internal/direct.js"
import { direct as directly } from "./internal/direct.js"
import * as tracing from "./internal/tracing.js"
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
  readonly metrics: DingTalkMetrics.Recorder
  readonly spanName: string
  readonly spanAttributes: ReadonlyArray<readonly [name: string, value: unknown]>
}

/** What all calls of one Layer have in common. */
interface Shared {
  readonly transport: DirectTransport
  readonly limiter: Limiter.Service | undefined
  readonly deadline: Deadline
  readonly late: string
  readonly policy: Retry.Policy | undefined
  readonly budget: Retry.Budget
}

type Source = AccessToken.Source<CommonError | SignInRequired>
type Failed = CommonError | SignInRequired | { readonly _tag: string }
type Way<A> = Effect.Effect<A, Failed>
type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.failureOption(exit.cause)
  if (Option.isSome(error)) return (error.value as { readonly _tag: string })._tag
  return Cause.isInterruptedOnly(exit.cause) ? "Interrupted" : "Defect"
}

/** Whose token it is; the source of one that is in the context of the Effect is looked for there. */
const sourceOf = (credential: Credential, own: Source, context: Context.Context<never>): Source | undefined => {
  switch (credential) {
    case "none":
      return undefined
    case "app":
      return own
    case "user":
      return Context.unsafeGet(context as Context.Context<UserSession>, UserSession)
    case "suite":
      return Context.unsafeGet(context as Context.Context<SuiteTokenService>, SuiteTokenService)
    case "sso":
      return Context.unsafeGet(context as Context.Context<SsoTokenService>, SsoTokenService)
  }
}

/**
 * One call under way.
 *
 * When all is at hand (a token in memory, a free turn, a client that needs no Effect), it is sent at once, and the one
 * thing that its fiber does is to wait for the decoded answer. What is not at hand, and every failure, takes the slow
 * way, of Effects.
 */
class Trip extends Entry implements Landing {
  /** where it is: a failure means something else at each of them */
  stage: "token" | "turn" | "sent" = "token"
  token: AccessToken.AccessToken | undefined = undefined
  isReplayed = false
  isTurnRepeated = false
  attempts = 0
  failures = 0
  waited = 0
  /** on the slow way, what the end of the deadline interrupts */
  onExpire: (() => void) | undefined = undefined
  readonly startedAt: number
  readonly endsAt: number
  private source: Source | undefined = undefined
  private request: WireRequest | undefined = undefined
  private exchange: Exchange<unknown, unknown> | undefined = undefined
  private handle: Handle | undefined = undefined
  private resume: ((way: Way<unknown>) => void) | undefined = undefined
  private span: Tracer.Span | undefined = undefined
  private isOver = false

  constructor(
    private readonly shared: Shared,
    private readonly route: Route,
    private readonly lane: Limiter.Lane,
    private readonly endpoint: Endpoint.Any,
    private readonly payload: unknown,
    private readonly fiber: RunningFiber,
    private readonly clock: Clock.Clock
  ) {
    super()
    this.startedAt = clock.unsafeCurrentTimeMillis()
    this.endsAt = this.startedAt + shared.deadline.millis
  }

  begin(own: Source, isInterruptible: boolean): Way<unknown> {
    const { clock, endpoint, fiber, payload, route, shared: { transport } } = this
    if (tracing.isListenedTo(fiber)) {
      this.span = tracing.begin(
        fiber,
        clock,
        route.spanName,
        tracing.parentOf(fiber),
        "internal",
        route.spanAttributes
      )
    }
    const direct = transport[directly]
    if (direct === undefined) {
      const prepared = transport.prepare(endpoint, payload)
      if (Either.isLeft(prepared)) return this.arrive(Exit.fail(prepared.left))
      this.exchange = prepared.right as Exchange<unknown, unknown>
    } else {
      const encoded = direct.encode(endpoint, payload)
      if (Either.isLeft(encoded)) return this.arrive(Exit.fail(encoded.left))
      this.request = encoded.right
    }
    try {
      this.source = sourceOf(endpoint.credential, own, fiber.currentContext)
    } catch (defect) {
      return this.arrive(Exit.die(defect))
    }
    const way = Effect.async<unknown, Failed>((resume) => this.depart(resume))
    const onFailure = (cause: Cause.Cause<Failed>) => this.arrive(Exit.failCause(cause))
    return isInterruptible
      // So that what it began is ended when it is interrupted, and the end is counted.
      ? Effect.uninterruptible(Effect.catchAllCause(Effect.interruptible(way), onFailure))
      : Effect.catchAllCause(way, onFailure)
  }

  private depart(resume: (way: Way<unknown>) => void): void {
    const { clock, endpoint, fiber, lane, payload, request, shared, startedAt } = this
    const { deadline, limiter, transport: { [directly]: direct } } = shared
    this.resume = resume
    const isTimed = deadline.enter(this, clock, fiber)
    if (!isTimed || direct === undefined || request === undefined) return this.detour(this.attempt(false), isTimed)
    const token = this.source === undefined ? undefined : peek(this.source, startedAt)
    if (
      (this.source !== undefined && token === undefined) ||
      (limiter !== undefined && limiter.unsafeTake?.(lane, startedAt) !== true)
    ) return this.detour(this.attempt(false), isTimed)
    this.sending(token)
    this.handle = direct.start(endpoint, payload, request, token?.value, clock, fiber, this.span, this)
  }

  onEnd(answer: Either.Either<unknown, unknown>): void {
    this.handle = undefined
    if (Either.isRight(answer)) this.resume!(this.arrive(Exit.succeed(answer.right)))
    else this.detour(Effect.suspend(() => this.recover(answer.left as Failed)), true)
  }

  onDefect(defect: unknown): void {
    this.handle = undefined
    this.resume!(Effect.die(defect))
  }

  expire(): void {
    if (this.onExpire !== undefined) return this.onExpire()
    this.abort()
    this.resume!(Effect.fail(this.tooLate()))
  }

  private abort(): void {
    this.handle?.abort()
    this.handle = undefined
  }

  private tooLate(): TransportError {
    return new TransportError({ endpoint: this.endpoint.name, reason: "Timeout", description: this.shared.late })
  }

  /** The end, whichever way it comes, and but once. */
  private arrive<A>(exit: Exit.Exit<A, Failed>): Exit.Exit<A, Failed> {
    if (this.isOver) return exit
    this.isOver = true
    const { clock, fiber, route: { metrics }, shared: { budget, deadline }, span } = this
    deadline.leave(this)
    this.abort()
    const now = clock.unsafeCurrentTimeMillis()
    const outcome = outcomeOf(exit)
    if (outcome === "success") {
      budget.succeeded()
      metrics.answered(now)
    }
    metrics.ended(outcome, now - this.startedAt)
    if (span !== undefined) {
      if (outcome !== "success") span.attribute("error.type", outcome)
      span.attribute("dingtalk.attempts", this.attempts)
      if (this.waited > 0) span.attribute("dingtalk.limiter.wait_ms", this.waited)
      tracing.end(fiber, clock, span, exit)
    }
    return exit
  }

  private detour(way: Way<unknown>, isTimed: boolean): void {
    const { deadline } = this.shared
    const late = () => this.tooLate()
    const timed = !Number.isFinite(deadline.millis)
      ? way
      : isTimed
      ? within(way, this, late)
      : Effect.timeoutFail(Effect.interruptible(way), { duration: deadline.millis, onTimeout: late })
    const parented = this.span === undefined ? timed : Effect.provideService(timed, Tracer.ParentSpan, this.span)
    this.resume!(Effect.flatMap(parented, (value) => this.arrive(Exit.succeed(value))))
  }

  private sending(token: AccessToken.AccessToken | undefined): void {
    this.stage = "sent"
    this.token = token
    this.attempts++
  }

  private transmit(token: AccessToken.AccessToken | undefined): Way<unknown> {
    const { endpoint, payload, request, shared: { transport } } = this
    this.exchange ??= transport[directly]!.toExchange(endpoint, payload, request!)
    this.sending(token)
    const way = this.exchange(token?.value) as Way<unknown>
    return this.attempts > 1 && this.span !== undefined
      ? Effect.annotateSpans(way, "http.request.resend_count", this.attempts - 1)
      : way
  }

  private take(token: AccessToken.AccessToken | undefined, again: boolean): Way<unknown> {
    const { clock, lane, route: { metrics }, shared: { limiter }, source } = this
    if (limiter === undefined) return this.transmit(token)
    this.stage = "turn"
    return Effect.flatMap(limiter.take(lane, { before: this.endsAt, again }), (waited) => {
      if (waited === 0) return this.transmit(token)
      this.waited += waited
      metrics.waited(waited)
      if (source === undefined) return this.transmit(token)
      // It may have been replaced meanwhile; it comes from memory nearly always.
      const given = clock.unsafeCurrentTimeMillis()
      const atHand = peek(source, given)
      if (atHand !== undefined) return this.transmit(atHand)
      this.stage = "token"
      return Effect.flatMap(source.get, (next) => {
        const isPrompt = clock.unsafeCurrentTimeMillis() - given <= PROMPTLY
        if (isPrompt || (this.isTurnRepeated && source.unsafePeek === undefined)) return this.transmit(next)
        // Those that waited for one token would all leave together, each in a turn that is long over.
        this.isTurnRepeated = true
        return this.take(next, true)
      })
    })
  }

  // The token first: a turn that waits for a token is taken at another time than it was given for.
  private start(again: boolean): Way<unknown> {
    const { lane, shared: { limiter }, source } = this
    if (source === undefined) return this.take(undefined, again)
    const get = () => {
      this.stage = "token"
      return Effect.flatMap(source.get, (token) => this.take(token, again))
    }
    if (limiter === undefined) return get()
    this.stage = "turn"
    return Effect.flatMap(limiter.check(lane), get)
  }

  private attempt(again: boolean): Way<unknown> {
    return Effect.suspend(() => Effect.catchAll(this.start(again), (error) => this.recover(error)))
  }

  /** A token is looked at before the request is: a refused call has done nothing, and may be sent again. */
  private replay(source: Source, error: Failed, rejected: AccessToken.AccessToken): Way<unknown> {
    this.isReplayed = true
    this.stage = "token"
    return source.invalidate(rejected.value).pipe(
      Effect.zipRight(source.get),
      Effect.flatMap((next): Way<unknown> => {
        // Not replaced: it came back from the platform a moment ago and was refused, so it would be again.
        if (next === rejected) {
          this.stage = "turn"
          return Effect.fail(error)
        }
        this.route.metrics.retried("token")
        return this.take(next, true)
      }),
      Effect.catchAll((error) => this.recover(error))
    )
  }

  private learn(error: Failed): Effect.Effect<void> {
    const { endpoint, lane, route: { metrics }, shared: { limiter } } = this
    if (!(error instanceof RateLimited || error instanceof IpBanned)) return Effect.void
    if (error instanceof RateLimited) metrics.throttled(error.dimension)
    if (limiter === undefined) return Effect.void
    // A refusal of the token's own endpoint says nothing of this one, but for what it says of the whole host.
    const isOwn = error.endpoint === endpoint.name
    return isOwn || error instanceof IpBanned || error.dimension === "Server"
      ? limiter.pause(lane, error)
      : Effect.void
  }

  private recordAnswer(error: Failed): void {
    const isUncounted = error instanceof RateLimited || error instanceof QuotaExhausted || error instanceof IpBanned
    if (!isUncounted && (error as ErrorContext).status !== undefined) {
      this.route.metrics.answered(this.clock.unsafeCurrentTimeMillis())
    }
  }

  private recover(error: Failed): Way<unknown> {
    const { source, stage, token } = this
    // Refused by the limiter, which has said all there is to say.
    if (stage === "turn") return Effect.fail(error)
    const isSent = stage === "sent"
    if (isSent) this.recordAnswer(error)
    // By its tag: in a program with two copies of the library it may be of the other's class.
    if (isSent && error._tag === "TokenExpired") {
      return source === undefined || token === undefined || this.isReplayed
        ? Effect.fail(error)
        : this.replay(source, error, token)
    }
    this.failures++
    const { policy } = this.shared
    return Effect.zipRight(
      this.learn(error),
      policy === undefined
        ? Effect.fail(error)
        : Effect.flatMap(Random.next, (random) => this.retry(policy, error, isSent, random))
    )
  }

  private retry(policy: Retry.Policy, error: Failed, isSent: boolean, random: number): Way<unknown> {
    const { clock, endpoint, route: { metrics }, shared: { budget } } = this
    const failure: Retry.Failure = { endpoint, error, attempt: this.failures, sent: isSent, random }
    const wait = policy(failure)
    if (wait === undefined) return Effect.fail(error)
    const pause = Duration.decode(wait)
    if (clock.unsafeCurrentTimeMillis() + Duration.toMillis(pause) >= this.endsAt) return Effect.fail(error)
    const kind = Retry.kindOf(failure)
    if (!budget.take(kind)) {
      metrics.denied()
      return Effect.fail(error)
    }
    metrics.retried(kind === "final" ? "policy" : kind)
    const next = this.attempt(kind === "throttled")
    return Duration.toMillis(pause) > 0 ? Effect.zipRight(clock.sleep(pause), next) : next
  }
}

const isSucceed = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Success<A, never> =>
  Exit.isExit(effect) && Exit.isSuccess(effect)

/** A token without an Effect, if there is one. */
const peek = (source: Source, now: number): AccessToken.AccessToken | undefined => {
  if (source.unsafePeek !== undefined) return source.unsafePeek(now)
  const { get }: { readonly get: Effect.Effect<AccessToken.AccessToken, unknown> } = source
  return isSucceed(get) ? get.value : undefined
}

// Milliseconds: so late, a turn is still the one that was given.
const PROMPTLY = 10

// Each Layer is an app of its own, unless it says which.
let apps = 0

const pace = (options: Limiter.Options, endpoint: string): number => {
  const perSecond = options.endpoints?.[endpoint] ?? options.perSecond ?? 20
  if (perSecond > 0) return perSecond
  throw new RangeError(`limiter: ${perSecond} calls a second to ${endpoint} is no pace; \`Infinity\` is none`)
}

/** One organisation's trouble takes no more than half of the retries that all have. */
const shareOf = (all: Retry.Budget, capacity = Retry.CAPACITY): Retry.Budget => {
  const own = Retry.budget(capacity / 2)
  return {
    take: (kind) => own.take(kind) && all.take(kind),
    succeeded: () => {
      own.succeeded()
      all.succeeded()
    }
  }
}

/**
 * Calls in the name of many: whose token they carry, and whose pace they keep. What all have in common (metrics, the
 * deadline, the budget of retries) is made once; one more organisation costs a closure, and a lane for each endpoint
 * that it calls, which go when nobody holds them.
 *
 * @internal
 */
export type CallWith = (source: AccessToken.Source<CommonError>, tenant: string | undefined) => Service["call"]

/** @internal */
export const makeCallWith = (options: Options, name?: string): Effect.Effect<CallWith, never, Transport> =>
  Effect.gen(function*() {
    const transport: DirectTransport = yield* Transport
    const deadline = Duration.decode(options.deadline ?? "30 seconds")

    const limiterOptions = options.limiter === false ? { perSecond: Infinity } : options.limiter ?? {}
    for (const name of ["", ...Object.keys(limiterOptions.endpoints ?? {})]) pace(limiterOptions, name)
    const sharedLimiter = yield* Effect.serviceOption(Limiter.Limiter)
    const limiter = options.limiter === false
      ? undefined
      : Option.isSome(sharedLimiter)
      ? sharedLimiter.value
      : yield* Limiter.make
    const app = limiterOptions.app ?? name ?? `app-${++apps}`

    const retry = options.retry === false ? undefined : options.retry ?? {}
    const shared: Shared = {
      transport,
      limiter,
      deadline: new Deadline(Duration.toMillis(deadline)),
      late: `no answer within ${Duration.format(deadline)}, tokens and replay included`,
      policy: retry === undefined ? undefined : retry.policy ?? Retry.policy(retry),
      budget: Retry.budget(retry?.budget)
    }

    const routes = new WeakMap<Endpoint.Any, Route>()
    const routeOf = (endpoint: Endpoint.Any): Route => {
      let route = routes.get(endpoint)
      if (route === undefined) {
        const dot = endpoint.name.lastIndexOf(".")
        route = {
          metrics: DingTalkMetrics.recorderOf(endpoint),
          spanName: `DingTalk.${endpoint.name}`,
          spanAttributes: Object.entries({
            "rpc.system": "dingtalk",
            ...(dot > 0 ? { "rpc.service": endpoint.name.slice(0, dot) } : undefined),
            "rpc.method": endpoint.name.slice(dot + 1),
            "dingtalk.endpoint": endpoint.name
          })
        }
        routes.set(endpoint, route)
      }
      return route
    }

    return (source, tenant) => {
      const own = tenant === undefined ? shared : { ...shared, budget: shareOf(shared.budget, retry?.budget) }
      const lanes = new WeakMap<Endpoint.Any, Limiter.Lane>()
      const laneOf = (endpoint: Endpoint.Any): Limiter.Lane => {
        let lane = lanes.get(endpoint)
        if (lane === undefined) {
          lane = Limiter.lane({
            host: transport.hosts.api,
            app,
            tenant,
            endpoint: endpoint.name,
            // The platform counts what is called, whatever a program calls it.
            api: `${endpoint.method} ${endpoint.path}`,
            perSecond: pace(limiterOptions, endpoint.name)
          })
          lanes.set(endpoint, lane)
        }
        return lane
      }

      return <P, S, E, Auth extends Credential, SI>(
        endpoint: Endpoint<P, S, E, Auth, SI>,
        payload: P
      ): Effect.Effect<S, CallError<E, Auth>, CallContext<Auth>> => {
        const route = routeOf(endpoint)
        const lane = laneOf(endpoint)
        return Effect.withFiberRuntime((fiber, { runtimeFlags }) => {
          const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
          const trip = new Trip(own, route, lane, endpoint, payload, fiber, clock)
          return trip.begin(source, RuntimeFlags.interruptible(runtimeFlags)) as Effect.Effect<any, any>
        })
      }
    }
  })

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Transport | TokenService> =>
  Effect.gen(function*() {
    const tokens = yield* TokenService
    const { hosts } = yield* Transport
    const callWith = yield* makeCallWith(options, tokens.clientId)
    return { host: hosts.api, call: callWith(tokens, undefined) }
  })

// So many organisations have their `DingTalk` at hand; it is cheap to make again.
const AT_HAND = 5000

/**
 * `DingTalk` in each of the organisations that an app serves: one deadline, one budget of retries, and a pace of its own
 * for each organisation, as the platform counts third-party apps (reference 5).
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeOrganizations = (
  options: Options = {}
): Effect.Effect<OrganizationsService, never, Transport | OrganizationTokens> =>
  Effect.gen(function*() {
    const tokens = yield* OrganizationTokens
    const { hosts } = yield* Transport
    const callWith = yield* makeCallWith(options, tokens.clientId)
    let young = new Map<string, Service>()
    let old = new Map<string, Service>()
    return {
      of: (corpId) => {
        let dingtalk = young.get(corpId)
        if (dingtalk !== undefined) return dingtalk
        dingtalk = old.get(corpId) ?? { host: hosts.api, corpId, call: callWith(tokens.of(corpId), corpId) }
        if (young.size >= AT_HAND) {
          old = young
          young = new Map()
        }
        young.set(corpId, dingtalk)
        return dingtalk
      }
    }
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
 * For an app in many organisations: `Organizations.within` of `@effect-dingtalk/core` says in which one a call is made.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { ThirdPartyApp } from "@effect-dingtalk/auth"
 * import { Contact, Organizations } from "@effect-dingtalk/core"
 * import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
 * import { FetchHttpClient } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 *
 * const DingTalkLayer = DingTalkHttp.layerOrganizations().pipe(
 *   Layer.provideMerge(ThirdPartyApp.layerConfig()),
 *   Layer.provide(HttpTransport.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * const program = Contact.getUser({ userid: "zhangsan" }).pipe(
 *   Organizations.within("dingnorth"),
 *   Effect.provide(DingTalkLayer)
 * )
 * console.log(Effect.isEffect(program)) // true
 * ```
 */
export const layerOrganizations = (
  options: Options = {}
): Layer.Layer<Organizations, never, Transport | OrganizationTokens> =>
  Layer.effect(Organizations, makeOrganizations(options))

/**
 * Options out of `Config`; what is left out comes from the environment.
 *
 * @since 0.1.0
 * @category models
 */
export type Settings = { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> }

const fromSettings = (config: Settings): Config.Config<Options> =>
  Config.unwrap(
    {
      deadline: Config.duration("DINGTALK_DEADLINE").pipe(Config.withDefault(Duration.seconds(30))),
      limiter: Config.number("DINGTALK_CALLS_PER_SECOND").pipe(
        Config.validate({ message: "must be more than 0", validation: (perSecond) => perSecond > 0 }),
        Config.withDefault(20),
        Config.map((perSecond) => ({ perSecond }))
      ),
      ...config
    } as Config.Config.Wrap<Options>
  )

/**
 * With the deadline from `DINGTALK_DEADLINE`, such as `10 seconds`, and the pace from `DINGTALK_CALLS_PER_SECOND`, but
 * for what you give.
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
  config: Settings = {}
): Layer.Layer<DingTalk, ConfigError, Transport | TokenService> =>
  Layer.effect(DingTalk, Effect.flatMap(fromSettings(config), make))

/**
 * As `layerConfig`, for an app in many organisations.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOrganizationsConfig = (
  config: Settings = {}
): Layer.Layer<Organizations, ConfigError, Transport | OrganizationTokens> =>
  Layer.effect(Organizations, Effect.flatMap(fromSettings(config), makeOrganizations))
