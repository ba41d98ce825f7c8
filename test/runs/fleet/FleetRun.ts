/**
 * One run over real servers that sync each job: they are killed, frozen and drained under load, and every job is accounted
 * for.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Client, Fleet, Tube, Worker } from "effect-beanstalkd"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as RealServer from "../../support/RealServer.ts"
import { tempDir } from "../../support/TempDir.ts"
import * as Binlog from "../chaos/Binlog.ts"
import { numberIn } from "../chaos/Work.ts"

/** What a run is given. */
export interface Options {
  readonly seed: number
  readonly servers: number
  readonly seconds: number
  readonly ambiguous: "fail" | "again"
}

/** What has become of the jobs, and what was done to the servers. */
export interface Report extends Options {
  readonly kills: number
  readonly freezes: number
  readonly drains: number
  readonly acknowledged: number
  /** Acknowledged jobs that are missing although nobody has deleted them, as the server's own binlog tells. */
  readonly lostByServer: number
  /** Puts that failed with `sent: true`, and how many of these were done. */
  readonly ambiguousPuts: number
  readonly ambiguousDone: number
  readonly refused: number
  readonly handledTwice: number
  readonly longestPutMillis: number
  readonly mostRunning: number
  readonly violations: ReadonlyArray<string>
}

const PRODUCERS = 64
const CONCURRENCY = 32

/** How many servers are in trouble at a time, at most. */
const TROUBLES = 3

// A put ends by then, whatever happens: its patience, and a command timeout.
const LONGEST_PUT_MILLIS = 15_000

const Jobs = Tube.make("jobs", { codec: "text", ttr: "10 seconds" })

/** A server, and all that it has ever written. */
interface Kept {
  readonly server: RealServer.RealServer
  readonly binlog: () => Binlog.Binlog
}

const startServers = (count: number): Effect.Effect<ReadonlyArray<Kept>, never, Scope.Scope> =>
  Effect.flatMap(tempDir, (root) =>
    Effect.forEach(Array.from({ length: count }), (_, i) => {
      const binlogDir = join(root, String(i))
      mkdirSync(binlogDir)
      const server = RealServer.make({ binlogDir, args: ["-f0"] })
      return Effect.zipWith(Binlog.keep(binlogDir), server, (binlog, server): Kept => ({ binlog, server }))
    }))

/** What has become of each job. */
class Account {
  readonly acknowledged = new Set<string>()
  readonly ambiguous = new Set<string>()
  readonly refused = new Set<string>()
  readonly handled = new Map<string, number>()
  readonly violations: Array<string> = []
  longestPutMillis = 0
  running = 0
  mostRunning = 0
  #next = 0

  /** A name for the next job. */
  next(): string {
    return `{"n":${this.#next++}}`
  }

  lost(): ReadonlyArray<string> {
    return [...this.acknowledged].filter((name) => !this.handled.has(name))
  }
}

const produce = (account: Account, mustEnd: () => boolean) =>
  Effect.suspend(() => {
    const name = account.next()
    const began = performance.now()
    return Effect.exit(Jobs.put(name)).pipe(
      Effect.tap((exit) =>
        Effect.sync(() => {
          account.longestPutMillis = Math.max(account.longestPutMillis, performance.now() - began)
          if (Exit.isSuccess(exit)) return void account.acknowledged.add(name)
          const error = Exit.findErrorOption(exit)
          if (error._tag === "Some" && error.value._tag === "BeanstalkdError") {
            return void (error.value.sent ? account.ambiguous : account.refused).add(name)
          }
          account.violations.push(`put of ${name}: ${JSON.stringify(exit)}`)
        })
      ),
      Effect.andThen(Effect.sleep("2 millis"))
    )
  }).pipe(Effect.repeat({ until: mustEnd }))

const handle = (account: Account) => (name: string) =>
  Effect.gen(function*() {
    account.running++
    account.mostRunning = Math.max(account.mostRunning, account.running)
    yield* Effect.sleep("1 millis")
    account.handled.set(name, (account.handled.get(name) ?? 0) + 1)
  }).pipe(Effect.ensuring(Effect.sync(() => account.running--)))

const makeTrouble = Effect.fnUntraced(function*(
  servers: ReadonlyArray<RealServer.RealServer>,
  done: { kills: number; freezes: number; drains: number }
) {
  const server = servers[yield* Random.nextBetween(0, servers.length).pipe(Effect.map(Math.floor))]!
  const what = yield* Random.next
  const pause = Effect.flatMap(Random.nextBetween(20, 600), Effect.sleep)
  if (what < 0.8) {
    yield* server.kill
    yield* pause
    yield* server.restart
    done.kills++
  } else if (what < 0.9) {
    yield* server.stop
    yield* Effect.sleep(3000)
    yield* server.cont
    done.freezes++
  } else {
    yield* server.signal("SIGUSR1")
    yield* pause
    yield* server.restart
    done.drains++
  }
  yield* Effect.sleep(50)
})

