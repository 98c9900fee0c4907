import * as Hash from "effect/Hash"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Fault } from "../Fault.js"
import type { Application, Organization, User } from "../Organization.js"
import type { Entry, Matcher, Tally } from "../RequestLog.js"
import type * as ThirdParty from "../ThirdParty.js"
import type { Ids } from "./call.js"

/** Whose token it is: an app's in an organisation, a person's, a third-party app's own, an organisation's for SSO. */
export type TokenKind = "app" | "user" | "suite" | "sso"

export interface AccessToken {
  readonly kind: TokenKind
  /** empty for `sso` */
  readonly clientId: string
  /** the organisation that is reached; empty for `suite`, and for a `user` the one of the session counts */
  readonly corpId: string
  /** of the authorisation that it was issued under: a later one does not bring it back */
  readonly epoch: number
  readonly expiresAt: number
  /** the person who signed in */
  readonly session: Session | undefined
}

export interface Session {
  readonly userid: string
  /** where the person belongs to */
  readonly corpId: string
  /** signed in with scope `openid corpid` */
  readonly tellsCorpId: boolean
  readonly consented: boolean
}

/** A refresh token: good for one exchange. */
export interface Grant {
  readonly clientId: string
  readonly expiresAt: number
  readonly session: Session
}

/** A one-time code. The kinds are not interchangeable (reference 1.8 [D]). */
export interface Code extends Grant {
  readonly kind: "signIn" | "inClient" | "sso"
}

export interface JsapiTicket {
  readonly ticket: string
  readonly expiresAt: number
}

export interface PendingFault {
  readonly fault: Fault
  readonly matching: Matcher
  readonly times: number
  /** by the emulator's clock; `Infinity` where only the times count */
  readonly until: number
}

/** The calls of one app to one API within one second of the clock. */
export interface Second {
  readonly second: number
  readonly calls: number
}

/** Something with its place in the order in which such things came. */
interface Placed<A> {
  readonly value: A
  readonly place: number
}

/** A map that finds in no time and lists in the order of arrival. */
export interface Ordered<A> {
  readonly map: HashMap.HashMap<string, Placed<A>>
  readonly next: number
}

export const emptyOrdered = <A>(): Ordered<A> => ({ map: HashMap.empty(), next: 0 })

export const orderedFrom = <A>(entries: Iterable<readonly [string, A]>): Ordered<A> => {
  let next = 0
  return {
    map: HashMap.mutate(HashMap.empty<string, Placed<A>>(), (map) => {
      for (const [key, value] of entries) HashMap.set(map, key, { value, place: next++ })
    }),
    next
  }
}

export const lookUp = <A>(all: Ordered<A>, key: string | undefined): A | undefined => {
  const found = key === undefined ? undefined : Option.getOrUndefined(HashMap.get(all.map, key))
  return found?.value
}

/** A value that replaces another one keeps its place. */
export const put = <A>(all: Ordered<A>, key: string, value: A): Ordered<A> => {
  const known = Option.getOrUndefined(HashMap.get(all.map, key))
  return known === undefined
    ? { map: HashMap.set(all.map, key, { value, place: all.next }), next: all.next + 1 }
    : { map: HashMap.set(all.map, key, { value, place: known.place }), next: all.next }
}

export const take = <A>(all: Ordered<A>, key: string): Ordered<A> => ({ ...all, map: HashMap.remove(all.map, key) })

export const listed = <A>(all: Ordered<A>): ReadonlyArray<A> =>
  Array.from(HashMap.values(all.map)).sort((one, other) => one.place - other.place).map(({ value }) => value)

export interface Org {
  readonly corpId: string
  readonly corpName: string
  readonly ssoSecret: Redacted.Redacted | undefined
  readonly users: Ordered<User>
  /** `unionid` to `userid` */
  readonly unionIds: HashMap.HashMap<string, string>
}

/** What only a third-party app has. */
export interface Suite extends Pick<ThirdParty.Application, "suiteId" | "appId" | "acceptsAnyTicket" | "callback"> {
  /** every organisation has authorised it that does not say otherwise */
  readonly byAny: boolean
}

export interface Client {
  readonly app: Application
  /** where an internal app lives; `undefined` for a third-party app */
  readonly corpId: string | undefined
  readonly suite: Suite | undefined
}

export interface SuiteClient extends Client {
  readonly suite: Suite
}

export const isSuite = (client: Client | undefined): client is SuiteClient => client?.suite !== undefined

/** What one organisation said about one third-party app. */
export interface Consent {
  /** `undefined` after it was taken back */
  readonly authorization: ThirdParty.Authorization | undefined
  readonly epoch: number
}

