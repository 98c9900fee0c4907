/**
 * A great many calls to a platform on a bad day: each must end in the right value or in a typed error, nothing may
 * leak, and nothing may grow.
 */
import * as AppCredentials from "@effect-dingtalk/auth/AppCredentials"
import * as UserSession from "@effect-dingtalk/auth/UserSession"
import * as Contact from "@effect-dingtalk/core/Contact"
import * as DingTalk from "@effect-dingtalk/core/DingTalk"
import type { CommonError, SignInRequired } from "@effect-dingtalk/core/DingTalkError"
import { isDingTalkError, UserNotFound } from "@effect-dingtalk/core/DingTalkError"
import * as Endpoint from "@effect-dingtalk/core/Endpoint"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import * as Layers from "../layers.js"
import * as FaultServer from "./FaultServer.js"

export interface Options {
  readonly url: string
  readonly carrier: Layers.Carrier
  readonly calls: number
  readonly inFlight: number
  readonly seed: number
  readonly deadline: Duration.DurationInput
  readonly onProgress?: ((done: number) => void) | undefined
}

export interface Memory {
  readonly done: number
  readonly rss: number
  readonly heap: number
  /** buffers and the like, which live outside the heap and go with what holds them */
  readonly external: number
}

export interface Result {
  readonly calls: number
  readonly right: number
  /** by tag, and by reason where the tag has reasons */
  readonly errors: { readonly [tag: string]: number }
  /** whose caller went away */
  readonly interrupted: number
  readonly wrong: number
  readonly defects: number
  readonly unhandled: number
  /** where a secret was seen; the first few */
  readonly leaks: ReadonlyArray<string>
  readonly spans: number
  readonly logs: number
  /** what was wrong or a defect; the first few */
  readonly examples: ReadonlyArray<string>
  readonly memory: ReadonlyArray<Memory>
  readonly seconds: number
}

const MEMORY_SAMPLES = 20
/** One caller in so many goes away before its answer is there. */
const IMPATIENT = 200
/** One error in so many is logged with all that it has. */
const LOGGED = 10
const EXAMPLES = 5
/**
 * While there is no token, calls fail at once: without a rest, a second or two of that would be most of a short run.
 */
const REST = Effect.sleep("500 millis")

type CallError = CommonError | UserNotFound | SignInRequired

const isForToken = (exit: Exit.Exit<unknown, CallError>) =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" && exit.cause.error.endpoint.startsWith("oauth2.")

interface Told {
  readonly id: string
  readonly name: string | undefined
  /** told in another place of the same answer */
  readonly of: unknown
}

type Ask = (id: string) => Effect.Effect<Told, CallError, DingTalk.DingTalk | UserSession.UserSession>

const asksUser = <R>(
  getUser: (payload: { readonly userid: string }) => Effect.Effect<Contact.User, CallError, R>
) =>
(id: string) =>
  Effect.map(getUser({ userid: id }), ({ extension, name, userid }) => ({ id: userid, name, of: extension?.["of"] }))

const asksProfile = <R>(
  getProfile: (payload: { readonly unionId: string }) => Effect.Effect<Contact.Profile, CallError, R>
) =>
(id: string) =>
  Effect.map(getProfile({ unionId: id }), ({ nick, openId, unionId }) => ({
    id: unionId,
    name: nick,
    of: openId === FaultServer.openIdOf(unionId) ? unionId : openId
  }))

const userEndpoint = (n: number) =>
  Endpoint.oapi(`soak.getUser${n}`, {
    path: "/topapi/v2/user/get",
    payload: Schema.Struct({ userid: Schema.String }),
    success: Contact.User,
    idempotent: true
  }).pipe(Endpoint.failsWith(UserNotFound, 60121, 33012))

const profileEndpoint = <const Auth extends "app" | "user">(name: string, path: string, credential: Auth) =>
  Endpoint.api(name, {
    method: "GET",
    path: `${path}{unionId}`,
    credential,
    payload: Schema.Struct({ unionId: Schema.String }),
    success: Contact.Profile
  }).pipe(Endpoint.failsWith(UserNotFound, "invalidParameter.user.notFound"))

/**
 * Each caller asks one endpoint all the time, as the workers of a program do: a throttle that lasts holds the callers of
 * its endpoint, and the others go on.
 */
const ASKS: ReadonlyArray<Ask> = [
  asksUser(Contact.getUser),
  ...[1, 2, 3, 4].map((n) => asksUser(DingTalk.call(userEndpoint(n)))),
  asksProfile(Contact.getProfile),
  asksProfile(DingTalk.call(profileEndpoint("soak.getProfile", FaultServer.USERS, "user"))),
  ...[1, 2, 3].map((n) =>
    asksProfile(DingTalk.call(profileEndpoint(`soak.getAppProfile${n}`, FaultServer.APP_USERS, "app")))
  )
]

