import * as Either from "effect/Either"
import * as Hash from "effect/Hash"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Application, User } from "../Organization.js"
import { appAccess, oapiFields, oapiText, userAccess } from "./access.js"
import type { Handler } from "./answer.js"
import { api, apiError, oapiError, oapiResult } from "./answer.js"
import type { Call } from "./call.js"
import type { Org } from "./state.js"
import { isInContactRange, lookUp, takeCode } from "./state.js"

// Without the field permission a field is missing, without an error (reference 6.2). The assignment is official [D].
const NEEDS: Readonly<Record<string, string>> = {
  state_code: "fieldMobile",
  mobile: "fieldMobile",
  email: "fieldEmail",
  work_place: "fieldEmail",
  remark: "fieldEmail",
  extension: "fieldEmail"
}

// What other endpoints tell.
const ELSEWHERE = new Set(["profile", "sys_level"])

const userOnWire = (user: User, app: Application): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(user)) {
    const permission = NEEDS[name]
    if (!ELSEWHERE.has(name) && (permission === undefined || app.permissions.includes(permission))) out[name] = value
  }
  return out
}

// Seen live; the documentation says 33012 (reference 4.3).
const userNotFound = (call: Call) => oapiError(call, 60121, "找不到该用户")

// Code and text are documented; the shape is that of 50004, which was seen [I].
const outOfRange = (call: Call) => oapiError(call, 50002, "企业员工不在授权范围")

const userOf = (org: Org, userid: string | undefined): User | undefined => lookUp(org.users, userid)

const userIdOf = (org: Org, unionId: string): string | undefined =>
  Option.getOrUndefined(HashMap.get(org.unionIds, unionId))

/** `POST /topapi/v2/user/get`: reference 6.2. */
export const getUser: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const { app, org } = yield* appAccess(state, call, "qyapi_get_member")
    const userid = yield* oapiText(call, yield* oapiFields(call), "userid")
    const user = userOf(org, userid)
    if (user === undefined) return userNotFound(call)
    return isInContactRange(app, userid) ? oapiResult(call, userOnWire(user, app)) : outOfRange(call)
  }))

/** `POST /topapi/user/getbyunionid`: reference 6.4. That the contact range counts here is [I]. */
export const getUserByUnionId: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const { app, org } = yield* appAccess(state, call, "qyapi_get_member")
    const unionid = yield* oapiText(call, yield* oapiFields(call), "unionid")
    const userid = userIdOf(org, unionid)
    if (userid === undefined) return userNotFound(call)
    return isInContactRange(app, userid) ? oapiResult(call, { contact_type: 0, userid }) : outOfRange(call)
  }))

// The numbers are documented (reference 1.8 [D]); that a boss counts before an administrator is [I].
const levelOf = ({ admin, boss, sys_level }: User): number =>
  sys_level ?? (boss === true ? 100 : admin === true ? 1 : 0)

/**
 * `POST /topapi/v2/user/getuserinfo`: who an in-client code stands for. Source: reference 1.8 [D]. A code of another
 * app or organisation, and one of another kind, are unknown ones; that no permission is needed, what the ids of the
 * device and of the associated organisation are, and that the contact range does not count, is [I].
 */
export const getUserInfo: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const { app, org } = yield* appAccess(state, call)
    const code = yield* oapiText(call, yield* oapiFields(call), "code")
    const taken = takeCode(
      state,
      "inClient",
      code,
      ({ clientId, session }) => clientId === app.clientId && session.corpId === org.corpId,
      call.now
    )
    if (taken === undefined) return oapiError(call, 40078, "不存在的临时授权码")
    const user = userOf(org, taken.session.userid)
    const level = user === undefined ? 0 : levelOf(user)
    const answer = user === undefined
      ? userNotFound(call)
      : oapiResult(call, {
        userid: user.userid,
        unionid: user.unionid,
        associated_unionid: user.unionid,
        device_id: (Hash.string(`${app.clientId} ${user.unionid}`) >>> 0).toString(16).padStart(8, "0").repeat(4),
        sys: user.admin ?? (level === 1 || level === 2),
        sys_level: level,
        name: user.name
      })
    return { ...answer, state: taken.state }
  }))

// A person has another one in every app (reference 6.1); how the platform forms it is not known [I].
const openIdOf = (user: User, app: Application): string =>
  (Hash.string(`${app.clientId} ${user.unionid}`) >>> 0).toString(36) + user.unionid.slice(0, 8)

const profileOnWire = (user: User, app: Application): Record<string, unknown> => {
  const { profile } = user
  // Reference 6.3; that `stateCode` goes with `mobile` is [I].
  const withMobile = app.permissions.includes("Contact.User.mobile")
  return {
    nick: profile?.nick ?? user.name,
    avatarUrl: profile?.avatarUrl ?? (user.avatar === "" ? undefined : user.avatar),
    mobile: withMobile ? profile?.mobile ?? user.mobile : undefined,
    openId: profile?.openId ?? openIdOf(user, app),
    unionId: user.unionid,
    email: profile?.email ?? (user.email === "" ? undefined : user.email),
    stateCode: withMobile ? profile?.stateCode ?? user.state_code : undefined,
    loginEmail: profile?.loginEmail,
    visitor: profile?.visitor
  }
}

/**
 * `GET /v1.0/contact/users/{unionId}`: reference 6.3 [D]. Someone else than `me` who is outside the contact range is
 * not found [I].
 */
export const getProfile = (unionId: string): Handler => (state, call) =>
  Either.merge(Either.gen(function*() {
    const { app, org, session } = yield* userAccess(state, call, "Contact.User.Read")
    const user = userOf(org, unionId === "me" ? session.userid : userIdOf(org, unionId))
    return user === undefined || (user.userid !== session.userid && !isInContactRange(app, user.userid))
      ? apiError(call, 404, "invalidParameter.user.notFound", "找不到该用户")
      : api(call, profileOnWire(user, app))
  }))
