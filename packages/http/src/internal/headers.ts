/** @internal */
export const TOKEN_HEADER = "x-acs-dingtalk-access-token"

/** @internal */
export const JSON_TYPE = "application/json; charset=utf-8"

/** @internal */
export const USER_AGENT = "effect-dingtalk/0.1.0"
