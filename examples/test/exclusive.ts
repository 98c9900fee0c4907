import { createServer, type Server } from "node:net"
import { afterAll, beforeAll } from "vitest"

// Whoever listens there has the machine to itself; the system takes it back from a process that dies.
const PORT = 47_619

const listen = () =>
  new Promise<Server | undefined>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(undefined))
    server.listen(PORT, "127.0.0.1", () => resolve(server))
  })

/** For files that start many processes: with two of them at once, each would wait for the other's. */
export const exclusively = () => {
  let held: Server | undefined
  beforeAll(async () => {
    for (let i = 0; i < 1200 && held === undefined; i++) {
      held = await listen()
      if (held === undefined) await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }, 310_000)
  afterAll(() => new Promise<void>((resolve) => held === undefined ? resolve() : held.close(() => resolve())))
}
