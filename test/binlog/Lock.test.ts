/**
 * One server per directory, whether it is beanstalkd or the embedded one, in this process or in another.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Scope } from "effect"
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Cli from "../support/Cli.ts"
import * as RealServer from "../support/RealServer.ts"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"

const otherFiles = (directory: string) => readdirSync(directory).filter((name) => !name.startsWith("binlog."))

const isRefused = Effect.fnUntraced(function*(directory: string) {
  const error = yield* Durable.refusal(directory)
  assert.deepStrictEqual([error.operation, error.path], ["lock", join(directory, "lock")])
  assert.match(error.message, /another server uses this directory$/)
  assert.deepStrictEqual(otherFiles(directory), ["lock"])
})

/** A server in a process of its own. */
const otherProcess = Effect.fnUntraced(function*(directory: string) {
  const server = yield* Cli.start(["serve", "--port", "0", "-b", directory, "-s", "5000"])
  yield* server.shows("listening on")
  return server
})

const put = (directory: string) => Durable.use(directory, {}, ({ raw }) => Durable.putOn(raw)("hello"))

describe("a second server on a directory", () => {
  it.live("is refused in the same process, until the first one has ended", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const first = yield* Scope.make()
      yield* Scope.provide(first)(Durable.start(directory))
      yield* isRefused(directory)
      // Neither does the second attempt take the lock of the first server away.
      yield* isRefused(directory)
      const other = yield* Cli.run(["serve", "--port", "0", "-b", directory])
      assert.strictEqual(other.code, 1)
      assert.match(other.stderr, /another server uses this directory/)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(yield* put(directory), 1)
    }).pipe(Effect.scoped))

  it.live("is refused in another process, until that has been killed", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const other = yield* otherProcess(directory)
      yield* isRefused(directory)
      yield* other.signal("SIGKILL")
      yield* other.ended
      assert.strictEqual(yield* put(directory), 1)
    }).pipe(Effect.scoped))

  it.live("is refused after a restart of the first one", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const { server } = yield* Durable.start(directory)
      yield* server.restart
      yield* isRefused(directory)
    }).pipe(Effect.scoped))
})

describe("the lock", () => {
  it.live("is an empty file of its user that stays, and no other file is beside it", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const path = join(directory, "lock")
      const isAsItWas = () => {
        const { mode, size } = statSync(path)
        assert.deepStrictEqual([size, mode & 0o777], [0, 0o600])
        assert.deepStrictEqual(otherFiles(directory), ["lock"])
      }
      yield* Durable.use(directory, {}, () => Effect.sync(isAsItWas))
      isAsItWas()
      const other = yield* otherProcess(directory)
      isAsItWas()
      yield* other.signal("SIGKILL")
      yield* other.ended
      isAsItWas()
    }).pipe(Effect.scoped))

  it.live("is not made where a server could not start anyway", () =>
    Effect.gen(function*() {
      const directory = join(yield* tempDir, "none")
      yield* Durable.refusal(directory)
      assert.isFalse(existsSync(directory))
    }).pipe(Effect.scoped))
})

RealServer.describeReal("beanstalkd and the embedded server on one directory", () => {
  it.live("the embedded server is refused while beanstalkd has it, and has its jobs afterwards", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const { kill, raw } = yield* RealServer.make({ binlogDir: directory })
      assert.strictEqual(yield* Durable.putOn(raw)("of beanstalkd"), 1)
      yield* isRefused(directory)
      yield* kill
      yield* Durable.use(
        directory,
        {},
        ({ raw }) => Effect.map(raw("peek 1"), (found) => assert.strictEqual(found, "FOUND 1 13\r\nof beanstalkd\r\n"))
      )
    }).pipe(Effect.scoped))

  it.live("beanstalkd is refused while the embedded server has it, and has its jobs afterwards", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Durable.use(directory, {}, ({ raw }) =>
        Effect.gen(function*() {
          yield* Durable.putOn(raw)("of ours")
          const exit = yield* Effect.exit(Effect.scoped(RealServer.make({ binlogDir: directory })))
          const why = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it has started"
          assert.match(why, /with exit code 10: .*waldirlock/)
        }))
      const { raw } = yield* RealServer.make({ binlogDir: directory })
      assert.strictEqual(yield* raw("peek 1"), "FOUND 1 7\r\nof ours\r\n")
    }).pipe(Effect.scoped))
})
