/**
 * A third-party app: its own token, and its tokens in the organisations that have authorised it, all made from the suite
 * ticket that the platform pushes.
 *
 * @since 0.1.0
 */
import * as AccessToken from "@effect-dingtalk/core/AccessToken"
import type { CommonError } from "@effect-dingtalk/core/DingTalkError"
import * as OAuth2 from "@effect-dingtalk/core/OAuth2"
import { OrganizationTokens } from "@effect-dingtalk/core/OrganizationTokens"
import { SuiteTokenService } from "@effect-dingtalk/core/SuiteTokenService"
import * as Transport from "@effect-dingtalk/core/Transport"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as AppCredentials from "./AppCredentials.js"
import * as Upkeep from "./internal/upkeep.js"
import type { ManyOptions } from "./OrganizationTokens.js"
import * as SuiteTicket from "./SuiteTicket.js"

/**
 * Client ID and Client Secret are what older pages call SuiteKey and SuiteSecret.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends AppCredentials.Service, ManyOptions {
  /** one that does not change, where the app was developed for one customer: any text will do (reference 1.6) */
  readonly suiteTicket?: Redacted.Redacted | undefined
}

/**
 * A ticket that was refused for one organisation would be refused for each, and again; the next push, or another process,
 * brings a newer one.
 */
const exchangesOf = (tickets: SuiteTicket.Service) => {
  let refused: { readonly ticket: Redacted.Redacted; readonly error: CommonError } | undefined
  const ticket = Effect.flatMap(
    tickets.get,
    (ticket) =>
      refused !== undefined && AccessToken.isSame(refused.ticket, ticket)
        ? Effect.fail(refused.error)
        : Effect.succeed(ticket)
  )
  const withTicket = <A>(exchange: (ticket: Redacted.Redacted) => Effect.Effect<A, CommonError>) =>
    Effect.flatMap(ticket, (ticket) =>
      Effect.tapError(exchange(ticket), (error) =>
        Effect.sync(() => {
          if (isOfTicket(error)) refused = { ticket, error }
        })))
  return { ticket, withTicket }
}

const isOfTicket = (error: CommonError): boolean =>
  error._tag === "InvalidCredentials" && (error.code === undefined || error.code === "invalidSuiteTicket")

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<
  Context.Context<OrganizationTokens | SuiteTokenService | SuiteTicket.SuiteTicket>,
  never,
  Transport.Transport | Scope.Scope
> =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const { clientId: suiteKey, clientSecret: suiteSecret } = options
    const tickets = yield* SuiteTicket.make({ suiteKey, fixed: options.suiteTicket })
    const { ticket, withTicket } = exchangesOf(tickets)
    const upkeep = yield* Upkeep.make(options)
    const host = transport.hosts.api
    // A fixed ticket is never replaced: its refusal lasts like that of a secret.
    const isPassing = options.suiteTicket === undefined ? isOfTicket : undefined

    const suite = yield* upkeep.one({
      key: { host, clientId: suiteKey, kind: "suite" },
      endpoint: OAuth2.GetSuiteAccessToken.name,
      isPassing,
      ready: ticket,
      fetch: withTicket((suiteTicket) =>
        Transport.exchange(OAuth2.GetSuiteAccessToken, { suiteKey, suiteSecret, suiteTicket }).pipe(
          Effect.provideService(Transport.Transport, transport),
          Effect.map(({ accessToken, expireIn }) => ({ value: accessToken, expireIn }))
        )
      )
    })

    const of = yield* upkeep.many((authCorpId) => ({
      key: { host, clientId: suiteKey, kind: "authorized", subject: authCorpId },
      endpoint: OAuth2.GetCorpAccessToken.name,
      isPassing,
      ready: ticket,
      fetch: withTicket((suiteTicket) =>
        Transport.exchange(OAuth2.GetCorpAccessToken, { suiteKey, suiteSecret, authCorpId, suiteTicket }).pipe(
          Effect.provideService(Transport.Transport, transport),
          Upkeep.naming(authCorpId),
          Effect.map(({ accessToken, expireIn }) => ({ value: accessToken, expireIn }))
        )
      )
    }), options)

    return Context.empty().pipe(
      Context.add(OrganizationTokens, { of, clientId: suiteKey }),
      Context.add(SuiteTokenService, suite),
      Context.add(SuiteTicket.SuiteTicket, tickets)
    )
  })

/**
 * Give it a `TokenStore` that lasts: without one, a process that starts has no ticket until the next push, up to 5 hours
 * later.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { ThirdPartyApp, TokenStore } from "@effect-dingtalk/auth"
 * import { Contact, Organizations } from "@effect-dingtalk/core"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const app = ThirdPartyApp.layer({
 *   clientId: "suitequickstart",
 *   clientSecret: Redacted.make("suite-secret")
 * }).pipe(Layer.provide(TokenStore.layerMemory()))
 *
 * const nameIn = (corpId: string) =>
 *   Contact.getUser({ userid: "zhangsan" }).pipe(
 *     Effect.map((user) => user.name),
 *     Organizations.within(corpId)
 *   )
 * console.log(Layer.isLayer(app), Effect.isEffect(nameIn("dingnorth"))) // true true
 * ```
 */
export const layer = (options: Options): Layer.Layer<
  OrganizationTokens | SuiteTokenService | SuiteTicket.SuiteTicket | AppCredentials.AppCredentials,
  never,
  Transport.Transport
> =>
  Layer.merge(
    Layer.scopedContext(make(options)),
    AppCredentials.layer({ clientId: options.clientId, clientSecret: options.clientSecret })
  )

/**
 * From `DINGTALK_CLIENT_ID` and `DINGTALK_CLIENT_SECRET`, but for what you give.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: { readonly [K in keyof Options]?: Config.Config.Wrap<Options[K]> } = {}
): Layer.Layer<
  OrganizationTokens | SuiteTokenService | SuiteTicket.SuiteTicket | AppCredentials.AppCredentials,
  ConfigError,
  Transport.Transport
> =>
  Layer.unwrapEffect(
    Effect.map(Config.unwrap({ ...AppCredentials.config, ...config } as Config.Config.Wrap<Options>), layer)
  )
