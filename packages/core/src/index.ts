/**
 * @since 0.1.0
 */
export * as AccessToken from "./AccessToken.js"

/**
 * @since 0.1.0
 */
export * as Contact from "./Contact.js"

/**
 * @since 0.1.0
 */
export * as DingTalk from "./DingTalk.js"

/**
 * @since 0.1.0
 */
export * as DingTalkError from "./DingTalkError.js"

/**
 * @since 0.1.0
 */
export * as Endpoint from "./Endpoint.js"

/**
 * @since 0.1.0
 */
export * as ErrorCode from "./ErrorCode.js"

/**
 * @since 0.1.0
 */
export * as Hosts from "./Hosts.js"

/**
 * @since 0.1.0
 */
export * as Identifier from "./Identifier.js"

/**
 * @since 0.1.0
 */
export * as Int64 from "./Int64.js"

/**
 * @since 0.1.0
 */
export * as Lenient from "./Lenient.js"

/**
 * @since 0.1.0
 */
export * as OAuth2 from "./OAuth2.js"

/**
 * @since 0.1.0
 */
export * as OrganizationTokens from "./OrganizationTokens.js"

/**
 * @since 0.1.0
 */
export * as Organizations from "./Organizations.js"

/**
 * @since 0.1.0
 */
export * as SsoTokenService from "./SsoTokenService.js"

/**
 * @since 0.1.0
 */
export * as SuiteTokenService from "./SuiteTokenService.js"

/**
 * @since 0.1.0
 */
export * as TokenService from "./TokenService.js"

/**
 * @since 0.1.0
 */
export * as Transport from "./Transport.js"

/**
 * @since 0.1.0
 */
export * as UserSession from "./UserSession.js"

/**
 * @since 0.1.0
 */
export * as WireJson from "./WireJson.js"

/**
 * @since 0.1.0
 */
export * as WireRequest from "./WireRequest.js"

/**
 * @since 0.1.0
 */
export * as WireResponse from "./WireResponse.js"
