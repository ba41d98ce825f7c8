/**
 * A directory of ours as a kill leaves it, and which jobs there were after each reply: what must be had back of it.
 */
import * as Effect from "effect/Effect"
import type { SyncPolicy } from "../../../src/internal/binlog/policy.ts"
import * as Server from "../../../src/Server.ts"
import { Dice } from "../../conformance/Dice.ts"
import { tempDir } from "../../support/TempDir.ts"
import type { FoundJob } from "./Account.ts"
import type { Peer } from "./Peer.ts"
import { type Files, filesOf } from "./Recover.ts"
import { connect } from "./Servers.ts"
import { take } from "./Snapshot.ts"
import { Workload } from "./Workload.ts"

/** Three files or so, of some records each. */
export const FILE_SIZE = 1800

const COMMANDS = 60

const MAX_BODY = 400

/** What there was after a reply. */
export interface Moment {
  /** Where the last record ended then: the number of its file, and the place in it. */
  readonly file: number
  readonly end: number
  /** The number of the oldest file. */
  readonly oldest: number
  readonly jobs: string
}

/** A directory, and its past. */
export interface Recorded {
  readonly files: Files
  readonly moments: ReadonlyArray<Moment>
  /** All states that any job had after a reply. */
  readonly states: ReadonlySet<string>
}

const stateText = ({ body, delay, id, pri, state, ttr, tube }: FoundJob) =>
  JSON.stringify([id, tube, state, pri, delay, ttr, body])

/** Jobs as a text that is the same for the same jobs. */
export const textOf = (jobs: ReadonlyArray<FoundJob>): string =>
  jobs.toSorted((a, b) => a.id - b.id).map(stateText).join("\n")

/** The number in the name of a file. */
export const numberOf = (name: string): number => Number(name.slice("binlog.".length))

/** The files by their numbers, oldest first. */
export const inOrder = (files: Files): ReadonlyArray<string> =>
  [...files.keys()].toSorted((a, b) => numberOf(a) - numberOf(b))

/** Where the last byte is that is not 0. A file that has only its version and its first record has nothing yet. */
const lastPlace = (files: Files): Pick<Moment, "file" | "end"> => {
  for (const name of inOrder(files).toReversed()) {
    const end = files.get(name)!.findLastIndex((byte) => byte !== 0) + 1
    if (end > 4) return { file: numberOf(name), end }
  }
  return { file: 0, end: 0 }
}

const momentOf = async (peer: Peer, lastId: number, directory: string) => {
  const jobs = Array.from(await take(peer, lastId), ([id, job]): FoundJob => ({ id, ...job }))
  return { jobs, files: filesOf(directory) }
}

/** Records a session. */
export const record = (seed: number, sync: SyncPolicy): Effect.Effect<Recorded> =>
  Effect.gen(function*() {
    const directory = yield* tempDir
    const path = `${directory}/socket`
    yield* Server.make({ directory, path, sync, fileSize: FILE_SIZE })
    const peer = yield* connect({ path })
    return yield* Effect.promise(async () => {
      const workload = await Workload.connect(new Dice(seed), { path }, { ids: [], lastId: 0, maxBody: MAX_BODY })
      const moments: Array<Moment> = [{ file: 0, end: 0, oldest: 1, jobs: "" }]
      const states = new Set<string>()
      let files: Files = new Map()
      for (let i = 0; i < COMMANDS; i++) {
        await workload.run(1)
        const moment = await momentOf(peer, workload.lastId, directory)
        files = moment.files
        for (const job of moment.jobs) states.add(stateText(job))
        moments.push({ ...lastPlace(files), oldest: numberOf(inOrder(files)[0]!), jobs: textOf(moment.jobs) })
      }
      workload.close()
      return { files, moments, states }
    })
  }).pipe(Effect.scoped, Effect.orDie)
