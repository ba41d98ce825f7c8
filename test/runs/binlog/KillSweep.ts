/**
 * Our server is killed at one of its calls to the file system, again and again, while jobs are put, changed and deleted. After
 * each kill, ours and the real server start on what is there, and must have what was acknowledged.
 */
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import { tempDir } from "../../support/TempDir.ts"
import { Account, type FoundJob, type Wrong } from "./Account.ts"
import { Pipeline } from "./Pipeline.ts"
import { filesOf, imageOf, Restarts } from "./Recover.ts"
import { connect, keep, onReal, startOurs } from "./Servers.ts"
import { take } from "./Snapshot.ts"

/** What was killed, and what was found. */
export interface Totals {
  points: number
  /** Kills before the server listened. */
  atStart: number
  /** Kills by the call at which they came; those within a write are apart. */
  readonly calls: Map<string, number>
  acknowledgedJobs: number
  toldTorn: number
  readonly ours: Record<Wrong, number>
  /** By the real server on the same files. */
  readonly real: Record<Wrong, number>
  /** The same, of files with a torn record. */
  readonly realTorn: Record<Wrong, number>
  millis: number
  readonly violations: Array<string>
}

const none = (): Record<Wrong, number> => ({ lost: 0, changed: 0, undone: 0, phantom: 0 })

export const makeTotals = (): Totals => ({
  points: 0,
  atStart: 0,
  calls: new Map(),
  acknowledgedJobs: 0,
  toldTorn: 0,
  ours: none(),
  real: none(),
  realTorn: none(),
  millis: 0,
  violations: []
})

const FILE_SIZE = 5000

/** Most directories are synced before each reply. A kill takes nothing from the others either. */
const SYNCS = ["-f0", "-f0", "-f50", "-f0", "-f0", "-F"]

/** A server is killed so often on one directory. */
const KILLS_PER_DIRECTORY = 8

/** It is killed at one of so many calls. */
const MOST_CALLS = 250

// No factor of the number of calls, so that a short sweep meets all parts of a session.
const STRIDE = 97

// By then it has been killed for sure.
const MOST_BATCHES = 2000

// A long run shows that it goes on.
const TOLD_EVERY = 100

const preload = join(import.meta.dirname, "KillAt.ts")

/** A directory from kill to kill. */
interface Place {
  readonly directory: string
  readonly account: Account
  readonly lane: string
  readonly sync: string
  /** Whether the last record may be torn. */
  mayBeTorn: boolean
}

/** Runs our server until it is killed, and gives what its preloaded module says of that. */
const untilKilled = (point: number, seed: number, place: Place, totals: Totals) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const { account, directory, sync } = place
    const env = {
      KILL_AT: String(1 + (point * STRIDE) % MOST_CALLS),
      KILL_PART: String(dice.one([0, 1, dice.next(), dice.next()])),
      KILL_DIRECTORY: directory
    }
    const ours = yield* startOurs({
      directory,
      args: [sync, "-s", String(FILE_SIZE)],
      preload: { module: preload, env }
    })
    if (yield* ours.listens) {
      place.mayBeTorn = false
      const peer = yield* connect(ours.place)
      yield* Effect.promise(() => new Pipeline(peer, account, dice).run(MOST_BATCHES))
    } else {
      totals.atStart++
    }
    const signal = yield* ours.ended
    const killed = /^KILLED (\w+)-(\S+) (\d+) (\d+)$/m.exec(ours.stderr())
    if (signal !== "SIGKILL" || killed === null) {
      return yield* Effect.die(new Error(`it was not killed as planned (${signal}): ${ours.stderr()}`))
    }
    const [, call, name, done, of] = killed as unknown as [string, string, string, string, string]
    const isWithin = done !== "0" && done !== of
    const what = `${name === "directory" ? `${call} of the directory` : call}${isWithin ? ", within" : ""}`
    totals.calls.set(what, (totals.calls.get(what) ?? 0) + 1)
    if (isWithin) place.mayBeTorn = true
    return `${call} ${name} after ${done} of ${of}`
  }).pipe(Effect.scoped)

/** Takes down what is wrong. */
type Note = (violation: string) => void

