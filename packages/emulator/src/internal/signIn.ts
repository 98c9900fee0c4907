import type { Application } from "../Organization.js"
import type { Answer, Handler } from "./answer.js"
import { html, raw } from "./answer.js"
import type { Call } from "./call.js"
import { escape, page } from "./page.js"
import type { State } from "./state.js"
import { issueCode } from "./state.js"

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
  readonly redirectUri: string
  readonly state: string | null
  readonly scope: ReadonlyArray<string>
  readonly consented: boolean
}

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

// The platform knows no such thing and demands that each URI is registered in the developer console (reference 1.8).
const isOnLoopback = (uri: string): boolean => {
  if (!/^http:\/\/[!-~]+$/.test(uri) || uri.includes("#") || !URL.canParse(uri)) return false
  const { hostname, password, username } = new URL(uri)
  return LOOPBACK_HOST.test(hostname) && username === "" && password === ""
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
  const app = state.applications.get(parameters.get("client_id")!)
  if (app === undefined || !app.enabled) {
    return { reason: `There is no application with the client_id ${parameters.get("client_id")}.` }
  }
  const redirectUri = parameters.get("redirect_uri")!
  if (!app.redirectUris.includes(redirectUri) && !(app.anyLoopbackRedirect && isOnLoopback(redirectUri))) {
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
    redirectUri,
    state: parameters.get("state"),
    scope,
    // Left out, the sign-in works, but reading the profile is refused (reference 1.8 [R]).
    consented: parameters.get("prompt") === "consent"
  }
}

const chooser = (state: State, call: Call, { app, scope }: SignIn): Answer => {
  // Internal apps admit the members of their own organisation (reference 1.8 [D]).
  const people = Array.from(
    state.users.values(),
    (user, index) =>
      `<label><input type="radio" name="userid" value="${escape(user.userid)}"${
        index === 0 ? " checked" : ""
      } required> ${escape(user.name)} <small>${escape(user.userid)}</small></label>`
  )
  const asks = scope.includes("corpid")
    ? `your profile and your organisation, ${escape(state.corpName)}`
    : "your profile"
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

const leadBack = (call: Call, { redirectUri, state }: SignIn, name: string, value: string): Answer => {
  const parameters = new URLSearchParams({ [name]: value, ...(state === null ? {} : { state }) })
  const location = `${redirectUri}${redirectUri.includes("?") ? "&" : "?"}${parameters.toString()}`
  return raw(call, 302, { location, "cache-control": "no-store", "content-type": "text/html;charset=utf-8" }, "")
}

/** `/oauth2/auth`: reference 1.8. */
export const signIn: Handler = (state, call) => {
  const request = read(state, call)
  if ("reason" in request) return refuse(call, request)
  if (call.method === "GET" || call.method === "HEAD") return chooser(state, call, request)
  if (call.method !== "POST") return html(call, 405, page("Cannot sign in", "<p role=\"alert\">Open this page.</p>"))
  const form = new URLSearchParams(call.contentType === "form" ? call.body : "")
  if (form.get("decision") === "cancel") return leadBack(call, request, "error", "access_denied")
  if (form.get("decision") !== "consent") return refuse(call, { reason: "Press one of the two buttons." })
  const user = state.users.get(form.get("userid") ?? "")
  if (user === undefined) return refuse(call, { reason: "Choose who signs in." })
  const issued = issueCode(
    state,
    request.app.clientId,
    {
      userid: user.userid,
      corpId: request.scope.includes("corpid") ? state.corpId : undefined,
      consented: request.consented
    },
    call.now,
    call.ids
  )
  return { ...leadBack(call, request, "authCode", issued.token), state: issued.state }
}
