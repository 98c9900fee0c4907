/**
 * The official client, which we did not write, makes the same calls: what it puts on the wire is what ours must.
 */
import type * as ContactTypes from "@alicloud/dingtalk/dist/contact_1_0/client.js"
import type * as OAuth2Types from "@alicloud/dingtalk/dist/oauth2_1_0/client.js"
import type * as OpenApiTypes from "@alicloud/openapi-client"
import type * as TeaUtilTypes from "@alicloud/tea-util"
import type { DingTalk } from "@effect-dingtalk/core"
import { Contact, OAuth2, TokenService, UserSession } from "@effect-dingtalk/core"
import { DingTalkHttp } from "@effect-dingtalk/http"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { createRequire } from "node:module"
import { transports } from "./clients.js"
import * as RawServer from "./RawServer.js"

// CommonJS whose named exports a bundler of ES modules does not find; required, it is what it says it is.
const require = createRequire(import.meta.url)
const oauth2: typeof OAuth2Types.default = require("@alicloud/dingtalk/dist/oauth2_1_0/client.js")
const contact: typeof ContactTypes.default = require("@alicloud/dingtalk/dist/contact_1_0/client.js")
const { Config: OfficialConfig }: typeof OpenApiTypes = require("@alicloud/openapi-client")
const { RuntimeOptions }: typeof TeaUtilTypes = require("@alicloud/tea-util")

const parse = (text: string) => {
  const end = text.indexOf("\r\n\r\n")
  const [head, sent] = [text.slice(0, end), text.slice(end + 4)]
  // The official client sends its body in one chunk.
  const body = /^transfer-encoding: chunked/mi.test(head) ? sent.split("\r\n")[1] : sent
  const [start, ...lines] = head.split("\r\n")
  const [method, target] = start.split(" ")
  const url = new URL(target, "http://host")
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  return {
    method,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    accept: headers.get("accept"),
    token: headers.get("x-acs-dingtalk-access-token"),
    contentType: body === "" ? undefined : headers.get("content-type")?.replaceAll(" ", "").toLowerCase(),
    body: body === "" ? undefined : JSON.parse(body)
  }
}

const server = RawServer.make((socket) =>
  socket.write(RawServer.json(`{"accessToken":"a","refreshToken":"r","expireIn":7200,"unionId":"u"}`))
)

const official = (endpoint: string) => new OfficialConfig({ protocol: "http", regionId: "central", endpoint })

const runtime = new RuntimeOptions({})

interface Pair {
  readonly name: string
  readonly ours: Effect.Effect<unknown, unknown, DingTalk.DingTalk | UserSession.UserSession>
  readonly theirs: (endpoint: string) => Promise<unknown>
}

const pairs: ReadonlyArray<Pair> = [
  {
    name: "oauth2.getAccessToken",
    ours: OAuth2.getAccessToken({ appKey: "ding1", appSecret: Redacted.make("s1") }),
    theirs: (endpoint: string) =>
      new oauth2.default(official(endpoint)).getAccessToken(
        new oauth2.GetAccessTokenRequest({ appKey: "ding1", appSecret: "s1" })
      )
  },
  {
    name: "oauth2.getUserToken, for a code",
    ours: OAuth2.getUserToken({
      clientId: "ding1",
      clientSecret: Redacted.make("s1"),
      grantType: "authorization_code",
      code: Redacted.make("c1")
    }),
    theirs: (endpoint: string) =>
      new oauth2.default(official(endpoint)).getUserToken(
        new oauth2.GetUserTokenRequest({
          clientId: "ding1",
          clientSecret: "s1",
          grantType: "authorization_code",
          code: "c1"
        })
      )
  },
  {
    name: "oauth2.getUserToken, for a refresh token",
    ours: OAuth2.getUserToken({
      clientId: "ding1",
      clientSecret: Redacted.make("s1"),
      grantType: "refresh_token",
      refreshToken: Redacted.make("r1")
    }),
    theirs: (endpoint: string) =>
      new oauth2.default(official(endpoint)).getUserToken(
        new oauth2.GetUserTokenRequest({
          clientId: "ding1",
          clientSecret: "s1",
          grantType: "refresh_token",
          refreshToken: "r1"
        })
      )
  },
  ...["me", "z21HjQliSzpw0YWxxxxx"].map((unionId) => ({
    name: `contact.getProfile of ${unionId}`,
    ours: Contact.getProfile({ unionId }),
    theirs: (endpoint: string) =>
      new contact.default(official(endpoint)).getUserWithOptions(
        unionId,
        new contact.GetUserHeaders({ xAcsDingtalkAccessToken: "user-token" }),
        runtime
      )
  }))
]

for (const [name, transport] of transports) {
  describe(`the same request as the official client's, with ${name}`, () => {
    for (const { ours, theirs, ...call } of pairs) {
      it.scopedLive(call.name, () =>
        Effect.gen(function*() {
          const { hosts, requests, url } = yield* server
          yield* Effect.promise(() => theirs(new URL(url).host))
          yield* Effect.provide(
            ours,
            DingTalkHttp.layer().pipe(
              Layer.provide(TokenService.layerTest()),
              Layer.merge(UserSession.layerTest("user-token")),
              Layer.provide(transport({ hosts }))
            )
          )
          assert.strictEqual(requests.length, 2)
          assert.deepStrictEqual(parse(requests[1]), parse(requests[0]))
        }))
    }
  })
}