export const run = async (options: Options): Promise<Result> => {
  const random = FaultServer.randomOf(options.seed)
  const errors = new Map<string, number>()
  const leaks: Array<string> = []
  const examples: Array<string> = []
  const memory: Array<Memory> = []
  let [next, done, right, wrong, defects, interrupted, unhandled, spans, logs, failures] = Array<number>(10).fill(0)

  const search = (where: string, text: string) => {
    if (text.includes(FaultServer.SENTINEL) && leaks.length < EXAMPLES) leaks.push(`${where}: ${text.slice(0, 500)}`)
  }
  const keep = (example: string) => {
    if (examples.length < EXAMPLES) examples.push(example.slice(0, 1000))
  }

  // Looked through when it ends, and not kept: a million of them must not count as our memory.
  const tracer = Layer.unwrapEffect(Effect.map(Effect.tracer, (native) =>
    Layer.setTracer(Tracer.make({
      span: (...args) => {
        const span = native.span(...args)
        const end = span.end
        span.end = (endTime, exit) => {
          spans++
          end.call(span, endTime, exit)
          const cause = Exit.isFailure(exit) ? Cause.pretty(exit.cause, { renderErrorCause: true }) : ""
          const events = "events" in span ? inspect(span.events, { depth: 8 }) : ""
          search(
            `span ${span.name}`,
            `${span.name} ${inspect(span.attributes, { depth: 8 })} ${events} ${cause}`
          )
        }
        return span
      },
      context: (run, fiber) => native.context(run, fiber)
    }))))

  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make((log) => {
      logs++
      search("log", Logger.logfmtLogger.log(log))
      search("log, as JSON", Logger.jsonLogger.log(log))
    })
  )

  const fail = (message: string) => {
    wrong++
    keep(message)
  }

  const onError = (id: string, error: CallError) => {
    if (!isDingTalkError(error)) return fail(`not one of the errors: ${inspect(error)}`)
    // The server spends a refresh token once and never loses what it was spent for.
    if (error._tag === "SignInRequired") return fail(`the session is over: ${inspect(error)}`)
    const tag = error._tag === "TransportError" ? `TransportError ${error.reason}` : error._tag
    errors.set(tag, (errors.get(tag) ?? 0) + 1)
    search(`message of ${tag}`, `${error.message} ${String(error)}`)
    // What a program prints of an error costs more than the call: not all of them are printed.
    if (failures++ % LOGGED === 0) {
      search(`print of ${tag}`, `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`)
    }
    if (error.requestId !== undefined && error.requestId !== FaultServer.requestIdOf(id)) {
      fail(`${id} was told the error of ${error.requestId}`)
    }
  }

  const onExit = (id: string, exit: Exit.Exit<Told, CallError>) => {
    if (Exit.isSuccess(exit)) {
      const told = exit.value
      if (told.id === id && told.name === FaultServer.nameOf(id) && told.of === id) right++
      else fail(`${id} was told ${inspect(told)}`)
      return
    }
    const { cause } = exit
    if (Cause.isInterruptedOnly(cause)) {
      interrupted++
      return
    }
    const failure = Cause.failureOption(cause)
    if (failure._tag === "Some" && Cause.defects(cause).length === 0) return onError(id, failure.value)
    defects++
    keep(Cause.pretty(cause))
    search("defect", Cause.pretty(cause))
  }

  const sample = () => {
    // With --expose-gc: what is left is what is held.
    globalThis.gc?.()
    const { external, heapUsed, rss } = process.memoryUsage()
    memory.push({ done, rss, heap: heapUsed, external })
  }
  const every = Math.max(1, Math.floor(options.calls / MEMORY_SAMPLES))

  const one = (ask: Ask) =>
    Effect.suspend(() => {
      const id = `u${next++}`
      const call = ask(id).pipe(
        Effect.tapErrorCause((cause) =>
          failures % LOGGED === 0 ? Effect.logError("the call failed", cause) : Effect.void
        )
      )
      // `timeoutFail` would make an error of it; a caller that goes away interrupts.
      const impatient = next % IMPATIENT === 0
        ? Effect.raceFirst(call, Effect.zipRight(Effect.sleep(Duration.millis(random() * 4)), Effect.interrupt))
        : call
      return Effect.flatMap(Effect.exit(impatient), (exit) => {
        onExit(id, exit)
        done++
        if (done % every === 0) {
          sample()
          options.onProgress?.(done)
        }
        return isForToken(exit) ? REST : Effect.void
      })
    })

  const caller = (_: unknown, i: number) => {
    const body = one(ASKS[i % ASKS.length])
    return Effect.whileLoop({ while: () => next < options.calls, body: () => body, step: () => {} })
  }

  const onUnhandled = (error: unknown) => {
    unhandled++
    keep(`unhandled: ${inspect(error)}`)
  }
  process.on("unhandledRejection", onUnhandled)
  process.on("uncaughtException", onUnhandled)
  const app = { clientId: "dingsoak", clientSecret: FaultServer.CLIENT_SECRET }
  const session = Layer.effect(
    UserSession.UserSession,
    UserSession.resume({
      accessToken: Redacted.make(FaultServer.userTokenOf(1)),
      refreshToken: Redacted.make(FaultServer.refreshTokenOf(1)),
      expiresAt: Date.now() + 7_200_000
    })
  ).pipe(Layer.provide(AppCredentials.layer({ ...app, clientSecret: Redacted.make(app.clientSecret) })))
  const runtime = ManagedRuntime.make(
    Layer.provideMerge(
      session,
      Layers.dingtalk({
        ...app,
        transport: await Layers.transport(options.carrier, options.url),
        // The waits of the usual retry would leave the machine idle.
        options: { ...Layers.WIDE_OPEN, deadline: options.deadline, retry: { base: "20 millis" } }
      })
    ).pipe(Layer.provideMerge(Layer.mergeAll(tracer, logger, Logger.minimumLogLevel(LogLevel.All))))
  )
  const start = performance.now()
  try {
    await runtime.runPromise(
      Effect.all(Array.from({ length: options.inFlight }, caller), { concurrency: "unbounded", discard: true })
    )
  } finally {
    await runtime.dispose()
    // Rejections are told after the turn in which nobody took them.
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.off("unhandledRejection", onUnhandled)
    process.off("uncaughtException", onUnhandled)
  }
  return {
    calls: done,
    right,
    errors: Object.fromEntries([...errors].sort(([a], [b]) => a < b ? -1 : 1)),
    interrupted,
    wrong,
    defects,
    unhandled,
    leaks,
    spans,
    logs,
    examples,
    memory,
    seconds: (performance.now() - start) / 1000
  }
}
