/**
 * A piece of an application: who somebody's manager is. It knows `Contact` and nothing of HTTP or tokens;
 * `test/Colleague.test.ts` runs it without either.
 */
import { Contact } from "@effect-dingtalk/core"
import { Data, Effect, Option } from "effect"

export class NoSuchColleague extends Data.TaggedError("NoSuchColleague")<{ readonly userid: string }> {}

export interface Colleague {
  readonly name: string
  readonly title: Option.Option<string>
  /** by name; nobody for who has none, or one who has left */
  readonly manager: Option.Option<string>
}

/** What is left of DingTalk's errors is what an application cannot do anything about at this place. */
export const find = (userid: string) =>
  Effect.gen(function*() {
    const user = yield* Contact.getUser({ userid })
    const manager = user.manager_userid === undefined
      ? Option.none()
      : yield* Contact.getUser({ userid: user.manager_userid }).pipe(
        Effect.map((manager) => Option.some(manager.name)),
        // The manager's record may be gone before the people who name it are updated.
        Effect.catchTag("UserNotFound", () => Effect.succeedNone)
      )
    return { name: user.name, title: Option.fromNullable(user.title), manager }
  }).pipe(
    Effect.catchTag("UserNotFound", () => new NoSuchColleague({ userid }))
  )
