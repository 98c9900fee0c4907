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
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as PubSub from "effect/PubSub"
import type * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { PCGRandom } from "effect/Utils"
import { EmulatorError } from "./EmulatorError.js"
import type { Request, Response } from "./Exchange.js"
import type { Fault } from "./Fault.js"
import type { Call, Ids, Parsed } from "./internal/call.js"
import { parse } from "./internal/call.js"
import { hmac } from "./internal/crypto.js"
import { deliver } from "./internal/delivery.js"
import { faultAnswer } from "./internal/faultAnswer.js"
import { identify } from "./internal/identify.js"
import { redact, redactPath } from "./internal/redact.js"
import type { Routed } from "./internal/routes.js"
import { CORP_TOKEN, resolve } from "./internal/routes.js"
import type {
  AccessToken,
  Client,
  Code,
  Consent,
  Grant,
  Org,
  PendingFault,
  Session,
  State,
  SuiteClient
} from "./internal/state.js"
import {
  actingIn,
  countCall,
  emptyState,
  issueCode,
  isSuite,
  keyOf,
  listed,
  lookUp,
  organizationIn,
  orgOf,
  put,
  take,
  withAuthorization,
  withClient,
  withOrg,
  withOrganization,
  withSuite
} from "./internal/state.js"
import { signed } from "./internal/suite.js"
import * as Organization from "./Organization.js"
import type { Entry, Matcher, Tally } from "./RequestLog.js"
import { matches } from "./RequestLog.js"
import type { Push, SuiteTicket } from "./SuiteTicket.js"
import * as ThirdParty from "./ThirdParty.js"

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

  /** The default one, as it is now. */
  readonly organization: Effect.Effect<Organization.Organization>
  /** All that were declared, as they are now. */
  readonly organizations: Effect.Effect<ReadonlyArray<Organization.Organization>>
  readonly addOrganization: (organization: Organization.Organization) => Effect.Effect<void, EmulatorError>

  /** As they are now, with what each organisation said. */
  readonly thirdPartyApplications: Effect.Effect<ReadonlyArray<ThirdParty.Application>>
  readonly addThirdPartyApplication: (
    options: ThirdParty.ApplicationOptions
  ) => Effect.Effect<ThirdParty.Application, EmulatorError>
  /**
   * An organisation authorises a third-party application, or changes what it allows. Of the first such application,
   * unless another one is named; so below.
   */
  readonly authorize: (
    authorization: ThirdParty.AuthorizationOptions,
    suiteKey?: string
  ) => Effect.Effect<void, EmulatorError>
  /** The tokens of the application for this organisation end. An organisation that has not authorised it is an error. */
  readonly deauthorize: (corpId: string, suiteKey?: string) => Effect.Effect<void, EmulatorError>
  /** Where events are posted to from now on; `undefined` for nowhere. */
  readonly setCallback: (
    callback: ThirdParty.Callback | undefined,
    suiteKey?: string
  ) => Effect.Effect<void, EmulatorError>
  /** The ticket that is good now. There is one from the start, which nobody was told. */
  readonly suiteTicket: (suiteKey?: string) => Effect.Effect<Redacted.Redacted, EmulatorError>
  /**
   * Makes a new ticket, which ends the old one at once, and tells it the subscribers and the callback. Pushes to one
   * application follow each other in the order in which they were asked for.
   */
  readonly pushSuiteTicket: (suiteKey?: string) => Effect.Effect<Push, EmulatorError>
  /** The pushes of all third-party applications from now on. */
  readonly suiteTickets: Stream.Stream<SuiteTicket>
  /** The same for who must not miss what is pushed right after. */
  readonly subscribe: Effect.Effect<Queue.Dequeue<SuiteTicket>, never, Scope.Scope>

  /** Of the first application, unless another one is named; a third-party one is named by its `suiteKey`. */
  readonly grant: (permission: string, clientId?: string) => Effect.Effect<void, EmulatorError>
  /** A permission that is not granted is an error. */
  readonly revoke: (permission: string, clientId?: string) => Effect.Effect<void, EmulatorError>
  /** In the default organisation, unless another one is named; so below. */
  readonly addApplication: (
    options: Organization.ApplicationOptions,
    corpId?: string
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

  readonly addUser: (user: Organization.User, corpId?: string) => Effect.Effect<void, EmulatorError>
  /** A field that is `undefined` is taken away. */
  readonly updateUser: (
    userid: string,
    patch: { readonly [K in keyof Omit<Organization.User, "userid">]?: Organization.User[K] | undefined },
    corpId?: string
  ) => Effect.Effect<void, EmulatorError>
  readonly removeUser: (userid: string, corpId?: string) => Effect.Effect<void, EmulatorError>

  /** Signs a person in and gives the one-time code that the sign-in page would have led back with. */
  readonly consent: (options: {
    readonly userid: string
    readonly clientId?: string | undefined
    /** where the person belongs to: for an internal app always its own organisation */
    readonly corpId?: string | undefined
    /** `openid` unless said otherwise */
    readonly scope?: "openid" | "openid corpid" | undefined
  }) => Effect.Effect<Redacted.Redacted, EmulatorError>
  /** The one-time code that `requestAuthCode` of the JSAPI gives to a page within DingTalk, for `getuserinfo`. */
  readonly inClientCode: (options: {
    readonly userid: string
    readonly clientId?: string | undefined
    /** for an internal app always its own organisation */
    readonly corpId?: string | undefined
  }) => Effect.Effect<Redacted.Redacted, EmulatorError>
  /** The one-time code with which an administrator arrives at the back end of an app, for `ssoUserInfo`. */
  readonly ssoCode: (options: {
    readonly userid: string
    readonly corpId?: string | undefined
  }) => Effect.Effect<Redacted.Redacted, EmulatorError>

  /** Ends one access token of any kind. One that was never issued is an error. */
  readonly expireToken: (token: Redacted.Redacted) => Effect.Effect<void, EmulatorError>
  /** Ends all access tokens; refresh tokens and codes stay good. */
  readonly expireTokens: Effect.Effect<void>
  /** Forgets one access token, refresh token or code. One that is not known is an error. */
  readonly revokeToken: (token: Redacted.Redacted) => Effect.Effect<void, EmulatorError>
  /** Forgets all access tokens, refresh tokens and codes: everybody has to sign in again. */
  readonly revokeTokens: Effect.Effect<void>

  /** The last 10,000 requests, or as many as the options say, oldest first. */
  readonly requests: Effect.Effect<ReadonlyArray<Entry>>
  /** How many of `requests` match; `counts` knows about all. */
  readonly count: (matcher?: Matcher) => Effect.Effect<number>
  /** Requests by endpoint, such as `contact.getUser`, or by verb and path where nothing is emulated. */
  readonly counts: Effect.Effect<Readonly<Record<string, number>>>
  /** Requests by endpoint, application and organisation, whatever the log still holds. */
  readonly tallies: Effect.Effect<ReadonlyArray<Tally>>
  /** The sum of `tallies` with these values; at once, if all three are given. */
  readonly total: (
    of?: { readonly [K in "endpoint" | "clientId" | "corpId"]?: string | undefined }
  ) => Effect.Effect<number>
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
  /** the default one: `Organization.quickstart` if left out */
  readonly organization?: Organization.Organization | undefined
  /** more of them */
  readonly organizations?: ReadonlyArray<Organization.Organization> | undefined
  /**
   * those that nobody declared, by `corpId`, such as `Organization.generated`; always the same one for the same
   * `corpId`, and without applications
   */
  readonly organizationOf?: ((corpId: string) => Organization.Organization | undefined) | undefined
  readonly thirdPartyApplications?: ReadonlyArray<ThirdParty.Application> | undefined
  /** of every application and of SSO, over what they say themselves */
  readonly tokenLifetime?: Duration.DurationInput | undefined
  /** calls a second of one app to one API, such as 20; without a limit if left out */
  readonly rateLimit?: number | undefined
  /** how many requests the log keeps: 10,000 if left out, none if 0; what is counted is right all the same */
  readonly requestLog?: number | undefined
}

