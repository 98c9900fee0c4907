import { TokenStore } from "@effect-dingtalk/auth"
import { Effect, Layer } from "effect"

export type Mode =
  | "well"
  | "fails"
  | "hangs"
  | "slow"
  | "readOnly"
  | "refusesWrites"
  | "leaseHangs"
  | "garbage"
  | "truncated"
  | "breaks"

export const modes: ReadonlyArray<Exclude<Mode, "well">> = [
  "fails",
  "hangs",
  "slow",
  "readOnly",
  "refusesWrites",
  "leaseHangs",
  "garbage",
  "truncated",
  "breaks"
]

const down = (operation: TokenStore.TokenStoreError["operation"]) =>
  Effect.fail(new TokenStore.TokenStoreError({ operation, description: "down" }))

/** One store that processes share, whose faults and whose processes' deaths a test decides. */
export const make = (options: TokenStore.Options = {}) =>
  Effect.map(TokenStore.backingMemory, (memory) => {
    let mode: Mode = "well"
    const calls: Array<string> = []
    const texts: Array<string> = []

    const spoilt = (row: TokenStore.Row | undefined): TokenStore.Row | undefined => {
      if (row === undefined) return undefined
      if (mode === "garbage") return { ...row, text: "\u0000{]" }
      return mode === "truncated" ? { ...row, text: row.text.slice(0, row.text.length >> 1) } : row
    }

    const faulty = <A>(
      operation: TokenStore.TokenStoreError["operation"],
      effect: Effect.Effect<A, TokenStore.TokenStoreError>
    ): Effect.Effect<A, TokenStore.TokenStoreError> =>
      Effect.suspend(() => {
        calls.push(operation)
        switch (mode) {
          case "fails":
            return down(operation)
          case "hangs":
            return Effect.never
          case "leaseHangs":
            return operation === "acquire" || operation === "release" ? Effect.never : effect
          case "slow":
            return Effect.delay(effect, "30 seconds")
          case "breaks":
            return Effect.dieMessage("driver")
          default:
            return effect
        }
      })

    /** A process: what it asks after its death reaches nothing, and is not answered. */
    const process = (hooks: {
      readonly write?: (write: Effect.Effect<boolean>) => Effect.Effect<boolean>
      /** its leases are lost: nothing comes of what would renew them */
      readonly neverRenews?: boolean
    } = {}) => {
      let isDead = false
      const owners = new Set<string>()
      const living = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
        Effect.suspend(() => isDead ? Effect.never : effect)
      const backing: TokenStore.Backing = {
        read: (key) => living(faulty("read", Effect.map(memory.read(key), spoilt))),
        write: (key, row, how) =>
          living(faulty(
            "write",
            Effect.suspend(() => {
              texts.push(`${key} ${row.text}`)
              if (mode === "readOnly") return down("write")
              if (mode === "refusesWrites") return Effect.succeed(false)
              const write = memory.write(key, row, how) as Effect.Effect<boolean>
              return hooks.write === undefined ? write : hooks.write(write)
            })
          )),
        remove: (key) => living(faulty("remove", memory.remove(key))),
        acquire: (key, owner, leaseFor) =>
          living(faulty(
            "acquire",
            Effect.suspend(() => {
              if (mode === "readOnly") return down("acquire")
              if (hooks.neverRenews === true && owners.has(owner)) return Effect.succeed(false)
              owners.add(owner)
              return memory.acquire(key, owner, leaseFor)
            })
          )),
        release: (key, owner) => living(faulty("release", memory.release(key, owner)))
      }
      return {
        layer: Layer.effect(TokenStore.TokenStore, TokenStore.make(backing, options)),
        backing,
        die: () => {
          isDead = true
        }
      }
    }

    return {
      memory,
      process,
      calls,
      texts,
      become: (next: Mode) => {
        mode = next
      }
    }
  })
