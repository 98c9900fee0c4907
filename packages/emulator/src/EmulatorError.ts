/**
 * A control that asks for something impossible: a mistake in a test or in a walk-through, never part of the wire.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

// Enough to find what was meant.
const MAX_KNOWN = 20

const listOf = (known: ReadonlyArray<string> | undefined): string =>
  known === undefined || known.length === 0
    ? "none"
    : `${known.slice(0, MAX_KNOWN).join(", ")}${known.length > MAX_KNOWN ? ", …" : ""}`

/**
 * @since 0.1.0
 * @category errors
 */
export class EmulatorError extends Data.TaggedError("EmulatorError")<{
  readonly reason:
    | "UnknownApplication"
    | "UnknownOrganization"
    | "UnknownUser"
    | "UnknownToken"
    | "NotGranted"
    | "NotAuthorized"
    | "Duplicate"
    | "Invalid"
  /** what the caller named: an id, or the field that is wrong; never a token */
  readonly subject: string
  /** the field of the request that is wrong, such as `userid` */
  readonly field: string
  /** what there is instead */
  readonly known?: ReadonlyArray<string> | undefined
  readonly description?: string | undefined
}> {
  override get message(): string {
    switch (this.reason) {
      case "UnknownApplication":
        return `the organisation has no application ${this.subject}; there are: ${listOf(this.known)}`
      case "UnknownOrganization":
        return `there is no organisation ${this.subject}; there are: ${listOf(this.known)}`
      case "UnknownUser":
        return `the organisation has no user ${this.subject}; there are: ${listOf(this.known)}`
      case "UnknownToken":
        return `no ${this.subject} like this was issued; there are: ${listOf(this.known)}`
      case "NotGranted":
        return `the permission ${this.subject} is not granted; granted are: ${listOf(this.known)}`
      case "NotAuthorized":
        return `the organisation ${this.subject} has not authorised the application; those that have: ${
          listOf(this.known)
        }`
      case "Duplicate":
        return `${this.subject} exists already`
      case "Invalid":
        return `${this.subject}: ${this.description ?? "is invalid"}`
    }
  }
}