// Paths that are not emulated are anybody's text.
const MAX_COUNTED = 1000

// More than thousands of organisations at several endpoints need.
const MAX_TALLIES = 200_000

// Who falls that far behind gets the latest ones.
const MAX_UNREAD = 1024

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

const record = (state: State, entry: Entry, isKnown: boolean): State => {
  const key = entry.endpoint ?? `${entry.method} ${entry.path}`
  const known = HashMap.get(state.counts, key)
  const log = state.logSize === 0 ? state.log : HashMap.set(state.log, entry.id, entry)
  const counted: State = {
    ...state,
    logged: entry.id,
    log: HashMap.size(log) > state.logSize ? HashMap.remove(log, entry.id - state.logSize) : log,
    counts: known._tag === "None" && HashMap.size(state.counts) >= MAX_COUNTED
      ? state.counts
      : HashMap.set(state.counts, key, known._tag === "Some" ? known.value + 1 : 1)
  }
  return entry.endpoint === undefined
    ? counted
    : {
      ...counted,
      tallies: tallied(state.tallies, entry.endpoint, isKnown ? entry.clientId : undefined, entry.corpId)
    }
}

const tallied = (
  tallies: State["tallies"],
  endpoint: string,
  clientId: string | undefined,
  corpId: string | undefined
): State["tallies"] => {
  const key = keyOf(endpoint, clientId, corpId)
  const known = Option.getOrUndefined(HashMap.get(tallies, key))
  return known === undefined && HashMap.size(tallies) >= MAX_TALLIES
    ? tallies
    : HashMap.set(tallies, key, { endpoint, clientId, corpId, count: (known?.count ?? 0) + 1 })
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

// A third-party app is counted by customer (reference 5).
const countOrThrottle = (state: State, entry: Entry, isThirdParty: boolean): readonly [Fault | undefined, State] => {
  const { clientId, corpId, endpoint } = entry
  if (clientId === undefined || endpoint === undefined || UNCOUNTED.test(endpoint)) return [undefined, state]
  const key = isThirdParty ? keyOf(clientId, endpoint, corpId) : keyOf(clientId, endpoint)
  const counted = countCall(state, key, entry.at)
  return counted === undefined ? [{ _tag: "Throttled" }, state] : [undefined, counted]
}

interface Arrival {
  readonly entry: Entry
  readonly fault: Fault | undefined
}

const arrive = (state: State, parsed: Parsed, routed: Routed, now: number): readonly [Arrival, State] => {
  const { clientId, corpId } = identify(state, parsed)
  const client = lookUp(state.clients, clientId)
  const entry: Entry = {
    id: state.logged + 1,
    at: now,
    method: parsed.method,
    // What nobody will see need not be cleaned.
    ...(state.logSize === 0
      ? {
        path: routed.endpoint === undefined ? redactPath(parsed, state.secrets) : "",
        query: "",
        headers: {},
        body: ""
      }
      : redact(parsed, state.secrets)),
    endpoint: routed.endpoint,
    clientId,
    corpId,
    fault: undefined,
    status: undefined
  }
  // By what was sent, not by what may be shown of it.
  const [injected, afterFault] = takeFault(state, { ...entry, path: parsed.path })
  const [fault, rest] = injected === undefined
    ? countOrThrottle(afterFault, entry, client?.suite !== undefined)
    : [injected, afterFault]
  const logged = { ...entry, fault: fault?._tag }
  return [{ entry: logged, fault }, record(rest, logged, client !== undefined)]
}

const answer = (
  state: State,
  parsed: Parsed,
  routed: Routed,
  ids: Ids,
  time: number,
  signature: string | undefined,
  { entry, fault }: Arrival
): readonly [Response, State] => {
  const call: Call = { ...parsed, ids, now: time + state.offset, signature }
  const given = fault === undefined || fault._tag === "Delay"
    ? routed.handler(state, call)
    : faultAnswer(
      fault,
      call,
      routed.gateway,
      entry.clientId,
      state.rateLimit,
      lookUp(state.clients, entry.clientId)?.suite !== undefined
    )
  const after = given.state ?? state
  const { response } = given
  // Whoever cleared the log meanwhile does not want the entry back.
  const log = HashMap.has(after.log, entry.id)
    ? HashMap.set(after.log, entry.id, { ...entry, status: response.status })
    : after.log
  return [response, { ...after, log }]
}

const withLifetime = (state: State, tokenLifetime: number): State => ({
  ...state,
  ssoTokenLifetime: tokenLifetime,
  clients: {
    ...state.clients,
    map: HashMap.map(state.clients.map, ({ place, value }) => ({
      place,
      value: { ...value, app: { ...value.app, tokenLifetime } }
    }))
  }
})

const unknownUser = ({ users }: Org, userid: string) =>
  new EmulatorError({
    reason: "UnknownUser",
    subject: userid,
    field: "userid",
    known: listed(users).map((user) => user.userid)
  })

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
    const initial = yield* Effect.orDie(initialState(options ?? {}, ids))
    const ref = yield* Ref.make(initial)
    const pushed = yield* PubSub.sliding<SuiteTicket>(MAX_UNREAD)
    const pushing = new Map<string, Effect.Semaphore>()

    /** Changes the state, or fails and leaves it. */
    const change = <A>(
      f: (state: State, now: number) => Changed<A>
    ): Effect.Effect<A, EmulatorError> =>
      Effect.flatMap(Clock.currentTimeMillis, (time) => {
        const changed = Ref.modify(ref, (state) => settled(state, f(state, time + state.offset)))
        return Effect.flatten(changed)
      })

    const changeApplication = (
      clientId: string | undefined,
      f: (app: Organization.Application) => Organization.Application | EmulatorError
    ): Effect.Effect<Organization.Application, EmulatorError> =>
      change((state) => {
        const client = clientOf(state, clientId)
        if (client instanceof EmulatorError) return client
        const app = f(client.app)
        return app instanceof EmulatorError ? app : [app, withClient(state, { ...client, app })]
      })

    /** Changes an organisation, the default one unless another one is named. */
    const changeOrg = (
      corpId: string | undefined,
      f: (org: Org) => Org | EmulatorError
    ): Effect.Effect<void, EmulatorError> =>
      change((state) => {
        const org = orgNamed(state, corpId)
        if (org instanceof EmulatorError) return org
        const changed = f(org)
        return changed instanceof EmulatorError ? changed : [undefined, withOrg(state, changed)]
      })

    const makeCode = (kind: Code["kind"], owner: (state: State) => Owner, options: CodeOptions) =>
      change((state, now) => {
        const client = owner(state)
        if (client instanceof EmulatorError) return client
        const session = sessionOf(state, kind, client, options)
        if (session instanceof EmulatorError) return session
        const issued = issueCode(state, kind, client?.app.clientId ?? "", session, now, ids)
        return [Redacted.make(issued.token), issued.state]
      })

    // One after the other, so that what arrives last is what is good.
    const inTurn = (suiteKey: string): Effect.Semaphore => {
      const known = pushing.get(suiteKey) ?? Effect.unsafeMakeSemaphore(1)
      pushing.set(suiteKey, known)
      return known
    }

    const findSuite = (suiteKey: string | undefined): Effect.Effect<SuiteClient, EmulatorError> =>
      change((state) => {
        const client = suiteOf(state, suiteKey)
        return client instanceof EmulatorError ? client : [client, state]
      })

    const makeSuiteTicket = (suiteKey: string) =>
      change((state, now) => {
        const client = suiteOf(state, suiteKey)
        if (client instanceof EmulatorError) return client
        const ticket = ids.hex()
        const made: SuiteTicket = {
          suiteKey,
          suiteTicket: Redacted.make(ticket),
          eventId: ids.hex(),
          corpId: state.corpId,
          bornTime: now,
          unifiedAppId: unifiedAppIdOf(client)
        }
        const suiteTickets = HashMap.set(state.suiteTickets, suiteKey, ticket)
        return [[made, client.suite.callback] as const, { ...state, suiteTickets }]
      })

    const pushSuiteTicket = (named: string | undefined): Effect.Effect<Push, EmulatorError> =>
      Effect.gen(function*() {
        const suiteKey = (yield* findSuite(named)).app.clientId
        const push = Effect.gen(function*() {
          const [made, callback] = yield* makeSuiteTicket(suiteKey)
          yield* PubSub.publish(pushed, made)
          return { ...made, ...(yield* deliver(made, callback, ids)) }
        })
        return yield* inTurn(suiteKey).withPermits(1)(push)
      })

    const run = (parsed: Parsed, routed: Routed, signature: string | undefined, time: number) =>
      Effect.flatMap(
        Ref.modify(ref, (state): readonly [Response | Arrival, State] => {
          const [arrival, after] = arrive(state, parsed, routed, time + state.offset)
          return arrival.fault?._tag === "Delay"
            ? [arrival, after]
            : answer(after, parsed, routed, ids, time, signature, arrival)
        }),
        (result) => {
          if (!("fault" in result)) return Effect.succeed(result)
          return Effect.sleep(result.fault?._tag === "Delay" ? result.fault.millis : 0).pipe(
            Effect.zipRight(Clock.currentTimeMillis),
            Effect.flatMap((later) =>
              Ref.modify(ref, (state) => answer(state, parsed, routed, ids, later, signature, result))
            )
          )
        }
      )

    const signatureDue = (parsed: Parsed): Effect.Effect<string | undefined> =>
      Effect.flatMap(Ref.get(ref), (state) => {
        const due = signed(state, parsed)
        return due === undefined
          ? Effect.succeed(undefined)
          : Effect.promise(() => hmac(Redacted.value(due.client.app.clientSecret), due.text))
      })

    const handle = (request: Request): Effect.Effect<Response> =>
      Effect.flatMap(Clock.currentTimeMillis, (time) => {
        const parsed = parse(request)
        const routed = resolve(parsed)
        return routed.endpoint === CORP_TOKEN
          ? Effect.flatMap(signatureDue(parsed), (signature) => run(parsed, routed, signature, time))
          : run(parsed, routed, undefined, time)
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

      organization: Effect.map(Ref.get(ref), (state) => describe(state, lookUp(state.organizations, state.corpId)!)),
      organizations: Effect.map(Ref.get(ref), (state) => describeAll(state)),
      addOrganization: (added) =>
        Effect.flatMap(check(Organization.Organization, added), (organization) =>
          change((state) => {
            const taken = lookUp(state.organizations, organization.corpId) === undefined
              ? organization.applications.find(({ clientId }) => lookUp(state.clients, clientId) !== undefined)
                ?.clientId
              : organization.corpId
            return taken === undefined
              ? [undefined, withOrganization(state, organization)]
              : new EmulatorError({
                reason: "Duplicate",
                subject: taken,
                field: taken === organization.corpId ? "corpId" : "clientId"
              })
          })),

      thirdPartyApplications: Effect.map(Ref.get(ref), (state) => {
        const said = listed(state.consents)
        return listed(state.clients).filter(isSuite).map((client) => declaration(client, said))
      }),
      addThirdPartyApplication: (added) =>
        Effect.flatMap(
          check(ThirdParty.Application, ThirdParty.Application.make(added, { disableValidation: true })),
          (app) =>
            change((state) =>
              lookUp(state.clients, app.suiteKey) === undefined
                ? [app, withSuite(state, app, ids)]
                : new EmulatorError({ reason: "Duplicate", subject: app.suiteKey, field: "suiteKey" })
            )
        ),
      authorize: (given, suiteKey) =>
        Effect.flatMap(
          check(ThirdParty.Authorization, ThirdParty.Authorization.make(given, { disableValidation: true })),
          (authorization) =>
            change((state) => {
              const client = suiteOf(state, suiteKey)
              if (client instanceof EmulatorError) return client
              const org = orgNamed(state, authorization.corpId)
              return org instanceof EmulatorError
                ? org
                : [undefined, withAuthorization(state, client.app.clientId, org.corpId, authorization)]
            })
        ),
      deauthorize: (corpId, suiteKey) =>
        change((state) => {
          const client = suiteOf(state, suiteKey)
          if (client instanceof EmulatorError) return client
          return actingIn(state, client, corpId) === undefined
            ? notAuthorized(state, client.app.clientId, corpId)
            : [undefined, withAuthorization(state, client.app.clientId, corpId, undefined)]
        }),
      setCallback: (callback, suiteKey) =>
        Effect.zipRight(
          check(Schema.UndefinedOr(ThirdParty.Callback), callback),
          change((state) => {
            const client = suiteOf(state, suiteKey)
            return client instanceof EmulatorError
              ? client
              : [undefined, withClient(state, { ...client, suite: { ...client.suite, callback } })]
          })
        ),
      suiteTicket: (suiteKey) =>
        Effect.zipWith(
          findSuite(suiteKey),
          Ref.get(ref),
          ({ app }, state) => Redacted.make(HashMap.unsafeGet(state.suiteTickets, app.clientId))
        ),
      pushSuiteTicket,
      suiteTickets: Stream.fromPubSub(pushed),
      subscribe: PubSub.subscribe(pushed),

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
      addApplication: (added, corpId) =>
        Effect.flatMap(
          check(Organization.Application, Organization.Application.make(added, { disableValidation: true })),
          (app) =>
            change((state) => {
              const org = orgNamed(state, corpId)
              if (org instanceof EmulatorError) return org
              return lookUp(state.clients, app.clientId) === undefined
                ? [app, withClient(state, { app, corpId: org.corpId, suite: undefined })]
                : new EmulatorError({ reason: "Duplicate", subject: app.clientId, field: "clientId" })
            })
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

      addUser: (added, corpId) =>
        Effect.flatMap(check(Organization.User, added), (user) =>
          changeOrg(corpId, (org) => {
            const taken = lookUp(org.users, user.userid) !== undefined
              ? "userid"
              : HashMap.has(org.unionIds, user.unionid)
              ? "unionid"
              : undefined
            return taken === undefined
              ? withUser(org, user)
              : new EmulatorError({ reason: "Duplicate", subject: user[taken], field: taken })
          })),
      updateUser: (userid, patch, corpId) =>
        changeOrg(corpId, (org) => {
          const user = lookUp(org.users, userid)
          if (user === undefined) return unknownUser(org, userid)
          const valid = Schema.validateEither(Organization.User)(Object.fromEntries(
            Object.entries({ ...user, ...patch, userid }).filter(([, value]) => value !== undefined)
          ))
          if (Either.isLeft(valid)) return invalid(valid.left)
          const changed = valid.right
          const owner = Option.getOrUndefined(HashMap.get(org.unionIds, changed.unionid))
          return owner !== undefined && owner !== userid
            ? new EmulatorError({ reason: "Duplicate", subject: changed.unionid, field: "unionid" })
            : withUser({ ...org, unionIds: HashMap.remove(org.unionIds, user.unionid) }, changed)
        }),
      removeUser: (userid, corpId) =>
        changeOrg(corpId, (org) => {
          const user = lookUp(org.users, userid)
          return user === undefined
            ? unknownUser(org, userid)
            : { ...org, users: take(org.users, userid), unionIds: HashMap.remove(org.unionIds, user.unionid) }
        }),

      consent: (options) => makeCode("signIn", (state) => clientOf(state, options.clientId), options),
      inClientCode: (options) => makeCode("inClient", (state) => clientOf(state, options.clientId), options),
      ssoCode: (options) => makeCode("sso", () => undefined, options),

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
        codes: HashMap.empty<string, Code>()
      })),

      requests,
      count: (matcher) => Effect.map(requests, (log) => log.filter(matches(matcher ?? {})).length),
      counts: Effect.map(Ref.get(ref), (state) => Object.fromEntries(HashMap.toEntries(state.counts))),
      tallies: Effect.map(Ref.get(ref), (state) => Array.from(HashMap.values(state.tallies))),
      total: (of = {}) =>
        Effect.map(Ref.get(ref), ({ tallies }) => {
          const { clientId, corpId, endpoint } = of
          if (clientId !== undefined && corpId !== undefined && endpoint !== undefined) {
            return Option.getOrUndefined(HashMap.get(tallies, keyOf(endpoint, clientId, corpId)))?.count ?? 0
          }
          return HashMap.reduce(tallies, 0, (sum, tally) =>
            (endpoint ?? tally.endpoint) === tally.endpoint && (clientId ?? tally.clientId) === tally.clientId &&
              (corpId ?? tally.corpId) === tally.corpId
              ? sum + tally.count
              : sum)
        }),
      clearRequests: Ref.update(ref, (state) => ({
        ...state,
        log: HashMap.empty<number, Entry>(),
        counts: HashMap.empty<string, number>(),
        tallies: HashMap.empty<string, Tally>()
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

type Changed<A> = readonly [A, State] | EmulatorError

const settled = <A>(state: State, changed: Changed<A>): readonly [Effect.Effect<A, EmulatorError>, State] =>
  changed instanceof EmulatorError ? [Effect.fail(changed), state] : [Effect.succeed(changed[0]), changed[1]]

/** An application of either kind; the first internal one if none is named. */
const clientOf = (state: State, clientId: string | undefined): Client | EmulatorError =>
  lookUp(state.clients, clientId ?? state.first.internal) ??
    new EmulatorError({
      reason: "UnknownApplication",
      subject: clientId ?? "at all",
      field: "clientId",
      known: listed(state.clients).map(({ app }) => app.clientId)
    })

/** A third-party application; the first one if none is named. */
const suiteOf = (state: State, suiteKey: string | undefined): SuiteClient | EmulatorError => {
  const client = lookUp(state.clients, suiteKey ?? state.first.suite)
  return isSuite(client) ? client : new EmulatorError({
    reason: "UnknownApplication",
    subject: suiteKey ?? "of a third party at all",
    field: "suiteKey",
    known: listed(state.clients).flatMap(({ app, suite }) => suite === undefined ? [] : [app.clientId])
  })
}

/** An organisation; the default one if none is named. */
const orgNamed = (state: State, corpId: string | undefined): Org | EmulatorError =>
  organizationIn(state, corpId ?? state.corpId) ??
    new EmulatorError({
      reason: "UnknownOrganization",
      subject: corpId ?? state.corpId,
      field: "corpId",
      known: listed(state.organizations).map((org) => org.corpId)
    })

/** An application, or nobody for the codes of SSO. */
type Owner = Client | EmulatorError | undefined

interface CodeOptions {
  readonly userid: string
  readonly corpId?: string | undefined
  readonly scope?: "openid" | "openid corpid" | undefined
}

/** Of a member of the organisation that the application is at home in, or that is named. */
const sessionOf = (
  state: State,
  kind: Code["kind"],
  owner: Client | undefined,
  { corpId, scope, userid }: CodeOptions
): Session | EmulatorError => {
  const home = owner?.corpId
  if (home !== undefined && corpId !== undefined && corpId !== home) {
    return new EmulatorError({ reason: "NotAuthorized", subject: corpId, field: "corpId", known: [home] })
  }
  const org = orgNamed(state, home ?? corpId)
  if (org instanceof EmulatorError) return org
  // Signing in is a person's own affair; who opens the app within an organisation finds it there.
  if (kind === "inClient" && owner !== undefined && actingIn(state, owner, org.corpId) === undefined) {
    return notAuthorized(state, owner.app.clientId, org.corpId)
  }
  if (lookUp(org.users, userid) === undefined) return unknownUser(org, userid)
  return {
    userid,
    corpId: org.corpId,
    tellsCorpId: scope === "openid corpid",
    consented: true
  }
}

const notAuthorized = (state: State, clientId: string, corpId: string): EmulatorError =>
  new EmulatorError({
    reason: "NotAuthorized",
    subject: corpId,
    field: "corpId",
    known: listed(state.consents).flatMap(([suiteKey, { authorization }]) =>
      suiteKey === clientId && authorization !== undefined ? [authorization.corpId] : []
    )
  })

const withUser = (org: Org, user: Organization.User): Org => ({
  ...org,
  users: put(org.users, user.userid, user),
  unionIds: HashMap.set(org.unionIds, user.unionid, user.userid)
})

const unifiedAppIdOf = ({ app, suite }: SuiteClient): string => `${app.clientId}-${suite.appId}`

const described = (org: Org, applications: ReadonlyArray<Organization.Application>): Organization.Organization => ({
  corpId: org.corpId,
  corpName: org.corpName,
  applications,
  users: listed(org.users),
  ...(org.ssoSecret === undefined ? {} : { ssoSecret: org.ssoSecret })
})

const describe = (state: State, org: Org): Organization.Organization =>
  described(
    org,
    listed(state.clients).filter(({ corpId }) => corpId === org.corpId).map(({ app }) => app)
  )

const describeAll = (state: State): ReadonlyArray<Organization.Organization> => {
  const applications = new Map<string, Array<Organization.Application>>()
  for (const { app, corpId } of listed(state.clients)) {
    if (corpId === undefined) continue
    const known = applications.get(corpId)
    if (known === undefined) applications.set(corpId, [app])
    else known.push(app)
  }
  return listed(state.organizations).map((org) => described(org, applications.get(org.corpId) ?? []))
}

const declaration = (
  { app, suite }: SuiteClient,
  said: ReadonlyArray<readonly [string, Consent]>
): ThirdParty.Application => {
  const { agentId: _agentId, clientId, clientSecret, contactRange: _contactRange, ...rest } = app
  const { byAny, callback, ...own } = suite
  return {
    ...rest,
    ...own,
    suiteKey: clientId,
    suiteSecret: clientSecret,
    ...(callback === undefined ? {} : { callback }),
    authorizedBy: byAny ?
      "any" :
      said.flatMap(([suiteKey, { authorization }]) =>
        suiteKey === clientId && authorization !== undefined ? [authorization] : []
      )
  }
}

/** Everything that was declared, checked: what is answered is built from these texts. */
const initialState = (options: Options, ids: Ids): Effect.Effect<State, EmulatorError> =>
  Effect.gen(function*() {
    const { organization = Organization.quickstart, organizations, thirdPartyApplications } = options
    // What the command shows, for who asked for nothing else.
    const isDefault = options.organization === undefined && organizations === undefined &&
      thirdPartyApplications === undefined
    const orgs = [organization, ...organizations ?? (isDefault ? [Organization.partner] : [])]
    const suites = thirdPartyApplications ?? (isDefault ? [ThirdParty.quickstart] : [])
    yield* check(Schema.Array(Organization.Application), orgs.flatMap(({ applications }) => applications))
    yield* check(Schema.Array(ThirdParty.Application), suites)
    for (
      const [field, all] of [
        ["corpId", orgs.map(({ corpId }) => corpId)],
        ["suiteKey", [
          ...new Set(orgs.flatMap(({ applications }) => applications.map(({ clientId }) => clientId))),
          ...suites.map(({ suiteKey }) => suiteKey)
        ]]
      ] as const
    ) {
      const seen = new Set<string>()
      for (const id of all) {
        if (seen.has(id)) return yield* new EmulatorError({ reason: "Duplicate", subject: id, field })
        seen.add(id)
      }
    }
    const made = new Map<string, Org>()
    const empty: State = {
      ...emptyState,
      corpId: organization.corpId,
      organizationOf: (corpId) => {
        const known = made.get(corpId)
        if (known !== undefined) return known
        const found = options.organizationOf?.(corpId)
        if (found === undefined) return undefined
        const org = orgOf({ ...found, corpId })
        made.set(corpId, org)
        return org
      },
      rateLimit: limitOf(options.rateLimit ?? Infinity),
      logSize: Math.min(Math.max(0, Math.floor(options.requestLog ?? emptyState.logSize)), 10 ** 7)
    }
    const withOrgs = orgs.reduce(withOrganization, empty)
    const full = suites.reduce((state, app) => withSuite(state, app, ids), withOrgs)
    return options.tokenLifetime === undefined ? full : withLifetime(full, secondsOf(options.tokenLifetime))
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
