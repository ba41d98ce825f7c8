/**
 * What is there after a restart: of the server, whose process may have been killed, or of another one on the same directory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TestClock } from "effect/testing"
import { parseStats } from "../support/Ask.ts"
import { eventually } from "../support/Eventually.ts"
import { tempDir } from "../support/TempDir.ts"
import * as Durable from "./Durable.ts"

type Options = Parameters<typeof Durable.use>[1]

/** Does something on a server of a new directory, and gives what another server has there afterwards. */
const afterRestart = <A, E>(
  before: (durable: Durable.Durable) => Effect.Effect<unknown, E, Scope.Scope>,
  after: (durable: Durable.Durable) => Effect.Effect<A, E, Scope.Scope>,
  options: Options = {}
) =>
  Effect.gen(function*() {
    const directory = yield* tempDir
    yield* Durable.use(directory, options, before)
    return yield* Durable.use(directory, options, after)
  })

/** Does something on a server, has it restarted as if it were killed, and does something else. */
const afterKill = <A, E>(
  before: (durable: Durable.Durable) => Effect.Effect<unknown, E, Scope.Scope>,
  after: (durable: Durable.Durable) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.flatMap(tempDir, (directory) =>
    Durable.use(directory, {}, (durable) =>
      Effect.gen(function*() {
        yield* before(durable)
        yield* Effect.orDie(durable.server.restart)
        return yield* after(durable)
      })))

const bodies = (jobs: ReadonlyArray<Durable.JobFacts>) =>
  jobs.map(({ bodyBase64 }) => Buffer.from(bodyBase64, "base64").toString("latin1"))

/** The ids of the buried jobs of `default`, in the order in which they are kicked. */
const buriedIds = ({ raw }: Durable.Durable) =>
  Effect.gen(function*() {
    const ids: Array<number> = []
    while (true) {
      const found = /^FOUND (\d+)/.exec(yield* raw("peek-buried"))
      if (found === null) return ids
      ids.push(Number(found[1]))
      yield* raw("kick 1")
    }
  })

const bytesOf = (directory: string) =>
  readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)

const everyWay = [["another server has", afterRestart], ["the server has after a kill", afterKill]] as const

/** Jobs in all states, that were in other states before. */
const someJobs = ({ raw }: Durable.Durable) =>
  Effect.gen(function*() {
    const put = Durable.putOn(raw)
    yield* put("ready", { pri: 7, ttr: 99 })
    yield* put("\0\r\n\xff", { pri: 4_294_967_295, ttr: 4_294_967_295, tube: "a-tube" })
    yield* put("", { delay: 1000 })
    yield* put("released", { ttr: 5 })
    yield* raw("reserve-job 4", "release 4 44 0")
    yield* put("delayed")
    yield* raw("reserve-job 5", "release 5 55 1000")
    yield* put("buried")
    yield* raw("reserve-job 6", "bury 6 66", "kick-job 6", "reserve-job 6", "bury 6 67")
    yield* put("deleted")
    yield* raw("delete 7")
  })

