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
import type { Service } from "./Emulator.js"
import type { EmulatorError } from "./EmulatorError.js"
import type { Request, Response } from "./Exchange.js"
import * as Fault from "./Fault.js"
import { isLoopback } from "./internal/loopback.js"
import * as Organization from "./Organization.js"
import * as RequestLog from "./RequestLog.js"

interface Control {
  readonly method: string
  readonly path: string
  readonly run: (emulator: Service, body: unknown) => Effect.Effect<unknown, BadRequest | EmulatorError>
}

class BadRequest {
  readonly _tag = "BadRequest"
  constructor(readonly field: string, readonly reason: string) {}
}

const get = (path: string, run: (emulator: Service) => Effect.Effect<unknown>): Control => ({
  method: "GET",
  path,
  run
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
const permission = Schema.Struct({ permission: Schema.NonEmptyString, clientId })
const token = Schema.Struct({ token: Schema.optional(Schema.Redacted(Schema.NonEmptyString)) })
const seconds = Schema.Number.pipe(Schema.between(0, 10 ** 12))

// The secret is for the app alone, and everything else that is redacted says so by itself.
const shown = (organization: Organization.Organization) => ({
  ...organization,
  applications: organization.applications.map((app) => ({ ...app, clientSecret: "<redacted>" }))
})

const controls: ReadonlyArray<Control> = [
  get(
    "/_emulator/state",
    (emulator) =>
      Effect.zipWith(emulator.now, emulator.organization, (now, organization) => ({ now, ...shown(organization) }))
  ),
  get(
    "/_emulator/requests",
    (emulator) => Effect.zipWith(emulator.requests, emulator.counts, (requests, counts) => ({ counts, requests }))
  ),
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
      scope: Schema.optional(Schema.Literal("openid", "openid corpid"))
    }),
    (emulator, body) => Effect.map(emulator.consent(body), (code) => ({ authCode: Redacted.value(code) }))
  ),
  post("/_emulator/users/add", Organization.User, (emulator, user) => emulator.addUser(user)),
  post(
    "/_emulator/users/update",
    Schema.partial(Organization.User),
    (emulator, { userid, ...patch }) =>
      userid === undefined
        ? Effect.fail(new BadRequest("userid", "is missing"))
        : emulator.updateUser(userid, patch)
  ),
  post(
    "/_emulator/users/remove",
    Schema.Struct({ userid: Schema.String }),
    (emulator, { userid }) => emulator.removeUser(userid)
  ),
  post(
    "/_emulator/applications/add",
    Organization.Application,
    (emulator, app) => Effect.asVoid(emulator.addApplication(app))
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
      times: Schema.optional(Schema.Int.pipe(Schema.between(1, 10 ** 6)))
    }),
    (emulator, { fault, ...options }) => emulator.failNext(fault, options)
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

// A page of the web that is open in a browser on the same machine has no business here, nor has one that gave its own
// name the address of this machine.
const isForeign = (headers: NonNullable<Request["headers"]>): boolean => {
  const { host, origin } = headers
  if (host !== undefined && !isLoopback(host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"))) return true
  return origin !== undefined && origin.replace(/^https?:\/\//, "") !== host
}

/**
 * Whether a path belongs to the controls.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isControl = (path: string): boolean => path.startsWith("/_emulator")

/**
 * Answers a request to the controls; names of headers are in lower case. A mistake is a 400 that names the field.
 *
 * @since 0.1.0
 * @category handlers
 */
export const handle = (emulator: Service, request: Request): Effect.Effect<Response> => {
  if (isForeign(request.headers ?? {})) return Effect.succeed(refuse(403, "the request comes from another site"))
  const here = controls.filter(({ path }) => path === request.path.split("?")[0])
  const control = here.find(({ method }) => method === request.method)
  if (control === undefined) {
    return Effect.succeed(
      here.length > 0
        ? refuse(405, `${request.path} wants ${here.map(({ method }) => method).join(" or ")}`)
        : respond(404, { error: "no such control", controls: controls.map(({ method, path }) => `${method} ${path}`) })
    )
  }
  const text = request.body ?? ""
  const body = control.method === "POST" && text.trim() !== ""
    ? WireJson.parse(text)
    : Either.right({})
  if (Either.isLeft(body)) return Effect.succeed(refuse(400, "body: is not JSON", "body"))
  return Effect.match(control.run(emulator, body.right), {
    onFailure: (error) =>
      error._tag === "BadRequest"
        ? refuse(400, `${error.field}: ${error.reason}`, error.field)
        : refuse(400, error.message, error.subject),
    onSuccess: (result) => respond(200, result)
  })
}