export interface State {
  /** the organisation that is meant where none is named */
  readonly corpId: string
  readonly organizations: Ordered<Org>
  /** those that nobody declared */
  readonly organizationOf: (corpId: string) => Org | undefined
  /** internal and third-party apps, by `clientId` */
  readonly clients: Ordered<Client>
  /** the internal and the third-party app that are meant where none is named: the first ones */
  readonly first: { readonly internal: string | undefined; readonly suite: string | undefined }
  /** by third-party app and organisation */
  readonly consents: Ordered<readonly [suiteKey: string, Consent]>
  readonly epoch: number
  /** of every third-party app, the latest one */
  readonly suiteTickets: HashMap.HashMap<string, string>
  /** seconds */
  readonly ssoTokenLifetime: number
  readonly accessTokens: HashMap.HashMap<string, AccessToken>
  /** the token that an app is given again while it lives */
  readonly appTokens: HashMap.HashMap<string, string>
  readonly refreshTokens: HashMap.HashMap<string, Grant>
  readonly codes: HashMap.HashMap<string, Code>
  /** by app and organisation */
  readonly jsapiTickets: HashMap.HashMap<string, JsapiTicket>
  /** what may not be shown, in the order of arrival and never forgotten */
  readonly secrets: Ordered<string>
  /** how far the emulator's clock is ahead */
  readonly offset: number
  readonly faults: ReadonlyArray<PendingFault>
  /** calls a second of one app to one API; `Infinity` without a limit */
  readonly rateLimit: number
  /** by app and API */
  readonly seconds: HashMap.HashMap<string, Second>
  readonly log: HashMap.HashMap<number, Entry>
  /** how many entries the log keeps */
  readonly logSize: number
  readonly logged: number
  readonly counts: HashMap.HashMap<string, number>
  /** by endpoint, app and organisation */
  readonly tallies: HashMap.HashMap<string, Tally>
}

export const emptyState: State = {
  corpId: "",
  organizations: emptyOrdered(),
  organizationOf: () => undefined,
  clients: emptyOrdered(),
  first: { internal: undefined, suite: undefined },
  consents: emptyOrdered(),
  epoch: 0,
  suiteTickets: HashMap.empty(),
  // What the example of the documentation has (reference 1.1, T9 [D]).
  ssoTokenLifetime: 3600,
  accessTokens: HashMap.empty(),
  appTokens: HashMap.empty(),
  refreshTokens: HashMap.empty(),
  codes: HashMap.empty(),
  jsapiTickets: HashMap.empty(),
  secrets: emptyOrdered(),
  offset: 0,
  faults: [],
  rateLimit: Infinity,
  seconds: HashMap.empty(),
  log: HashMap.empty(),
  logSize: 10_000,
  logged: 0,
  counts: HashMap.empty(),
  tallies: HashMap.empty()
}

/** The parts of a key; no part can hold the character between them, because it would be escaped. */
export const keyOf = (...parts: ReadonlyArray<string | undefined>): string => JSON.stringify(parts)

export const orgOf = ({ corpId, corpName, ssoSecret, users }: Organization): Org => ({
  corpId,
  corpName,
  ssoSecret,
  users: orderedFrom(users.map((user) => [user.userid, user])),
  unionIds: HashMap.fromIterable(users.map((user) => [user.unionid, user.userid]))
})

const withSecrets = (state: State, ...secrets: ReadonlyArray<Redacted.Redacted | undefined>): State => ({
  ...state,
  secrets: secrets.reduce<Ordered<string>>(
    (all, secret) => secret === undefined ? all : put(all, Redacted.value(secret), Redacted.value(secret)),
    state.secrets
  )
})

export const withOrg = (state: State, org: Org): State =>
  withSecrets({ ...state, organizations: put(state.organizations, org.corpId, org) }, org.ssoSecret)

export const withClient = (state: State, client: Client): State =>
  withSecrets(
    {
      ...state,
      clients: put(state.clients, client.app.clientId, client),
      first: client.suite === undefined
        ? { ...state.first, internal: state.first.internal ?? client.app.clientId }
        : { ...state.first, suite: state.first.suite ?? client.app.clientId }
    },
    client.app.clientSecret,
    client.suite?.callback?.token,
    client.suite?.callback?.aesKey
  )

/** An organisation with its internal apps. */
export const withOrganization = (state: State, organization: Organization): State =>
  organization.applications.reduce<State>(
    (all, app) => withClient(all, { app, corpId: organization.corpId, suite: undefined }),
    withOrg(state, orgOf(organization))
  )

export const withAuthorization = (
  state: State,
  suiteKey: string,
  corpId: string,
  authorization: ThirdParty.Authorization | undefined
): State => {
  const key = keyOf(suiteKey, corpId)
  const known = lookUp(state.consents, key)?.[1]
  // What is only changed goes on.
  const epoch = authorization !== undefined && known?.authorization !== undefined ? known.epoch : state.epoch + 1
  return {
    ...state,
    epoch: Math.max(epoch, state.epoch),
    consents: put(state.consents, key, [suiteKey, { authorization, epoch }])
  }
}