describe.each(everyWay)("%s", (_, restarted) => {
  it.live("each job with its state, priority, delay, ttr, tube, body and counts", () =>
    Effect.gen(function*() {
      let before: ReadonlyArray<Durable.JobFacts> = []
      const after = yield* restarted(
        (durable) =>
          Effect.gen(function*() {
            yield* someJobs(durable)
            before = yield* durable.jobs(10)
          }),
        ({ jobs }) => jobs(10)
      )
      assert.lengthOf(before, 6)
      assert.deepStrictEqual(after, before)
      assert.deepStrictEqual(bodies(after), ["ready", "\0\r\n\xff", "", "released", "delayed", "buried"])
      assert.deepStrictEqual(after.map(({ state }) => state), [
        "ready",
        "ready",
        "delayed",
        "ready",
        "delayed",
        "buried"
      ])
      assert.deepInclude(after[3], { pri: 44, releases: 1, reserves: 1 })
      assert.deepInclude(after[5], { pri: 67, buries: 2, kicks: 1, reserves: 2 })
    }))

  it.live("a job ready that was reserved, also by its id while it was buried or delayed", () =>
    Effect.gen(function*() {
      const states = yield* restarted(
        ({ raw }) =>
          Effect.gen(function*() {
            const put = Durable.putOn(raw)
            yield* put("reserved")
            yield* put("buried")
            yield* put("delayed", { delay: 1000 })
            yield* raw("reserve-job 1", "reserve-job 2", "bury 2 0")
            yield* raw("reserve-job 2", "reserve-job 3", "reserve-job 1")
          }),
        ({ jobs }) => Effect.map(jobs(3), (all) => all.map(({ state }) => state))
      )
      assert.deepStrictEqual(states, ["ready", "ready", "ready"])
    }))

  it.live("buried jobs in the order in which they were buried", () =>
    Effect.gen(function*() {
      const ids = yield* restarted(
        ({ raw }) =>
          Effect.gen(function*() {
            for (let i = 1; i <= 4; i++) yield* Durable.putOn(raw)("job")
            for (const id of [3, 1, 4, 2]) yield* raw(`reserve-job ${id}`, `bury ${id} 0`)
          }),
        buriedIds
      )
      assert.deepStrictEqual(ids, [3, 1, 4, 2])
    }))

  it.live("no id again, also if all jobs are gone", () =>
    Effect.gen(function*() {
      const id = yield* restarted(
        ({ raw }) =>
          Effect.gen(function*() {
            for (let i = 1; i <= 3; i++) yield* Durable.putOn(raw)("job")
            yield* raw("delete 1", "delete 2", "delete 3")
          }),
        ({ raw }) => Durable.putOn(raw)("next")
      )
      assert.strictEqual(id, 4)
    }))

  it.live("no pauses, and no counts of commands", () =>
    Effect.gen(function*() {
      const stats = yield* restarted(
        ({ raw }) => Effect.andThen(Durable.putOn(raw)("job"), raw("pause-tube default 1000")),
        ({ raw, stats }) =>
          Effect.map(Effect.all([stats, Effect.map(raw("stats-tube default"), parseStats)]), ([all, tube]) => ({
            ...all,
            ...tube
          }))
      )
      assert.deepInclude(stats, { "cmd-put": "0", "total-jobs": "0", pause: "0", "current-jobs-ready": "1" })
    }))
})

describe("a delay", () => {
  it.effect("goes on while the server is away", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Durable.use(directory, {}, ({ raw }) => Durable.putOn(raw)("job", { delay: 100 }))
      yield* TestClock.adjust("40 seconds")
      yield* Durable.use(directory, {}, ({ raw }) =>
        Effect.gen(function*() {
          assert.deepInclude(parseStats(yield* raw("stats-job 1")), { state: "delayed", "time-left": "59", age: "40" })
        }))
      yield* TestClock.adjust("60 seconds")
      yield* Durable.use(directory, {}, ({ raw }) =>
        Effect.gen(function*() {
          assert.deepInclude(parseStats(yield* raw("stats-job 1")), { state: "ready", delay: "100", age: "100" })
        }))
    }).pipe(Effect.scoped))

  it.effect("of a job that was loaded ends by itself", () =>
    Effect.gen(function*() {
      const { raw, server } = yield* Durable.start(yield* tempDir)
      yield* Durable.putOn(raw)("job", { delay: 100 })
      yield* server.restart
      yield* TestClock.adjust("100 seconds")
      yield* eventually(
        Effect.map(raw("peek-ready"), (found) => assert.strictEqual(found, "FOUND 1 3\r\njob\r\n"))
      )
    }).pipe(Effect.scoped))
})

describe("a restart", () => {
  it.live("reads the directory again", () =>
    Effect.gen(function*() {
      const { jobs, raw, server, stats } = yield* Durable.start(yield* tempDir)
      yield* Durable.putOn(raw)("job")
      // Nothing is recorded of this.
      yield* raw("reserve-job 1")
      assert.strictEqual((yield* jobs(1))[0]!.reserves, 1)
      const { "binlog-current-index": index } = yield* stats
      yield* server.restart
      assert.strictEqual((yield* jobs(1))[0]!.reserves, 0)
      assert.isAbove(Number((yield* stats)["binlog-current-index"]), Number(index))
    }).pipe(Effect.scoped))

  it.live("loads what is larger than the server takes by now", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const large = "x".repeat(60_000)
      yield* Durable.use(directory, {}, ({ raw }) => Effect.forEach([1, 2, 3], () => Durable.putOn(raw)(large)))
      yield* Durable.use(directory, { maxJobSize: 10, maxMemory: 20 }, ({ jobs, raw }) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(bodies(yield* jobs(3)), [large, large, large])
          assert.strictEqual(yield* raw("put 0 0 60 1\r\nx"), "OUT_OF_MEMORY\r\n")
        }))
    }).pipe(Effect.scoped))
})

