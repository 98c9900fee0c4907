/** Bytes per organisation: `node --expose-gc --import tsx packages/auth/test/simulation/memory.ts 10000` */
import { OrganizationTokens } from "@effect-dingtalk/auth"
import { Endpoint, OAuth2, Transport } from "@effect-dingtalk/core"
import { Context, Effect, Layer, Redacted } from "effect"
import * as virtualTime from "./virtualTime.js"

declare const gc: () => void
const N = Number(process.argv[2] ?? 10_000)
const time = virtualTime.make()
const settle = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 20)))
const heap = Effect.zipRight(
  settle,
  Effect.sync(() => {
    gc()
    gc()
    return process.memoryUsage().heapUsed
  })
)

const program = Effect.gen(function*() {
  const platform = Transport.layerTest([
    Endpoint.handle(
      OAuth2.GetOrganizationToken,
      ({ corpId }) => Effect.succeed({ access_token: `token-of-${corpId}`, expires_in: 7200 })
    )
  ])
  const context = yield* Layer.build(
    OrganizationTokens.layer({ clientId: "a", clientSecret: Redacted.make("s"), perSecond: 1000 }).pipe(
      Layer.provide(platform)
    )
  )
  const { of } = Context.get(context, OrganizationTokens.OrganizationTokens)
  const before = yield* heap
  let from = Date.now()
  const phase = (name: string) => {
    console.log(name, Date.now() - from, "ms")
    from = Date.now()
  }
  const cold = yield* Effect.fork(
    Effect.all(Array.from({ length: N }, (_, i) => Effect.asVoid(of(`ding${i}`).get)), {
      concurrency: "unbounded",
      discard: true
    })
  )
  yield* time.advance(`${Math.ceil(N / 1000) + 1} seconds`)
  yield* cold
  // What was to end a fetch that hangs is over.
  yield* time.advance("30 seconds")
  phase("cold")
  const kept = yield* heap
  console.log("bytes per organisation", Math.round((kept - before) / N))
  yield* time.advance("4 hours")
  phase("idle")
  const after = yield* heap
  console.log("bytes per organisation, dropped", Math.round((after - before) / N))
}).pipe(Effect.scoped, time.run)
Effect.runPromise(program)
