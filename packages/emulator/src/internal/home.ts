import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Service } from "../Emulator.js"
import type { Request, Response } from "../Exchange.js"
import type { Application } from "../Organization.js"
import { quickstart } from "../Organization.js"
import type { Entry } from "../RequestLog.js"
import { isForeign } from "./foreign.js"
import { escape, page } from "./page.js"

/** Whether a browser asks for the root; any other client gets what the platform says there. */
export const isHome = ({ headers, method, path }: Request): boolean =>
  path === "/" && (method === "GET" || method === "HEAD") && /\btext\/html\b/.test(headers?.["accept"] ?? "") &&
  !isForeign(headers ?? {})

const row = (cells: ReadonlyArray<string>): string => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`

const code = (text: string): string => `<code>${escape(text)}</code>`

// Only a secret that everybody knows is shown.
const secretOf = (app: Application): string =>
  quickstart.applications.some((known) => Redacted.value(known.clientSecret) === Redacted.value(app.clientSecret))
    ? code(Redacted.value(app.clientSecret))
    : "the one that you gave"

const signInLink = (origin: string, app: Application): string => {
  const redirectUri = app.anyLoopbackRedirect ? `${origin}/` : app.redirectUris[0]
  if (redirectUri === undefined) return "no redirect URI is registered"
  const query = new URLSearchParams({
    client_id: app.clientId,
    response_type: "code",
    scope: "openid",
    prompt: "consent",
    redirect_uri: redirectUri
  })
  return `<a href="/oauth2/auth?${escape(query.toString())}">sign in</a>`
}

const requestRow = ({ at, endpoint, fault, method, path, query, status }: Entry): string =>
  row([
    new Date(at).toISOString().slice(11, 19),
    code(`${method} ${path}${query === "" ? "" : `?${query}`}`),
    escape(endpoint ?? "not emulated"),
    escape([status ?? "–", ...(fault === undefined ? [] : [fault])].join(" "))
  ])

const RECENT = 20

/** What this is, for who opens it in a browser. */
export const home = (emulator: Service, { headers, query }: Request): Effect.Effect<Response> =>
  Effect.map(Effect.all([emulator.organization, emulator.requests]), ([{ applications, corpName }, requests]) => {
    const origin = `http://${headers?.["host"] ?? "127.0.0.1"}`
    const recent = requests.slice(-RECENT).reverse().map(requestRow)
    const signedIn = new URLSearchParams(query).has("authCode")
    return {
      status: 200,
      headers: {
        "content-type": "text/html;charset=utf-8",
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
      },
      body: page(
        "DingTalk emulator",
        `${
          signedIn
            ? `<p role="status">Signed in: the address of this page holds the one-time <code>authCode</code>, good for ${
              code("POST /v1.0/oauth2/userAccessToken")
            }.</p>`
            : ""
        }
<p>Not DingTalk: a copy of its wire for development and tests, with the organisation ${escape(corpName)}.</p>
<table>
${row(["<code>https://api.dingtalk.com</code>", code(origin)])}
${row(["<code>https://oapi.dingtalk.com</code>", code(origin)])}
${row(["<code>https://login.dingtalk.com</code>", code(origin)])}
</table>
<h2>Applications</h2>
<table>
<tr><th>Client ID</th><th>Client Secret</th><th></th></tr>
${applications.map((app) => row([code(app.clientId), secretOf(app), signInLink(origin, app)])).join("\n")}
</table>
<p>Controls: <a href="/_emulator">/_emulator</a>, <a href="/_emulator/state">state</a>,
<a href="/_emulator/requests">requests</a></p>
<h2>Recent requests</h2>
${recent.length === 0 ? "<p>None yet.</p>" : `<table>\n${recent.join("\n")}\n</table>`}`,
        "60rem"
      )
    }
  })
