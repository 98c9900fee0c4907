/**
 * A DingTalk on your own machine: the platform's wire, and the controls that a test or a walk-through needs.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import type * as ParseResult from "effect/ParseResult"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { PCGRandom } from "effect/Utils"
import { EmulatorError } from "./EmulatorError.js"
import type { Request, Response } from "./Exchange.js"
import type { Fault } from "./Fault.js"
import type { Call, Ids, Parsed } from "./internal/call.js"
import { parse, parseObject } from "./internal/call.js"
import { faultAnswer } from "./internal/faultAnswer.js"
import { redact } from "./internal/redact.js"
import type { Routed } from "./internal/routes.js"
import { resolve } from "./internal/routes.js"
import type { AccessToken, Grant, PendingFault, State } from "./internal/state.js"
import { countCall, fromOrganization, issueCode, withApplication, withUsers } from "./internal/state.js"
import * as Organization from "./Organization.js"
import type { Entry, Matcher } from "./RequestLog.js"
import { matches } from "./RequestLog.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Answers a request as the platform would. Nothing that is sent makes it fail. */
  readonly handle: (request: Request) => Effect.Effect<Response>

  /** Milliseconds since the epoch: the `Clock` of Effect, and what `advance` has added. */
  readonly now: Effect.Effect<number>
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>

  /** As it is now. */
  readonly organization: Effect.Effect<Organization.Organization>

  /** Of the first application, unless another one is named. */
  readonly grant: (permission: string, clientId?: string) => Effect.Effect<void, EmulatorError>
  /** A permission that is not granted is an error. */
  readonly revoke: (permission: string, clientId?: string) => Effect.Effect<void, EmulatorError>
  readonly addApplication: (
    options: Organization.ApplicationOptions
  ) => Effect.Effect<Organization.Application, EmulatorError>
  /** An `ipWhiteList` that is `undefined` is taken away; `tokenLifetime` is in seconds. */
  readonly updateApplication: (
    clientId: string | undefined,
    patch: {
      readonly [K in keyof Omit<Organization.Application, "clientId">]?: Organization.Application[K] | undefined
    }
  ) => Effect.Effect<Organization.Application, EmulatorError>
  /** The old secret is refused from now on; tokens that were issued go on. */
  readonly rotateSecret: (clientId?: string) => Effect.Effect<Redacted.Redacted, EmulatorError>
  /** Of tokens that are issued from now on; of all applications, unless one is named. */
  readonly setTokenLifetime: (
    lifetime: Duration.DurationInput,
    clientId?: string
  ) => Effect.Effect<void, EmulatorError>

  readonly addUser: (user: Organization.User) => Effect.Effect<void, EmulatorError>
  /** A field that is `undefined` is taken away. */
  readonly updateUser: (
    userid: string,
    patch: { readonly [K in keyof Omit<Organization.User, "userid">]?: Organization.User[K] | undefined }
  ) => Effect.Effect<void, EmulatorError>
  readonly removeUser: (userid: string) => Effect.Effect<void, EmulatorError>

  /** Signs a person in and gives the one-time code that the sign-in page would have led back with. */
  readonly consent: (options: {
    readonly userid: string
    readonly clientId?: string | undefined
    /** `openid` unless said otherwise */
    readonly scope?: "openid" | "openid corpid" | undefined
  }) => Effect.Effect<Redacted.Redacted, EmulatorError>

  /** Ends one access token, of an app or of a user. One that was never issued is an error. */
  readonly expireToken: (token: Redacted.Redacted) => Effect.Effect<void, EmulatorError>
  /** Ends all access tokens; refresh tokens and codes stay good. */
  readonly expireTokens: Effect.Effect<void>
  /** Forgets one access token, refresh token or code. One that is not known is an error. */
  readonly revokeToken: (token: Redacted.Redacted) => Effect.Effect<void, EmulatorError>
  /** Forgets all access tokens, refresh tokens and codes: everybody has to sign in again. */
  readonly revokeTokens: Effect.Effect<void>

  /** The last 10,000 requests, oldest first. */
  readonly requests: Effect.Effect<ReadonlyArray<Entry>>
  /** How many of `requests` match; `counts` knows about all. */
  readonly count: (matcher?: Matcher) => Effect.Effect<number>
  /** Requests by endpoint, such as `contact.getUser`, or by verb and path where nothing is emulated. */
  readonly counts: Effect.Effect<Readonly<Record<string, number>>>
  readonly clearRequests: Effect.Effect<void>

  /**
   * Injects a fault into the next request that matches, or into the next `times`; with `lasting`, into all that arrive
   * within that time, by the emulator's clock. `failNext(Fault.busy, { lasting: "1 minute" })` is an outage.
   */
  readonly failNext: (fault: Fault, options?: {
    readonly matching?: Matcher | undefined
    readonly times?: number | undefined
    readonly lasting?: Duration.DurationInput | undefined
  }) => Effect.Effect<void>
  readonly clearFaults: Effect.Effect<void>

  /**
   * How many calls a second one app may make to one API, counted by calendar seconds of the emulator's clock: 20 in the
   * standard edition, `Infinity` for no limit. Tokens are not counted.
   */
  readonly setRateLimit: (perSecond: number) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Emulator extends Context.Tag("@effect-dingtalk/emulator/Emulator")<Emulator, Service>() {}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `Organization.quickstart` if left out */
  readonly organization?: Organization.Organization | undefined
  /** of every application, over what the organisation says */
  readonly tokenLifetime?: Duration.DurationInput | undefined
  /** calls a second of one app to one API, such as 20; without a limit if left out */
  readonly rateLimit?: number | undefined
}

