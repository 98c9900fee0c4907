import { Effect } from "effect"
import type { Scope } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import type * as Certificates from "./certificates.js"

/** One `CONNECT` as the proxy sees it. */
interface Asked {
  readonly target: string
  readonly authorization: string | undefined
  /** what went through it from the client, as it came */
  readonly sent: Array<Buffer>
}

interface ConnectProxy {
  readonly port: number
  readonly asked: ReadonlyArray<Asked>
}

/**
 * `open` leads every tunnel to `port`, whatever host it is asked for; `silent` never answers, `mute` opens a tunnel to
 * nowhere, `gone` hangs up.
 */
type Manner = "open" | "silent" | "mute" | "gone"

export const make = (options: {
  readonly port: number
  readonly manner?: Manner
  readonly identity?: Certificates.Identity
}): Effect.Effect<ConnectProxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<ConnectProxy & { readonly close: () => void }>((resume) => {
      const asked: Array<Asked> = []
      const sockets = new Set<Net.Socket>()
      const hold = (socket: Net.Socket) => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket)).on("error", () => {})
      }
      const proxy = options.identity === undefined ? Http.createServer() : Https.createServer({ ...options.identity })
      proxy.on("connection", hold)
      proxy.on("connect", (request: Http.IncomingMessage, socket: Net.Socket) => {
        const sent: Array<Buffer> = []
        asked.push({ target: request.url ?? "", authorization: request.headers["proxy-authorization"], sent })
        socket.on("error", () => {})
        if (options.manner === "silent") return
        if (options.manner === "gone") return void socket.end()
        if (options.manner === "mute") return void socket.resume().write("HTTP/1.1 200 Connection established\r\n\r\n")
        const upstream = Net.connect(options.port, "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
          socket.on("data", (bytes: Buffer) => sent.push(bytes))
          upstream.pipe(socket).pipe(upstream)
        })
        hold(upstream)
      })
      proxy.listen(0, "127.0.0.1", () => {
        const { port } = proxy.address() as Net.AddressInfo
        resume(Effect.succeed({
          port,
          asked,
          close: () => {
            for (const socket of sockets) socket.destroy()
            proxy.close()
          }
        }))
      })
    }),
    (proxy) => Effect.sync(proxy.close)
  )
