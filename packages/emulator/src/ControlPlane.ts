/**
 * The controls of an emulator over HTTP, under `/_emulator/`, for other processes: JSON in, JSON out. For loopback
 * alone.
 *
 * @since 0.1.0
 */
import * as WireJson from "@effect-dingtalk/core/WireJson"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { Service } from "./Emulator.js"
import type { EmulatorError } from "./EmulatorError.js"
import type { Request, Response } from "./Exchange.js"
import * as Fault from "./Fault.js"
import { isForeign } from "./internal/foreign.js"
import * as Organization from "./Organization.js"
import * as RequestLog from "./RequestLog.js"
import type { Push } from "./SuiteTicket.js"
import * as ThirdParty from "./ThirdParty.js"

interface Control {
  readonly method: string
  readonly path: string
  /** of the body; a question mark where one may be left out */
  readonly fields?: ReadonlyArray<string>
  readonly run: (
    emulator: Service,
    body: unknown,
    query: URLSearchParams
  ) => Effect.Effect<unknown, BadRequest | EmulatorError>
}

class BadRequest {
  readonly _tag = "BadRequest"
  constructor(readonly field: string, readonly reason: string) {}
}

const get = (
  path: string,
  run: (emulator: Service, query: (name: string) => string | undefined) => Effect.Effect<unknown>
): Control => ({
  method: "GET",
  path,
  run: (emulator, _, query) => run(emulator, (name) => query.get(name) ?? undefined)
})

const remove = (path: string, run: (emulator: Service) => Effect.Effect<unknown>): Control => ({
  method: "DELETE",
  path,
  run
})

const post = <A, I>(
  path: string,
  schema: Schema.Schema<A, I>,
  run: (emulator: Service, body: A) => Effect.Effect<unknown, BadRequest | EmulatorError>
): Control => {
  const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })
  return {
    method: "POST",
    path,
    fields: AST.getPropertySignatures(AST.encodedAST(schema.ast))
      .map(({ isOptional, name }) => `${String(name)}${isOptional ? "?" : ""}`),
    run: (emulator, body) =>
      Either.match(decode(body), {
        onLeft: (error) => {
          const issue = ParseResult.ArrayFormatter.formatErrorSync(error)[0]
          return Effect.fail(
            new BadRequest(issue?.path.map(String).join(".") || "body", issue?.message ?? "is invalid")
          )
        },
        onRight: (value) => run(emulator, value)
      })
  }
}

const clientId = Schema.optional(Schema.String)
const corpId = Schema.optional(Schema.String)
const suiteKey = Schema.optional(Schema.String)
const permission = Schema.Struct({ permission: Schema.NonEmptyString, clientId })
const token = Schema.Struct({ token: Schema.optional(Schema.Redacted(Schema.NonEmptyString)) })
const seconds = Schema.Number.pipe(Schema.between(0, 10 ** 12))

// The decoded side, because the other one has a default for what is left out.
const applicationPatch = Schema.typeSchema(Organization.Application).pipe(
  Schema.omit("clientId", "clientSecret", "ipWhiteList"),
  Schema.partial,
  Schema.extend(Schema.Struct({ clientId, ipWhiteList: Schema.optional(Schema.NullOr(Schema.Array(Schema.String))) }))
)

// The secret is for the app alone, and everything else that is redacted says so by itself.
const shown = (organization: Organization.Organization) => ({
  ...organization,
  applications: organization.applications.map((app) => ({ ...app, clientSecret: "<redacted>" }))
})

// Of thousands, nobody reads more.
const MAX_SHOWN = 100

const shownThirdParty = (app: ThirdParty.Application) => ({
  ...app,
  suiteSecret: "<redacted>",
  authorizedBy: app.authorizedBy === "any" ? "any" : app.authorizedBy.slice(0, MAX_SHOWN),
  authorizations: app.authorizedBy === "any" ? undefined : app.authorizedBy.length
})

// Whoever asks is let in on the ticket, as on a code: without it nothing can be tried.
const shownPush = ({ suiteTicket, ...push }: Push) => ({ ...push, suiteTicket: Redacted.value(suiteTicket) })

