/**
 * What somebody did to a durable server who wanted to see it lose jobs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Connection from "../../src/Connection.ts"
import * as Server from "../../src/Server.ts"
import { eventually } from "../support/Eventually.ts"
import { tempDir } from "../support/TempDir.ts"

const makeOn = (directory: string, options: Server.Options = {}) => Server.make({ port: 0, directory, ...options })

const putOn = (server: Server.Service, count: number) =>
  Effect.gen(function*() {
    const connection = yield* Connection.make(server.clientOptions)
    for (let n = 0; n < count; n++) yield* connection.put(`job ${n}`)
  }).pipe(Effect.scoped)

const jobsOn = (server: Server.Service) =>
  Effect.gen(function*() {
    const connection = yield* Connection.make(server.clientOptions)
    return (yield* connection.stats).currentJobsReady
  }).pipe(Effect.scoped)

const numbersIn = (directory: string) =>
  readdirSync(directory).flatMap((name) => /^binlog\.(\d+)$/.exec(name)?.[1] ?? []).map(Number)

/** Files of this directory that the process has open. */
const openIn = (directory: string) =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(join(directory, "binlog."))
    } catch {
      return false
    }
  }).length

describe("a durable server", () => {
  it.live("that is restarted several times at once opens its files once, and keeps all jobs", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const server = yield* makeOn(directory, { fileSize: 4096 })
      yield* putOn(server, 50)
      const before = openIn(directory)
      yield* Effect.all([server.restart, server.restart, server.restart], { concurrency: "unbounded" })
      assert.strictEqual(yield* jobsOn(server), 50)
      yield* putOn(server, 10)
      assert.strictEqual(yield* jobsOn(server), 60)
      if (process.platform === "linux") {
        yield* eventually(Effect.sync(() => assert.isAtMost(openIn(directory), before + 1)))
      }
    }).pipe(Effect.scoped))

  it.live("that is closed while it is restarted, or before, is closed for good", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(makeOn(directory), scope)
      yield* putOn(server, 5)
      const restarting = yield* Effect.forkChild(server.restart, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(restarting)
      yield* server.restart
      if (process.platform === "linux") assert.strictEqual(openIn(directory), 0)
      assert.strictEqual(yield* jobsOn(yield* makeOn(directory)), 5)
    }).pipe(Effect.scoped))

  it.live.each([0, 3, 512])("can be told any size of its files: %i", (fileSize) =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      for (let n = 1; n <= 3; n++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const server = yield* makeOn(directory, { fileSize, sync: "always" })
          yield* putOn(server, 3)
          assert.strictEqual(yield* jobsOn(server), 3 * n)
        }))
      }
    }).pipe(Effect.scoped))

  it.live("cannot be told a size that it could not read", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const error = yield* Effect.flip(Effect.scoped(makeOn(directory, { fileSize: 2 ** 31 })))
      assert.match(error.message, /fileSize must be a whole number from 0 to 2147483647/)
    }).pipe(Effect.scoped))

  it.live("that was closed does not take damage for a torn end", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Effect.scoped(Effect.flatMap(makeOn(directory), (server) => putOn(server, 20)))
      const path = join(directory, "binlog.1")
      const bytes = readFileSync(path)
      bytes[bytes.indexOf("job 0")]! ^= 1
      writeFileSync(path, bytes)
      const error = yield* Effect.flip(Effect.scoped(makeOn(directory)))
      assert.match(error.message, /binlog\.1 is damaged at \d+: a wrong checksum/)
      const salvaged = yield* makeOn(directory, { salvage: true })
      assert.strictEqual(yield* jobsOn(salvaged), 19)
    }).pipe(Effect.scoped))

  it.live("that has had nothing to do for a second does not take damage for a torn end", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const server = yield* makeOn(directory, { sync: "always" })
      yield* putOn(server, 3)
      const path = join(directory, "binlog.1")
      const last = () => readFileSync(path).findLastIndex((byte) => byte !== 0)
      const before = last()
      yield* eventually(Effect.sync(() => assert.isAbove(last(), before)))
      const copy = yield* tempDir
      const bytes = readFileSync(path)
      bytes[bytes.indexOf("job 2")]! ^= 1
      writeFileSync(join(copy, "binlog.1"), bytes)
      const error = yield* Effect.flip(Effect.scoped(makeOn(copy)))
      assert.match(error.message, /binlog\.1 is damaged at \d+: a wrong checksum/)
    }).pipe(Effect.scoped))

  it.live("gives space back, however seldom it syncs", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const server = yield* makeOn(directory, { sync: "1 day", fileSize: 2000 })
      const connection = yield* Connection.make(server.clientOptions)
      for (let n = 0; n < 200; n++) yield* connection.delete(yield* connection.put("x".repeat(100)))
      yield* eventually(Effect.gen(function*() {
        yield* connection.delete(yield* connection.put("x"))
        assert.isAtMost(numbersIn(directory).length, 5)
      }))
    }).pipe(Effect.scoped))

  it.live("passes over files whose number beanstalkd could not have given", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      for (const number of ["2147483647", "99999999999999999999"]) {
        writeFileSync(join(directory, `binlog.${number}`), "none of ours")
      }
      yield* putOn(yield* makeOn(directory), 1)
      assert.include(numbersIn(directory), 1)
      assert.strictEqual(readFileSync(join(directory, "binlog.2147483647"), "utf8"), "none of ours")
    }).pipe(Effect.scoped))
})
