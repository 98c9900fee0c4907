/**
 * Who takes part. Each does the same: asks the same server for the same details, gives a typed value, and shows that it
 * read it.
 */
import type * as ContactTypes from "@alicloud/dingtalk/dist/contact_1_0/client.js"
import type * as OpenApiTypes from "@alicloud/openapi-client"
import type * as TeaUtilTypes from "@alicloud/tea-util"
import * as Contact from "@effect-dingtalk/core/Contact"
import * as UserSession from "@effect-dingtalk/core/UserSession"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { createRequire } from "node:module"
import * as Answers from "./answers.js"
import * as Layers from "./layers.js"
import * as Tracing from "./tracing.js"

export const IN_FLIGHT = 50

/** `profile` is what the official SDK has a method for; `user` is the job that most come for, and it has none. */
export type Table = "profile" | "user"

export type Kind = "pool" | "fetch" | "official" | Layers.Carrier

export interface Contender {
  readonly kind: Kind
  readonly isTraced: boolean
}

/** Those on whom a target goes: they have several processes, which takes the time of a run to warm up. */
export const isInTargets = ({ kind }: Contender): boolean =>
  kind === "pool" || kind === "official" || kind === "UndiciHttpClient"

/** In a quick run only our own client is traced as well. */
export const contenders = (table: Table, isQuick: boolean): ReadonlyArray<Contender> => [
  { kind: "pool", isTraced: false },
  { kind: "fetch", isTraced: false },
  ...(table === "profile" ? [{ kind: "official" as const, isTraced: false }] : []),
  ...Layers.CARRIERS.flatMap((kind) => [
    { kind, isTraced: false },
    ...(isQuick && kind !== "UndiciHttpClient" ? [] : [{ kind, isTraced: true }])
  ])
]

export interface Tally {
  calls: number
  wrong: number
}

/** Keeps 50 calls in flight until the time is up, or so many are done. */
export type Load = (until: number, most: number) => Promise<Tally>

// The calls are loops of their own kind on purpose: promises for promises, fibers for effects. What a contender's users
// would write is what is measured.
const promises = (call: () => Promise<boolean>): Load => async (until, most) => {
  const tally: Tally = { calls: 0, wrong: 0 }
  const loop = async () => {
    while (performance.now() < until && tally.calls < most) {
      if (!(await call())) tally.wrong++
      tally.calls++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop))
  return tally
}

const fibers = <R, E>(
  call: () => Effect.Effect<boolean, E, R>,
  run: (effect: Effect.Effect<void, E, R>) => Promise<void>
): Load =>
async (until, most) => {
  const tally: Tally = { calls: 0, wrong: 0 }
  const loop = Effect.whileLoop({
    while: () => performance.now() < until && tally.calls < most,
    body: call,
    step: (isRight) => {
      if (!isRight) tally.wrong++
      tally.calls++
    }
  })
  await run(Effect.all(Array.from({ length: IN_FLIGHT }, () => loop), { concurrency: "unbounded", discard: true }))
  return tally
}

interface LegacyAnswer {
  readonly errcode: number
  readonly result: Contact.User
}

const request = (table: Table) =>
  table === "user"
    ? {
      path: `${Answers.GET_USER}?access_token=${Answers.TOKEN}`,
      method: "POST" as const,
      headers: { "content-type": "application/json; charset=utf-8", accept: "application/json" },
      body: () => JSON.stringify({ userid: Answers.USER_ID }),
      isRight: (text: string) => (JSON.parse(text) as LegacyAnswer).result.name === Answers.NAME
    }
    : {
      path: Answers.GET_PROFILE,
      method: "GET" as const,
      headers: { "x-acs-dingtalk-access-token": Answers.USER_TOKEN, accept: "application/json" },
      body: () => null,
      isRight: (text: string) => (JSON.parse(text) as Contact.Profile).nick === Answers.NICK
    }

const pool = async (table: Table, url: string): Promise<Load> => {
  const { Pool } = await import("undici")
  const pool = new Pool(url)
  const { body, headers, isRight, method, path } = request(table)
  return promises(async () => {
    const response = await pool.request({ path, method, headers, body: body() })
    return isRight(await response.body.text())
  })
}

const fetching = (table: Table, url: string): Promise<Load> => {
  const { body, headers, isRight, method, path } = request(table)
  return Promise.resolve(promises(async () => {
    const response = await fetch(`${url}${path}`, { method, headers, body: body() })
    return isRight(await response.text())
  }))
}

const official = (url: string): Promise<Load> => {
  // CommonJS; by this path and not by the documented one, which loads all 114 products.
  const require = createRequire(import.meta.url)
  const contact: typeof ContactTypes.default = require("@alicloud/dingtalk/dist/contact_1_0/client.js")
  const { Config }: typeof OpenApiTypes = require("@alicloud/openapi-client")
  const { RuntimeOptions }: typeof TeaUtilTypes = require("@alicloud/tea-util")
  const client = new contact.default(
    new Config({ protocol: "http", regionId: "central", endpoint: new URL(url).host })
  )
  return Promise.resolve(promises(async () => {
    const { body } = await client.getUserWithOptions(
      "me",
      new contact.GetUserHeaders({ xAcsDingtalkAccessToken: Answers.USER_TOKEN }),
      new RuntimeOptions({})
    )
    return body?.nick === Answers.NICK
  }))
}

const ours = async (table: Table, url: string, carrier: Layers.Carrier, isTraced: boolean): Promise<Load> => {
  const layer = Layers.dingtalk({
    clientId: "dingbenchmark",
    clientSecret: "benchmark-secret",
    transport: await Layers.transport(carrier, url),
    options: Layers.WIDE_OPEN
  }).pipe(
    Layer.merge(UserSession.layerTest(Answers.USER_TOKEN)),
    // Off is what a program has that installs no tracer: nothing is switched off for the benchmark.
    isTraced ? Layer.provideMerge(Tracing.layer) : (self) => self
  )
  const runtime = ManagedRuntime.make(layer)
  return table === "user"
    ? fibers(
      () => Effect.map(Contact.getUser({ userid: Answers.USER_ID }), ({ name }) => name === Answers.NAME),
      runtime.runPromise
    )
    : fibers(
      () => Effect.map(Contact.getProfile({ unionId: "me" }), ({ nick }) => nick === Answers.NICK),
      runtime.runPromise
    )
}

export const load = (table: Table, { isTraced, kind }: Contender, url: string): Promise<Load> => {
  switch (kind) {
    case "pool":
      return pool(table, url)
    case "fetch":
      return fetching(table, url)
    case "official":
      return official(url)
    default:
      return ours(table, url, kind, isTraced)
  }
}
