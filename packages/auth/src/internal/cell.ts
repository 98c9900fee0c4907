import type * as PlatformError from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"

/*
 * A text that many processes compare and set, in a directory of its own.
 *
 *     <cell>/at.<state>           an empty file whose name says what state the cell is in
 *     <cell>/<state>.<before>     the text of a state, written before the cell is put into it
 *
 * A cell changes by `rename("at.<before>", "at.<state>")`. That succeeds for one process only, and not at all where the
 * cell has moved on, however long ago a process looked: a state never comes again. The first state comes by renaming a
 * whole directory to its place, which fails where something is in it. So there is no lock that a process which dies
 * leaves locked, and no time after which another may go ahead.
 *
 * A text can come to count only while its `before` does. What a process left that died or lost is known by that, and the
 * next that succeeds removes it.
 */

declare const crypto: { readonly getRandomValues: <A extends Uint8Array>(bytes: A) => A }
declare const TextEncoder: new() => { readonly encode: (text: string) => Uint8Array }

type Failable<A> = Effect.Effect<A, PlatformError.PlatformError>

/** What was found when somebody looked. */
export interface Seen {
  /** `undefined` where the cell was never used */
  readonly state: string | undefined
  /** `undefined` where there is none, or it is damaged */
  readonly text: string | undefined
  readonly entries: ReadonlyArray<string>
}

export interface Cells {
  readonly look: (cell: string) => Failable<Seen>
  /** `false` where the cell is not any more what was seen */
  readonly swap: (cell: string, seen: Seen, text: string, options: { readonly isDurable: boolean }) => Failable<boolean>
  readonly clear: (cell: string, seen: Seen) => Failable<boolean>
  readonly list: Failable<ReadonlyArray<string>>
  /** removes a cell that nobody has used for an hour, if there is nothing in it */
  readonly discard: (cell: string, now: number) => Failable<void>
  /** removes what processes left that died before they gave it a place */
  readonly sweep: (now: number) => Failable<void>
}

const AT = "at."
const NEW = "new."
const NOTHING = "nothing-"
const ONE_HOUR = 3_600_000
const UNUSED: Seen = { state: undefined, text: undefined, entries: [] }

const random = Effect.sync(() => Encoding.encodeHex(crypto.getRandomValues(new Uint8Array(16))))

