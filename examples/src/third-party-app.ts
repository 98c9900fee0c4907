/**
 * A third-party app that serves two organisations: the platform pushes it a suite ticket, each organisation has
 * authorised it, and every call is made in one of them.
 *
 *   npx -y pnpm@10.34.9 example examples/src/third-party-app.ts
 */
import { SuiteTicket, ThirdPartyApp, TokenStore } from "@effect-dingtalk/auth"
import { Contact, OAuth2, Organizations } from "@effect-dingtalk/core"
import { Emulator, SuiteTicket as Pushed } from "@effect-dingtalk/emulator"
import { DingTalkHttp } from "@effect-dingtalk/http"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Queue, Redacted } from "effect"
import * as EmbeddedDingTalk from "./EmbeddedDingTalk.js"

/** In earnest: a store that lasts, for the next ticket may come five hours after a restart. */
const DingTalkLayer = DingTalkHttp.layerOrganizations().pipe(
  Layer.provideMerge(ThirdPartyApp.layer({
    clientId: "suitequickstart",
    clientSecret: Redacted.make("suite-quickstart-secret")
  })),
  Layer.provide(TokenStore.layerMemory()),
  Layer.provideMerge(EmbeddedDingTalk.platform)
)

// Needs DingTalk, like any other program; it does not know how many organisations there are.
const describe = (userid: string) =>
  Contact.getUser({ userid }).pipe(
    Effect.map((user) => `${user.name}, ${user.title ?? "no title"}`),
    Effect.catchTags({
      UserNotFound: () => Effect.succeed("nobody by that id"),
      InvalidCredentials: (error) => Effect.succeed(error.message),
      PermissionDenied: (error) => Effect.succeed(error.message)
    })
  )

const look = (corpId: string, userid: string) =>
  describe(userid).pipe(
    Organizations.within(corpId),
    Effect.flatMap((answer) => Console.log(`  ${corpId}, ${userid}: ${answer}`))
  )

const program = Effect.gen(function*() {
  const emulator = yield* Emulator.Emulator
  const corpIds = (yield* emulator.organizations).map((organization) => organization.corpId)

  // What a Stream connection, or the handler of your callback URL, does with every event.
  const events = yield* emulator.subscribe
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(
    Queue.take(events),
    (event) => SuiteTicket.receive(Pushed.toStream(event))
  )))

  yield* Console.log("before the first suite ticket")
  yield* look(corpIds[0]!, "zhangsan")

  yield* emulator.pushSuiteTicket("suitequickstart")
  yield* Effect.sleep("50 millis")
  yield* Console.log("\nwith it, in each organisation")
  for (const corpId of corpIds) {
    const { authCorpInfo } = yield* Organizations.within(corpId)(OAuth2.getAuthInfo({ authCorpId: corpId }))
    yield* Console.log(`  ${corpId} is ${authCorpInfo?.corpName}`)
    yield* look(corpId, "zhangsan")
    yield* look(corpId, "wangwu")
  }

  yield* Console.log("\nin one that has not authorised the app")
  yield* look("dingstranger", "zhangsan")

  yield* Effect.forEach(
    corpIds,
    (corpId) =>
      Effect.forEach(Array.from({ length: 20 }), () => Organizations.within(corpId)(describe("zhangsan")), {
        concurrency: 10
      }),
    { concurrency: "unbounded" }
  )
  yield* Console.log("\nthe platform saw")
  for (const corpId of corpIds) {
    const tokens = yield* emulator.count({ endpoint: OAuth2.GetCorpAccessToken.name, corpId })
    yield* Console.log(`  ${tokens} token request for ${corpId}`)
  }
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(DingTalkLayer)))
