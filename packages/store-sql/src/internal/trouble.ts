import * as Predicate from "effect/Predicate"

/**
 * What went wrong, as far as it matters here:
 * - `Conflict`: nothing was done, for others were at it; again is right.
 * - `Absent`: there is no such table.
 * - `Exists`: others make the same table right now.
 * - `Final`: neither time nor another try helps.
 * - `Failed`: anything else, such as a server that is down.
 *
 * @internal
 */
export type Kind = "Conflict" | "Absent" | "Exists" | "Final" | "Failed"

/** @internal */
export interface Trouble {
  readonly kind: Kind
  readonly description: string
}

const BY_CODE = new Map<string, readonly [Kind, string]>(Object.entries({
  // PostgreSQL
  "40001": ["Conflict", "transactions were in each other's way"],
  "40P01": ["Conflict", "deadlock"],
  "55P03": ["Conflict", "a lock was not to be had"],
  "42P01": ["Absent", "there is no such table"],
  "23505": ["Exists", "others make the table"],
  "42P07": ["Exists", "others make the table"],
  "42710": ["Exists", "others make the table"],
  "42501": ["Final", "the database's user has no permission"],
  "3F000": ["Final", "there is no such schema"],
  "42703": ["Final", "there is such a table already, and it is not a token store's"],
  "42804": ["Final", "there is such a table already, and it is not a token store's"],
  "42809": ["Final", "there is such a table already, and it is not a token store's"],
  "42P10": ["Final", "there is such a table already, and it is not a token store's"],
  "25006": ["Failed", "the database takes no writes"],
  "57014": ["Failed", "the database cancelled the statement"],
  "57P01": ["Failed", "the database shuts down"],
  "57P03": ["Failed", "the database starts up"],
  "53300": ["Failed", "the database has too many connections"],
  // MySQL, MariaDB
  ER_LOCK_DEADLOCK: ["Conflict", "deadlock"],
  ER_LOCK_WAIT_TIMEOUT: ["Conflict", "a lock was not to be had"],
  ER_CHECKREAD: ["Conflict", "transactions were in each other's way"],
  ER_NO_SUCH_TABLE: ["Absent", "there is no such table"],
  ER_TABLE_EXISTS_ERROR: ["Exists", "others make the table"],
  ER_DBACCESS_DENIED_ERROR: ["Final", "the database's user has no permission"],
  ER_TABLEACCESS_DENIED_ERROR: ["Final", "the database's user has no permission"],
  ER_COLUMNACCESS_DENIED_ERROR: ["Final", "the database's user has no permission"],
  ER_BAD_DB_ERROR: ["Final", "there is no such database"],
  ER_NO_DB_ERROR: ["Final", "no database is chosen"],
  ER_BAD_FIELD_ERROR: ["Final", "there is such a table already, and it is not a token store's"],
  ER_OPTION_PREVENTS_STATEMENT: ["Failed", "the database takes no writes"],
  ER_CON_COUNT_ERROR: ["Failed", "the database has too many connections"],
  PROTOCOL_CONNECTION_LOST: ["Failed", "the connection was lost"],
  // SQLite
  SQLITE_READONLY: ["Failed", "the database takes no writes"],
  SQLITE_FULL: ["Failed", "the disk is full"],
  SQLITE_CORRUPT: ["Failed", "the database is damaged"],
  SQLITE_NOTADB: ["Failed", "this is no database"],
  SQLITE_CANTOPEN: ["Failed", "the database cannot be opened"],
  // the network
  ECONNREFUSED: ["Failed", "nobody listens there"],
  ECONNRESET: ["Failed", "the connection was lost"],
  EPIPE: ["Failed", "the connection was lost"],
  ETIMEDOUT: ["Failed", "no answer"]
}))

// SQLite has one code for all of these.
const BY_MESSAGE: ReadonlyArray<readonly [RegExp, Kind, string]> = [
  [/\bno such table\b/, "Absent", "there is no such table"],
  [
    /\bno such column\b|\bhas no column named\b/,
    "Final",
    "there is such a table already, and it is not a token store's"
  ],
  [/\bON CONFLICT clause does not match\b/, "Final", "there is such a table already, and it is not a token store's"],
  [/\bunknown database\b/, "Final", "there is no such schema"],
  [/^Connection terminated\b/, "Failed", "the connection was lost"],
  [/^timeout exceeded when trying to connect$/, "Failed", "no connection was free in time"]
]

const CODE = /^[A-Za-z0-9_]{1,64}$/

/**
 * Only what is written above is ever shown, and a code: what drivers say quotes parameters, and these are tokens.
 *
 * @internal
 */
export const troubleOf = (error: unknown): Trouble => {
  let code: string | undefined
  let current: unknown = error
  for (let depth = 0; depth < 8 && Predicate.isObject(current); depth++) {
    const own = "code" in current ? current.code : undefined
    if (typeof own === "string" && CODE.test(own)) {
      const known = BY_CODE.get(own) ?? BY_CODE.get(own.split("_").slice(0, 2).join("_"))
      if (known !== undefined) return { kind: known[0], description: `${known[1]} (${own})` }
      if (/^SQLITE_(?:BUSY|LOCKED)/.test(own)) {
        return { kind: "Conflict", description: `others write to the database (${own})` }
      }
      code ??= own
    }
    const message = "message" in current ? current.message : undefined
    if (typeof message === "string") {
      for (const [pattern, kind, description] of BY_MESSAGE) if (pattern.test(message)) return { kind, description }
    }
    current = "cause" in current ? current.cause : undefined
  }
  return { kind: "Failed", description: code === undefined ? "the database failed" : `the database failed (${code})` }
}
