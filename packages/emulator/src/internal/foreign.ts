import type { Request } from "../Exchange.js"
import { isLoopback } from "./loopback.js"

// A page of the web that is open in a browser on the same machine has no business here, nor has one that gave its own
// name the address of this machine.
export const isForeign = ({ host, origin }: NonNullable<Request["headers"]>): boolean => {
  if (host !== undefined && !isLoopback(host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"))) return true
  return origin !== undefined && origin.replace(/^https?:\/\//, "") !== host
}
