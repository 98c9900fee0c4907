/**
 * @since 0.1.0
 */
export * as AppCredentials from "./AppCredentials.js"

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
