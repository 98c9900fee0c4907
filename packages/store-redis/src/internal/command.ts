import * as Effect from "effect/Effect"
import type { Cluster, Redis } from "ioredis"
import { createHash } from "node:crypto"

type Client = Redis | Cluster

const MEANING: { readonly [code: string]: string } = {
  ASK: "this server is one of a cluster, and has to be given as one",
  BUSY: "a script of somebody else keeps it busy",
  CLUSTERDOWN: "the cluster is down",
  CROSSSLOT: "a key prefix with braces in it sets the keys of one lane apart",
  ECONNREFUSED: "nobody listens there",
  EACCES: "not permitted",
  ENOTFOUND: "there is no such host",
  LOADING: "it is loading its data",
  MASTERDOWN: "a replica has lost its primary",
  MISCONF: "it cannot save, and accepts no writes",
  MOVED: "this server is one of a cluster, and has to be given as one",
  NOAUTH: "it wants a password",
  NOPERM: "its access list does not permit this",
  NOREPLICAS: "it has too few replicas to accept writes",
  OOM: "its memory is full",
  READONLY: "it is a replica, and accepts no writes",
  WRONGPASS: "user or password is wrong"
}

/**
 * Messages are not shown: some hold the command's parameters.
 *
 * @internal
 */
export const describe = (cause: unknown): string => {
  const { code, message, name } = cause instanceof Error
    ? cause as Error & { readonly code?: unknown }
    : { code: undefined, message: "", name: "" }
  // Such as "Ready check failed: NOAUTH Authentication required."
  const reply = name === "ReplyError" || message.startsWith("Ready check failed")
    ? message.match(/(?:^|: )([A-Z]{2,20})(?: |$)/)?.[1]
    : undefined
  const known = typeof code === "string" && /^[A-Z_]{2,40}$/.test(code) ? code : reply
  if (known !== undefined) return MEANING[known] === undefined ? known : `${MEANING[known]} (${known})`
  if (name === "ReplyError") return "Redis refused"
  if (name === "ClusterAllFailedError") return "no node of the cluster answers"
  return name === "MaxRetriesPerRequestError" || name === "AbortError"
    ? "the connection was lost"
    : "the connection failed"
}

const failures = /*#__PURE__*/ new WeakMap<Client, string>()

/** @internal */
export const remember = (client: Client, error: unknown): void => {
  if (error === undefined) failures.delete(client)
  else failures.set(client, describe(error))
}

const notConnected = (client: Client): string => {
  const why = failures.get(client)
  return why === undefined ? "not connected" : `not connected: ${why}`
}

// One set of listeners for all that wait, however many.
const waiting = /*#__PURE__*/ new WeakMap<Client, Set<(isReady: boolean) => void>>()

const await_ = (client: Client): Effect.Effect<void, string> =>
  Effect.async((resume) => {
    let all = waiting.get(client)
    if (all === undefined) {
      const callbacks = all = new Set()
      waiting.set(client, callbacks)
      const settle = (isReady: boolean) => () => {
        waiting.delete(client)
        client.off("ready", onReady).off("close", onClose).off("end", onClose)
        for (const callback of callbacks) callback(isReady)
      }
      const onReady = settle(true)
      const onClose = settle(false)
      client.on("ready", onReady).on("close", onClose).on("end", onClose)
    }
    const callback = (isReady: boolean) => resume(isReady ? Effect.void : Effect.fail(notConnected(client)))
    all.add(callback)
    return Effect.sync(() => all.delete(callback))
  })

/** Waits for a connection that is being made, for none that is to be made again later. */
const ready = (client: Client): Effect.Effect<void, string> =>
  Effect.suspend(() => {
    switch (client.status) {
      case "ready":
        return Effect.void
      case "wait":
        client.connect().catch(() => undefined)
        return await_(client)
      case "connecting":
      case "connect":
        return await_(client)
      default:
        return Effect.fail(notConnected(client))
    }
  })

/**
 * Fails with a description that holds no parameter. Whoever is interrupted has sent nothing, or lets the answer go.
 *
 * @internal
 */
export const send = <A>(client: Client, command: () => Promise<A>): Effect.Effect<A, string> =>
  Effect.zipRight(ready(client), Effect.tryPromise({ try: command, catch: describe }))

/** @internal */
export interface Script {
  readonly lua: string
  readonly sha: string
}

/** @internal */
export const script = (lua: string): Script => ({ lua, sha: createHash("sha1").update(lua).digest("hex") })

const isUnknown = (cause: unknown): boolean => cause instanceof Error && cause.message.startsWith("NOSCRIPT")

/** @internal */
export const run = (
  client: Client,
  { lua, sha }: Script,
  keys: ReadonlyArray<string>,
  parameters: ReadonlyArray<string | number>,
  onSend?: () => void
): Effect.Effect<unknown, string> =>
  send(client, () => {
    onSend?.()
    return client.evalsha(sha, keys.length, ...keys, ...parameters).catch((cause: unknown) => {
      if (!isUnknown(cause)) throw cause
      onSend?.()
      return client.eval(lua, keys.length, ...keys, ...parameters)
    })
  })