export const withSuite = (state: State, declared: ThirdParty.Application, ids: Ids): State => {
  const { acceptsAnyTicket, appId, authorizedBy, callback, suiteId, suiteKey, suiteSecret, ...rest } = declared
  const client: Client = {
    app: { ...rest, clientId: suiteKey, clientSecret: suiteSecret, agentId: 0, contactRange: "all" },
    corpId: undefined,
    suite: { acceptsAnyTicket, appId, byAny: authorizedBy === "any", callback, suiteId }
  }
  const known = withClient(state, client)
  return (authorizedBy === "any" ? [] : authorizedBy).reduce<State>(
    (all, authorization) => withAuthorization(all, suiteKey, authorization.corpId, authorization),
    { ...known, suiteTickets: HashMap.set(known.suiteTickets, suiteKey, ids.hex()) }
  )
}

export const organizationIn = (state: State, corpId: string): Org | undefined =>
  lookUp(state.organizations, corpId) ?? state.organizationOf(corpId)

export interface Authorized {
  readonly authorization: ThirdParty.Authorization
  readonly epoch: number
}

/** What an organisation that exists allows a third-party app. */
export const authorizedBy = (state: State, client: Client, corpId: string): Authorized | undefined => {
  if (client.suite === undefined || organizationIn(state, corpId) === undefined) return undefined
  const consent = lookUp(state.consents, keyOf(client.app.clientId, corpId))?.[1]
  if (consent !== undefined) {
    return consent.authorization === undefined
      ? undefined
      : { authorization: consent.authorization, epoch: consent.epoch }
  }
  return client.suite.byAny ? { authorization: { corpId, contactRange: "all" }, epoch: 0 } : undefined
}

/** Seems to be drawn, and is always the same one. */
export const agentIdOf = (clientId: string, { agentId, corpId }: ThirdParty.Authorization): number =>
  agentId ?? 2_000_000_000 + (Hash.string(keyOf(clientId, corpId)) >>> 0) % 1_000_000_000

export interface Acting {
  /** as the organisation has it: its permissions, its contact range */
  readonly app: Application
  readonly client: Client
  readonly org: Org
  readonly epoch: number
}

/** An app within an organisation: an internal one at home, a third-party one where it was authorised. */
export const actingIn = (state: State, client: Client, corpId: string): Acting | undefined => {
  const org = organizationIn(state, corpId)
  if (org === undefined) return undefined
  if (client.suite === undefined) {
    return client.corpId === corpId ? { app: client.app, client, org, epoch: 0 } : undefined
  }
  const authorized = authorizedBy(state, client, corpId)
  if (authorized === undefined) return undefined
  const { authorization, epoch } = authorized
  return {
    app: {
      ...client.app,
      agentId: agentIdOf(client.app.clientId, authorization),
      permissions: authorization.permissions ?? client.app.permissions,
      contactRange: authorization.contactRange
    },
    client,
    org,
    epoch
  }
}

export const live = <A extends { readonly expiresAt: number }>(
  all: HashMap.HashMap<string, A>,
  key: string | undefined,
  now: number
): A | undefined => {
  const found = key === undefined ? undefined : Option.getOrUndefined(HashMap.get(all, key))
  return found !== undefined && found.expiresAt > now ? found : undefined
}

// What has expired only has to go before it fills the memory.
const KEEP = 10_000

/** Looks for what can go at every so many that are added, so that a great many cost as little each as a few. */
const isTimeToSweep = <A>(all: HashMap.HashMap<string, A>, key: string): boolean => {
  const size = HashMap.size(all)
  return size >= KEEP && size % KEEP === 0 && !HashMap.has(all, key)
}

const insert = <A extends { readonly expiresAt: number }>(
  all: HashMap.HashMap<string, A>,
  key: string,
  value: A,
  now: number
): HashMap.HashMap<string, A> =>
  HashMap.set(
    isTimeToSweep(all, key) ? HashMap.filter(all, ({ expiresAt }) => expiresAt > now) : all,
    key,
    value
  )

export interface Issued {
  readonly token: string
  readonly state: State
}

const issueToken = (
  state: State,
  token: string,
  kind: TokenKind,
  given: Pick<AccessToken, "clientId" | "corpId" | "epoch" | "session">,
  lifetime: number,
  now: number
): State => ({
  ...state,
  accessTokens: insert(state.accessTokens, token, { ...given, kind, expiresAt: now + lifetime * 1000 }, now)
})

/**
 * An internal app: while a token lives, asking again gives the same one with its whole life before it (reference 1.1,
 * T1 [D]). A third-party app in an organisation that authorised it: each time a new one (T5 [D]); that the old ones
 * stay good until their end is not documented [I].
 */
