import { TokenService as Auth } from "@effect-dingtalk/auth"
import type { DingTalk, TokenService, Transport } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport } from "@effect-dingtalk/http"
import type { HttpClient } from "@effect/platform"
import { FetchHttpClient } from "@effect/platform"
import type { ConfigError } from "effect"
import { Layer } from "effect"
import { describe, expect, test } from "tstyche"

describe("the Layers", () => {
  test("HttpTransport needs an HttpClient, DingTalkHttp a Transport and a TokenService", () => {
    expect(HttpTransport.layer()).type.toBe<Layer.Layer<Transport.Transport, never, HttpClient.HttpClient>>()
    expect(DingTalkHttp.layer()).type.toBe<
      Layer.Layer<DingTalk.DingTalk, never, Transport.Transport | TokenService.TokenService>
    >()
  })

  test("joined by the caller they need nothing more", () => {
    const joined = DingTalkHttp.layer().pipe(
      Layer.provide(Auth.layerConfig()),
      Layer.provide(HttpTransport.layerConfig()),
      Layer.provide(FetchHttpClient.layer)
    )
    expect(joined).type.toBe<Layer.Layer<DingTalk.DingTalk, ConfigError.ConfigError>>()
  })
})
