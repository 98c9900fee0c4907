import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import projects from "./vitest.workspace.js"

// Much of the time is waited for: two files at once, where there are but two cores.
const workers = Math.max(2, availableParallelism() - 1)

export default defineConfig({ test: { projects, maxWorkers: workers, minWorkers: workers } })
