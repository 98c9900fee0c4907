import type { TestProjectInlineConfiguration } from "vitest/config"

const project = (name: string, root: string): TestProjectInlineConfiguration => ({
  root,
  test: {
    name,
    include: ["test/**/*.test.ts"],
    sequence: { concurrent: true },
    // Effect has its own clock: nothing may be faked behind its back.
    fakeTimers: { toFake: undefined },
    testTimeout: 30_000
  }
})

export default [
  ...["core", "auth", "http", "emulator", "store-redis", "store-sql"].map((name) => project(name, `packages/${name}`)),
  project("examples", "examples"),
  project("benchmarks", "benchmarks")
]
