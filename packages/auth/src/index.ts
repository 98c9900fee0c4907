/**
 * @since 0.1.0
 */
export * as AppCredentials from "./AppCredentials.js"

/**
 * @since 0.1.0
 */
export * as TokenService from "./TokenService.js"

/**
 * @since 0.1.0
 */
export * as UserSession from "./UserSession.js"