const controls: ReadonlyArray<Control> = [
  get(
    "/_emulator/state",
    (emulator) =>
      Effect.all([emulator.now, emulator.organization, emulator.organizations, emulator.thirdPartyApplications]).pipe(
        Effect.map(([now, organization, organizations, thirdParty]) => ({
          now,
          ...shown(organization),
          organizations: organizations.slice(0, MAX_SHOWN).map(shown),
          organizationCount: organizations.length,
          thirdPartyApplications: thirdParty.slice(0, MAX_SHOWN).map(shownThirdParty)
        }))
      )
  ),
  get(
    "/_emulator/requests",
    (emulator) => Effect.zipWith(emulator.requests, emulator.counts, (requests, counts) => ({ counts, requests }))
  ),
  get("/_emulator/requests/count", (emulator, query) =>
    Effect.map(
      emulator.total({ endpoint: query("endpoint"), clientId: query("clientId"), corpId: query("corpId") }),
      (count) => ({ count })
    )),
  get("/_emulator/requests/tallies", (emulator) => Effect.map(emulator.tallies, (tallies) => ({ tallies }))),
  remove("/_emulator/requests", (emulator) => emulator.clearRequests),
  post(
    "/_emulator/clock/advance",
    Schema.Struct({ seconds }),
    (emulator, body) =>
      Effect.zipRight(emulator.advance(body.seconds * 1000), Effect.map(emulator.now, (now) => ({ now })))
  ),
  post("/_emulator/permissions/grant", permission, (emulator, body) => emulator.grant(body.permission, body.clientId)),
  post(
    "/_emulator/permissions/revoke",
    permission,
    (emulator, body) => emulator.revoke(body.permission, body.clientId)
  ),
  post(
    "/_emulator/tokens/expire",
    token,
    (emulator, body) => body.token === undefined ? emulator.expireTokens : emulator.expireToken(body.token)
  ),
  post(
    "/_emulator/tokens/revoke",
    token,
    (emulator, body) => body.token === undefined ? emulator.revokeTokens : emulator.revokeToken(body.token)
  ),
  post(
    "/_emulator/tokens/lifetime",
    Schema.Struct({ seconds: Schema.Int.pipe(Schema.between(1, 10 ** 9)), clientId }),
    (emulator, body) => emulator.setTokenLifetime(body.seconds * 1000, body.clientId)
  ),
  post(
    "/_emulator/consent",
    Schema.Struct({
      userid: Schema.String,
      clientId,
      corpId,
      scope: Schema.optional(Schema.Literal("openid", "openid corpid"))
    }),
    (emulator, body) => Effect.map(emulator.consent(body), (code) => ({ authCode: Redacted.value(code) }))
  ),
  post(
    "/_emulator/codes/in-client",
    Schema.Struct({ userid: Schema.String, clientId, corpId }),
    (emulator, body) => Effect.map(emulator.inClientCode(body), (code) => ({ code: Redacted.value(code) }))
  ),
  post(
    "/_emulator/codes/sso",
    Schema.Struct({ userid: Schema.String, corpId }),
    (emulator, body) => Effect.map(emulator.ssoCode(body), (code) => ({ code: Redacted.value(code) }))
  ),
  post(
    "/_emulator/suite-tickets/push",
    Schema.Struct({ suiteKey }),
    (emulator, body) => Effect.map(emulator.pushSuiteTicket(body.suiteKey), shownPush)
  ),
  post(
    "/_emulator/suite-tickets/current",
    Schema.Struct({ suiteKey }),
    (emulator, body) =>
      Effect.map(emulator.suiteTicket(body.suiteKey), (ticket) => ({ suiteTicket: Redacted.value(ticket) }))
  ),
  post(
    "/_emulator/organizations/add",
    Organization.Organization,
    (emulator, organization) => emulator.addOrganization(organization)
  ),
  post(
    "/_emulator/third-party/add",
    ThirdParty.Application,
    (emulator, app) => Effect.asVoid(emulator.addThirdPartyApplication(app))
  ),
  post(
    "/_emulator/third-party/authorize",
    Schema.Struct({ ...ThirdParty.Authorization.fields, suiteKey }),
    (emulator, { suiteKey, ...authorization }) => emulator.authorize(authorization, suiteKey)
  ),
  post(
    "/_emulator/third-party/deauthorize",
    Schema.Struct({ corpId: Schema.String, suiteKey }),
    (emulator, body) => emulator.deauthorize(body.corpId, body.suiteKey)
  ),
  post(
    "/_emulator/third-party/callback",
    Schema.Struct({ callback: Schema.NullOr(ThirdParty.Callback), suiteKey }),
    (emulator, body) => emulator.setCallback(body.callback ?? undefined, body.suiteKey)
  ),
  post(
    "/_emulator/users/add",
    Schema.Struct({ ...Organization.User.fields, corpId }),
    (emulator, { corpId, ...user }) => emulator.addUser(user, corpId)
  ),
  post(
    "/_emulator/users/update",
    Schema.partial(Schema.Struct({ ...Organization.User.fields, corpId })),
    (emulator, { corpId, userid, ...patch }) =>
      userid === undefined
        ? Effect.fail(new BadRequest("userid", "is missing"))
        : emulator.updateUser(userid, patch, corpId)
  ),
  post(
    "/_emulator/users/remove",
    Schema.Struct({ userid: Schema.String, corpId }),
    (emulator, { corpId, userid }) => emulator.removeUser(userid, corpId)
  ),
  post(
    "/_emulator/applications/add",
    Schema.Struct({ ...Organization.Application.fields, corpId }),
    (emulator, { corpId, ...app }) => Effect.asVoid(emulator.addApplication(app, corpId))
  ),
  post(
    "/_emulator/applications/update",
    applicationPatch,
    // JSON has no other way than `null` to take the list away.
    (emulator, { clientId, ipWhiteList, ...patch }) =>
      Effect.asVoid(emulator.updateApplication(
        clientId,
        ipWhiteList === undefined ? patch : { ...patch, ipWhiteList: ipWhiteList ?? undefined }
      ))
  ),
  post(
    "/_emulator/applications/rotate-secret",
    Schema.Struct({ clientId }),
    (emulator, body) =>
      Effect.map(emulator.rotateSecret(body.clientId), (secret) => ({ clientSecret: Redacted.value(secret) }))
  ),
  post(
    "/_emulator/faults",
    Schema.Struct({
      fault: Fault.Fault,
      matching: Schema.optional(RequestLog.Matcher),
      times: Schema.optional(Schema.Int.pipe(Schema.between(1, 10 ** 6))),
      seconds: Schema.optional(seconds)
    }),
    (emulator, { fault, seconds, ...options }) =>
      emulator.failNext(fault, { ...options, lasting: seconds === undefined ? undefined : seconds * 1000 })
  ),
  post(
    "/_emulator/rate-limit",
    Schema.Struct({ perSecond: Schema.NullOr(Schema.Int.pipe(Schema.between(1, 10 ** 6))) }),
    (emulator, { perSecond }) => emulator.setRateLimit(perSecond ?? Infinity)
  ),
  remove("/_emulator/faults", (emulator) => emulator.clearFaults)
]

