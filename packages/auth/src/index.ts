/**
 * @since 0.1.0
 */
export * as AppCredentials from "./AppCredentials.js"

/**
 * @since 0.1.0
 */
export * as JsapiTicket from "./JsapiTicket.js"

/**
 * @since 0.1.0
 */
export * as OrganizationTokens from "./OrganizationTokens.js"

/**
 * @since 0.1.0
 */
export * as SignIn from "./SignIn.js"

/**
 * @since 0.1.0
 */
export * as SsoToken from "./SsoToken.js"

/**
 * @since 0.1.0
 */
export * as SuiteTicket from "./SuiteTicket.js"

/**
 * @since 0.1.0
 */
export * as ThirdPartyApp from "./ThirdPartyApp.js"

/**
 * @since 0.1.0
 */
export * as TokenCipher from "./TokenCipher.js"

/**
 * @since 0.1.0
 */
export * as TokenService from "./TokenService.js"

/**
 * @since 0.1.0
 */
export * as TokenStore from "./TokenStore.js"

/**
 * @since 0.1.0
 */
export * as UserSession from "./UserSession.js"

/**
 * @since 0.1.0
 */
export * as UserSessions from "./UserSessions.js"
