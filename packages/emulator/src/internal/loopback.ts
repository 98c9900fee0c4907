// Apart, so that a command line can be refused before anything else is loaded.
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/

export const isLoopback = (host: string): boolean => LOOPBACK.test(host)
