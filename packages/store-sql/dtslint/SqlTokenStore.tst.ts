import type { TokenStore } from "@effect-dingtalk/auth"
import { SqlTokenStore } from "@effect-dingtalk/store-sql"
import type { SqlClient } from "@effect/sql"
import type { ConfigError, Layer } from "effect"
import { describe, expect, test } from "tstyche"

describe("SqlTokenStore", () => {
  test("a Layer over a SqlClient alone; from the environment it may fail with ConfigError too", () => {
    expect(SqlTokenStore.layer()).type.toBe<
      Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError, SqlClient.SqlClient>
    >()
    expect(SqlTokenStore.layerConfig()).type.toBe<
      Layer.Layer<
        TokenStore.TokenStore,
        TokenStore.TokenStoreError | ConfigError.ConfigError,
        SqlClient.SqlClient
      >
    >()
  })
})
