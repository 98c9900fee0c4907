/** The fault server in a process of its own. */
import * as FaultServer from "../soak/FaultServer.js"

const server = await FaultServer.start(JSON.parse(process.argv[2]))
process.on("message", () => process.send!(server.stats()))
process.on("disconnect", () => process.exit())
process.send!({ url: server.url })
