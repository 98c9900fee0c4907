import { Hosts } from "@effect-dingtalk/core"
import { Effect, Either } from "effect"
import type { Scope } from "effect"
import * as Net from "node:net"

export interface RawServer {
  readonly hosts: Hosts.Hosts
  readonly url: string
  /** what each connection sent, as text */
  readonly requests: ReadonlyArray<string>
  readonly open: () => number
  /** of these, the ones that have sent a request */
  readonly asked: () => number
  readonly connections: () => number
}

/** A server that writes whatever it likes: what no HTTP library would let it send, above all. */
export const make = (
  answer: (socket: Net.Socket, request: string, nth: number) => void
): Effect.Effect<RawServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<RawServer & { readonly close: () => void }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const askers = new WeakSet<Net.Socket>()
      const requests: Array<string> = []
      let connections = 0
      const server = Net.createServer((socket) => {
        connections++
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
        socket.on("error", () => sockets.delete(socket))
        let text = ""
        socket.on("data", (chunk) => {
          text += chunk.toString("utf8")
          const end = text.indexOf("\r\n\r\n")
          if (end < 0) return
          const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
          const body = text.slice(end + 4)
          const isChunked = /transfer-encoding: chunked/i.test(text.slice(0, end))
          if (isChunked ? !body.endsWith("0\r\n\r\n") : Buffer.byteLength(body) < length) return
          const request = text
          text = ""
          requests.push(request)
          askers.add(socket)
          answer(socket, request, requests.length)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        const url = `http://127.0.0.1:${port}`
        resume(Effect.succeed({
          url,
          hosts: Either.getOrThrow(Hosts.single(url)),
          requests,
          open: () => sockets.size,
          asked: () => Array.from(sockets).filter((socket) => askers.has(socket)).length,
          connections: () => connections,
          close: () => {
            for (const socket of sockets) socket.destroy()
            server.close()
          }
        }))
      })
    }),
    (server) => Effect.sync(server.close)
  )

export const json = (body: string, options: { readonly status?: string; readonly headers?: string } = {}): string =>
  `HTTP/1.1 ${options.status ?? "200 OK"}\r\ncontent-type: application/json\r\n${
    options.headers ?? ""
  }content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