describe("the directory", () => {
  it.live("does not grow by restarts", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Durable.use(directory, { fileSize: 4096 }, someJobs)
      yield* Durable.use(directory, { fileSize: 4096 }, () => Effect.void)
      const before = bytesOf(directory)
      for (let i = 0; i < 10; i++) yield* Durable.use(directory, { fileSize: 4096 }, () => Effect.void)
      assert.isAtMost(bytesOf(directory), before)
      const facts = yield* Durable.use(directory, { fileSize: 4096 }, ({ jobs }) => jobs(10))
      assert.lengthOf(facts, 6)
    }).pipe(Effect.scoped))

  it.live("does not grow by a job that is released with a delay again and again", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const { jobs, raw, stats } = yield* Durable.start(directory, { fileSize: 4096, sync: "always" })
      yield* Durable.putOn(raw)("job")
      const times = 5000
      for (let i = 0; i < times; i += 500) {
        yield* raw(...Array.from({ length: 500 }, () => "reserve-job 1\r\nrelease 1 0 1000"))
      }
      yield* eventually(Effect.sync(() => assert.isAtMost(readdirSync(directory).length, 6)))
      assert.isAtMost(bytesOf(directory), 5 * 4096)
      assert.isAbove(Number((yield* stats)["binlog-records-migrated"]), 0)
      assert.deepInclude((yield* jobs(1))[0], { releases: times, reserves: times, state: "delayed" })
    }).pipe(Effect.scoped))
})

describe("the order of buried jobs", () => {
  it.live("stays after two restarts, though the jobs of the oldest file were written again in between", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const options = { fileSize: 1000 }
      yield* Durable.use(directory, options, ({ raw }) =>
        Effect.gen(function*() {
          for (let i = 1; i <= 4; i++) yield* Durable.putOn(raw)("x".repeat(300))
          for (const id of [4, 1]) yield* raw(`reserve-job ${id}`, `bury ${id} 0`)
        }))
      yield* Durable.use(directory, options, ({ jobs, raw }) =>
        Effect.gen(function*() {
          const files = Effect.map(jobs(4), (all) => all.map(({ file }) => file))
          const before = yield* files
          yield* Effect.repeat(
            Effect.andThen(Effect.flatMap(Durable.putOn(raw)("x".repeat(300)), (id) => raw(`delete ${id}`)), files),
            { until: ([first]) => first !== before[0], times: 100 }
          )
          const after = yield* files
          assert.notStrictEqual(after[0], before[0])
          assert.strictEqual(after[3], before[3])
        }))
      assert.deepStrictEqual(yield* Durable.use(directory, options, buriedIds), [4, 1])
    }).pipe(Effect.scoped))
})

describe("a spare file behind one that is missing", () => {
  const withSpare = (name: string) =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      yield* Durable.use(directory, {}, ({ raw }) => Durable.putOn(raw)("kept"))
      writeFileSync(join(directory, name), Buffer.concat([Buffer.of(7, 0, 0, 0), Buffer.alloc(5000)]))
      const found = yield* Durable.use(directory, {}, ({ jobs }) => jobs(1))
      return { bodies: bodies(found), files: readdirSync(directory) }
    }).pipe(Effect.scoped)

  it.live("is removed, since a power failure can leave it", () =>
    Effect.gen(function*() {
      const left = yield* withSpare("binlog.17")
      assert.deepStrictEqual(left.bodies, ["kept"])
      assert.notInclude(left.files, "binlog.17")
    }))
})

describe("the statistics", () => {
  it.live("say which files there are, how much was written, and which file has a job", () =>
    Effect.gen(function*() {
      const directory = yield* tempDir
      const numbers = () =>
        readdirSync(directory).flatMap((name) => /^binlog\.(\d+)$/.exec(name)?.[1] ?? []).map(Number)
      const { jobs, raw, stats } = yield* Durable.start(directory, { fileSize: 4096 })
      assert.deepInclude(yield* stats, {
        "binlog-oldest-index": "1",
        "binlog-current-index": "1",
        "binlog-records-migrated": "0",
        "binlog-records-written": "0",
        "binlog-max-size": "4096"
      })
      for (let i = 0; i < 3; i++) yield* Durable.putOn(raw)("x".repeat(3000))
      yield* raw("delete 1")
      assert.deepStrictEqual((yield* jobs(3)).map(({ file }) => file), [2, 3])
      assert.deepInclude(yield* stats, { "binlog-current-index": "3", "binlog-records-written": "4" })
      const oldest = Effect.map(stats, (all) => assert.strictEqual(all["binlog-oldest-index"], "2"))
      yield* eventually(oldest)
      assert.strictEqual(Math.min(...numbers()), 2)
    }).pipe(Effect.scoped))
})
