/**
 * @since 0.1.0
 */
export * as DingTalkHttp from "./DingTalkHttp.js"

/**
 * @since 0.1.0
 */
export * as DingTalkMetrics from "./DingTalkMetrics.js"

/**
 * @since 0.1.0
 */
export * as FetchTransport from "./FetchTransport.js"

/**
 * @since 0.1.0
 */
export * as HttpTransport from "./HttpTransport.js"

/**
 * @since 0.1.0
 */
export * as Limiter from "./Limiter.js"

/**
 * @since 0.1.0
 */
export * as Retry from "./Retry.js"
