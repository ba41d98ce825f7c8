/**
 * A disk that is full, that fails, or that cannot be written: what clients hear, and what there is afterwards.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Connection, type Protocol, type Server } from "effect-beanstalkd"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TestClock } from "effect/testing"
import type * as DiskModule from "../../src/internal/binlog/disk.ts"
import { vi } from "vitest"
import { eventually } from "../support/Eventually.ts"
import { MemoryDisk, type Operation, systemError } from "../support/MemoryDisk.ts"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"

/** The disks of servers by their directories. A directory without one is on the disk of this machine. */
const disks = vi.hoisted(() => new Map<string, unknown>())

vi.mock("../../src/internal/binlog/disk.ts", async (importOriginal) => {
  const original = await importOriginal<typeof DiskModule>()
  return { nodeDisk: (path: string) => disks.get(path) ?? original.nodeDisk(path) }
})

const FILE_SIZE = 4096

/** A directory whose files are on a disk in memory. */
const memoryDirectory = Effect.gen(function*() {
  const path = yield* tempDir
  const disk = new MemoryDisk({ path })
  disks.set(path, disk)
  return { path, disk }
})

/** A server on a disk in memory, and a connection to it. */
const onMemoryDisk = Effect.fnUntraced(function*(sync: Server.Durability["sync"] = "always") {
  const { disk, path } = yield* memoryDirectory
  const durable = yield* Durable.start(path, { sync, fileSize: FILE_SIZE })
  const connection = yield* Connection.make(durable.server.clientOptions)
  return { ...durable, connection, disk, path }
})

const full = (disk: MemoryDisk) => {
  disk.capacity = disk.image.size
}

const hasRoom = (disk: MemoryDisk) => {
  disk.capacity = Infinity
}

const BODY = "x".repeat(500)

/** Puts jobs until there is no room for another, and gives their ids. */
const fill = (connection: Connection.Service) =>
  Effect.gen(function*() {
    const ids: Array<Protocol.JobId> = []
    while (true) {
      const put = yield* Effect.result(connection.put(BODY))
      if (put._tag === "Success") ids.push(put.success)
      else {
        assert.strictEqual(put.failure._tag, "OutOfMemory")
        return ids
      }
    }
  })

describe("while the disk is full", () => {
  it.effect("a put is OUT_OF_MEMORY and leaves nothing, and deletes go on, until there is room again", () =>
    Effect.gen(function*() {
      const { connection, disk, raw, stats, told } = yield* onMemoryDisk()
      full(disk)
      const ids = yield* fill(connection)
      assert.isAbove(ids.length, 3)
      assert.strictEqual(yield* raw(`peek ${ids.at(-1)! + 1}`), "NOT_FOUND\r\n")
      assert.deepInclude(yield* stats, {
        "current-jobs-ready": String(ids.length),
        "total-jobs": String(ids.length)
      })
      yield* eventually(
        Effect.sync(() => assert.match(told.join("\n"), /ENOSPC.*no put is accepted until there is room/))
      )
      yield* Effect.forEach(ids, connection.delete)
      assert.strictEqual((yield* stats)["current-jobs-ready"], "0")
      hasRoom(disk)
      yield* TestClock.adjust("1 second")
      assert.isAbove(yield* connection.put(BODY), ids.at(-1)!)
      for (let i = 0; i < 50; i++) yield* connection.put(BODY)
    }))

  it.effect("jobs that were deleted leave room for others, and the disk is not asked all the time", () =>
    Effect.gen(function*() {
      const { connection, disk } = yield* onMemoryDisk()
      // The next file is made in the background.
      yield* eventually(Effect.sync(() => assert.lengthOf(disk.files, 2)))
      full(disk)
      const ids = yield* fill(connection)
      let asked = 0
      disk.fault = (operation) => {
        if (operation === "create") asked++
        return undefined
      }
      yield* Effect.replicateEffect(Effect.flip(connection.put(BODY)), 50)
      assert.isAtMost(asked, 1)
      yield* Effect.forEach(ids, connection.delete)
      yield* TestClock.adjust("1 second")
      // The files of the deleted jobs are gone, so there is room for new ones.
      const put = Effect.gen(function*() {
        yield* TestClock.adjust("1 second")
        return yield* connection.put(BODY)
      })
      assert.isAbove(yield* eventually(put), ids.at(-1)!)
    }))

  it.effect("release, bury, kick and reserve-job are OUT_OF_MEMORY and leave the job as it is, until there is room", () =>
    Effect.gen(function*() {
      const { connection, disk, jobs, raw } = yield* onMemoryDisk()
      const put = Durable.putOn(raw)
      const [free, buried, delayed] = [yield* put("free"), yield* put("buried"), yield* put("delayed", { delay: 100 })]
      yield* raw(`reserve-job ${buried}`, `bury ${buried} 0`)
      full(disk)
      yield* fill(connection)
      // There is less room for a put than for a change.
      const change = raw(`reserve-job ${free}`, `release ${free} 7 0`)
      yield* Effect.repeat(change, { until: (answer) => answer.includes("OUT_OF_MEMORY"), times: 200 })
      const before = yield* jobs(delayed)
      const changes: ReadonlyArray<readonly [kind: string, ...commands: ReadonlyArray<string>]> = [
        ["release", `reserve-job ${free}`, `release ${free} 9 0`],
        ["release with a delay", `reserve-job ${free}`, `release ${free} 9 60`],
        ["bury", `reserve-job ${free}`, `bury ${free} 9`],
        ["kick", "kick 10"],
        ["kick-job", `kick-job ${delayed}`],
        ["reserve-job of a buried job", `reserve-job ${buried}`],
        ["reserve-job of a delayed job", `reserve-job ${delayed}`]
      ]
      for (const [kind, ...commands] of changes) {
        assert.match(yield* raw(...commands), /(^|\r\n)OUT_OF_MEMORY\r\n$/, kind)
      }
      const isHolder = `reserve-job ${free}\r\nrelease ${free} 9 0\r\ntouch ${free}`
      assert.match(yield* raw(isHolder), /OUT_OF_MEMORY\r\nTOUCHED\r\n$/)
      const after = yield* jobs(delayed)
      const reserved = changes.filter(([, first]) => first === `reserve-job ${free}`).length + 1
      assert.deepStrictEqual(
        after,
        before.map((job) => job.id === free ? { ...job, reserves: job.reserves + reserved } : job)
      )
      hasRoom(disk)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* raw("kick 10"), "KICKED 1\r\n")
    }))
})

