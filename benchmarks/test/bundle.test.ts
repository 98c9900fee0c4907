/**
 * "Get one user" as an edge would have it: from the files that are published, in one file, with nothing of Node.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import vm from "node:vm"
import * as Bundle from "../src/bundle.js"
import * as Stage from "../src/stage.js"

describe("the bundle of \"get one user\"", () => {
  it.scopedLive("runs where there are web globals alone, and stays as small as it is", () =>
    Effect.gen(function*() {
      const { code, gzip, gzipOverClient, gzipWithoutOurs } = yield* Bundle.measure(yield* Stage.make)
      const asked: Array<string> = []
      const user = yield* Effect.async<{ readonly name: string }>((resume) => {
        const fetch = (url: string) => {
          asked.push(url)
          return Promise.resolve(
            new Response(
              url.endsWith("/accessToken")
                ? `{"accessToken":"token","expireIn":7200}`
                : `{"errcode":0,"result":{"userid":"zhangsan","unionid":"u","name":"John"}}`
            )
          )
        }
        vm.runInContext(
          code,
          vm.createContext({
            console: { log: (user: { readonly name: string }) => resume(Effect.succeed(user)) },
            fetch,
            AbortController,
            TextDecoder,
            TextEncoder,
            URL,
            setTimeout,
            clearTimeout,
            performance
          })
        )
      })
      assert.strictEqual(user.name, "John")
      assert.deepStrictEqual(asked, [
        "https://api.dingtalk.com/v1.0/oauth2/accessToken",
        "https://oapi.dingtalk.com/topapi/v2/user/get?access_token=token"
      ])
      // In bytes, with all of Effect that they use: they grow when somebody makes them grow.
      assert.isBelow(gzip, 90_000)
      assert.isBelow(gzipOverClient - gzipWithoutOurs, 26_500)
    }), 60_000)
})
