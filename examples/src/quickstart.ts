/**
 * The guide, step by step: an app and its credentials, a permission, a token, a person's details; the three failures
 * that the guide names, each caused for real; and the profile of somebody who signs in.
 *
 * Without settings it starts a DingTalk of its own on this machine. With `DINGTALK_CLIENT_ID` and
 * `DINGTALK_CLIENT_SECRET` it runs its read-only steps against the platform, for the person `DINGTALK_USER_ID`.
 */
import { AppCredentials, TokenService, UserSession } from "@effect-dingtalk/auth"
import { Contact, Hosts, OAuth2 } from "@effect-dingtalk/core"
import { Emulator, EmulatorServer, Organization } from "@effect-dingtalk/emulator"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Config, Console, Effect, Layer, Option, Redacted } from "effect"

const heading = (text: string) => Console.log(`\n${text}\n`)

const row = (name: string, value: unknown) => Console.log(`  ${name.padEnd(16)} ${String(value)}`)

const details = (user: Contact.User) =>
  Effect.forEach(
    [
      ["Name", user.name],
      ["User ID", user.userid],
      ["Title", user.title],
      ["Work place", user.work_place],
      ["Mobile", user.mobile === undefined ? undefined : `+${user.state_code ?? "?"} ${user.mobile}`],
      ["Telephone", user.telephone],
      ["E-mail", user.email],
      ["Manager", user.manager_userid],
      ["Hired", user.hired_date === undefined ? undefined : new Date(user.hired_date).toISOString().slice(0, 10)],
      ["Departments", user.dept_id_list.join(", ")],
      ["Leads", user.leader_in_dept.filter(({ leader }) => leader).map(({ dept_id }) => dept_id).join(", ")],
      ["Roles", user.role_list.map((role) => `${role.name} (${role.group_name ?? "no group"})`).join(", ")],
      ["Own fields", user.extension === undefined ? undefined : JSON.stringify(user.extension)],
      ["Union ID", user.unionid]
    ] as const,
    ([name, value]) => value === undefined || value === "" ? Effect.void : row(name, value),
    { discard: true }
  )

const profile = (me: Contact.Profile) =>
  Effect.forEach(
    [["Nick", me.nick], ["Mobile", me.mobile], ["E-mail", me.email], ["Union ID", me.unionId]] as const,
    ([name, value]) => value === undefined ? Effect.void : row(name, value),
    { discard: true }
  )

/** Steps 1 to 4 of the guide. They only read, so they run against the platform too. */
const guide = (userid: string) =>
  Effect.gen(function*() {
    yield* heading("Step 1: the app and its credentials")
    const { clientId, clientSecret } = yield* AppCredentials.AppCredentials
    yield* row("Client ID", clientId)
    yield* row("Client Secret", clientSecret)

    yield* heading("Step 2: the permission")
    const { name, scope } = Contact.GetUser.permission!
    yield* row("Needed", `${name} (${scope})`)

    yield* heading("Step 3: the access token")
    const tokens = yield* TokenService.TokenService
    const token = yield* tokens.get
    const life = Math.round((token.expiresAt - (yield* Clock.currentTimeMillis)) / 1000)
    yield* row("Token", token.value)
    yield* row("Life", `${life} s; it is refreshed by itself 10 minutes before that`)

    yield* heading("Step 4: the person's details")
    yield* details(yield* Contact.getUser({ userid }))
  })

/** What the guide says under "Error handling", with each failure caused in the emulator. */
const failures = Effect.gen(function*() {
  const emulator = yield* Emulator.Emulator

  yield* heading("When the permission is missing")
  yield* emulator.revoke("qyapi_get_member")
  yield* Contact.getUser({ userid: "zhangsan" }).pipe(
    Effect.zipRight(Effect.dieMessage("the call should have been refused")),
    Effect.catchTag(
      "PermissionDenied",
      (error) =>
        Effect.all([row("Error", error._tag), row("Scopes", error.scopes.join(", ")), row("Apply at", error.applyAt)])
    )
  )
  yield* emulator.grant("qyapi_get_member")

  yield* heading("When nobody has that id")
  yield* Contact.getUser({ userid: "zhangsna" }).pipe(
    Effect.zipRight(Effect.dieMessage("the call should have found nobody")),
    Effect.catchTag("UserNotFound", (error) => Effect.all([row("Error", error._tag), row("Message", error.message)]))
  )

  yield* heading("When the token has expired")
  yield* emulator.expireTokens
  yield* emulator.clearRequests
  const { name } = yield* Contact.getUser({ userid: "zhangsan" })
  yield* row("Answer", `${name}, all the same`)
  for (const request of yield* emulator.requests) {
    yield* row("On the wire", `${request.method} ${request.path}`)
  }
})

