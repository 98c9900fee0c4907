/**
 * Where `HttpTransport` finds `execute` without span, trace headers and what decides on them: all that it would
 * otherwise switch off call by call, which costs as much as the call. Combinators make a client without it.
 *
 * @internal
 */
export const untraced: unique symbol = Symbol.for("@effect-dingtalk/http/untraced")