// More than a test reads, less than a long-lived emulator notices.
const MAX_LOG = 10_000

// Paths that are not emulated are anybody's text.
const MAX_COUNTED = 1000

const makeIds = (seed: number): Ids => {
  const random = new PCGRandom(seed)
  const hex = () => {
    let out = ""
    for (let i = 0; i < 8; i++) out += random.integer(0x10000).toString(16).padStart(4, "0")
    return out
  }
  return {
    hex,
    uuid: () => hex().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5").toUpperCase(),
    short: () => {
      let out = ""
      for (let i = 0; i < 13; i++) out += random.integer(36).toString(36)
      return out
    }
  }
}

const clientIdOf = (state: State, call: Parsed): string | undefined => {
  const named = call.query.get("appkey") ?? call.query.get("client_id")
  if (named !== null) return named
  const token = call.headers["x-acs-dingtalk-access-token"] ?? call.query.get("access_token")
  const found = typeof token === "string" ? HashMap.get(state.accessTokens, token) : undefined
  if (found?._tag === "Some") return found.value.clientId
  if (call.body.length === 0 || call.body.length > 4096) return undefined
  if (call.contentType === "form") {
    const inForm = HashMap.get(state.accessTokens, new URLSearchParams(call.body).get("access_token") ?? "")
    return inForm._tag === "Some" ? inForm.value.clientId : undefined
  }
  if (!/"(?:appKey|clientId)"/.test(call.body)) return undefined
  const fields = parseObject(call.body)
  const value = fields?.["appKey"] ?? fields?.["clientId"]
  return typeof value === "string" ? value : undefined
}

const record = (state: State, entry: Entry): State => {
  const key = entry.endpoint ?? `${entry.method} ${entry.path}`
  const known = HashMap.get(state.counts, key)
  const log = HashMap.set(state.log, entry.id, entry)
  return {
    ...state,
    logged: entry.id,
    log: HashMap.size(log) > MAX_LOG ? HashMap.remove(log, entry.id - MAX_LOG) : log,
    counts: known._tag === "None" && HashMap.size(state.counts) >= MAX_COUNTED
      ? state.counts
      : HashMap.set(state.counts, key, known._tag === "Some" ? known.value + 1 : 1)
  }
}