/** Ours starts twice on what is there, in this process. */
const judgeOurs = (note: Note, { account, directory }: Place, totals: Totals): ReadonlyArray<FoundJob> => {
  const restarts = new Restarts(imageOf(filesOf(directory)))
  const first = restarts.start({ fileSize: FILE_SIZE })
  if (first._tag === "Refused") {
    note(`ours does not start: ${first.why}`)
    return []
  }
  if (first.told.length > 0) totals.toldTorn++
  for (const line of first.told) if (!line.includes("never acknowledged")) note(`ours says: ${line}`)
  for (const [wrong, id, body] of account.judge(first.jobs)) {
    totals.ours[wrong]++
    note(`ours: ${wrong}: job ${id} ${JSON.stringify(body)}`)
  }
  if (first.nextId <= account.lastId) note(`ours gives id ${first.nextId} again`)
  const second = restarts.start({ fileSize: FILE_SIZE })
  const isSame = second._tag === "Started" && JSON.stringify(second.jobs) === JSON.stringify(first.jobs)
  if (!isSame) note("ours has other jobs after the next start")
  if (second._tag === "Started" && second.told.length > 0) note(`ours says at the next start: ${second.told[0]}`)
  return first.jobs
}

/** The real server starts on a copy. */
const judgeReal = (note: Note, { account, directory, mayBeTorn }: Place, totals: Totals) =>
  Effect.gen(function*() {
    const peer = yield* onReal(directory, FILE_SIZE)
    // One batch at most was not acknowledged.
    const found = yield* Effect.promise(() => take(peer, account.lastId + 10))
    const jobs = Array.from(found, ([id, job]): FoundJob => ({ id, ...job }))
    for (const [wrong, id, body] of account.judge(jobs)) {
      if (mayBeTorn) totals.realTorn[wrong]++
      else {
        totals.real[wrong]++
        note(`the real server: ${wrong}: job ${id} ${JSON.stringify(body)}`)
      }
    }
  }).pipe(Effect.scoped)

const killOnce = Effect.fnUntraced(function*(point: number, seed: number, place: Place, totals: Totals) {
  const { account, directory, lane } = place
  const violations: Array<string> = []
  const note = (violation: string) => void violations.push(violation)
  const startedAt = performance.now()
  const how = yield* untilKilled(point, seed, place, totals)
  const where = `point ${point} (${lane}, ${how})`
  totals.points++
  totals.acknowledgedJobs += account.living.length
  const jobs = judgeOurs(note, place, totals)
  yield* judgeReal(note, place, totals)
  account.settle(jobs)
  totals.millis += performance.now() - startedAt
  if (totals.points % TOLD_EVERY === 0) console.error(`${totals.points} points`)
  if (violations.length > 0) note(`the files are in ${keep(directory)}`)
  totals.violations.push(...violations.map((violation) => `${where}: ${violation}`))
})

/** Some kills on one directory. */
const sweepDirectory = (
  seed: number,
  sync: string,
  points: ReadonlyArray<number>,
  totals: Totals
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const lane = `points ${points[0]} to ${points.at(-1)}, ${sync}`
    const place = { directory: yield* tempDir, account: new Account(), lane, sync, mayBeTorn: false }
    for (const point of points) yield* killOnce(point, seedOf(seed, point), place, totals)
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => Effect.sync(() => void totals.violations.push(`point ${points[0]}: ${String(cause)}`)))
  )

/** Kills our server so often, on as many directories at a time as there are lanes. */
export const run = (seed: number, kills: number, lanes: number, totals: Totals): Effect.Effect<void> => {
  const points = Array.from({ length: kills }, (_, point) => point)
  const directories = Array.from(
    { length: Math.ceil(kills / KILLS_PER_DIRECTORY) },
    (_, i) => points.slice(i * KILLS_PER_DIRECTORY, (i + 1) * KILLS_PER_DIRECTORY)
  )
  return Effect.forEach(directories, (some, i) => sweepDirectory(seed, SYNCS[i % SYNCS.length]!, some, totals), {
    concurrency: lanes,
    discard: true
  })
}
