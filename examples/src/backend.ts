/**
 * A back-end service: colleagues by id, and signing in with DingTalk. It stays up; stop it with Ctrl-C.
 *
 *   npx -y pnpm@10.34.9 example examples/src/backend.ts
 */
import { AppCredentials, UserSession } from "@effect-dingtalk/auth"
import { Contact, OAuth2, Transport } from "@effect-dingtalk/core"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Option, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import * as Colleague from "./Colleague.js"
import * as EmbeddedDingTalk from "./EmbeddedDingTalk.js"

const json = (body: unknown, status = 200) => HttpServerResponse.unsafeJson(body, { status })

const STATE = "dingtalk_state"

export const router = (redirectUri: string) =>
  HttpRouter.empty.pipe(
    HttpRouter.get(
      "/colleagues/:userid",
      Effect.gen(function*() {
        const { userid } = yield* HttpRouter.schemaPathParams(Schema.Struct({ userid: Schema.String }))
        const colleague = yield* Colleague.find(userid)
        return json({
          name: colleague.name,
          title: Option.getOrNull(colleague.title),
          manager: Option.getOrNull(colleague.manager)
        })
      })
    ),
    HttpRouter.get(
      "/sign-in",
      Effect.gen(function*() {
        const { clientId } = yield* AppCredentials.AppCredentials
        const { hosts } = yield* Transport.Transport
        const state = randomBytes(16).toString("base64url")
        return HttpServerResponse.redirect(OAuth2.signInUrl(hosts, { clientId, redirectUri, state })).pipe(
          HttpServerResponse.unsafeSetCookie(STATE, state, { httpOnly: true, sameSite: "lax", maxAge: "10 minutes" })
        )
      })
    ),
    HttpRouter.get(
      "/callback",
      Effect.gen(function*() {
        const callback = yield* HttpServerRequest.schemaSearchParams(OAuth2.SignInCallback)
        const { cookies } = yield* HttpServerRequest.HttpServerRequest
        const authCode = OAuth2.authCodeOf(callback)
        if (authCode === undefined || callback.state === undefined || callback.state !== cookies[STATE]) {
          return json({ error: callback.error ?? "this sign-in was not started here" }, 400)
        }
        const session = yield* UserSession.signIn({ authCode })
        const me = yield* Effect.provideService(Contact.getMe, UserSession.UserSession, session)
        return json({ nick: me.nick, email: me.email })
      })
    ),
    // Each error of DingTalk's becomes an answer that is right for whoever called us.
    HttpRouter.catchTags({
      NoSuchColleague: ({ userid }) => json({ error: `nobody has the id ${userid}` }, 404),
      UserNotFound: () => json({ error: "nobody by that id" }, 404),
      InvalidAuthCode: () => json({ error: "that sign-in is over; start again" }, 401),
      SignInRequired: () => json({ error: "sign in again" }, 401),
      RateLimited: () => json({ error: "too many calls at the moment" }, 503),
      Unavailable: () => json({ error: "DingTalk is busy at the moment" }, 503),
      TransportError: (error) =>
        json(
          { error: error.reason === "Encode" ? error.message : "DingTalk is out of reach" },
          error.reason === "Encode" ? 400 : 502
        )
    }),
    // What is left is ours to mend, and no business of the caller's.
    HttpRouter.catchAll((error) => Effect.as(Effect.logError(error), json({ error: "misconfigured" }, 500)))
  )

// Run, and not imported by a test.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = 3000
  const url = `http://127.0.0.1:${port}`
  const service = HttpServer.serve(router(`${url}/callback`)).pipe(
    Layer.provide(NodeHttpServer.layer(() => createServer(), { port, host: "127.0.0.1" })),
    Layer.provide(EmbeddedDingTalk.layer)
  )
  NodeRuntime.runMain(
    Effect.gen(function*() {
      yield* Console.log(`Try ${url}/colleagues/zhangsan`)
      yield* Console.log(`and ${url}/sign-in in a browser`)
      return yield* Layer.launch(service)
    })
  )
}