const takeFault = (state: State, entry: Entry): readonly [Fault | undefined, State] => {
  const pendings = state.faults.filter(({ until }) => entry.at < until)
  const found = pendings.find(({ matching }) => matches(matching)(entry))
  if (found === undefined) {
    return [undefined, pendings.length < state.faults.length ? { ...state, faults: pendings } : state]
  }
  const faults = pendings.flatMap((pending) =>
    pending !== found ? [pending] : found.times > 1 ? [{ ...found, times: found.times - 1 }] : []
  )
  return [found.fault, { ...state, faults }]
}

const UNCOUNTED = /^(?:oauth2|login)\./

const countOrThrottle = (state: State, entry: Entry): readonly [Fault | undefined, State] => {
  const { clientId, endpoint } = entry
  if (clientId === undefined || endpoint === undefined || UNCOUNTED.test(endpoint)) return [undefined, state]
  const counted = countCall(state, `${clientId} ${endpoint}`, entry.at)
  return counted === undefined ? [{ _tag: "Throttled" }, state] : [undefined, counted]
}

interface Arrival {
  readonly entry: Entry
  readonly fault: Fault | undefined
}

const arrive = (state: State, parsed: Parsed, routed: Routed, now: number): readonly [Arrival, State] => {
  const secrets = Array.from(state.applications.values(), (app) => Redacted.value(app.clientSecret))
  const entry: Entry = {
    id: state.logged + 1,
    at: now,
    method: parsed.method,
    ...redact(parsed, secrets),
    endpoint: routed.endpoint,
    clientId: clientIdOf(state, parsed),
    fault: undefined,
    status: undefined
  }
  // By what was sent, not by what may be shown of it.
  const [injected, afterFault] = takeFault(state, { ...entry, path: parsed.path })
  const [fault, rest] = injected === undefined ? countOrThrottle(afterFault, entry) : [injected, afterFault]
  const logged = { ...entry, fault: fault?._tag }
  return [{ entry: logged, fault }, record(rest, logged)]
}

const answer = (
  state: State,
  parsed: Parsed,
  routed: Routed,
  ids: Ids,
  time: number,
  { entry, fault }: Arrival
): readonly [Response, State] => {
  const call: Call = { ...parsed, ids, now: time + state.offset }
  const given = fault === undefined || fault._tag === "Delay"
    ? routed.handler(state, call)
    : faultAnswer(fault, call, routed.gateway, entry.clientId, state.rateLimit)
  const after = given.state ?? state
  const { response } = given
  // Whoever cleared the log meanwhile does not want the entry back.
  const log = HashMap.has(after.log, entry.id)
    ? HashMap.set(after.log, entry.id, { ...entry, status: response.status })
    : after.log
  return [response, { ...after, log }]
}

const withLifetime = (state: State, tokenLifetime: number): State => {
  const applications = new Map(state.applications)
  for (const [id, app] of applications) applications.set(id, { ...app, tokenLifetime })
  return { ...state, applications }
}

const unknownUser = ({ users }: State, userid: string) =>
  new EmulatorError({ reason: "UnknownUser", subject: userid, field: "userid", known: Array.from(users.keys()) })

// Tokens are secrets: only how many there are is told.
const unknownToken = (subject: string, all: Readonly<Record<string, HashMap.HashMap<string, unknown>>>) =>
  new EmulatorError({
    reason: "UnknownToken",
    subject,
    field: "token",
    known: Object.entries(all).map(([name, held]) => `${HashMap.size(held)} ${name}`)
  })

const invalid = (error: ParseResult.ParseError): EmulatorError => {
  const field = error.message.match(/\["(\w+)"\]/)?.[1] ?? "value"
  return new EmulatorError({
    reason: "Invalid",
    subject: field,
    field,
    description: error.message.split("\n").at(-1)!.replace(/^[\s│└├─]+/, "")
  })
}