const faults: ReadonlyArray<
  readonly [what: string, sync: Server.Durability["sync"], operation: Operation, code: string]
> = [
  ["a write that fails", "always", "writeDurably", "EIO"],
  ["a write that fails", 50, "write", "EIO"],
  ["a write that fails", "never", "write", "EIO"],
  ["a disk that is full behind the files that were made", "always", "writeDurably", "ENOSPC"]
]

describe("a disk that fails", () => {
  it.live.each(faults)(
    "%s, with sync %s, ends all connections, and nothing of it is acknowledged",
    ([, sync, operation, code]) =>
      Effect.gen(function*() {
        const { connection, disk, path, raw, server } = yield* onMemoryDisk(sync)
        const other = yield* Connection.make(server.clientOptions)
        const kept = yield* connection.put("kept")
        const failure = yield* Effect.forkChild(Effect.flip(server.failure))
        disk.fault = (current) => current === operation ? systemError(code, operation) : undefined
        assert.strictEqual(yield* raw("put 0 0 60 4\r\nlost", `delete ${kept}`, `peek ${kept}`), "")
        assert.isTrue(yield* connection.closed)
        assert.isTrue(yield* other.closed)
        const error = yield* Fiber.join(failure)
        assert.strictEqual(error._tag, "BinlogError")
        assert.strictEqual(error.operation, "write")
        assert.isTrue(error.path.startsWith(join(path, "binlog.")))
        assert.match(error.message, new RegExp(`^cannot write .*: ${code}`))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(Connection.make(server.clientOptions)))))
      }).pipe(Effect.scoped)
  )

  it.live("that cannot cut off a file that is full ends all connections", () =>
    Effect.gen(function*() {
      const { connection, disk, server } = yield* onMemoryDisk("always")
      disk.fault = (operation) => operation === "truncate" ? systemError("EIO", operation) : undefined
      yield* Effect.exit(Effect.forever(connection.put(BODY)))
      const error = yield* Effect.flip(server.failure)
      assert.match(error.message, /^cannot write .*: EIO: truncate/)
      assert.strictEqual(yield* server.connectionCount, 0)
    }).pipe(Effect.scoped))

  it.live("whose sync fails in the background ends all connections, and does not try it again", () =>
    Effect.gen(function*() {
      const { connection, disk, server } = yield* onMemoryDisk(1)
      let synced = 0
      disk.fault = (operation) => {
        if (operation !== "sync") return undefined
        synced++
        return systemError("EIO", operation)
      }
      yield* Effect.exit(connection.put("hello"))
      const error = yield* Effect.flip(server.failure)
      assert.deepStrictEqual([error._tag, error.operation], ["BinlogError", "sync"])
      assert.isTrue(yield* connection.closed)
      assert.strictEqual(yield* server.connectionCount, 0)
      assert.strictEqual(synced, 1)
    }).pipe(Effect.scoped))

  it.live("has what was acknowledged when it is used again", () =>
    Effect.gen(function*() {
      const { disk, path } = yield* memoryDirectory
      const acknowledged = yield* Effect.scoped(Effect.gen(function*() {
        const { server } = yield* Durable.start(path, { sync: "always", fileSize: FILE_SIZE })
        const connection = yield* Connection.make(server.clientOptions)
        let writes = 0
        disk.fault = (operation) =>
          operation === "writeDurably" && ++writes > 7 ? systemError("EIO", operation) : undefined
        const puts = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.result(connection.put(BODY)))
        return puts.flatMap((put) => put._tag === "Success" ? [put.success] : [])
      }))
      assert.lengthOf(acknowledged, 7)
      disk.fault = () => undefined
      yield* Durable.use(path, { fileSize: FILE_SIZE }, ({ jobs }) =>
        Effect.map(jobs(20), (all) =>
          assert.deepStrictEqual(
            all.map(({ id }) =>
              id
            ),
            acknowledged
          )))
    }))
})

