/**
 * @since 0.1.0
 */
export * as ControlPlane from "./ControlPlane.js"

/**
 * @since 0.1.0
 */
export * as Emulator from "./Emulator.js"

/**
 * @since 0.1.0
 */
export * as EmulatorError from "./EmulatorError.js"

/**
 * @since 0.1.0
 */
export * as EmulatorHttpClient from "./EmulatorHttpClient.js"

/**
 * @since 0.1.0
 */
export * as EmulatorServer from "./EmulatorServer.js"

/**
 * @since 0.1.0
 */
export * as Exchange from "./Exchange.js"

/**
 * @since 0.1.0
 */
export * as Fault from "./Fault.js"

/**
 * @since 0.1.0
 */
export * as Organization from "./Organization.js"

/**
 * @since 0.1.0
 */
export * as RequestLog from "./RequestLog.js"

/**
 * @since 0.1.0
 */
export * as SuiteTicket from "./SuiteTicket.js"

/**
 * @since 0.1.0
 */
export * as ThirdParty from "./ThirdParty.js"
