import type { Application } from "../Organization.js"
import type { Answer, Handler } from "./answer.js"
import { html, raw } from "./answer.js"
import type { Call } from "./call.js"
import type { State } from "./state.js"
import { issueCode } from "./state.js"

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)

const page = (title: string, body: string): string =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; color: #171a1d }
  label { display: block; padding: .5rem; border: 1px solid #d9d9d9; border-radius: .5rem; margin: .5rem 0 }
  button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .5rem; margin: .5rem .5rem 0 0 }
  button[value=consent] { background: #0b62c4; color: #fff }
  small { color: #5c6066 }
</style>
<h1>${escape(title)}</h1>
${body}
</html>
`

const refuse = (call: Call, reason: string): Answer =>
  html(call, 400, page("Cannot sign in", `<p role="alert">${escape(reason)}</p>`))

interface SignIn {
  readonly app: Application
  readonly redirectUri: string
  readonly state: string | null
  readonly scope: ReadonlyArray<string>
  readonly consented: boolean
}

/**
 * Parameters: reference 1.8 [D]. A wrong one is shown and never redirected, so that no code goes to a stranger; what
 * the platform's own page says is not known [I].
 */
const read = (state: State, call: Call): SignIn | string => {
  const parameters = call.query
  for (const name of ["client_id", "redirect_uri", "response_type", "scope"]) {
    if ((parameters.get(name) ?? "") === "") return `The parameter ${name} is missing.`
  }
  const app = state.applications.get(parameters.get("client_id")!)
  if (app === undefined || !app.enabled) {
    return `There is no application with the client_id ${parameters.get("client_id")}.`
  }
  const redirectUri = parameters.get("redirect_uri")!
  if (!app.redirectUris.includes(redirectUri)) {
    return `The redirect_uri ${redirectUri} is not registered for the application ${app.name}.`
  }
  if (parameters.get("response_type") !== "code") return "The response_type has to be code."
  const scope = parameters.get("scope")!.split(/\s+/)
  if (!scope.includes("openid")) return "The scope has to be openid, or openid corpid."
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
  if (typeof request === "string") return refuse(call, request)
  if (call.method === "GET" || call.method === "HEAD") return chooser(state, call, request)
  if (call.method !== "POST") return html(call, 405, page("Cannot sign in", "<p role=\"alert\">Open this page.</p>"))
  const form = new URLSearchParams(call.contentType === "form" ? call.body : "")
  if (form.get("decision") === "cancel") return leadBack(call, request, "error", "access_denied")
  if (form.get("decision") !== "consent") return refuse(call, "Press one of the two buttons.")
  const user = state.users.get(form.get("userid") ?? "")
  if (user === undefined) return refuse(call, "Choose who signs in.")
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