describe("a server does not start", () => {
  const refused = Effect.fnUntraced(function*(directory: string, expected: RegExp) {
    const error = yield* Durable.refusal(directory)
    assert.match(error.message, expected)
    return error
  })

  it.live("on a disk that is read-only", () =>
    Effect.gen(function*() {
      const { disk, path } = yield* memoryDirectory
      disk.isReadOnly = true
      yield* refused(path, /^cannot write .*: EROFS/)
    }).pipe(Effect.scoped))

  it.live("on a disk without room for a file, and leaves no piece of one", () =>
    Effect.gen(function*() {
      const { disk, path } = yield* memoryDirectory
      disk.capacity = 1000
      yield* refused(path, /^cannot write .*: the disk has no room .*make room first/)
      assert.deepStrictEqual(disk.files, [])
    }).pipe(Effect.scoped))

  it.live(
    "whichever of its operations fails, and starts when the disk is sound again, with all jobs",
    () =>
      Effect.gen(function*() {
        const { disk, path } = yield* memoryDirectory
        const options = { sync: "always", fileSize: FILE_SIZE } as const
        yield* Durable.use(path, options, ({ raw }) => Effect.repeat(Durable.putOn(raw)(BODY), { times: 9 }))
        let fails = 0
        for (let at = 1;; at++) {
          let count = 0
          let isStarting = true
          const faulty = new MemoryDisk({ path, image: disk.image.clone() })
          disks.set(path, faulty)
          faulty.fault = (operation) =>
            isStarting && operation !== "read" && ++count === at ? systemError("EIO", operation) : undefined
          const started = yield* Effect.result(Effect.scoped(Effect.flatMap(Durable.start(path, options), ({ raw }) => {
            isStarting = false
            return raw("peek 1")
          })))
          if (count < at) break
          if (started._tag === "Failure") fails++
          else assert.include(started.success, "FOUND 1")
          faulty.fault = () => undefined
          assert.lengthOf(yield* Durable.use(path, options, ({ jobs }) => jobs(10)), 10)
        }
        assert.isAbove(fails, 5)
      }),
    60_000
  )

  it.live("on files that cannot be listed", () =>
    Effect.gen(function*() {
      const { disk, path } = yield* memoryDirectory
      disk.fault = (operation) => operation === "list" ? systemError("EIO", operation) : undefined
      yield* refused(path, /^cannot read .*: EIO/)
    }).pipe(Effect.scoped))

  it.live("in a directory that is missing", () =>
    Effect.gen(function*() {
      const directory = join(yield* tempDir, "none")
      const { operation, path } = yield* refused(
        directory,
        /^cannot lock .*: there is no such directory: make it first/
      )
      assert.deepStrictEqual([operation, path], ["lock", directory])
    }).pipe(Effect.scoped))

  it.live("in a file", () =>
    Effect.gen(function*() {
      const file = join(yield* tempDir, "file")
      writeFileSync(file, "")
      yield* refused(file, /it is not a directory$/)
    }).pipe(Effect.scoped))

  it.live.skipIf(process.getuid?.() === 0)(
    "in a directory in which it cannot make a file",
    () =>
      Effect.gen(function*() {
        const directory = yield* tempDir
        chmodSync(directory, 0o500)
        yield* refused(directory, /^cannot lock .*lock: EACCES/)
      }).pipe(Effect.scoped)
  )
})