const isEmptied = Effect.map(
  Effect.result(Effect.flatMap(Fleet.Fleet, (fleet) => fleet.statsTube(Jobs.name))),
  (result) => {
    if (result._tag === "Failure") return result.failure._tag === "NotFound"
    const { currentJobsDelayed, currentJobsReady, currentJobsReserved, unreachable } = result.success
    return currentJobsReady + currentJobsReserved + currentJobsDelayed === 0 && unreachable.length === 0
  }
)

/** Runs once. */
export const run = (options: Options): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const { ambiguous, seconds, seed } = options
    const kept = yield* startServers(options.servers)
    const servers = kept.map(({ server }) => server)
    const account = new Account()
    const done = { kills: 0, freezes: 0, drains: 0 }
    const urls = servers.map(({ port }) => `beanstalk://127.0.0.1:${port}`)
    const fleet = yield* Fleet.make({ servers: urls, ambiguous })
    yield* Effect.gen(function*() {
      let mustEnd = false
      const producers = Array.from({ length: PRODUCERS }, () => produce(account, () => mustEnd))
      const producing = yield* Effect.forkScoped(Effect.all(producers, { concurrency: "unbounded", discard: true }))
      yield* Effect.forkScoped(
        // Each kill of a server looks like a crash to the guard, and takes a job's handler along.
        Worker.run(Jobs, handle(account), { concurrency: CONCURRENCY, maxAttempts: 1000, maxCrashes: 1000 })
      )
      const until = performance.now() + seconds * 1000
      const troubles = Array.from({ length: TROUBLES }, (_, t) =>
        Effect.repeat(
          makeTrouble(servers.filter((_, i) => i % TROUBLES === t), done),
          {
            until: () => performance.now() > until
          }
        ).pipe(Random.withSeed(`${seed}/${t}`)))
      yield* Effect.all(troubles, { concurrency: "unbounded", discard: true })
      mustEnd = true
      yield* Effect.timeoutOrElse(Effect.asVoid(Fiber.await(producing)), {
        duration: LONGEST_PUT_MILLIS * 2,
        orElse: () => Effect.sync(() => void account.violations.push("a put is hung"))
      })
      yield* Effect.repeat(isEmptied, {
        until: (isEmptied) => isEmptied,
        schedule: Schedule.spaced("100 millis")
      }).pipe(
        Effect.timeoutOrElse({
          duration: "60 seconds",
          orElse: () => Effect.sync(() => void account.violations.push("jobs are left after 60 seconds"))
        })
      )
    }).pipe(
      Effect.provideService(Fleet.Fleet, fleet),
      Effect.provideService(Client.Beanstalkd, fleet),
      Effect.scoped
    )
    const binlogs = kept.map(({ binlog }) => binlog())
    const lost = account.lost()
    const byServer = lost.filter((name) => binlogs.some(({ wasLost }) => wasLost(numberIn(name)!)))
    for (const name of lost) {
      if (!byServer.includes(name)) account.violations.push(`lost: ${name} was acknowledged`)
    }
    return reportOf(options, account, { ...done, lostByServer: byServer.length })
  }).pipe(Effect.scoped, Effect.orDie, Effect.provideService(References.MinimumLogLevel, "Error"))

const reportOf = (
  options: Options,
  account: Account,
  done: Pick<Report, "kills" | "freezes" | "drains" | "lostByServer">
): Report => {
  const { acknowledged, ambiguous, handled, longestPutMillis, mostRunning, refused, violations } = account
  const doneOf = (names: ReadonlySet<string>) => [...names].filter((name) => handled.has(name))
  for (const name of doneOf(refused)) violations.push(`refused but done: ${name}`)
  if (mostRunning > CONCURRENCY) violations.push(`${mostRunning} handlers ran at a time, of ${CONCURRENCY}`)
  if (longestPutMillis > LONGEST_PUT_MILLIS) violations.push(`hung: a put took ${Math.round(longestPutMillis)} ms`)
  return {
    ...options,
    ...done,
    acknowledged: acknowledged.size,
    ambiguousPuts: ambiguous.size,
    ambiguousDone: doneOf(ambiguous).length,
    refused: refused.size,
    handledTwice: [...handled.values()].filter((times) => times > 1).length,
    longestPutMillis: Math.round(longestPutMillis),
    mostRunning,
    violations
  }
}
