const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

// The forms of RFC 9110, 5.6.7: the one that is written today, and the two old ones that must be read all the same.
// `Sun, 06 Nov 1994 08:49:37 GMT`
const FIXED = /^(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/
// `Sunday, 06-Nov-94 08:49:37 GMT`
const RFC850 = /^(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/
// `Sun Nov  6 08:49:37 1994`, which is GMT as well
const ASCTIME = /^(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat) ([A-Z][a-z]{2}) (\d\d| \d) (\d\d):(\d\d):(\d\d) (\d{4})$/

type Parts = readonly [year: string, month: string, date: string, hour: string, minute: string, second: string]

const partsOf = (text: string): Parts | undefined => {
  const common = FIXED.exec(text) ?? RFC850.exec(text)
  if (common !== null) return [common[3]!, common[2]!, common[1]!, common[4]!, common[5]!, common[6]!]
  const old = ASCTIME.exec(text)
  return old === null ? undefined : [old[6]!, old[1]!, old[2]!, old[3]!, old[4]!, old[5]!]
}

const DAY = 24 * 3600 * 1000

// To `Date.UTC` the year 94 is 1994; 400 years later the calendar is the same.
const midnight = (year: number, month: number, date: number): number =>
  Date.UTC(year + 400, month, date) - 146_097 * DAY

/**
 * An HTTP date in milliseconds since the epoch; `undefined` for any other text. `Date.parse` makes a date of nearly
 * anything, and takes what names no zone for the machine's own time. `now` tells the century of a year of two digits.
 */
export const parse = (text: string, now: number): number | undefined => {
  const parts = partsOf(text.trim())
  if (parts === undefined) return undefined
  const month = MONTHS.indexOf(parts[1])
  const [date, hour, minute, second] = [Number(parts[2]), Number(parts[3]), Number(parts[4]), Number(parts[5])]
  // 60 is a leap second.
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined
  const time = ((hour * 60 + minute) * 60 + second) * 1000
  let year = Number(parts[0])
  if (parts[0].length === 2) {
    // The latest such year that is no more than 50 years ahead; by the mean length of a year, so begun with a later one.
    const fifty = 2020 + Math.floor(now / (365.2425 * DAY))
    year += (Math.floor(fifty / 100) + 1) * 100
    while (midnight(year - 50, month, date) + time > now) year -= 100
  }
  // 30 February would be 2 March.
  const days = (midnight(year, month + 1, 1) - midnight(year, month, 1)) / DAY
  return date >= 1 && date <= days ? midnight(year, month, date) + time : undefined
}