const respond = (status: number, body: unknown): Response => ({
  status,
  headers: { "content-type": "application/json;charset=utf-8", "cache-control": "no-store" },
  body: WireJson.stringify(body ?? {})
})

const refuse = (status: number, error: string, field?: string): Response =>
  respond(status, field === undefined ? { error } : { error, field })

/**
 * Whether a path belongs to the controls.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isControl = (path: string): boolean => /^\/_emulator(?:\/|$)/.test(path)

/**
 * Answers a request to the controls; names of headers are in lower case. A mistake is a 400 that names the field. With
 * `stop`, there is a control that runs it.
 *
 * @since 0.1.0
 * @category handlers
 */
export const handle = (
  emulator: Service,
  request: Request,
  options?: { readonly stop?: Effect.Effect<void> | undefined }
): Effect.Effect<Response> => {
  if (isForeign(request.headers ?? {})) return Effect.succeed(refuse(403, "the request comes from another site"))
  const stop = options?.stop
  const all = stop === undefined ? controls : [...controls, post("/_emulator/stop", Schema.Struct({}), () => stop)]
  const [asked = "", ownQuery = ""] = request.path.split("?")
  if (/^\/_emulator\/?$/.test(asked) && request.method === "GET") {
    return Effect.succeed(respond(200, {
      controls: all.map(({ fields, method, path }) => ({ method, path, ...(fields === undefined ? {} : { fields }) }))
    }))
  }
  const here = all.filter(({ path }) => path === asked)
  const control = here.find(({ method }) => method === request.method)
  if (control === undefined) {
    return Effect.succeed(
      here.length > 0
        ? refuse(405, `${request.path} wants ${here.map(({ method }) => method).join(" or ")}`)
        : respond(404, { error: "no such control", controls: all.map(({ method, path }) => `${method} ${path}`) })
    )
  }
  const text = request.body ?? ""
  const body = control.method === "POST" && text.trim() !== ""
    ? WireJson.parse(text)
    : Either.right({})
  if (Either.isLeft(body)) return Effect.succeed(refuse(400, "body: is not JSON", "body"))
  return Effect.match(control.run(emulator, body.right, new URLSearchParams(request.query || ownQuery)), {
    onFailure: (error) =>
      error._tag === "BadRequest"
        ? refuse(400, `${error.field}: ${error.reason}`, error.field)
        : refuse(400, error.message, error.field),
    onSuccess: (result) => respond(200, result)
  })
}
