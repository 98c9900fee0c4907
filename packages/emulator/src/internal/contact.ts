import * as Either from "effect/Either"
import * as Hash from "effect/Hash"
import type { Application, User } from "../Organization.js"
import { appAccess, oapiFields, oapiText, userAccess } from "./access.js"
import type { Handler } from "./answer.js"
import { api, apiError, oapiError, oapiResult } from "./answer.js"
import type { Call } from "./call.js"
import { isInContactRange } from "./state.js"

// Without the field permission a field is missing, without an error (reference 6.2). The assignment is official [D].
const NEEDS: Readonly<Record<string, string>> = {
  state_code: "fieldMobile",
  mobile: "fieldMobile",
  email: "fieldEmail",
  work_place: "fieldEmail",
  remark: "fieldEmail",
  extension: "fieldEmail"
}

const userOnWire = (user: User, app: Application): Record<string, unknown> => {
  const out: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(user)) {
    const permission = NEEDS[name]
    if (name !== "profile" && (permission === undefined || app.permissions.includes(permission))) out[name] = value
  }
  return out
}

// Seen live; the documentation says 33012 (reference 4.3).
const userNotFound = (call: Call) => oapiError(call, 60121, "找不到该用户")

// Code and text are documented; the shape is that of 50004, which was seen [I].
const outOfRange = (call: Call) => oapiError(call, 50002, "企业员工不在授权范围")

/** `POST /topapi/v2/user/get`: reference 6.2. */
export const getUser: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const app = yield* appAccess(state, call, "qyapi_get_member")
    const userid = yield* oapiText(call, yield* oapiFields(call), "userid")
    const user = state.users.get(userid)
    if (user === undefined) return userNotFound(call)
    return isInContactRange(app, userid) ? oapiResult(call, userOnWire(user, app)) : outOfRange(call)
  }))

/** `POST /topapi/user/getbyunionid`: reference 6.4. That the contact range counts here is [I]. */
export const getUserByUnionId: Handler = (state, call) =>
  Either.merge(Either.gen(function*() {
    const app = yield* appAccess(state, call, "qyapi_get_member")
    const unionid = yield* oapiText(call, yield* oapiFields(call), "unionid")
    const userid = state.unionIds.get(unionid)
    if (userid === undefined) return userNotFound(call)
    return isInContactRange(app, userid) ? oapiResult(call, { contact_type: 0, userid }) : outOfRange(call)
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
    const { app, session } = yield* userAccess(state, call, "Contact.User.Read")
    const userid = unionId === "me" ? session.userid : state.unionIds.get(unionId)
    const user = userid === undefined ? undefined : state.users.get(userid)
    return user === undefined || (user.userid !== session.userid && !isInContactRange(app, user.userid))
      ? apiError(call, 404, "invalidParameter.user.notFound", "找不到该用户")
      : api(call, profileOnWire(user, app))
  }))
