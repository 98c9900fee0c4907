import { readFileSync } from "node:fs"

// What npm, pnpm and yarn tell the programs that they start.
const TOLD =
  /^(?:npm_(?:lifecycle_event|command|execpath|config_user_agent)|PNPM_(?:PACKAGE_NAME|SCRIPT_SRC_DIR))(?:=|$)/

const MANAGER = /^(?:npm|npx|pnpm|pnpx|yarn|yarnpkg|bun|bunx|corepack)(?:-cli|-[\d.]+)?(?:\.[cm]?js)?$/

const SHELL = /^(?:sh|ash|bash|busybox|dash|fish|ksh|zsh)$/

const INTERVAL = 250

interface Process {
  readonly pid: number
  readonly parent: number
  /** with the pid, the same process for sure */
  readonly started: string
}

const text = (pid: number, name: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8")
  } catch {
    return ""
  }
}

const find = (pid: number): Process | undefined => {
  const stat = text(pid, "stat")
  // The name in brackets may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [state, parent] = fields
  // Whoever nobody waited for, as after `Popen.terminate()`, is dead all the same.
  return parent === undefined || /^[ZXx]$/.test(state!)
    ? undefined
    : { pid, parent: Number(parent), started: fields[19]! }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** A package manager, or what such a one puts between itself and a program; anything else is the user's own. */
const kindOf = (pid: number): "manager" | "between" | undefined => {
  const args = text(pid, "cmdline").replace(/[\0\s]+$/, "").split("\0")
  // npm writes its whole title into the first argument.
  const name = baseName(args.length === 1 ? args[0]!.split(" ")[0]! : args[0]!)
  if (MANAGER.test(name)) return "manager"
  // Not a shell that somebody types into.
  if (SHELL.test(name)) return args.some((arg) => /^-[a-z]*c$/.test(arg)) ? "between" : undefined
  const script = /^node(?:js)?$/.test(name) ? args.slice(1).find((arg) => !arg.startsWith("-")) ?? "" : ""
  if (MANAGER.test(baseName(script))) return "manager"
  return /\/tsx\/dist\/cli\.[cm]?js$/.test(script) ? "between" : undefined
}

const isAdoptive = (pid: number): boolean => pid === 1 || /^(?:systemd|init)\n$/.test(text(pid, "comm"))

const wasTold = (environment: ReadonlyArray<string>): boolean => environment.some((entry) => TOLD.test(entry))

/**
 * Whether its package manager was ended while this program was on its way: a manager's shell that was adopted, or what
 * npx itself had started. A script's own `… &` looks otherwise.
 */
const isOrphan = ({ parent, pid }: Process, isManager: boolean): boolean => {
  if (!isAdoptive(parent)) return false
  const environment = text(pid, "environ").split("\0")
  return isManager ? environment.includes("npm_lifecycle_event=npx") : wasTold(environment)
}

/** The ancestors up to the uppermost package manager; `undefined` if one of them is gone already. */
const lineage = (): ReadonlyArray<Process> | undefined => {
  const found: Array<Process> = []
  let length = 0
  let pid = process.ppid
  // In a container, a package manager may be process 1 itself.
  while (pid > 0) {
    const kind = kindOf(pid)
    const ancestor = kind === undefined ? undefined : find(pid)
    if (ancestor === undefined) break
    found.push(ancestor)
    pid = ancestor.parent
    if (kind === "manager") length = found.length
  }
  const last = found.at(-1)
  return last !== undefined && isOrphan(last, found.length === length) ? undefined : found.slice(0, length)
}

/**
 * Package managers do not pass SIGTERM on, and whoever ends one means the program. Runs `stop` once when a package
 * manager that led here, or a shell in between, has died. Shells and terminals further up may end as they like.
 */
export const whenWrapperDies = (stop: () => void): void => {
  if (process.platform === "win32" || !wasTold(Object.keys(process.env))) return
  const ancestors = process.platform === "linux" ? lineage() : []
  if (ancestors === undefined) return stop()
  const parent = process.ppid
  // Without /proc, the parent is all that can be seen.
  const isAlive = process.platform === "linux"
    ? () => ancestors.every(({ pid, started }) => find(pid)?.started === started)
    : () => process.ppid === parent
  if (process.platform === "linux" ? ancestors.length === 0 : parent <= 1) return
  const timer = setInterval(() => {
    if (isAlive()) return
    clearInterval(timer)
    stop()
  }, INTERVAL)
  timer.unref()
}
