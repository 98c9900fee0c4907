import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Parsed } from "./call.js"
import { parseObject } from "./call.js"
import type { State } from "./state.js"
import { lookUp, organizationIn } from "./state.js"

export interface Identity {
  /** as the request tells, whether there is such an app or not */
  readonly clientId: string | undefined
  /** of an organisation that there is */
  readonly corpId: string | undefined
}

const CLIENT_IN_QUERY = ["appkey", "client_id", "accessKey"]
const CLIENT_IN_BODY = ["appKey", "clientId", "client_id", "suiteKey", "suite_key"]
const CORP_IN_QUERY = ["authCorpId"]
const CORP_IN_BODY = ["authCorpId", "auth_corpid", "corpid"]
const ANY_IN_BODY = new RegExp(`"(?:${[...CLIENT_IN_BODY, ...CORP_IN_BODY].join("|")})"`)
const CORP_IN_PATH = /^\/v1\.0\/oauth2\/([^/]+)\/token$/

// Longer ones name nobody.
const MAX_BODY = 4096

const firstOf = (names: ReadonlyArray<string>, get: (name: string) => unknown): string | undefined => {
  for (const name of names) {
    const value = get(name)
    if (typeof value === "string" && value !== "") return value
  }
  return undefined
}

const tokenOf = (call: Parsed): string | undefined =>
  call.headers["x-acs-dingtalk-access-token"] ?? call.query.get("access_token") ??
    call.query.get("suite_access_token") ??
    (call.contentType === "form" && call.body.length <= MAX_BODY
      ? new URLSearchParams(call.body).get("access_token") ?? undefined
      : undefined)

/** Who calls, and about which organisation. */
export const identify = (state: State, call: Parsed): Identity => {
  const token = tokenOf(call)
  const found = token === undefined ? undefined : Option.getOrUndefined(HashMap.get(state.accessTokens, token))
  const fields = call.body.length > 0 && call.body.length <= MAX_BODY && call.contentType !== "form" &&
      ANY_IN_BODY.test(call.body)
    ? parseObject(call.body)
    : undefined
  const inBody = (name: string) => fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined
  const inQuery = (name: string) => call.query.get(name)
  const clientId = firstOf(CLIENT_IN_QUERY, inQuery) ??
    (found === undefined ? firstOf(CLIENT_IN_BODY, inBody) : found.clientId === "" ? undefined : found.clientId)
  // Only token endpoints name an organisation; everywhere else, the token does.
  const named = firstOf(CORP_IN_QUERY, inQuery) ?? CORP_IN_PATH.exec(call.path)?.[1] ?? firstOf(CORP_IN_BODY, inBody)
  const corpId = named ?? (found === undefined ? lookUp(state.clients, clientId)?.corpId : found.corpId)
  return {
    clientId,
    corpId: corpId !== undefined && organizationIn(state, corpId) !== undefined ? corpId : undefined
  }
}
