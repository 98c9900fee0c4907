import { Hosts } from "@effect-dingtalk/core"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either } from "effect"

describe("Hosts", () => {
  it("the two regions are those of the platform", () => {
    assert.deepStrictEqual({ ...Hosts.com } as unknown, {
      api: "https://api.dingtalk.com",
      oapi: "https://oapi.dingtalk.com",
      login: "https://login.dingtalk.com",
      console: "https://open-dev.dingtalk.com"
    })
    assert.deepStrictEqual({ ...Hosts.io } as unknown, {
      api: "https://api.dingtalk.io",
      oapi: "https://oapi.dingtalk.io",
      login: "https://login.dingtalk.io",
      console: "https://open-dev.dingtalk.io"
    })
  })

  const good: ReadonlyArray<readonly [url: string, origin: string]> = [
    ["https://api.dingtalk.com", "https://api.dingtalk.com"],
    ["https://api.dingtalk.com/", "https://api.dingtalk.com"],
    ["HTTPS://API.DingTalk.com:443", "https://api.dingtalk.com"],
    ["https://proxy.internal.example:8443", "https://proxy.internal.example:8443"],
    ["https://10.0.0.1", "https://10.0.0.1"],
    ["http://localhost:4000", "http://localhost:4000"],
    ["http://127.0.0.1", "http://127.0.0.1"],
    ["http://127.1.2.3:80", "http://127.1.2.3"],
    ["http://127.1:8080", "http://127.0.0.1:8080"],
    ["http://[::1]:8080", "http://[::1]:8080"],
    ["http://LOCALHOST", "http://localhost"]
  ]
  for (const [url, origin] of good) {
    it(`${url} is a host`, () => {
      assert.deepStrictEqual(
        Either.map(Hosts.single(url), (hosts) => Object.values(hosts)),
        Either.right([origin, origin, origin, origin])
      )
    })
  }

  const bad: ReadonlyArray<readonly [url: string, reason: RegExp]> = [
    ["http://api.dingtalk.com", /https/],
    ["http://10.0.0.1", /https/],
    ["http://0.0.0.0", /https/],
    ["http://localhost.evil.example", /https/],
    ["http://127.0.0.1.evil.example", /https/],
    ["http://evil-localhost", /https/],
    ["http://128.0.0.1", /https/],
    ["http://[::ffff:10.0.0.1]", /https/],
    ["http://[::2]", /https/],
    ["ftp://api.dingtalk.com", /not ftp/],
    ["ws://localhost", /not ws/],
    ["https://user:SENTINEL@api.dingtalk.com", /user name/],
    ["https://SENTINEL@api.dingtalk.com", /user name/],
    ["https://:SENTINEL@api.dingtalk.com", /user name/],
    ["https://api.dingtalk.com/v1.0", /without a path/],
    ["https://api.dingtalk.com/?access_token=SENTINEL", /without a path/],
    ["https://api.dingtalk.com/#SENTINEL", /without a path/],
    ["javascript:alert(1)", /without a path/],
    ["data:text/plain,SENTINEL", /without a path/],
    ["api.dingtalk.com", /not a URL/],
    ["//api.dingtalk.com", /not a URL/],
    ["https://", /not a URL/],
    ["http://127.0.0.999", /not a URL/],
    ["", /not a URL/],
    ["SENTINEL", /not a URL/]
  ]
  for (const [url, reason] of bad) {
    it(`${JSON.stringify(url)} is none, and the error tells the field but not the text`, () => {
      for (const field of ["api", "oapi", "login", "console"]) {
        const error = Either.getOrThrow(Either.flip(Hosts.make({ ...Hosts.com, [field]: url })))
        assert.instanceOf(error, Hosts.InvalidHost)
        assert.strictEqual(error.field, field)
        assert.match(error.reason, reason)
        assert.include(error.message, `hosts.${field}`)
        assert.notInclude(error.message + JSON.stringify(error), "SENTINEL")
      }
    })
  }

  it("the pages for people are China's where none are given", () => {
    const hosts = Either.getOrThrow(Hosts.make({ api: "http://localhost:1", oapi: "http://localhost:2" }))
    assert.deepStrictEqual({ ...hosts } as unknown, {
      api: "http://localhost:1",
      oapi: "http://localhost:2",
      login: "https://login.dingtalk.com",
      console: "https://open-dev.dingtalk.com"
    })
  })

  describe("config", () => {
    const load = (env: Record<string, string>) =>
      Effect.withConfigProvider(Hosts.config, ConfigProvider.fromMap(new Map(Object.entries(env))))

    it.effect("is China by default, the world by DINGTALK_REGION=io", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* load({}), Hosts.com)
        assert.deepStrictEqual(yield* load({ DINGTALK_REGION: "com" }), Hosts.com)
        assert.deepStrictEqual(yield* load({ DINGTALK_REGION: "io" }), Hosts.io)
      }))

    it.effect("DINGTALK_URL is one origin for all", () =>
      Effect.gen(function*() {
        const hosts = yield* load({ DINGTALK_URL: "http://localhost:4000/", DINGTALK_REGION: "io" })
        assert.deepStrictEqual(hosts, Either.getOrThrow(Hosts.single("http://localhost:4000")))
      }))

    it.effect("a variable of its own wins over the one for all, and that over the region", () =>
      Effect.gen(function*() {
        const hosts = yield* load({
          DINGTALK_REGION: "io",
          DINGTALK_URL: "https://gateway.example",
          DINGTALK_API_URL: "https://api.example",
          DINGTALK_LOGIN_URL: "https://login.example"
        })
        assert.deepStrictEqual({ ...hosts } as unknown, {
          api: "https://api.example",
          oapi: "https://gateway.example",
          login: "https://login.example",
          console: "https://gateway.example"
        })
        const mixed = yield* load({ DINGTALK_REGION: "io", DINGTALK_OAPI_URL: "https://oapi.example" })
        assert.deepStrictEqual([mixed.api, mixed.oapi], ["https://api.dingtalk.io", "https://oapi.example"])
      }))

    it.effect("an empty variable is an absent one", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* load({ DINGTALK_URL: "", DINGTALK_API_URL: "" }), Hosts.com)
      }))

    const wrong: ReadonlyArray<readonly [env: Record<string, string>, name: string]> = [
      [{ DINGTALK_REGION: "cn" }, "DINGTALK_REGION"],
      [{ DINGTALK_REGION: "COM" }, "DINGTALK_REGION"],
      [{ DINGTALK_URL: "http://SENTINEL.example" }, "DINGTALK_URL"],
      [{ DINGTALK_API_URL: "https://u:SENTINEL@api.example" }, "DINGTALK_API_URL"],
      [{ DINGTALK_OAPI_URL: "SENTINEL" }, "DINGTALK_OAPI_URL"],
      [{ DINGTALK_LOGIN_URL: "https://login.example/SENTINEL" }, "DINGTALK_LOGIN_URL"],
      [{ DINGTALK_URL: "https://gateway.example", DINGTALK_OAPI_URL: "http://SENTINEL.example" }, "DINGTALK_OAPI_URL"]
    ]
    for (const [env, name] of wrong) {
      it.effect(`a bad ${name} is an error that names it (${Object.keys(env).join(", ")})`, () =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(load(env))
          const text = String(error)
          assert.include(text, name)
          for (
            const other of [
              "DINGTALK_REGION",
              "DINGTALK_URL",
              "DINGTALK_API_URL",
              "DINGTALK_OAPI_URL",
              "DINGTALK_LOGIN_URL"
            ]
          ) {
            if (other !== name) assert.notInclude(text, other)
          }
          assert.notInclude(text, "SENTINEL")
        }))
    }
  })
})
