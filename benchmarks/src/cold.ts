/**
 * What an import costs a program that starts: time and resident memory, each in a fresh process, of built files.
 */
import * as Effect from "effect/Effect"
import * as Bundle from "./bundle.js"
import * as Child from "./child.js"
import type { BuildFailed, Stage } from "./stage.js"
import { median } from "./throughput.js"

export interface Row {
  readonly name: string
  readonly millis: number
  readonly megabytes: number
}

interface Cost {
  readonly millis: number
  readonly bytes: number
}

const BARRELS = ["@effect-dingtalk/core", "@effect-dingtalk/auth", "@effect-dingtalk/http"]
const SUBPATHS = [
  "@effect-dingtalk/core/Contact",
  "@effect-dingtalk/auth/TokenService",
  "@effect-dingtalk/http/DingTalkHttp",
  "@effect-dingtalk/http/HttpTransport"
]
const OFFICIAL = ["require:@alicloud/openapi-client", "require:@alicloud/tea-util"]

/** One process: groups of modules, one after another. Those without a name are only the ground for what follows. */
interface Start {
  readonly groups: ReadonlyArray<readonly [name: string | undefined, modules: ReadonlyArray<string>]>
}

export const measure = (
  stage: Stage,
  runs: number,
  progress: (text: string) => void
): Effect.Effect<ReadonlyArray<Row>, Child.ChildFailed | BuildFailed> =>
  Effect.gen(function*() {
    const peers = yield* Bundle.peersOf(stage, BARRELS)
    const peersBySubpath = yield* Bundle.peersOf(stage, SUBPATHS)
    const client = "@effect-dingtalk/http/UndiciHttpClient"
    const peersOfClient = yield* Bundle.peersOf(stage, [...BARRELS, client])
    const starts: ReadonlyArray<Start> = [
      {
        groups: [["effect and @effect/platform, what ours import of them", peers], ["ours: core, auth, http", BARRELS]]
      },
      { groups: [[undefined, peersBySubpath], ["ours, by subpath", SUBPATHS]] },
      {
        groups: [
          [undefined, peersOfClient],
          [undefined, BARRELS],
          // It imports undici's agent when it is made.
          ["UndiciHttpClient with undici's agent", [client, "undici/lib/dispatcher/agent.js"]]
        ]
      },
      {
        groups: [[undefined, peers], [undefined, BARRELS], ["NodeHttpClient", ["@effect/platform-node/NodeHttpClient"]]]
      },
      {
        groups: [["@alicloud/dingtalk/contact_1_0, as documented", [
          "require:@alicloud/dingtalk/contact_1_0.js",
          ...OFFICIAL
        ]]]
      },
      {
        groups: [["@alicloud/dingtalk/dist/contact_1_0/client", [
          "require:@alicloud/dingtalk/dist/contact_1_0/client.js",
          ...OFFICIAL
        ]]]
      }
    ]
    const costs = new Map<string, Array<Cost>>()
    // The first round only fills the machine's file cache, unless there is no other.
    for (let round = 0; round <= runs; round++) {
      progress(`imports: round ${round} of ${runs}`)
      for (const { groups } of starts) {
        const modules = JSON.stringify(groups.map(([, modules]) => modules))
        const measured = yield* Child.run<ReadonlyArray<Cost>>(stage.child("importer"), [modules])
        if (round < Math.min(1, runs)) continue
        groups.forEach(([name], i) => {
          if (name !== undefined) costs.set(name, [...costs.get(name) ?? [], measured[i]])
        })
      }
    }
    return Array.from(costs, ([name, all]): Row => ({
      name,
      millis: median(all.map(({ millis }) => millis)),
      megabytes: median(all.map(({ bytes }) => bytes)) / 2 ** 20
    }))
  })
