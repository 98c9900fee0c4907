/**
 * The two tables as bars, for a page that is read by day and by night.
 */
import type { Report } from "./report.js"
import { labelOf, machineOf } from "./report.js"
import type { Row } from "./throughput.js"

const WIDTH = 820
const LABEL = 230
const FIGURES = 150
const BAR = 20
const STEP = 28

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .note { font-size: 11px; fill: #59636e }
  .figure { font-variant-numeric: tabular-nums }
  .ground { fill: #ffffff; stroke: #d1d9e0 }
  .other { fill: #9aa4af }
  .ours { fill: #0969da }
  .traced { fill: #80b4ed }
  .range { stroke: #1f2328; stroke-opacity: 0.55; stroke-width: 1.5 }
  .mark { stroke: #bc4c00; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .ground { fill: #0d1117; stroke: #3d444d }
    .other { fill: #656c76 }
    .ours { fill: #4493f8 }
    .traced { fill: #2a5a99 }
    .range { stroke: #f0f6fc }
    .mark { stroke: #f0883e }
  }`

const classOf = ({ isTraced, kind }: Row) =>
  kind === "pool" || kind === "fetch" || kind === "official" ? "other" : isTraced ? "traced" : "ours"

const panel = (title: string, rows: ReadonlyArray<Row>, top: number, scale: number): string => {
  const from = top + 34
  const target = LABEL + 0.8 * scale
  const bars = rows.map((row, i) => {
    const y = from + i * STEP
    const width = Math.max(1, row.ratio * scale)
    const label = labelOf(row)
    const [slowest, fastest] = [row.seats[0], row.seats[row.seats.length - 1]].map((ratio) => LABEL + ratio * scale)
    const end = Math.max(LABEL + width, fastest)
    return [
      `<text x="${LABEL - 10}" y="${y + 15}" text-anchor="end">${escape(label)}</text>`,
      `<rect class="${classOf(row)}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3"/>`,
      row.seats.length === 1 ? "" : `<path class="range" d="M${slowest.toFixed(1)} ${y + 10}H${fastest.toFixed(1)}"/>`,
      `<text class="figure" x="${(end + 8).toFixed(1)}" y="${y + 15}">${row.ratio.toFixed(2)} · ${
        Math.round(row.callsPerSecond).toLocaleString("en-US")
      }/s</text>`
    ].join("")
  })
  const end = from + rows.length * STEP - (STEP - BAR)
  return [
    `<text class="title" x="20" y="${top + 18}">${escape(title)}</text>`,
    ...bars,
    `<line class="mark" x1="${target.toFixed(1)}" x2="${target.toFixed(1)}" y1="${from - 6}" y2="${end + 6}"/>`
  ].join("\n")
}

const heightOf = (rows: ReadonlyArray<Row>) => 34 + rows.length * STEP + 24

export const svg = (report: Report): string => {
  const top = 16
  const longest = Math.max(
    1,
    ...[...report.user, ...report.profile].map(({ ratio, seats }) => Math.max(ratio, ...seats))
  )
  const scale = (WIDTH - LABEL - FIGURES) / longest
  const second = top + heightOf(report.user)
  const notes = second + heightOf(report.profile)
  const height = notes + 44
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" ` +
    `aria-label="Calls per second, against raw undici.Pool">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    panel("getUser: calls per second, against raw undici.Pool", report.user, top, scale),
    panel("getProfile, where the official SDK has a method", report.profile, second, scale),
    `<text class="note" x="20" y="${notes + 8}">${
      escape(
        `${report.settings.inFlight} in flight, typed answers; ours with token, limiter, classifier, decoding. ` +
          "Pale: with a tracer. Dashed: 0.80. Thin: the range of the processes."
      )
    }</text>`,
    `<text class="note" x="20" y="${notes + 26}">${escape(`${report.date.slice(0, 10)}, ${machineOf(report)}`)}</text>`,
    "</svg>",
    ""
  ].join("\n")
}
