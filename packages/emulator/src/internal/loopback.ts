// Apart, so that a command line can be refused before anything else is loaded.
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/

export const isLoopback = (host: string): boolean => LOOPBACK.test(host)

/** Whether nobody but this machine is reached, and nobody is named on the way. */
export const isLoopbackUri = (uri: string): boolean => {
  if (!/^http:\/\/[!-~]+$/.test(uri) || uri.includes("#") || !URL.canParse(uri)) return false
  const { hostname, password, username } = new URL(uri)
  return isLoopback(hostname.replace(/^\[(.*)\]$/, "$1")) && username === "" && password === ""
}
