/**
 * A great many calls to a platform on a bad day: each must end in the right value or in a typed error, nothing may
 * leak, and nothing may grow.
 */
import * as Contact from "@effect-dingtalk/core/Contact"
import type { DingTalk } from "@effect-dingtalk/core/DingTalk"
import type { CommonError, UserNotFound } from "@effect-dingtalk/core/DingTalkError"
import { isDingTalkError } from "@effect-dingtalk/core/DingTalkError"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as ManagedRuntime from "effect/ManagedRuntime"
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

type CallError = CommonError | UserNotFound

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

  const onError = (userid: string, error: CallError) => {
    if (!isDingTalkError(error)) return fail(`not one of the errors: ${inspect(error)}`)
    const tag = error._tag === "TransportError" ? `TransportError ${error.reason}` : error._tag
    errors.set(tag, (errors.get(tag) ?? 0) + 1)
    search(`message of ${tag}`, `${error.message} ${String(error)}`)
    // What a program prints of an error costs more than the call: not all of them are printed.
    if (failures++ % LOGGED === 0) {
      search(`print of ${tag}`, `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`)
    }
    if (error.requestId !== undefined && error.requestId !== FaultServer.requestIdOf(userid)) {
      fail(`${userid} was told the error of ${error.requestId}`)
    }
  }

  const onExit = (userid: string, exit: Exit.Exit<Contact.User, CallError>) => {
    if (Exit.isSuccess(exit)) {
      const { extension, name, userid: of } = exit.value
      if (of === userid && name === FaultServer.nameOf(userid) && extension?.["of"] === userid) right++
      else fail(`${userid} was told of ${of}, ${name}`)
      return
    }
    const { cause } = exit
    if (Cause.isInterruptedOnly(cause)) {
      interrupted++
      return
    }
    const failure = Cause.failureOption(cause)
    if (failure._tag === "Some" && Cause.defects(cause).length === 0) return onError(userid, failure.value)
    defects++
    keep(Cause.pretty(cause))
    search("defect", Cause.pretty(cause))
  }

  const sample = () => {
    // With --expose-gc: what is left is what is held.
    globalThis.gc?.()
    const { heapUsed, rss } = process.memoryUsage()
    memory.push({ done, rss, heap: heapUsed })
  }
  const every = Math.max(1, Math.floor(options.calls / MEMORY_SAMPLES))

  const one = Effect.suspend((): Effect.Effect<void, never, DingTalk> => {
    const userid = `u${next++}`
    const call = Contact.getUser({ userid }).pipe(
      Effect.tapErrorCause((cause) => failures % LOGGED === 0 ? Effect.logError("the call failed", cause) : Effect.void)
    )
    // `timeoutFail` would make an error of it; a caller that goes away interrupts.
    const impatient = next % IMPATIENT === 0
      ? Effect.raceFirst(call, Effect.zipRight(Effect.sleep(Duration.millis(random() * 4)), Effect.interrupt))
      : call
    return Effect.map(Effect.exit(impatient), (exit) => {
      onExit(userid, exit)
      done++
      if (done % every === 0) {
        sample()
        options.onProgress?.(done)
      }
    })
  })

  const caller = Effect.suspend(() =>
    Effect.whileLoop({ while: () => next < options.calls, body: () => one, step: () => {} })
  )

  const onUnhandled = (error: unknown) => {
    unhandled++
    keep(`unhandled: ${inspect(error)}`)
  }
  process.on("unhandledRejection", onUnhandled)
  process.on("uncaughtException", onUnhandled)
  const runtime = ManagedRuntime.make(
    Layers.dingtalk({
      clientId: "dingsoak",
      clientSecret: FaultServer.CLIENT_SECRET,
      transport: await Layers.transport(options.carrier, options.url),
      // The waits of the usual retry would leave the machine idle.
      options: { ...Layers.WIDE_OPEN, deadline: options.deadline, retry: { base: "20 millis" } }
    }).pipe(Layer.provideMerge(Layer.mergeAll(tracer, logger, Logger.minimumLogLevel(LogLevel.All))))
  )
  const start = performance.now()
  try {
    await runtime.runPromise(
      Effect.all(Array.from({ length: options.inFlight }, () => caller), { concurrency: "unbounded", discard: true })
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
