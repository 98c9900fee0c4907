import * as Schema from "effect/Schema"

// One value each, however many fields have it: to make one costs a program that starts about 30 microseconds.
export const string = Schema.optional(Schema.String)

export const number = Schema.optional(Schema.Number)

export const boolean = Schema.optional(Schema.Boolean)