// `Redacted` and `bigint` are values here, not their JSON.
const check = <A>(schema: Schema.Schema<A, any>, value: unknown): Effect.Effect<A, EmulatorError> =>
  Effect.mapError(Schema.validate(schema)(value), invalid)

const limitOf = (perSecond: number): number => perSecond >= 1 ? Math.floor(perSecond) : Infinity

const secondsOf = (lifetime: Duration.DurationInput): number =>
  Math.min(Math.max(1, Math.round(Duration.toSeconds(lifetime))), 10 ** 9)

// What a `Date` can still show.
const MAX_OFFSET = 10 ** 15

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<Service> =>
  Effect.gen(function*() {
    const ids = makeIds(yield* Random.nextInt)
    const organization = options?.organization ?? Organization.quickstart
    const lifetime = options?.tokenLifetime
    // A mistake of the program: what is answered is built from these texts.
    yield* Effect.orDie(check(Schema.Array(Organization.Application), organization.applications))
    const initial: State = {
      ...fromOrganization(organization),
      rateLimit: limitOf(options?.rateLimit ?? Infinity)
    }
    const ref = yield* Ref.make(lifetime === undefined ? initial : withLifetime(initial, secondsOf(lifetime)))

    /** Changes the state, or fails and leaves it. */
    const change = <A>(
      f: (state: State, now: number) => readonly [A, State] | EmulatorError
    ): Effect.Effect<A, EmulatorError> =>
      Effect.flatMap(Clock.currentTimeMillis, (time) =>
        Effect.flatten(Ref.modify(ref, (state): readonly [Effect.Effect<A, EmulatorError>, State] => {
          const changed = f(state, time + state.offset)
          return changed instanceof EmulatorError
            ? [Effect.fail(changed), state]
            : [Effect.succeed(changed[0]), changed[1]]
        })))

    const changeApplication = (
      clientId: string | undefined,
      f: (app: Organization.Application) => Organization.Application | EmulatorError
    ): Effect.Effect<Organization.Application, EmulatorError> =>
      change((state) => {
        const app = applicationOf(state, clientId)
        if (app instanceof EmulatorError) {
          return app
        }
        const changed = f(app)
        return changed instanceof EmulatorError ? changed : [changed, withApplication(state, changed)]
      })

    const handle = (request: Request): Effect.Effect<Response> =>
      Effect.flatMap(Clock.currentTimeMillis, (time) => {
        const parsed = parse(request)
        const routed = resolve(parsed)
        return Effect.flatMap(
          Ref.modify(ref, (state): readonly [Response | Arrival, State] => {
            const [arrival, after] = arrive(state, parsed, routed, time + state.offset)
            return arrival.fault?._tag === "Delay"
              ? [arrival, after]
              : answer(after, parsed, routed, ids, time, arrival)
          }),
          (result) => {
            if (!("fault" in result)) {
              return Effect.succeed(result)
            }
            const millis = result.fault?._tag === "Delay" ? result.fault.millis : 0
            return Effect.sleep(millis).pipe(
              Effect.zipRight(Clock.currentTimeMillis),
              Effect.flatMap((later) =>
                Ref.modify(ref, (state) =>
                  answer(state, parsed, routed, ids, later, result))
              )
            )
          }
        )
      })

    const now = Effect.zipWith(Clock.currentTimeMillis, Ref.get(ref), (time, state) => time + state.offset)

    const requests = Effect.map(
      Ref.get(ref),
      (state) => Array.from(HashMap.values(state.log)).sort((one, other) => one.id - other.id)
    )

    return {
      handle,
      now,
      advance: (duration) =>
        Ref.update(ref, (state) => ({
          ...state,
          offset: Math.min(state.offset + Duration.toMillis(duration), MAX_OFFSET)
        })),

      organization: Effect.map(Ref.get(ref), (state) => ({
        corpId: state.corpId,
        corpName: state.corpName,
        applications: Array.from(state.applications.values()),
        users: Array.from(state.users.values())
      })),

      grant: (permission, clientId) =>
        Effect.asVoid(changeApplication(clientId, (app) =>
          app.permissions.includes(permission)
            ? app
            : { ...app, permissions: [...app.permissions, permission] })),
      revoke: (permission, clientId) =>
        Effect.asVoid(changeApplication(clientId, (app) =>
          app.permissions.includes(permission)
            ? { ...app, permissions: app.permissions.filter((granted) => granted !== permission) }
            : new EmulatorError({
              reason: "NotGranted",
              subject: permission,
              field: "permission",
              known: app.permissions
            }))),
      addApplication: (added) =>
        Effect.flatMap(
          check(Organization.Application, Organization.Application.make(added, { disableValidation: true })),
          (app) =>
            change((state) =>
              state.applications.has(app.clientId)
                ? new EmulatorError({ reason: "Duplicate", subject: app.clientId, field: "clientId" })
                : [app, withApplication(state, app)]
            )
        ),
      updateApplication: (clientId, patch) =>
        Effect.zipRight(
          check(Schema.partial(Schema.typeSchema(Organization.Application)), patch),
          changeApplication(clientId, ({ ipWhiteList, ...app }) => {
            const list = "ipWhiteList" in patch ? patch.ipWhiteList : ipWhiteList
            return {
              ...app,
              ...Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)),
              ...(list === undefined ? {} : { ipWhiteList: list }),
              clientId: app.clientId
            }
          })
        ),
      rotateSecret: (clientId) =>
        Effect.map(
          changeApplication(clientId, (app) => ({ ...app, clientSecret: Redacted.make(ids.hex() + ids.hex()) })),
          (app) => app.clientSecret
        ),
      setTokenLifetime: (lifetime, clientId) => {
        const tokenLifetime = secondsOf(lifetime)
        return clientId === undefined
          ? Ref.update(ref, (state) => withLifetime(state, tokenLifetime))
          : Effect.asVoid(changeApplication(clientId, (app) => ({ ...app, tokenLifetime })))
      },

      addUser: (added) =>
        Effect.flatMap(check(Organization.User, added), (user) =>
          change((state) => {
            const taken = state.users.has(user.userid)
              ? "userid"
              : state.unionIds.has(user.unionid)
              ? "unionid"
              : undefined
            return taken === undefined
              ? [undefined, withUsers(state, new Map(state.users).set(user.userid, user))]
              : new EmulatorError({ reason: "Duplicate", subject: user[taken], field: taken })
          })),
      updateUser: (userid, patch) =>
        change((state) => {
          const user = state.users.get(userid)
          if (user === undefined) return unknownUser(state, userid)
          const valid = Schema.validateEither(Organization.User)(Object.fromEntries(
            Object.entries({ ...user, ...patch, userid }).filter(([, value]) => value !== undefined)
          ))
          if (Either.isLeft(valid)) return invalid(valid.left)
          const changed = valid.right
          const owner = state.unionIds.get(changed.unionid)
          if (owner !== undefined && owner !== userid) {
            return new EmulatorError({ reason: "Duplicate", subject: changed.unionid, field: "unionid" })
          }
          return [undefined, withUsers(state, new Map(state.users).set(userid, changed))]
        }),
      removeUser: (userid) =>
        change((state) => {
          if (!state.users.has(userid)) return unknownUser(state, userid)
          const users = new Map(state.users)
          users.delete(userid)
          return [undefined, withUsers(state, users)]
        }),

      consent: ({ clientId, scope, userid }) =>
        change((state, now) => {
          const app = applicationOf(state, clientId)
          if (app instanceof EmulatorError) return app
          if (!state.users.has(userid)) return unknownUser(state, userid)
          const issued = issueCode(
            state,
            app.clientId,
            {
              userid,
              corpId: scope === "openid corpid" ? state.corpId : undefined,
              consented: true
            },
            now,
            ids
          )
          return [Redacted.make(issued.token), issued.state]
        }),

      expireToken: (token) =>
        change((state) =>
          HashMap.has(state.accessTokens, Redacted.value(token))
            ? [undefined, {
              ...state,
              accessTokens: HashMap.modify(state.accessTokens, Redacted.value(token), ended)
            }]
            : unknownToken("access token", { "access tokens": state.accessTokens })
        ),
      expireTokens: Ref.update(ref, (state) => ({
        ...state,
        accessTokens: HashMap.map(state.accessTokens, ended)
      })),
      revokeToken: (token) =>
        change((state) => {
          const key = Redacted.value(token)
          const { accessTokens, codes, refreshTokens } = state
          return HashMap.has(accessTokens, key) || HashMap.has(refreshTokens, key) || HashMap.has(codes, key)
            ? [undefined, {
              ...state,
              accessTokens: HashMap.remove(accessTokens, key),
              refreshTokens: HashMap.remove(refreshTokens, key),
              codes: HashMap.remove(codes, key)
            }]
            : unknownToken("token or code", { "access tokens": accessTokens, "refresh tokens": refreshTokens, codes })
        }),
      revokeTokens: Ref.update(ref, (state) => ({
        ...state,
        accessTokens: HashMap.empty<string, AccessToken>(),
        refreshTokens: HashMap.empty<string, Grant>(),
        codes: HashMap.empty<string, Grant>()
      })),

      requests,
      count: (matcher) => Effect.map(requests, (log) => log.filter(matches(matcher ?? {})).length),
      counts: Effect.map(Ref.get(ref), (state) => Object.fromEntries(HashMap.toEntries(state.counts))),
      clearRequests: Ref.update(ref, (state) => ({
        ...state,
        log: HashMap.empty<number, Entry>(),
        counts: HashMap.empty<string, number>()
      })),

      failNext: (fault, options) =>
        Effect.flatMap(Clock.currentTimeMillis, (time) =>
          Ref.update(ref, (state) => {
            const lasting = options?.lasting === undefined ? undefined : Duration.toMillis(options.lasting)
            const pending: PendingFault = {
              fault,
              matching: options?.matching ?? {},
              times: Math.max(1, Math.floor(options?.times ?? (lasting === undefined ? 1 : Infinity))),
              until: lasting === undefined ? Infinity : time + state.offset + lasting
            }
            return { ...state, faults: [...state.faults, pending] }
          })),
      setRateLimit: (perSecond) => Ref.update(ref, (state) => ({ ...state, rateLimit: limitOf(perSecond) })),
      clearFaults: Ref.update(ref, (state) => ({ ...state, faults: [] }))
    }
  })