/** For sensitive permissions: a person consents, and the app reads their profile with their own token. */
const signIn = (hosts: Hosts.Hosts) =>
  Effect.gen(function*() {
    const emulator = yield* Emulator.Emulator
    const { clientId } = yield* AppCredentials.AppCredentials

    yield* heading("Somebody signs in")
    yield* row(
      "Sign-in page",
      OAuth2.signInUrl(hosts, {
        clientId,
        redirectUri: Organization.quickstart.applications[0].redirectUris[0],
        state: "af0ifjsldkj"
      })
    )
    // What the button of that page does.
    const authCode = yield* emulator.consent({ userid: "zhangsan" })
    yield* row("authCode", authCode)
    const session = yield* UserSession.signIn({ authCode })
    yield* row("User token", (yield* session.get).value)
    yield* profile(yield* Effect.provideService(Contact.getMe, UserSession.UserSession, session))

    yield* heading("And when the same code comes again")
    yield* UserSession.signIn({ authCode }).pipe(
      Effect.zipRight(Effect.dieMessage("a code is good for one use")),
      Effect.catchTag("InvalidAuthCode", (error) => row("Error", error.message))
    )
  })

const onTheEmulator = Effect.gen(function*() {
  const { url } = yield* EmulatorServer.EmulatorServer
  const hosts = yield* Hosts.single(url)
  yield* Console.log(`A DingTalk on this machine: ${url}`)

  const DingTalkLayer = DingTalkHttp.layer().pipe(
    Layer.provideMerge(TokenService.layer({
      clientId: "dingquickstart",
      clientSecret: Redacted.make("quickstart-secret")
    })),
    Layer.provide(HttpTransport.layer({ hosts })),
    Layer.provide(NodeHttpClient.layerUndici)
  )
  yield* Effect.gen(function*() {
    yield* guide("zhangsan")
    yield* failures
    yield* signIn(hosts)
  }).pipe(Effect.provide(DingTalkLayer))
  yield* Console.log("\nDone. The same program, given DINGTALK_CLIENT_ID, DINGTALK_CLIENT_SECRET and DINGTALK_USER_ID,")
  yield* Console.log("reads from the platform.")
}).pipe(
  Effect.provide(EmulatorServer.layer({ port: 0 }).pipe(Layer.provideMerge(Emulator.layer())))
)

const onThePlatform = Effect.gen(function*() {
  const userid = yield* Config.nonEmptyString("DINGTALK_USER_ID")
  const { oapi } = yield* Hosts.config
  yield* Console.log(`DingTalk: ${oapi}`)

  const DingTalkLayer = DingTalkHttp.layer().pipe(
    Layer.provideMerge(TokenService.layerConfig()),
    Layer.provide(HttpTransport.layerConfig()),
    Layer.provide(NodeHttpClient.layerUndici)
  )
  yield* Effect.provide(guide(userid), DingTalkLayer)
})

const isConfigured = Config.all([
  Config.option(Config.string("DINGTALK_CLIENT_ID")),
  Config.option(Config.string("DINGTALK_CLIENT_SECRET"))
]).pipe(Config.map((settings) => settings.some(Option.isSome)))

const program = Effect.if(isConfigured, { onTrue: () => onThePlatform, onFalse: () => onTheEmulator }).pipe(
  // Every failure says what to do next; a trace would only stand in its way.
  Effect.catchAll((error) =>
    Console.error(`\n${error instanceof Error ? error.message : String(error)}`).pipe(
      Effect.zipRight(Effect.sync(() => {
        process.exitCode = 1
      }))
    )
  )
)

NodeRuntime.runMain(program)