export const issueAppToken = (state: State, acting: Acting, now: number, ids: Ids): Issued => {
  const { app, client, epoch, org } = acting
  const given = { clientId: app.clientId, corpId: org.corpId, epoch, session: undefined }
  if (client.suite !== undefined) {
    const token = ids.hex()
    return { token, state: issueToken(state, token, "app", given, app.tokenLifetime, now) }
  }
  const current = Option.getOrUndefined(HashMap.get(state.appTokens, app.clientId))
  const token = current !== undefined && live(state.accessTokens, current, now) !== undefined ? current : ids.hex()
  const issued = issueToken(state, token, "app", given, app.tokenLifetime, now)
  return {
    token,
    state: current === token ? issued : { ...issued, appTokens: HashMap.set(state.appTokens, app.clientId, token) }
  }
}

/** Each time a new one (T7, T9): not documented [I]. */
export const issueOtherToken = (
  state: State,
  kind: "suite" | "sso",
  { clientId, corpId, lifetime }: { readonly clientId: string; readonly corpId: string; readonly lifetime: number },
  now: number,
  ids: Ids
): Issued => {
  const token = ids.hex()
  const given = { clientId, corpId, epoch: 0, session: undefined }
  return { token, state: issueToken(state, token, kind, given, lifetime, now) }
}

/** The same one while it lives, renewed, for an app in an organisation (reference 1.1, T10); that it is renewed: [I]. */
export const issueJsapiTicket = (state: State, { app, org }: Acting, now: number, ids: Ids): Issued => {
  const key = keyOf(app.clientId, org.corpId)
  const token = live(state.jsapiTickets, key, now)?.ticket ?? ids.hex()
  const expiresAt = now + app.tokenLifetime * 1000
  return {
    token,
    state: { ...state, jsapiTickets: insert(state.jsapiTickets, key, { ticket: token, expiresAt }, now) }
  }
}

// 30 days (reference 1.1, T3 [D]).
const REFRESH_TOKEN_LIFETIME = 30 * 24 * 3600 * 1000

export const issueUserToken = (
  state: State,
  app: Application,
  session: Session,
  now: number,
  ids: Ids
): Issued & { readonly refreshToken: string } => {
  const token = ids.hex()
  const refreshToken = ids.hex()
  const { clientId } = app
  const issued = issueToken(
    state,
    token,
    "user",
    { clientId, corpId: session.corpId, epoch: 0, session },
    app.tokenLifetime,
    now
  )
  return {
    token,
    refreshToken,
    state: {
      ...issued,
      refreshTokens: insert(
        issued.refreshTokens,
        refreshToken,
        { clientId, session, expiresAt: now + REFRESH_TOKEN_LIFETIME },
        now
      )
    }
  }
}

// Documented for the in-client code (reference 1.8 [D]), not for the others [I].
const CODE_LIFETIME = 5 * 60 * 1000

export const issueCode = (
  state: State,
  kind: Code["kind"],
  clientId: string,
  session: Session,
  now: number,
  ids: Ids
): Issued => {
  const token = ids.hex()
  const code = { kind, clientId, session, expiresAt: now + CODE_LIFETIME }
  return { token, state: { ...state, codes: insert(state.codes, token, code, now) } }
}

/** Takes a code that is good for this app, and leaves it to its owner otherwise [I]. */
export const takeCode = (
  state: State,
  kind: Code["kind"],
  text: string,
  isOwner: (code: Code) => boolean,
  now: number
): { readonly session: Session; readonly state: State } | undefined => {
  const code = live(state.codes, text, now)
  return code === undefined || code.kind !== kind || !isOwner(code)
    ? undefined
    : { session: code.session, state: { ...state, codes: HashMap.remove(state.codes, text) } }
}

/** Counts as the platform does, by calendar seconds of its own clock (reference 5); `undefined` is a call too many. */
export const countCall = (state: State, key: string, now: number): State | undefined => {
  if (state.rateLimit === Infinity) return state
  const second = Math.floor(now / 1000)
  const found = Option.getOrUndefined(HashMap.get(state.seconds, key))
  const calls = found?.second === second ? found.calls : 0
  if (calls >= state.rateLimit) return undefined
  const seconds = isTimeToSweep(state.seconds, key)
    ? HashMap.filter(state.seconds, (each) => each.second === second)
    : state.seconds
  return { ...state, seconds: HashMap.set(seconds, key, { second, calls: calls + 1 }) }
}

export const isInContactRange = (app: Application, userid: string): boolean =>
  app.contactRange === "all" || app.contactRange.includes(userid)

export const isIpAllowed = (app: Application, ip: string): boolean =>
  app.ipWhiteList === undefined || app.ipWhiteList.includes(ip)
