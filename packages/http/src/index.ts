/**
 * @since 0.1.0
 */
export * as DingTalkHttp from "./DingTalkHttp.js"

/**
 * @since 0.1.0
 */
export * as HttpTransport from "./HttpTransport.js"
