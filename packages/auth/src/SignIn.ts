/**
 * Sign-in in the browser: the address of the sign-in page, and what comes back from it. The `state` that goes along ties
 * the two together: without it, somebody could end a sign-in that they began in another person's browser.
 *
 * @since 0.1.0
 */
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AppCredentials } from "./AppCredentials.js"

/**
 * What came back is not the end of a sign-in that this browser began.
 *
 * @since 0.1.0
 * @category errors
 */
export class SignInRefused extends Schema.TaggedError<SignInRefused>("@effect-dingtalk/auth/SignInRefused")(
  "SignInRefused",
  {
    /**
     * - `State`: not the `state` that was sent along, or none: begun elsewhere, or too long ago for the cookie
     * - `Denied`: the person, or the platform, said no; `error` has the platform's word for it
     * - `Malformed`: neither a code nor an error
     */
    reason: Schema.Literal("State", "Denied", "Malformed"),
    error: Schema.optional(Schema.String)
  }
) {
  override get message(): string {
    switch (this.reason) {
      case "State":
        return "sign-in: the state that came back is not the one that was sent along; start a new sign-in"
      case "Denied":
        return `sign-in: refused${this.error === undefined ? "" : ` (${this.error})`}`
      case "Malformed":
        return "sign-in: neither authCode nor error came back"
    }
  }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** must equal one that is registered in the console */
  readonly redirectUri: string
  /** `openid corpid` lets the person choose an organisation and gives its `corpId` with the token */
  readonly scope?: "openid" | "openid corpid" | undefined
  /** the organisation that is preselected */
  readonly corpId?: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Started {
  /** redirect the browser to it */
  readonly url: string
  /** keep it with the browser, in a cookie that is HttpOnly, Secure and SameSite=Lax, for some minutes */
  readonly state: Redacted.Redacted
}

// Global in Node, Bun, Deno and on the edge, but in no library of the ECMAScript standard.
declare const crypto: { readonly getRandomValues: <A extends Uint8Array>(bytes: A) => A }
declare const URLSearchParams: new(text: string) => Iterable<readonly [string, string]>

/**
 * Begins a sign-in. Source: reference 1.8.
 *
 * @since 0.1.0
 * @category functions
 * @example
 * ```ts
 * import { AppCredentials, SignIn } from "@effect-dingtalk/auth"
 * import { Transport } from "@effect-dingtalk/core"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * Effect.gen(function*() {
 *   const { state, url } = yield* SignIn.start({ redirectUri: "https://app.example/callback" })
 *   console.log(url.startsWith("https://login.dingtalk.com/oauth2/auth?")) // true
 *
 *   // later, in the handler of the callback, with the cookie
 *   const query = `authCode=a1b2&state=${Redacted.value(state)}`
 *   const authCode = yield* SignIn.finish(query, state)
 *   console.log(String(authCode)) // <redacted>
 * }).pipe(
 *   Effect.provide(Layer.merge(AppCredentials.layerTest, Transport.layerTest([]))),
 *   Effect.runPromise
 * )
 * ```
 */
export const start = (options: Options): Effect.Effect<Started, never, AppCredentials | Transport.Transport> =>
  Effect.gen(function*() {
    const { clientId } = yield* AppCredentials
    const { hosts } = yield* Transport.Transport
    const state = Encoding.encodeBase64Url(crypto.getRandomValues(new Uint8Array(24)))
    return { url: OAuth2.signInUrl(hosts, { clientId, state, ...options }), state: Redacted.make(state) }
  })

/** In a time that does not tell how much of it is right. */
const isSame = (self: string, that: string): boolean => {
  let difference = self.length ^ that.length
  for (let i = 0; i < self.length; i++) difference |= self.charCodeAt(i) ^ that.charCodeAt(i % (that.length || 1))
  return difference === 0
}

/** Of an address, of what follows its host, or of a query by itself. */
const queryOf = (text: string): string => {
  const [address = ""] = text.split("#", 1)
  return /^(?:[a-z][a-z0-9+.-]*:|\/|\?)/i.test(address) ? address.slice(address.indexOf("?") + 1) : address
}

const textOf = (fields: Readonly<Record<string, unknown>>, name: string): string | undefined => {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return typeof value === "string" && value.trim() !== "" ? value : undefined
}

/**
 * Ends a sign-in: what the callback was called with, as a query or as its fields, and the `state` that the browser kept.
 * Gives the one-time code for `UserSession.signIn`. Source: reference 1.8.
 *
 * @since 0.1.0
 * @category functions
 */
export const finish = (
  callback: string | Readonly<Record<string, unknown>>,
  state: Redacted.Redacted | undefined
): Effect.Effect<Redacted.Redacted, SignInRefused> =>
  Effect.suspend(() => {
    const fields = typeof callback === "string" ? Object.fromEntries(new URLSearchParams(queryOf(callback))) : callback
    const returned = textOf(fields, "state")
    const expected = state === undefined ? "" : Redacted.value(state)
    if (returned === undefined || expected === "" || !isSame(returned, expected)) {
      return new SignInRefused({ reason: "State" })
    }
    const error = textOf(fields, "error")
    if (error !== undefined) {
      return new SignInRefused({ reason: "Denied", error: error.replace(/\p{Cc}/gu, " ").slice(0, 200) })
    }
    const code = textOf(fields, "authCode") ?? textOf(fields, "code")
    return code === undefined ? new SignInRefused({ reason: "Malformed" }) : Effect.succeed(Redacted.make(code))
  })
