/** The soak's callers in a process of their own. */
import * as Soak from "../soak/Soak.js"

const options: Soak.Options = JSON.parse(process.argv[2])
const result = await Soak.run({
  ...options,
  onProgress: (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${done.toLocaleString("en-US")} calls`)
  }
})
if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")
const sockets = process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length
process.stdout.write(JSON.stringify({ ...result, sockets }), () => process.exit())
