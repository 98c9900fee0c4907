// The store that the processes of `trouble.test.ts` share, and that the test looks into.
import { TokenCipher, type TokenStore } from "@effect-dingtalk/auth"
import * as FileTokenStore from "@effect-dingtalk/auth/FileTokenStore"
import { RedisTokenStore } from "@effect-dingtalk/store-redis"
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { PgClient } from "@effect/sql-pg"
import { Config, ConfigProvider, Effect, Layer, Redacted } from "effect"

export interface Place {
  readonly kind: "redis" | "postgres" | "file"
  /** of a server, or of a directory */
  readonly url: string
  /** what the table is called, or keys begin with */
  readonly name: string
  /** such as `DINGTALK_TOKEN_STORE_KEYS` */
  readonly keys?: string | undefined
  readonly timeout?: "5 seconds" | undefined
}

/** It fails and comes back as any store does, only sooner. */
export const layer = ({ keys, kind, name, timeout, url }: Place): Layer.Layer<TokenStore.TokenStore> =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const setting = Config.withDefault(TokenCipher.config("KEYS"), undefined)
    const provider = ConfigProvider.fromMap(new Map(keys === undefined ? [] : [["KEYS", keys]]))
    const encryption = yield* Effect.withConfigProvider(setting, provider)
    const options = { encryption, timeout: timeout ?? "1 second", coolDown: "1 second" } as const
    switch (kind) {
      case "postgres":
        return SqlTokenStore.layer({ ...options, table: name }).pipe(
          Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 }))
        )
      case "redis":
        return RedisTokenStore.layer({ ...options, prefix: `${name}:`, url })
      case "file":
        return FileTokenStore.layer({ ...options, directory: url }).pipe(Layer.provide(NodeContext.layer))
    }
  })).pipe(Layer.orDie)
