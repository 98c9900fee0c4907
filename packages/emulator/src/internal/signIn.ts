import type { Application, User } from "../Organization.js"
import type { Answer, Handler } from "./answer.js"
import { html, raw } from "./answer.js"
import type { Call } from "./call.js"
import { isLoopbackUri } from "./loopback.js"
import { escape, page } from "./page.js"
import type { Client, Org, State } from "./state.js"
import { actingIn, issueCode, listed, lookUp, organizationIn } from "./state.js"

const refuse = (call: Call, { known, reason }: Refusal): Answer =>
  html(
    call,
    400,
    page(
      "Cannot sign in",
      `<p role="alert">${escape(reason)}</p>${
        known === undefined
          ? ""
          : `\n<p>Registered are:</p>\n<ul>\n${known.map((each) => `<li>${escape(each)}</li>`).join("\n")}\n</ul>`
      }`
    )
  )

interface Refusal {
  readonly reason: string
  /** what is registered instead */
  readonly known?: ReadonlyArray<string>
}

interface SignIn {
  readonly app: Application
  readonly client: Client
  /** of which the person chooses one, by choosing who they are */
  readonly orgs: ReadonlyArray<Org>
  readonly redirectUri: string
  readonly state: string | null
  readonly scope: ReadonlyArray<string>
  readonly consented: boolean
}

// More than these nobody looks through.
const MAX_ORGS = 20
const MAX_PEOPLE = 200

/**
 * Internal apps admit the members of their own organisation (reference 1.8 [D]). Third-party apps admit those of every
 * organisation that authorised them [I], or of the one that the link chose (`corpId`, 1.8 [D]).
 */
const orgsFor = (state: State, client: Client, chosen: string): ReadonlyArray<Org> => {
  const one = client.corpId ?? chosen
  if (one !== "") {
    const org = organizationIn(state, one)
    return org === undefined ? [] : [org]
  }
  return listed(state.organizations)
    .filter(({ corpId }) => actingIn(state, client, corpId) !== undefined)
    .slice(0, MAX_ORGS)
}

/**
 * Parameters: reference 1.8 [D]. A wrong one is shown and never redirected, so that no code goes to a stranger; what
 * the platform's own page says is not known [I].
 */
const read = (state: State, call: Call): SignIn | Refusal => {
  const parameters = call.query
  for (const name of ["client_id", "redirect_uri", "response_type", "scope"]) {
    if ((parameters.get(name) ?? "") === "") return { reason: `The parameter ${name} is missing.` }
  }
  const client = lookUp(state.clients, parameters.get("client_id")!)
  const app = client?.app
  if (client === undefined || app === undefined || !app.enabled) {
    return { reason: `There is no application with the client_id ${parameters.get("client_id")}.` }
  }
  const redirectUri = parameters.get("redirect_uri")!
  if (!app.redirectUris.includes(redirectUri) && !(app.anyLoopbackRedirect && isLoopbackUri(redirectUri))) {
    return {
      reason: `The redirect_uri ${redirectUri} is not registered for the application ${app.name}.`,
      known: [...app.redirectUris, ...(app.anyLoopbackRedirect ? ["http://localhost, any port and path"] : [])]
    }
  }
  if (parameters.get("response_type") !== "code") return { reason: "The response_type has to be code." }
  const scope = parameters.get("scope")!.split(/\s+/)
  if (!scope.includes("openid")) return { reason: "The scope has to be openid, or openid corpid." }
  return {
    app,
    client,
    orgs: orgsFor(state, client, parameters.get("corpId") ?? ""),
    redirectUri,
    state: parameters.get("state"),
    scope,
    // Left out, the sign-in works, but reading the profile is refused (reference 1.8 [R]).
    consented: parameters.get("prompt") === "consent"
  }
}

interface Person {
  readonly org: Org
  readonly user: User
}

const peopleOf = (orgs: ReadonlyArray<Org>): ReadonlyArray<Person> => {
  const people: Array<Person> = []
  for (const org of orgs) {
    if (people.length >= MAX_PEOPLE) break
    for (const user of listed(org.users)) people.push({ org, user })
  }
  return people
}

// A userid says nothing outside of its organisation.
const valueOf = ({ client }: SignIn, { org, user }: Person): string =>
  client.suite === undefined ? user.userid : `${encodeURIComponent(org.corpId)}/${user.userid}`

const chooser = (call: Call, request: SignIn): Answer => {
  const { app, client, orgs, scope } = request
  const people = peopleOf(orgs).map((person, index) =>
    `<label><input type="radio" name="userid" value="${escape(valueOf(request, person))}"${
      index === 0 ? " checked" : ""
    } required> ${escape(person.user.name)} <small>${escape(person.user.userid)}${
      client.suite === undefined ? "" : `, ${escape(person.org.corpName)}`
    }</small></label>`
  )
  const asks = !scope.includes("corpid")
    ? "your profile"
    : orgs.length === 1
    ? `your profile and your organisation, ${escape(orgs[0]!.corpName)}`
    : "your profile and your organisation"
  return html(
    call,
    200,
    page(
      `Sign in to ${app.name}`,
      `<p>${escape(app.name)} asks to know ${asks}. Who are you?</p>
<form method="post">
${people.join("\n")}
<button name="decision" value="consent">Agree and sign in</button>
<button name="decision" value="cancel" formnovalidate>Cancel</button>
</form>`
    )
  )
}

const chosenBy = (state: State, { client, orgs }: SignIn, value: string): Person | undefined => {
  const slash = value.indexOf("/")
  const corpId = client.suite === undefined ?
    client.corpId :
    orgs.find((org) => encodeURIComponent(org.corpId) === value.slice(0, Math.max(slash, 0)))?.corpId
  const org = corpId === undefined ? undefined : organizationIn(state, corpId)
  const user = org === undefined
    ? undefined
    : lookUp(org.users, client.suite === undefined ? value : value.slice(slash + 1))
  return org === undefined || user === undefined ? undefined : { org, user }
}

const leadBack = (call: Call, { redirectUri, state }: SignIn, name: string, value: string): Answer => {
  const parameters = new URLSearchParams({ [name]: value, ...(state === null ? {} : { state }) })
  const location = `${redirectUri}${redirectUri.includes("?") ? "&" : "?"}${parameters.toString()}`
  return raw(call, 302, { location, "cache-control": "no-store", "content-type": "text/html;charset=utf-8" }, "")
}

/** `/oauth2/auth`: reference 1.8. */
export const signIn: Handler = (state, call) => {
  const request = read(state, call)
  if ("reason" in request) return refuse(call, request)
  if (call.method === "GET" || call.method === "HEAD") return chooser(call, request)
  if (call.method !== "POST") return html(call, 405, page("Cannot sign in", "<p role=\"alert\">Open this page.</p>"))
  const form = new URLSearchParams(call.contentType === "form" ? call.body : "")
  if (form.get("decision") === "cancel") return leadBack(call, request, "error", "access_denied")
  if (form.get("decision") !== "consent") return refuse(call, { reason: "Press one of the two buttons." })
  const person = chosenBy(state, request, form.get("userid") ?? "")
  if (person === undefined) return refuse(call, { reason: "Choose who signs in." })
  const issued = issueCode(
    state,
    "signIn",
    request.app.clientId,
    {
      userid: person.user.userid,
      corpId: person.org.corpId,
      tellsCorpId: request.scope.includes("corpid"),
      consented: request.consented
    },
    call.now,
    call.ids
  )
  return { ...leadBack(call, request, "authCode", issued.token), state: issued.state }
}
