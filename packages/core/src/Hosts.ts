/**
 * Where DingTalk lives: the hosts of one region, or those of an emulator.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

declare const HostsBrand: unique symbol

/**
 * Origins, without a trailing slash. Only `com`, `io` and the constructors of this module make one, so that a token is
 * only ever sent over TLS, or to loopback.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hosts {
  readonly [HostsBrand]: true
  /** `/v1.0/…`: camelCase, HTTP statuses */
  readonly api: string
  /** `/topapi/…`: snake_case, always HTTP 200 */
  readonly oapi: string
  /** the page where people sign in */
  readonly login: string
  /** the developer console, for messages that say where to go */
  readonly console: string
}

/**
 * @since 0.1.0
 * @category models
 */
export type Region = "com" | "io"

/**
 * A host that no token may be sent to.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidHost extends Data.TaggedError("InvalidHost")<{
  readonly field: string
  readonly reason: string
}> {
  override get message(): string {
    return `hosts.${this.field}: ${this.reason}`
  }
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

// The global `URL` is in Node, Bun, Deno and on the edge, but in no library of the ECMAScript standard.
declare const URL: new(url: string) => {
  readonly origin: string
  readonly protocol: string
  readonly hostname: string
  readonly username: string
  readonly password: string
  readonly pathname: string
  readonly search: string
  readonly hash: string
}

const origin = (field: string, text: string): Either.Either<string, InvalidHost> => {
  const no = (reason: string) => Either.left(new InvalidHost({ field, reason }))
  let url
  try {
    url = new URL(text)
  } catch {
    return no("is not a URL; expected an origin such as https://api.dingtalk.com")
  }
  if (url.username !== "" || url.password !== "") return no("must not hold a user name or a password")
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return no("must be an origin alone, without a path or a query")
  }
  if (url.protocol === "https:") return Either.right(url.origin)
  if (url.protocol !== "http:") return no(`must be https, not ${url.protocol.slice(0, -1)}`)
  return LOOPBACK.test(url.hostname)
    ? Either.right(url.origin)
    : no("must be https: tokens and secrets travel in clear over http, which is for loopback alone")
}

/**
 * @since 0.1.0
 * @category constructors
 * @example
 * ```ts
 * import { Hosts } from "@effect-dingtalk/core"
 *
 * const behindProxy = Hosts.make({ ...Hosts.com, api: "https://dingtalk-proxy.internal.example" })
 * const insecure = Hosts.make({ ...Hosts.com, api: "http://dingtalk-proxy.internal.example" })
 * console.log(behindProxy._tag, insecure._tag) // Right Left
 * ```
 */
export const make = (options: {
  readonly api: string
  readonly oapi: string
  readonly login?: string | undefined
  readonly console?: string | undefined
}): Either.Either<Hosts, InvalidHost> =>
  Either.gen(function*() {
    return {
      api: yield* origin("api", options.api),
      oapi: yield* origin("oapi", options.oapi),
      login: yield* origin("login", options.login ?? com.login),
      console: yield* origin("console", options.console ?? com.console)
    } as Hosts
  })

/**
 * One origin for everything: an emulator, or a gateway of your own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const single = (url: string): Either.Either<Hosts, InvalidHost> =>
  make({ api: url, oapi: url, login: url, console: url })

const region = (name: Region): Hosts =>
  ({
    api: `https://api.dingtalk.${name}`,
    oapi: `https://oapi.dingtalk.${name}`,
    login: `https://login.dingtalk.${name}`,
    console: `https://open-dev.dingtalk.${name}`
  }) as Hosts

/**
 * China. Source: reference 2.
 *
 * @since 0.1.0
 * @category constants
 */
export const com: Hosts = region("com")

/**
 * International. Source: reference 2.
 *
 * @since 0.1.0
 * @category constants
 */
export const io: Hosts = region("io")

const url = (name: string) => Config.option(Config.nonEmptyString(name))

/**
 * `DINGTALK_REGION` (`com`, which is the default, or `io`); over that `DINGTALK_URL`, one origin for everything; over
 * that `DINGTALK_API_URL`, `DINGTALK_OAPI_URL` and `DINGTALK_LOGIN_URL`. A bad value is a `ConfigError` that names it.
 *
 * @since 0.1.0
 * @category config
 */
export const config: Config.Config<Hosts> = Config.all({
  region: Config.literal("com", "io")("DINGTALK_REGION").pipe(Config.withDefault("com" as const)),
  all: url("DINGTALK_URL"),
  api: url("DINGTALK_API_URL"),
  oapi: url("DINGTALK_OAPI_URL"),
  login: url("DINGTALK_LOGIN_URL")
}).pipe(Config.mapOrFail(({ all, api, login, oapi, region }) => {
  const base = region === "io" ? io : com
  const pick = (own: Option.Option<string>, preset: string) =>
    Option.getOrElse(own, () => Option.getOrElse(all, () => preset))
  const name = (field: string): string => {
    const own = { api, oapi, login }[field as "api" | "oapi" | "login"]
    return own !== undefined && Option.isSome(own) ? `DINGTALK_${field.toUpperCase()}_URL` : "DINGTALK_URL"
  }
  return Either.mapLeft(
    make({
      api: pick(api, base.api),
      oapi: pick(oapi, base.oapi),
      login: pick(login, base.login),
      console: pick(Option.none(), base.console)
    }),
    (error) => ConfigError.InvalidData([name(error.field)], error.message)
  )
}))
