/**
 * What "get one user" weighs in a browser's or an edge's bundle: minified, gzip, with Effect and everything else.
 */
import * as Effect from "effect/Effect"
import type { Metafile } from "esbuild"
import { build } from "esbuild"
import { gzipSync } from "node:zlib"
import type { Stage } from "./stage.js"
import { BuildFailed } from "./stage.js"

export interface Bundle {
  /** the program itself */
  readonly code: string
  readonly bytes: number
  readonly gzip: number
  /** the same over a client of `@effect/platform`, whose own weight it then has */
  readonly gzipOverClient: number
  /** the same of one plain request with Effect's own client: what a program with none of ours would have */
  readonly gzipWithoutOurs: number
  /** the largest first: what of each file is in the bundle, minified */
  readonly inputs: ReadonlyArray<{ readonly file: string; readonly bytes: number }>
}

const getOneUser = (imports: string, transport: string) => `
import * as TokenService from "@effect-dingtalk/auth/TokenService"
import * as Contact from "@effect-dingtalk/core/Contact"
import * as DingTalkHttp from "@effect-dingtalk/http/DingTalkHttp"
${imports}
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

const DingTalkLayer = DingTalkHttp.layer().pipe(
  Layer.provide(TokenService.layer({ clientId: "dingxxxxxxxx", clientSecret: Redacted.make("secret") })),
  Layer.provide(${transport})
)
Contact.getUser({ userid: "zhangsan" }).pipe(Effect.provide(DingTalkLayer), Effect.runPromise).then(console.log)
`

const GET_ONE_USER = getOneUser(
  `import * as FetchTransport from "@effect-dingtalk/http/FetchTransport"`,
  "FetchTransport.layer()"
)

const GET_ONE_USER_OVER_CLIENT = getOneUser(
  `import * as HttpTransport from "@effect-dingtalk/http/HttpTransport"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"`,
  "Layer.provide(HttpTransport.layer(), FetchHttpClient.layer)"
)

const ONE_REQUEST = `
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"

HttpClient.get("https://oapi.dingtalk.com/topapi/v2/user/get").pipe(
  Effect.flatMap((response) => response.json),
  Effect.provide(FetchHttpClient.layer),
  Effect.runPromise
).then(console.log)
`

const bundled = (stage: Stage, contents: string, external: ReadonlyArray<string>) =>
  Effect.tryPromise({
    try: () =>
      build({
        stdin: { contents, resolveDir: stage.dir, sourcefile: "entry.js" },
        absWorkingDir: stage.dir,
        bundle: true,
        minify: true,
        write: false,
        metafile: true,
        format: "esm",
        target: "es2022",
        platform: "neutral",
        mainFields: ["module", "main"],
        conditions: ["import"],
        external: [...external],
        logLevel: "silent"
      }),
    catch: (error) => new BuildFailed({ message: String(error) })
  })

const NODE = ["node:*"]

const gzipped = (contents: Uint8Array) => gzipSync(contents, { level: 9 }).length

const outputOf = (metafile: Metafile) => Object.values(metafile.outputs)[0]

const shortName = (file: string) => file.replace(/^.*node_modules\//, "").replace("/dist/esm/", "/")

export const measure = (stage: Stage): Effect.Effect<Bundle, BuildFailed> =>
  Effect.map(
    Effect.all([GET_ONE_USER, GET_ONE_USER_OVER_CLIENT, ONE_REQUEST].map((program) => bundled(stage, program, NODE))),
    ([{ metafile, outputFiles }, overClient, without]) => ({
      code: outputFiles[0].text,
      bytes: outputFiles[0].contents.length,
      gzip: gzipped(outputFiles[0].contents),
      gzipOverClient: gzipped(overClient.outputFiles[0].contents),
      gzipWithoutOurs: gzipped(without.outputFiles[0].contents),
      inputs: Object.entries(outputOf(metafile).inputs)
        .map(([file, { bytesInOutput }]) => ({ file: shortName(file), bytes: bytesInOutput }))
        .filter(({ bytes }) => bytes > 0)
        .sort((a, b) => b.bytes - a.bytes)
    })
  )

/** The modules of `effect` and `@effect/platform` that some of ours import by name. */
export const peersOf = (
  stage: Stage,
  modules: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, BuildFailed> =>
  Effect.map(
    bundled(stage, modules.map((name) => `import ${JSON.stringify(name)}`).join("\n"), [
      "effect",
      "@effect/platform",
      "undici",
      "node:*"
    ]),
    ({ metafile }) =>
      Array.from(
        new Set(
          Object.values(metafile.inputs)
            .flatMap(({ imports }) => imports)
            .filter(({ external, path }) => external === true && /^(?:effect|@effect\/platform)(?:\/|$)/.test(path))
            .map(({ path }) => path)
        )
      ).sort()
  )
