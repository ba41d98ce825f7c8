/**
 * A directory goes from the real server to ours and back, with a random workload at each, and all are killed. After each kill
 * both are started on copies, and must have the same jobs.
 */
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import * as RealServer from "../../support/RealServer.ts"
import { tempDir } from "../../support/TempDir.ts"
import { idIn, type Peer, type Place } from "./Peer.ts"
import { connect, keep, onOurs, onReal, startOurs } from "./Servers.ts"
import { type Compare, differences, isSame, isSameAfterRestart, type Snapshot, take, withoutStart } from "./Snapshot.ts"
import { Workload } from "./Workload.ts"

/** What was done and compared. */
export interface Totals {
  phases: number
  /** Jobs that were compared between the two servers after a kill. */
  jobs: number
  /** Jobs that were compared between ours before and after a kill. */
  restarted: number
  filesRead: number
  movedByReal: number
  movedByOurs: number
  readonly violations: Array<string>
}

export const makeTotals = (): Totals => ({
  phases: 0,
  jobs: 0,
  restarted: 0,
  filesRead: 0,
  movedByReal: 0,
  movedByOurs: 0,
  violations: []
})

const FILE_SIZE = 16_384

type Phase = { readonly server: "real" | "ours"; readonly sync: string }

const phasesOf = (dice: Dice): ReadonlyArray<Phase> => {
  const real = (): Phase => ({ server: "real", sync: dice.one(["-f0", "-F"]) })
  const ours = (): Phase => ({ server: "ours", sync: dice.one(["-f0", "-F", "-f50"]) })
  return [real(), real(), ours(), ours(), real(), ours(), real(), ours()]
}

/** What a phase leaves: the jobs that the server had when it was killed. */
interface Left {
  readonly lastId: number
  readonly jobs: Snapshot
  readonly moved: number
}

/** What a phase begins with. */
interface Begun {
  readonly directory: string
  readonly seed: number
  readonly commands: number
  readonly before: Left
}

const movedBy = async (peer: Peer) => Number((await peer.stats("stats"))!["binlog-records-migrated"])

const work = (place: Place, peer: Peer, { before, commands, seed }: Begun) =>
  Effect.promise(async (): Promise<Left> => {
    const beginning = { ids: before.jobs.keys(), lastId: before.lastId }
    const workload = await Workload.connect(new Dice(seed), place, beginning)
    await workload.run(commands)
    const jobs = await take(peer, workload.lastId)
    return { lastId: workload.lastId, jobs, moved: await movedBy(peer) }
  })

/** One server works on the directory, and is killed. */
const runPhase = ({ server, sync }: Phase, begun: Begun) =>
  Effect.gen(function*() {
    const { directory } = begun
    const args = ["-s", String(FILE_SIZE), sync]
    if (server === "real") {
      const real = yield* RealServer.make({ binlogDir: directory, args })
      const place = { port: real.port }
      const left = yield* work(place, yield* connect(place), begun)
      yield* real.kill
      return left
    }
    const ours = yield* startOurs({ directory, args })
    if (!(yield* ours.listens)) return yield* Effect.die(new Error(`ours does not start: ${ours.stderr()}`))
    const left = yield* work(ours.place, yield* connect(ours.place), begun)
    yield* ours.kill
    if (ours.stderr() !== "") return yield* Effect.die(new Error(`ours says: ${ours.stderr()}`))
    return left
  }).pipe(Effect.scoped)

/** What a server has after a restart, and the id of its next job. */
const restarted = (start: typeof onReal | typeof onOurs, directory: string, lastId: number) =>
  Effect.gen(function*() {
    const peer = yield* start(directory, FILE_SIZE)
    const jobs = yield* Effect.promise(() => take(peer, lastId + 5))
    const moved = yield* Effect.promise(() => movedBy(peer))
    const nextId = idIn(yield* Effect.promise(() => peer.put("next", 0, 0, 100)))
    return { jobs, moved, nextId }
  }).pipe(Effect.scoped)

/** Both servers are started on what a phase has left. */
const compare = Effect.fnUntraced(
  function*(where: string, phase: Phase, directory: string, left: Left, totals: Totals) {
    const real = yield* restarted(onReal, directory, left.lastId)
    const ours = yield* restarted(onOurs, directory, left.lastId)
    const note = (what: string, a: Snapshot, b: Snapshot, how: Compare) => {
      for (const difference of differences(a, b, how)) totals.violations.push(`${where}: ${what}: ${difference}`)
    }
    // Ours may compact the files as it starts.
    const isSameJob: Compare = (field, a, b) => (field === "file" && ours.moved > 0) || isSame(field, a, b)
    note("ours, the real one", ours.jobs, withoutStart(real.jobs), isSameJob)
    totals.phases++
    totals.jobs += ours.jobs.size
    totals.filesRead += readdirSync(directory).filter((name) => name.startsWith("binlog.")).length
    if (phase.server === "real") {
      totals.movedByReal += left.moved
      return
    }
    totals.movedByOurs += left.moved
    totals.restarted += left.jobs.size
    note("ours before the kill, after it", left.jobs, ours.jobs, isSameAfterRestart)
    // The real server counts from 1 again when all jobs are gone.
    if (ours.nextId !== left.lastId + 1) totals.violations.push(`${where}: the next id is ${ours.nextId}`)
  }
)

/** Runs one workload. */
export const run = (seed: number, commands: number, totals: Totals): Effect.Effect<void> =>
  Effect.gen(function*() {
    const directory = yield* tempDir
    const dice = new Dice(seed)
    let left: Left = { lastId: 0, jobs: new Map(), moved: 0 }
    for (const [i, phase] of phasesOf(dice).entries()) {
      left = yield* runPhase(phase, { directory, seed: seedOf(seed, i), commands, before: left })
      const before = totals.violations.length
      yield* compare(`seed ${seed}, phase ${i} (${phase.server} ${phase.sync})`, phase, directory, left, totals)
      if (totals.violations.length > before) totals.violations.push(`seed ${seed}: the files are in ${keep(directory)}`)
    }
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => Effect.sync(() => void totals.violations.push(`seed ${seed}: ${String(cause)}`)))
  )
