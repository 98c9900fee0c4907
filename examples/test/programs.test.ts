import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const run = (name: string, env: Record<string, string> = {}) =>
  Effect.async<{ readonly code: number; readonly out: string; readonly err: string }>((resume) => {
    const { DINGTALK_CLIENT_ID: _, DINGTALK_CLIENT_SECRET: __, DINGTALK_USER_ID: ___, ...rest } = process.env
    const child = execFile(
      process.execPath,
      ["--import", "tsx", fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))],
      { env: { ...rest, ...env }, timeout: 25_000 },
      (_error, out, err) => resume(Effect.succeed({ code: child.exitCode ?? -1, out, err }))
    )
    return Effect.sync(() => child.kill())
  })

describe("the programs", () => {
  it.live("quickstart walks the guide, causes its three failures, and signs somebody in", () =>
    Effect.gen(function*() {
      const { code, err, out } = yield* run("quickstart")
      assert.strictEqual(err, "")
      assert.strictEqual(code, 0)
      for (
        const line of [
          /Client ID +dingquickstart/,
          /Client Secret +<redacted>/,
          /Token +<redacted>/,
          /Life +7200 s/,
          /Name +John/,
          /Title +Technical Director/,
          /Work place +Future Park/,
          /Manager +manager240/,
          /Error +PermissionDenied/,
          /Scopes +qyapi_get_member/,
          /Apply at +https:\/\/open-dev\.dingtalk\.com/,
          /Error +UserNotFound/,
          /Answer +John, all the same/,
          /authCode +<redacted>/,
          /Nick +zhangsan/
        ]
      ) assert.match(out, line)
      assert.notInclude(out, "quickstart-secret")
      assert.notMatch(out, /[0-9a-f]{32}/)
    }))

  it.live("quickstart says which setting is missing, and what is wrong with one", () =>
    Effect.gen(function*() {
      const missing = yield* run("quickstart", { DINGTALK_CLIENT_ID: "ding1" })
      assert.strictEqual(missing.code, 1)
      assert.include(missing.err, "DINGTALK_USER_ID")
      const secret = yield* run("quickstart", { DINGTALK_CLIENT_ID: "ding1", DINGTALK_USER_ID: "zhangsan" })
      assert.strictEqual(secret.code, 1)
      assert.include(secret.err, "DINGTALK_CLIENT_SECRET")
      const region = yield* run("quickstart", {
        DINGTALK_CLIENT_ID: "ding1",
        DINGTALK_CLIENT_SECRET: "sentinel-secret",
        DINGTALK_USER_ID: "zhangsan",
        DINGTALK_URL: "http://dingtalk.example"
      })
      assert.strictEqual(region.code, 1)
      assert.include(region.err, "DINGTALK_URL")
      assert.notInclude(region.err + region.out, "sentinel-secret")
    }))

  it.live("telemetry shows the attempts of a call, and counts them", () =>
    Effect.gen(function*() {
      const { code, err, out } = yield* run("telemetry")
      assert.strictEqual(err, "")
      assert.strictEqual(code, 0)
      for (
        const line of [
          /DingTalk\.contact\.getUser .*rpc\.system=dingtalk .*dingtalk\.attempts=3/,
          /POST \/topapi\/v2\/user\/get .*error\.type=RateLimited/,
          /POST \/topapi\/v2\/user\/get .*error\.type=TokenExpired/,
          /dingtalk\.client\.calls +endpoint=contact\.getUser outcome=success +27/,
          /dingtalk\.client\.limiter\.wait .* 5 of/,
          /dingtalk\.client\.throttles .*dimension=AppAndApi +1/,
          /dingtalk\.client\.token\.refreshes +outcome=success +2/
        ]
      ) assert.match(out, line)
      assert.notMatch(out, /access_token|quickstart-secret|[0-9a-f]{32}/)
    }))

  it.live("several apps keep apart", () =>
    Effect.gen(function*() {
      const { code, out } = yield* run("several-apps")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(out.trim().split("\n"), [
        "dinghr       John, Technical Director",
        "dingcanteen  refused: lacks qyapi_get_member",
        "dinghr       1 token for 51 calls",
        "dingcanteen  1 token for 1 calls"
      ])
    }))

  it.live("a third-party app waits for its ticket, and has a token for each organisation", () =>
    Effect.gen(function*() {
      const { code, err, out } = yield* run("third-party-app")
      assert.strictEqual(err, "")
      assert.strictEqual(code, 0)
      for (
        const line of [
          /dingquickstartcorp, zhangsan: .*no suite ticket has been received yet/,
          /dingquickstartcorp, zhangsan: John, Technical Director/,
          /dingquickstartcorp, wangwu: nobody by that id/,
          /dingpartnercorp, zhangsan: Zhang San of Partner, Buyer/,
          /dingpartnercorp, wangwu: Wang Wu, Director/,
          /dingstranger, zhangsan: .*has not authorised the app/,
          /1 token request for dingquickstartcorp/,
          /1 token request for dingpartnercorp/
        ]
      ) assert.match(out, line)
      assert.notMatch(out, /suite-quickstart-secret|[0-9a-f]{32}/)
    }))
})
