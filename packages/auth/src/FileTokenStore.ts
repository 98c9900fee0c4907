/**
 * Tokens in a directory: processes on one machine share them, and a restart finds them again.
 *
 * A write is compared and set by the file system itself and reaches the disk before it counts, so that neither two
 * processes at once nor one that is killed at any point leaves half a record, or one that others do not see.
 *
 * What this makes is 0700 and 0600 from the start. A directory that is there already is taken as it is, for what is put
 * into it can be read by nobody else; but where group or others may write to it they could plant a token of their own,
 * and it is refused, unless there is `encryption`. Without encryption whoever may read your files may read your tokens.
 *
 * The file system has to be a local one of a POSIX system: what of this holds on a network is up to the network.
 *
 * @since 0.1.0
 */
import type * as PlatformError from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as cells from "./internal/cell.js"
import * as record from "./internal/record.js"
import * as TokenStore from "./TokenStore.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Options extends TokenStore.Options {
  /** is made where there is none; nothing else should be in it */
  readonly directory: string
}

const nameOfRow = record.hashOf
const nameOfLease = (key: string) => Effect.map(record.hashOf(key), (hash) => `${hash}.lease`)
const IS_OURS = /^[0-9a-f]{64}(\.lease)?$/

/**
 * What `layer` stands on. It makes the directory when it first writes, and tidies nothing up.
 *
 * @since 0.1.0
 * @category constructors
 */
export const backing = (
  directory: string
): Effect.Effect<TokenStore.Backing, never, FileSystem.FileSystem | Path.Path> =>
  Effect.map(Effect.all([FileSystem.FileSystem, Path.Path]), ([fs, path]) => {
    const { clear, look, swap } = cells.make(fs, path, directory)

    /** Looks and decides, again and again while others change what was seen. */
    const decide = <A>(
      operation: TokenStore.TokenStoreError["operation"],
      name: Effect.Effect<string>,
      attempt: (
        cell: string,
        seen: cells.Seen,
        now: number
      ) => Effect.Effect<A | undefined, PlatformError.PlatformError>
    ): Effect.Effect<A, TokenStore.TokenStoreError> =>
      Effect.flatMap(name, (cell) => {
        const loop: Effect.Effect<A, PlatformError.PlatformError> = Effect.gen(function*() {
          const seen = yield* look(cell)
          const decided = yield* attempt(cell, seen, yield* Clock.currentTimeMillis)
          return decided === undefined ? yield* Effect.zipRight(Effect.yieldNow(), loop) : decided
        })
        return Effect.mapError(loop, record.explain(operation))
      })

    const rowIn = ({ text }: cells.Seen, key: string, now: number) =>
      text === undefined ? undefined : record.decodeRow(text, key, now)
    const ownerIn = ({ text }: cells.Seen, key: string, now: number) =>
      text === undefined ? undefined : record.ownerOf(text, key, now)
    const whetherDone = (isDone: boolean) => isDone || undefined

    return {
      read: (key) =>
        Effect.map(
          decide("read", nameOfRow(key), (_, seen, now) => Effect.succeed([rowIn(seen, key, now)] as const)),
          ([row]) => row
        ),
      write: (key, row, { keepFor, replaces }) =>
        decide("write", nameOfRow(key), (cell, seen, now) =>
          rowIn(seen, key, now)?.version === replaces
            ? Effect.map(swap(cell, seen, record.encodeRow(key, row, now, keepFor), { isDurable: true }), whetherDone)
            : Effect.succeed(false)),
      remove: (key) =>
        Effect.asVoid(
          decide("remove", nameOfRow(key), (cell, seen) =>
            seen.entries.length === 0 ? Effect.succeed(true) : Effect.map(clear(cell, seen), whetherDone))
        ),
      acquire: (key, owner, leaseFor) =>
        decide("acquire", nameOfLease(key), (cell, seen, now) =>
          (ownerIn(seen, key, now) ?? owner) === owner
            ? Effect.map(
              swap(cell, seen, record.encodeLease(key, owner, now, leaseFor), { isDurable: false }),
              whetherDone
            )
            : Effect.succeed(false)),
      release: (key, owner) =>
        Effect.asVoid(
          decide("release", nameOfLease(key), (cell, seen, now) =>
            ownerIn(seen, key, now) === owner ? Effect.map(clear(cell, seen), whetherDone) : Effect.succeed(true))
        )
    }
  })

/** Removes what has ended, and what processes that died have left. */
const tidy = (directory: string) =>
  Effect.gen(function*() {
    const { clear, discard, list, look, sweep } = cells.make(yield* FileSystem.FileSystem, yield* Path.Path, directory)
    yield* sweep(yield* Clock.currentTimeMillis)
    for (const cell of yield* list) {
      if (!IS_OURS.test(cell)) continue
      const seen = yield* look(cell)
      const now = yield* Clock.currentTimeMillis
      if (seen.text !== undefined && record.hasEnded(seen.text, now)) yield* clear(cell, seen)
      yield* discard(cell, now)
    }
  })

/** By their mode; Windows has none. */
const mayOthersWrite = (directory: string) =>
  Effect.gen(function*() {
    const { sep } = yield* Path.Path
    const fs = yield* FileSystem.FileSystem
    const { mode } = yield* fs.stat(directory)
    return sep === "/" && (mode & 0o022) !== 0
  }).pipe(
    // There is none yet, or what is wrong with it shows when it is used.
    Effect.orElseSucceed(() => false)
  )

/**
 * Keeps tokens in a directory, and tidies it up once an hour.
 *
 * @since 0.1.0
 * @category layers
 * @example
 * ```ts
 * import { TokenService } from "@effect-dingtalk/auth"
 * import * as FileTokenStore from "@effect-dingtalk/auth/FileTokenStore"
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 *
 * const tokens = TokenService.layerConfig().pipe(
 *   Layer.provide(FileTokenStore.layer({ directory: "/var/lib/my-app/tokens" })),
 *   Layer.provide(NodeContext.layer)
 * )
 * console.log(Layer.isLayer(tokens)) // true
 * ```
 */
export const layer = (
  options: Options
): Layer.Layer<TokenStore.TokenStore, TokenStore.TokenStoreError, FileSystem.FileSystem | Path.Path> =>
  Layer.scoped(
    TokenStore.TokenStore,
    Effect.gen(function*() {
      if (options.encryption === undefined && (yield* mayOthersWrite(options.directory))) {
        return yield* new TokenStore.TokenStoreError({
          operation: "open",
          description: `others may write to ${options.directory}: chmod 700, or give encryption`
        })
      }
      const store = yield* TokenStore.make(yield* backing(options.directory), options)
      yield* Effect.forkScoped(Effect.repeat(Effect.ignore(tidy(options.directory)), Schedule.spaced("1 hour")))
      return store
    })
  )
