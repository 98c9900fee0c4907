/**
 * The one server of a run, in a process of its own: literal bytes, prepared once, over connections that stay open.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Answers from "../answers.js"

const prepare = (text: string) => {
  const body = Buffer.from(text)
  const headers = [
    ...["Server", "DingTalk/1.0.0"],
    ...["Content-Type", "application/json;charset=utf-8"],
    ...["Content-Length", String(body.length)],
    ...["x-acs-request-id", "5C6A1B7E-0B3C-7D2F-9A4E-1F2E3D4C5B6A"]
  ]
  return { body, headers }
}

const user = prepare(Answers.user)
const profile = prepare(Answers.profile)
const token = prepare(Answers.token)

let tokenRequests = 0

const server = createServer((request, response) => {
  const url = request.url ?? ""
  let answer = user
  if (url.startsWith(Answers.GET_PROFILE)) answer = profile
  else if (url === Answers.GET_TOKEN) {
    answer = token
    tokenRequests++
  } else if (!url.startsWith(Answers.GET_USER)) throw new Error(`nobody asks for ${url}`)
  response.writeHead(200, answer.headers)
  response.end(answer.body)
})
// Contenders wait for their turn for seconds; a connection that is closed meanwhile would cost them their next call.
server.keepAliveTimeout = 600_000

server.listen(0, "127.0.0.1", () => {
  process.send!({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
})

process.on("message", () => {
  const { system, user } = process.cpuUsage()
  process.send!({ tokenRequests, cpu: system + user })
})
process.on("disconnect", () => process.exit())
