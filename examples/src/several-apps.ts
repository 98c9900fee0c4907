/**
 * Several apps in one program: each has its own credentials, token and permissions, and nothing crosses.
 *
 *   npx -y pnpm@10.34.9 example examples/src/several-apps.ts
 */
import { TokenService } from "@effect-dingtalk/auth"
import { Contact } from "@effect-dingtalk/core"
import { Emulator } from "@effect-dingtalk/emulator"
import { DingTalkHttp } from "@effect-dingtalk/http"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, ManagedRuntime, Redacted } from "effect"
import * as EmbeddedDingTalk from "./EmbeddedDingTalk.js"

/** One transport for all; one token service and one `DingTalk` an app. */
const app = (clientId: string, clientSecret: string) =>
  DingTalkHttp.layer().pipe(
    Layer.provide(TokenService.layer({ clientId, clientSecret: Redacted.make(clientSecret) }))
  )

const titleOf = (userid: string) =>
  Contact.getUser({ userid }).pipe(
    Effect.map((user) => `${user.name}, ${user.title ?? "no title"}`),
    Effect.catchTag("PermissionDenied", (error) => Effect.succeed(`refused: lacks ${error.scopes.join(", ")}`))
  )

const program = Effect.gen(function*() {
  const emulator = yield* Emulator.Emulator
  yield* emulator.addApplication({
    clientId: "dinghr",
    clientSecret: Redacted.make("hr-secret"),
    permissions: ["qyapi_get_member"]
  })
  yield* emulator.addApplication({ clientId: "dingcanteen", clientSecret: Redacted.make("canteen-secret") })

  // A Layer bound to a constant and built once is one app, with one token, for as long as the program runs.
  const platform = Layer.succeedContext(yield* Effect.context<Layer.Layer.Success<typeof EmbeddedDingTalk.platform>>())
  const hr = ManagedRuntime.make(app("dinghr", "hr-secret").pipe(Layer.provide(platform)))
  const canteen = ManagedRuntime.make(app("dingcanteen", "canteen-secret").pipe(Layer.provide(platform)))
  yield* Effect.addFinalizer(() => Effect.zipRight(hr.disposeEffect, canteen.disposeEffect))

  const [ofHr, ofCanteen] = yield* Effect.all(
    [Effect.provide(titleOf("zhangsan"), hr), Effect.provide(titleOf("zhangsan"), canteen)],
    { concurrency: 2 }
  )
  yield* Console.log(`dinghr       ${ofHr}`)
  yield* Console.log(`dingcanteen  ${ofCanteen}`)

  yield* Effect.forEach(Array.from({ length: 50 }, () => "zhangsan"), titleOf, { concurrency: 10 }).pipe(
    Effect.provide(hr)
  )
  for (const clientId of ["dinghr", "dingcanteen"]) {
    const tokens = yield* emulator.count({ clientId, endpoint: "oauth2.getAccessToken" })
    const calls = yield* emulator.count({ clientId, endpoint: "contact.getUser" })
    yield* Console.log(`${clientId.padEnd(12)} ${tokens} token for ${calls} calls`)
  }
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(EmbeddedDingTalk.platform)))