const isA = (reason: PlatformError.SystemErrorReason) => (error: PlatformError.PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === reason
const isNotFound = isA("NotFound")
const isNoFile = isA("BadResource")

export const make = (fs: FileSystem.FileSystem, path: Path.Path, directory: string): Cells => {
  const placeOf = (cell: string, ...entry: ReadonlyArray<string>) => path.join(directory, cell, ...entry)
  const quietly = (file: string) => Effect.ignore(fs.remove(file, { recursive: true, force: true }))

  const orElse = <A, B>(effect: Failable<A>, whenNotFound: Failable<B>): Failable<A | B> =>
    Effect.catchIf(effect, isNotFound, () => whenNotFound)

  /** Nobody else can read it, not even before it has its text. */
  const create = (file: string, text: string, isDurable: boolean): Failable<void> =>
    Effect.scoped(
      Effect.flatMap(fs.open(file, { flag: "wx", mode: 0o600 }), (handle) =>
        Effect.zipRight(
          text === "" ? Effect.void : handle.writeAll(new TextEncoder().encode(text)),
          isDurable ? handle.sync : Effect.void
        ))
    )

  // Not every system can, and then it does this by itself.
  const syncDirectory = (place: string) =>
    Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(place), (handle) => handle.sync)))

  const statesOf = (entries: ReadonlyArray<string>) => entries.filter((entry) => entry.startsWith(AT))
  const listed = (place: string): Failable<ReadonlyArray<string>> => orElse(fs.readDirectory(place), Effect.succeed([]))

  const look = (cell: string, last = "", attempt = 0): Failable<Seen> =>
    Effect.flatMap(listed(placeOf(cell)), (entries) => {
      if (entries.length === 0) return Effect.succeed(UNUSED)
      const states = statesOf(entries)
      const state = states[0]?.slice(AT.length)
      const damaged = { state, text: undefined, entries }
      // Others change a cell while it is looked at. One that nobody changes and that is wrong for all that is damaged.
      const again = Effect.suspend(() => {
        const now = states.join()
        const next = now === last ? attempt + 1 : 0
        return next < 5 ? Effect.zipRight(Effect.yieldNow(), look(cell, now, next)) : Effect.succeed(damaged)
      })
      if (state === undefined || states.length > 1) return again
      if (state.startsWith(NOTHING)) return Effect.succeed(damaged)
      const file = entries.find((entry) => entry.startsWith(`${state}.`))
      if (file === undefined) return again
      return fs.readFileString(placeOf(cell, file)).pipe(
        Effect.map((text): Seen => ({ state, text, entries })),
        Effect.catchIf((error) => isNotFound(error) || isNoFile(error), () => again)
      )
    })

  const forget = (cell: string, entries: Iterable<string>) =>
    Effect.forEach(entries, (entry) => quietly(placeOf(cell, entry)), { discard: true })

  const makeDirectory = fs.makeDirectory(directory, { recursive: true, mode: 0o700 })

  /** From nothing to the first state. */
  const found = (cell: string, seen: Seen, text: string, isDurable: boolean): Failable<boolean> =>
    Effect.flatMap(Effect.all([random, random]), ([id, state]) => {
      const temporary = placeOf(`${NEW}${id}`)
      const mkdir = fs.makeDirectory(temporary, { mode: 0o700 })
      return Effect.gen(function*() {
        yield* orElse(mkdir, Effect.zipRight(makeDirectory, mkdir))
        yield* create(path.join(temporary, `${state}.${AT}`), text, isDurable)
        yield* create(path.join(temporary, `${AT}${state}`), "", false)
        if (isDurable) yield* syncDirectory(temporary)
        yield* forget(cell, seen.entries)
        // Fails where something is in it: somebody else was first.
        yield* fs.rename(temporary, placeOf(cell))
        if (isDurable) yield* syncDirectory(directory)
        return true
      }).pipe(
        Effect.catchAll((error) =>
          Effect.zipRight(
            quietly(temporary),
            Effect.flatMap(look(cell), ({ state }) => state === undefined ? Effect.fail(error) : Effect.succeed(false))
          )
        )
      )
    })

  /** From one state to the next, with what has to be there first. */
  const advance = (cell: string, seen: Seen, state: string, prepare: Failable<void>, isDurable: boolean) => {
    const [at, ...others] = statesOf(seen.entries)
    return Effect.gen(function*() {
      // Two states are damage: all but one end.
      yield* forget(cell, others)
      yield* prepare
      yield* fs.rename(placeOf(cell, at!), placeOf(cell, `${AT}${state}`))
      if (isDurable) yield* syncDirectory(placeOf(cell))
      // All that was there counted before, or could have counted after that.
      yield* forget(cell, seen.entries)
      return true
    }).pipe((moved) => orElse(moved, Effect.succeed(false)))
  }

  const swap = (cell: string, seen: Seen, text: string, isDurable: boolean): Failable<boolean> =>
    seen.state === undefined ? found(cell, seen, text, isDurable) : Effect.flatMap(random, (state) => {
      const file = placeOf(cell, `${state}.${seen.state}`)
      return advance(cell, seen, state, create(file, text, isDurable), isDurable).pipe(
        Effect.tap((isOurs) => isOurs ? Effect.void : quietly(file)),
        // A system that reports an error may have done it for all that.
        Effect.catchAll((error) =>
          Effect.flatMap(
            look(cell),
            (now) => now.state === state ? Effect.succeed(true) : Effect.zipRight(quietly(file), Effect.fail(error))
          )
        )
      )
    })

  const clear = (cell: string, seen: Seen): Failable<boolean> =>
    seen.state === undefined
      ? Effect.as(forget(cell, seen.entries), true)
      : Effect.flatMap(random, (id) => advance(cell, seen, `${NOTHING}${id}`, Effect.void, true))

  const isOlder = (place: string, now: number) =>
    Effect.map(fs.stat(place), ({ mtime }) => Option.exists(mtime, (since) => now - since.getTime() > ONE_HOUR))

  return {
    look: (cell) => look(cell),
    // What was begun is ended, whoever waits: nothing is left behind.
    swap: (cell, seen, text, { isDurable }) => Effect.uninterruptible(swap(cell, seen, text, isDurable)),
    clear: (cell, seen) => Effect.uninterruptible(clear(cell, seen)),
    list: Effect.map(listed(directory), (names) => names.filter((name) => !name.startsWith(NEW))),
    discard: (cell, now) =>
      Effect.gen(function*() {
        const [at] = statesOf(yield* listed(placeOf(cell)))
        if (at?.startsWith(`${AT}${NOTHING}`) !== true || !(yield* isOlder(placeOf(cell), now))) return
        const away = placeOf(`${NEW}${yield* random}`)
        yield* fs.rename(placeOf(cell), away)
        // Used after all, in this very moment: put back.
        if (statesOf(yield* listed(away))[0] === at) yield* quietly(away)
        else yield* fs.rename(away, placeOf(cell))
      }).pipe(Effect.uninterruptible, (discarded) => orElse(discarded, Effect.void)),
    sweep: (now) =>
      Effect.flatMap(listed(directory), (names) =>
        Effect.forEach(
          names.filter((name) => name.startsWith(NEW)),
          (name) =>
            Effect.ignore(Effect.if(isOlder(placeOf(name), now), {
              onTrue: () => quietly(placeOf(name)),
              onFalse: () => Effect.void
            })),
          { discard: true }
        ))
  }
}
