/**
 * One chaos run: producers, workers and an administrator on a real server with a binlog, while everything goes wrong. Then
 * the network is sound again, and every job has to be somewhere.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { join } from "node:path"
import * as Client from "../../../src/Client.ts"
import * as FaultProxy from "../../support/FaultProxy.ts"
import { eventually } from "../../support/Eventually.ts"
import * as RealServer from "../../support/RealServer.ts"
import { tempDir } from "../../support/TempDir.ts"
import * as Binlog from "./Binlog.ts"
import { type Account, Accounts, type Outcome } from "./Accounts.ts"
import * as Producers from "./Producers.ts"
import * as Remains from "./Remains.ts"
import * as Trouble from "./Trouble.ts"
import { WORK } from "./Work.ts"
import * as Workers from "./Workers.ts"

export interface Report {
  readonly seed: number
  readonly puts: Record<Outcome, number>
  readonly account: Account
  readonly torn: number
  readonly trouble: Partial<Record<Trouble.Action, number>>
  /** How often the server was killed, which is also how a drain ends. */
  readonly kills: number
  readonly connections: number
  readonly violations: ReadonlyArray<string>
}

const PRODUCERS = 48
const BULK_PRODUCERS = 2
const ADMINS = 4
const WORKERS = 3

// More than a command, or the reserve that the administrators make, may take.
const ENDS_WITHIN = "15 seconds"

const KILLING = ["server killed", "server away", "server drained"] as const

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

/** Complains of what nobody catches. */
const watchProcess = (complain: (what: string) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const escaped = (error: unknown) => complain(`nobody has caught ${String(error)}`)
      process.on("unhandledRejection", escaped).on("uncaughtException", escaped)
      return escaped
    }),
    (escaped) => Effect.sync(() => process.off("unhandledRejection", escaped).off("uncaughtException", escaped))
  )

const isDrained = Effect.fnUntraced(function*({ raw }: RealServer.RealServer) {
  const stats = yield* raw(`stats-tube ${WORK}`)
  for (const state of ["ready", "reserved", "delayed"]) {
    const count = Number(new RegExp(`current-jobs-${state}: (\\d+)`).exec(stats)?.[1] ?? 0)
    if (count > 0) return yield* Effect.die(new Error(`${count} jobs are still ${state}`))
  }
})

export const run = Effect.fnUntraced(function*(seed: number, seconds: number) {
  const violations: Array<string> = []
  const complain = (what: string): void => void violations.push(what)
  const accounts = new Accounts()
  let isOver = false

  yield* watchProcess(complain)
  const dir = yield* tempDir
  const server = yield* RealServer.make({ binlogDir: dir, args: ["-f0"] })
  const binlog = yield* Binlog.keep(dir)
  const proxy = yield* FaultProxy.make(server)
  const beanstalkd = yield* Client.make({ port: proxy.port, commandTimeout: "1 second", connectTimeout: "2 seconds" })
  const workers = yield* Workers.make({ port: proxy.port, size: WORKERS, notes: join(dir, "notes"), complain })
  const setting: Producers.Setting = { beanstalkd, accounts, seed, isOver: () => isOver, complain }
  const fibers = yield* Effect.forEach([
    ...range(0, PRODUCERS).map((n) => Producers.producer(setting, n)),
    ...range(100, BULK_PRODUCERS).map((n) => Producers.bulkProducer(setting, n)),
    ...range(200, ADMINS).map((n) => Producers.admin(setting, n))
  ], (fiber) => Effect.forkChild(fiber))

  const trouble = yield* Trouble.make(seed, seconds * 1000, { server, proxy, workers })
  isOver = true
  yield* Effect.forEach(fibers, (fiber) =>
    Effect.timeoutOrElse(Fiber.join(fiber), {
      duration: ENDS_WITHIN,
      orElse: () => Effect.sync(() => complain("hung: a fiber has not ended"))
    }), { concurrency: "unbounded", discard: true })
  yield* server.raw(`pause-tube ${WORK} 0`)
  yield* Effect.catchCause(
    eventually(isDrained(server), { within: "60 seconds", every: "50 millis" }),
    (cause) => Effect.sync(() => complain(`not drained: ${String(cause)}`))
  )
  yield* workers.stop

  const remains = yield* Remains.ofServer(server)
  const account = accounts.balance(remains.jobs, workers.handled(), binlog(), complain)
  const report: Report = {
    seed,
    puts: {
      acknowledged: accounts.count("acknowledged"),
      unsent: accounts.count("unsent"),
      refused: accounts.count("refused"),
      unknown: accounts.count("unknown")
    },
    account,
    torn: remains.torn,
    trouble,
    kills: KILLING.reduce((sum, action) => sum + (trouble[action] ?? 0), 0),
    connections: proxy.links.length,
    violations
  }
  return report
}, Effect.scoped)
