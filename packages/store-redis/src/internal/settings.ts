import * as Config from "effect/Config"
import * as RedisConnection from "../RedisConnection.js"

/**
 * What all keys begin with, of tokens and of paces.
 *
 * @internal
 */
export const PREFIX = "dingtalk:"

/** @internal */
export const fromEnvironment = () => ({
  url: Config.withDefault(RedisConnection.config(), undefined),
  prefix: Config.withDefault(Config.string("DINGTALK_REDIS_PREFIX"), PREFIX)
})
