/**
 * A token from a warm cache, beside a plain `Effect.cachedWithTTL` hit; and 10,000 who come at once while it is cold.
 */
import * as TokenService from "@effect-dingtalk/auth/TokenService"
import * as Endpoint from "@effect-dingtalk/core/Endpoint"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Answers from "../answers.js"
import * as Layers from "../layers.js"

export interface Warm {
  /** nanoseconds for each, one per repetition */
  readonly get: ReadonlyArray<number>
  readonly cachedWithTTL: ReadonlyArray<number>
}

export const CALLERS = 10_000

const tokens = TokenService.layer({ clientId: "dingbenchmark", clientSecret: Redacted.make("benchmark-secret") }).pipe(
  Layer.provide(Transport.layerTest([
    Endpoint.handle(OAuth2.GetAccessToken, () => Effect.succeed({ accessToken: Answers.TOKEN, expireIn: 7200 }))
  ]))
)

// One fiber, as within a program that is running anyway: starting one costs more than either of them.
const repeat = <E>(effect: Effect.Effect<unknown, E>, times: number) =>
  Effect.suspend(() => {
    let left = times
    return Effect.whileLoop({ while: () => left-- > 0, body: () => effect, step: () => {} })
  })

const nanos = <E>(effect: Effect.Effect<unknown, E>, times: number) =>
  Effect.suspend(() => {
    const start = process.hrtime.bigint()
    return Effect.map(repeat(effect, times), () => Number(process.hrtime.bigint() - start) / times)
  })

const warm = (repetitions: number, times: number) =>
  Effect.gen(function*() {
    const { get } = yield* TokenService.TokenService
    const cached = yield* Effect.cachedWithTTL(Effect.succeed(Answers.TOKEN), "2 hours")
    const measured = { get: Array<number>(), cachedWithTTL: Array<number>() }
    yield* Effect.zipRight(repeat(get, times), repeat(cached, times))
    for (let i = 0; i < repetitions; i++) {
      measured.get.push(yield* nanos(get, times))
      measured.cachedWithTTL.push(yield* nanos(cached, times))
    }
    return measured
  }).pipe(Effect.provide(tokens))

/** Over the wire, so that the server is the one who counts. */
const herd = async (url: string) => {
  const layer = Layers.dingtalk({
    clientId: "dingbenchmark",
    clientSecret: "benchmark-secret",
    transport: await Layers.transport("FetchHttpClient", url),
    options: Layers.WIDE_OPEN
  })
  return Effect.gen(function*() {
    const { get } = yield* TokenService.TokenService
    yield* Effect.all(Array.from({ length: CALLERS }, () => get), { concurrency: "unbounded", discard: true })
  }).pipe(Effect.provide(layer))
}

const [task, ...args] = process.argv.slice(2)
const result = task === "herd"
  ? (await Effect.runPromise(await herd(args[0])), CALLERS)
  : await Effect.runPromise(warm(Number(args[0]), Number(args[1])))
process.stdout.write(JSON.stringify(result))
process.exit()
