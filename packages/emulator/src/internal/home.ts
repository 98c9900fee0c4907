import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Service } from "../Emulator.js"
import type { Request, Response } from "../Exchange.js"
import type { Application } from "../Organization.js"
import { quickstart } from "../Organization.js"
import type { Entry } from "../RequestLog.js"
import * as ThirdParty from "../ThirdParty.js"
import { isForeign } from "./foreign.js"
import { escape, page } from "./page.js"

/** Whether a browser asks for the root; any other client gets what the platform says there. */
export const isHome = ({ headers, method, path }: Request): boolean =>
  path === "/" && (method === "GET" || method === "HEAD") && /\btext\/html\b/.test(headers?.["accept"] ?? "") &&
  !isForeign(headers ?? {})

const row = (cells: ReadonlyArray<string>): string => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`

const code = (text: string): string => `<code>${escape(text)}</code>`

// Only a secret that everybody knows is shown.
const PUBLIC = new Set(
  [...quickstart.applications.map((app) => app.clientSecret), ThirdParty.quickstart.suiteSecret].map(Redacted.value)
)

const secretOf = (secret: Redacted.Redacted): string =>
  PUBLIC.has(Redacted.value(secret)) ? code(Redacted.value(secret)) : "the one that you gave"

const authorizedBy = (app: ThirdParty.Application): string => {
  if (app.authorizedBy === "any") return "every organisation"
  const corpIds = app.authorizedBy.slice(0, MAX_SHOWN).map(({ corpId }) => code(corpId)).join(", ")
  return app.authorizedBy.length > MAX_SHOWN ? `${corpIds}, …` : corpIds
}

const MAX_SHOWN = 20

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
  Effect.map(Effect.all([emulator.organization, emulator.requests, emulator.thirdPartyApplications]), (all) => {
    const [{ applications, corpName }, requests, suites] = all
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
${applications.map((app) => row([code(app.clientId), secretOf(app.clientSecret), signInLink(origin, app)])).join("\n")}
</table>
${
          suites.length === 0
            ? ""
            : `<h2>Third-party applications</h2>
<table>
<tr><th>Suite Key</th><th>Suite Secret</th><th>Authorised by</th></tr>
${
              suites.slice(0, MAX_SHOWN)
                .map((app) => row([code(app.suiteKey), secretOf(app.suiteSecret), authorizedBy(app)])).join("\n")
            }
</table>
<p>Push a suite ticket: ${code(`curl -X POST ${origin}/_emulator/suite-tickets/push`)}</p>`
        }
<p>Controls: <a href="/_emulator">/_emulator</a>, <a href="/_emulator/state">state</a>,
<a href="/_emulator/requests">requests</a></p>
<h2>Recent requests</h2>
${recent.length === 0 ? "<p>None yet.</p>" : `<table>\n${recent.join("\n")}\n</table>`}`,
        "60rem"
      )
    }
  })
