const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

export const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!)

/** A whole page; the body is HTML already. */
export const page = (title: string, body: string, maxWidth = "26rem"): string =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<link rel="icon" href="data:,">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: ${maxWidth}; margin: 3rem auto; padding: 0 1rem; color: #171a1d }
  label { display: block; padding: .5rem; border: 1px solid #d9d9d9; border-radius: .5rem; margin: .5rem 0 }
  button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .5rem; margin: .5rem .5rem 0 0 }
  button[value=consent] { background: #0b62c4; color: #fff }
  small { color: #5c6066 }
  table { border-collapse: collapse }
  th, td { text-align: left; vertical-align: top; padding: .25rem 1rem .25rem 0; overflow-wrap: anywhere }
</style>
<h1>${escape(title)}</h1>
${body}
</html>
`
