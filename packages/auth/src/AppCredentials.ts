/**
 * Who is calling: an app's Client ID and Client Secret.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

/**
 * Both are on the app's page *Credential and basic information*; older pages call them AppKey and AppSecret.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
}

/**
 * @since 0.1.0
 * @category tags
 */
export class AppCredentials extends Context.Tag("@effect-dingtalk/auth/AppCredentials")<AppCredentials, Service>() {}

// A file or a shell easily adds a newline, which the platform would answer with "unknown credentials".
const setting = (name: string): Config.Config<string> =>
  Config.nonEmptyString(name).pipe(
    Config.validate({ message: "has white space around it", validation: (value) => value.trim() === value })
  )

/**
 * `DINGTALK_CLIENT_ID` and `DINGTALK_CLIENT_SECRET`.
 *
 * @since 0.1.0
 * @category config
 */
export const config: { readonly [K in keyof Service]: Config.Config<Service[K]> } = {
  clientId: setting("DINGTALK_CLIENT_ID"),
  clientSecret: Config.map(setting("DINGTALK_CLIENT_SECRET"), Redacted.make)
}

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (credentials: Service): Layer.Layer<AppCredentials> => Layer.succeed(AppCredentials, credentials)

/**
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  from: Config.Config.Wrap<Service> = config
): Layer.Layer<AppCredentials, ConfigError> => Layer.effect(AppCredentials, Config.unwrap(from))

/**
 * Credentials of nobody, for tests.
 *
 * @since 0.1.0
 * @category testing
 */
export const layerTest: Layer.Layer<AppCredentials> = layer({
  clientId: "test-client-id",
  clientSecret: Redacted.make("test-client-secret")
})
