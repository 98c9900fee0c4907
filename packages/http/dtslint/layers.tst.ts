import { TokenService as Auth } from "@effect-dingtalk/auth"
import type { DingTalk, TokenService, Transport } from "@effect-dingtalk/core"
import { DingTalkHttp, HttpTransport, Limiter, Retry } from "@effect-dingtalk/http"
import type { HttpClient } from "@effect/platform"
import { FetchHttpClient } from "@effect/platform"
import type { ConfigError, Duration } from "effect"
import { Config, Layer } from "effect"
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

describe("options", () => {
  test("the limiter and the retries are a plain record each, or off", () => {
    expect(DingTalkHttp.layer).type.toBeCallableWith({ limiter: false, retry: false })
    expect(DingTalkHttp.layer).type.toBeCallableWith({
      deadline: "10 seconds",
      limiter: { perSecond: 40, endpoints: { "contact.getUser": 60 }, app: "ding1" },
      retry: { attempts: 5, base: 100, cap: "2 seconds", budget: 10 }
    })
    expect(DingTalkHttp.layer).type.not.toBeCallableWith({ limiter: true })
    expect(DingTalkHttp.layer).type.not.toBeCallableWith({ retry: { attempt: 5 } })
  })

  test("come from a Config as well", () => {
    expect(DingTalkHttp.layerConfig).type.toBeCallableWith({
      limiter: Config.map(Config.integer("RATE"), (perSecond) => ({ perSecond })),
      retry: Config.succeed(false as const)
    })
  })

  test("a policy is a function of one failure", () => {
    expect(Retry.policy()).type.toBe<Retry.Policy>()
    expect<ReturnType<Retry.Policy>>().type.toBe<Duration.DurationInput | undefined>()
  })

  test("a Limiter is put in by one Layer, and nobody has to", () => {
    expect(Limiter.layer).type.toBe<Layer.Layer<Limiter.Limiter>>()
    expect(DingTalkHttp.layer().pipe(Layer.provide(Limiter.layer))).type.toBe<
      Layer.Layer<DingTalk.DingTalk, never, Transport.Transport | TokenService.TokenService>
    >()
  })
})