const applicationOf = (state: State, clientId: string | undefined): Organization.Application | EmulatorError =>
  (clientId === undefined ? state.applications.values().next().value : state.applications.get(clientId)) ??
    new EmulatorError({
      reason: "UnknownApplication",
      subject: clientId ?? "at all",
      field: "clientId",
      known: Array.from(state.applications.keys())
    })

const ended = (token: AccessToken): AccessToken => ({ ...token, expiresAt: Number.NEGATIVE_INFINITY })

/**
 * An emulator in memory, with an organisation of its own: bind the Layer to a constant and provide it once, because
 * every build starts anew.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { Emulator } from "@effect-dingtalk/emulator"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const emulator = yield* Emulator.Emulator
 *   const { status, body } = yield* emulator.handle({
 *     method: "POST",
 *     path: "/v1.0/oauth2/accessToken",
 *     headers: { "content-type": "application/json" },
 *     body: JSON.stringify({ appKey: "dingquickstart", appSecret: "quickstart-secret" })
 *   })
 *   return [status, JSON.parse(body).expireIn]
 * })
 * Effect.runPromise(Effect.provide(program, Emulator.layer())).then(console.log) // [ 200, 7200 ]
 * ```
 */
export const layer = (options?: Options): Layer.Layer<Emulator> => Layer.effect(Emulator, make(options))
