/**
 * A control that asks for something impossible: a mistake in a test or in a walk-through, never part of the wire.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * @since 0.1.0
 * @category errors
 */
export class EmulatorError extends Data.TaggedError("EmulatorError")<{
  readonly reason: "UnknownApplication" | "UnknownUser" | "Duplicate" | "Invalid"
  /** what the caller named: an id, or the field that is wrong */
  readonly subject: string
  readonly description?: string | undefined
}> {
  override get message(): string {
    switch (this.reason) {
      case "UnknownApplication":
        return `the organisation has no application ${this.subject}`
      case "UnknownUser":
        return `the organisation has no user ${this.subject}`
      case "Duplicate":
        return `${this.subject} exists already`
      case "Invalid":
        return `${this.subject}: ${this.description ?? "is invalid"}`
    }
  }
}
