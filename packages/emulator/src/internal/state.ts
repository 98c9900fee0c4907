import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Fault } from "../Fault.js"
import type { Application, Organization, User } from "../Organization.js"
import type { Entry, Matcher } from "../RequestLog.js"
import type { Ids } from "./call.js"

export interface AccessToken {
  readonly clientId: string
  readonly expiresAt: number
  /** the person who signed in; `undefined` for the token of an app */
  readonly session: Session | undefined
}

export interface Session {
  readonly userid: string
  /** chosen with scope `openid corpid` */
  readonly corpId: string | undefined
  readonly consented: boolean
}

/** A refresh token or a one-time code: good for one exchange. */
export interface Grant {
  readonly clientId: string
  readonly expiresAt: number
  readonly session: Session
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

export interface State {
  readonly corpId: string
  readonly corpName: string
  readonly applications: ReadonlyMap<string, Application>
  readonly users: ReadonlyMap<string, User>
  /** `unionid` to `userid` */
  readonly unionIds: ReadonlyMap<string, string>
  readonly accessTokens: HashMap.HashMap<string, AccessToken>
  /** the token that an app is given again while it lives */
  readonly appTokens: HashMap.HashMap<string, string>
  readonly refreshTokens: HashMap.HashMap<string, Grant>
  readonly codes: HashMap.HashMap<string, Grant>
  /** how far the emulator's clock is ahead */
  readonly offset: number
  readonly faults: ReadonlyArray<PendingFault>
  /** calls a second of one app to one API; `Infinity` without a limit */
  readonly rateLimit: number
  /** by app and API */
  readonly seconds: HashMap.HashMap<string, Second>
  readonly log: HashMap.HashMap<number, Entry>
  readonly logged: number
  readonly counts: HashMap.HashMap<string, number>
}

export const withUsers = (state: State, users: ReadonlyMap<string, User>): State => ({
  ...state,
  users,
  unionIds: new Map(Array.from(users.values(), (user) => [user.unionid, user.userid]))
})

export const fromOrganization = (organization: Organization): State =>
  withUsers({
    corpId: organization.corpId,
    corpName: organization.corpName,
    applications: new Map(organization.applications.map((app) => [app.clientId, app])),
    users: new Map(),
    unionIds: new Map(),
    accessTokens: HashMap.empty(),
    appTokens: HashMap.empty(),
    refreshTokens: HashMap.empty(),
    codes: HashMap.empty(),
    offset: 0,
    faults: [],
    rateLimit: Infinity,
    seconds: HashMap.empty(),
    log: HashMap.empty(),
    logged: 0,
    counts: HashMap.empty()
  }, new Map(organization.users.map((user) => [user.userid, user])))

export const withApplication = (state: State, app: Application): State => ({
  ...state,
  applications: new Map(state.applications).set(app.clientId, app)
})

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

const insert = <A extends { readonly expiresAt: number }>(
  all: HashMap.HashMap<string, A>,
  key: string,
  value: A,
  now: number
): HashMap.HashMap<string, A> =>
  HashMap.set(
    HashMap.size(all) < KEEP ? all : HashMap.filter(all, ({ expiresAt }) => expiresAt > now),
    key,
    value
  )

export interface Issued {
  readonly token: string
  readonly state: State
}

/** While a token lives, asking again gives the same one with its whole life before it (reference 1.1, T1 [D]). */
export const issueAppToken = (state: State, app: Application, now: number, ids: Ids): Issued => {
  const current = Option.getOrUndefined(HashMap.get(state.appTokens, app.clientId))
  const token = current !== undefined && live(state.accessTokens, current, now) !== undefined ? current : ids.hex()
  const expiresAt = now + app.tokenLifetime * 1000
  return {
    token,
    state: {
      ...state,
      appTokens: HashMap.set(state.appTokens, app.clientId, token),
      accessTokens: insert(
        state.accessTokens,
        token,
        { clientId: app.clientId, expiresAt, session: undefined },
        now
      )
    }
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
  const grant = { clientId: app.clientId, session }
  return {
    token,
    refreshToken,
    state: {
      ...state,
      accessTokens: insert(
        state.accessTokens,
        token,
        { ...grant, expiresAt: now + app.tokenLifetime * 1000 },
        now
      ),
      refreshTokens: insert(
        state.refreshTokens,
        refreshToken,
        { ...grant, expiresAt: now + REFRESH_TOKEN_LIFETIME },
        now
      )
    }
  }
}

// Not documented; five minutes is what the in-client code has (reference 1.8 [I]).
const CODE_LIFETIME = 5 * 60 * 1000

export const issueCode = (state: State, clientId: string, session: Session, now: number, ids: Ids): Issued => {
  const token = ids.hex()
  return {
    token,
    state: { ...state, codes: insert(state.codes, token, { clientId, session, expiresAt: now + CODE_LIFETIME }, now) }
  }
}

/** Counts as the platform does, by calendar seconds of its own clock (reference 5); `undefined` is a call too many. */
export const countCall = (state: State, key: string, now: number): State | undefined => {
  if (state.rateLimit === Infinity) return state
  const second = Math.floor(now / 1000)
  const found = Option.getOrUndefined(HashMap.get(state.seconds, key))
  const calls = found?.second === second ? found.calls : 0
  if (calls >= state.rateLimit) return undefined
  const seconds = HashMap.size(state.seconds) < KEEP
    ? state.seconds
    : HashMap.filter(state.seconds, (each) => each.second === second)
  return { ...state, seconds: HashMap.set(seconds, key, { second, calls: calls + 1 }) }
}

export const isInContactRange = (app: Application, userid: string): boolean =>
  app.contactRange === "all" || app.contactRange.includes(userid)

export const isIpAllowed = (app: Application, ip: string): boolean =>
  app.ipWhiteList === undefined || app.ipWhiteList.includes(ip)
