/**
 * A store whose clock the test sets, connections that write down what the store tells them, and everything that clients can
 * do to a store, for sequences of it at random.
 */
import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Reserver, StoredJob, StoredTube } from "../../src/internal/server/entities.ts"
import type { Journal } from "../../src/internal/server/journal.ts"
import { Store } from "../../src/internal/server/store.ts"

/** A store whose clock stands until the test sets it forward. */
export class TimedStore extends Store {
  readonly #clock: { millis: number }

  constructor(journal?: Journal) {
    const clock = { millis: 0 }
    super(() => clock.millis, undefined, journal)
    this.#clock = clock
  }

  /** Lets so many milliseconds pass, in one step. */
  pass(millis: number): void {
    this.#clock.millis += millis
    this.setNow()
    this.runTimers()
  }
}

/** A connection, and what the store has told it. */
export interface Someone {
  readonly reserver: Reserver
  readonly told: Array<string>
  used: StoredTube
}

export const join = (store: Store, told: Array<string> = []): Someone => {
  const reserver = store.join({
    onReserved: ({ id }) => told.push(`RESERVED ${id}`),
    onDeadlineSoon: () => told.push("DEADLINE_SOON"),
    onTimedOut: () => told.push("TIMED_OUT")
  })
  return { reserver, told, used: store.tubes.use(store.tubes.default) }
}

export const leave = (store: Store, { reserver, used }: Someone): void => {
  store.leave(reserver)
  store.tubes.unuse(used)
}

export const put = (store: Store, { used }: Someone, { delay = 0, pri = 1024, ttr = 60 } = {}): StoredJob => {
  const id = store.nextId()
  store.put(id, used, "body", pri, delay, ttr)
  return store.jobs.get(id)!
}

export const use = (store: Store, someone: Someone, name: string): void => {
  const before = someone.used
  someone.used = store.tubes.use(store.tubes.findOrMake(name)!)
  store.tubes.unuse(before)
}

/** All jobs, by id: here every id that is given out becomes one. */
export const jobsOf = (store: Store): ReadonlyArray<StoredJob> =>
  Array.from({ length: store.totalJobs }, (_, i) => store.jobs.get(i + 1)).filter((job) => job !== undefined)

export const FOREVER = Infinity

export const compareUrgency = (a: StoredJob, b: StoredJob): number => a.pri - b.pri || a.id - b.id

// ---------------------------------------------------------------------------------------------------------------------
// At random
// ---------------------------------------------------------------------------------------------------------------------

const oneOf = <const Names extends ReadonlyArray<string>>(names: Names) => Arbitrary.schema(Schema.Literals(names))

const upTo = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

export const AnyStep = Arbitrary.all({
  action: oneOf([
    // An action is as likely as it is often here.
    "put",
    "put",
    "put",
    "put-buried",
    "wait",
    "wait",
    "pass",
    "pass",
    "release",
    "bury",
    "touch",
    "delete",
    "kick",
    "kick-job",
    "reserve-job",
    "use",
    "watch",
    "ignore",
    "pause",
    "stop-waiting",
    "join",
    "leave"
  ]),
  who: upTo(99),
  which: upTo(99),
  tube: oneOf(["default", "a", "b"]),
  pri: Arbitrary.schema(Schema.Literals([0, 1, 1023, 1024, 4_294_967_295])),
  seconds: Arbitrary.schema(Schema.Literals([0, 0, 1, 2, 5])),
  millis: Arbitrary.schema(Schema.Literals([0, 1, 500, 999, 1_000, 1_500, 3_000, 10_000]))
})

export type Step = typeof AnyStep extends Arbitrary.Arbitrary<infer A> ? A : never

/** Does a step, as far as the connections may, and checks what the store answers. */
export const run = (store: TimedStore, everyone: Array<Someone>, step: Step): void => {
  const someone = everyone[step.who % everyone.length]!
  const { reserver } = someone
  const jobs = jobsOf(store)
  const job = jobs[step.which % Math.max(1, jobs.length)]
  const held = jobs.filter(({ holder }) => holder === reserver)
  const mine = held[step.which % Math.max(1, held.length)]
  const isFreeOrMine = job?.holder === undefined || job.holder === reserver
  switch (step.action) {
    case "join":
      if (everyone.length < 5) everyone.push(join(store))
      return
    case "leave":
      if (everyone.length > 1) leave(store, everyone.splice(everyone.indexOf(someone), 1)[0]!)
      return
    case "stop-waiting":
      return store.stopWaiting(reserver)
    case "pass":
      return store.pass(step.millis)
  }
  // A connection that waits executes no command.
  if (reserver.isWaiting) return
  const tube = store.tubes.get(step.tube)
  switch (step.action) {
    case "put":
      put(store, someone, { pri: step.pri, delay: step.seconds, ttr: Math.max(1, step.which % 5) })
      return
    case "put-buried":
      return store.putBuried(store.nextId(), someone.used, "body", step.pri, step.seconds, 60)
    case "wait": {
      const open = [...reserver.watched].filter(({ isPaused }) => !isPaused)
      const best =
        jobs.filter(({ state, tube }) => state === "ready" && open.includes(tube)).toSorted(compareUrgency)[0]
      store.wait(reserver, step.millis === 10_000 ? FOREVER : step.millis)
      if (best !== undefined) assert.strictEqual(someone.told.at(-1), `RESERVED ${best.id}`)
      return
    }
    case "release":
      return mine && store.release(mine, step.pri, step.seconds)
    case "bury":
      return mine && store.bury(mine, step.pri)
    case "touch":
      return mine && store.touch(mine)
    case "delete":
      if (job === undefined) return
      assert.strictEqual(store.delete(job.id, reserver), isFreeOrMine)
      return
    case "kick": {
      const { buried, delayed } = someone.used
      const kickable = buried.size > 0 ? buried.size : delayed.size
      assert.strictEqual(store.kick(someone.used, step.which), Math.min(step.which, kickable))
      return
    }
    case "kick-job":
      store.kickJob(job)
      return
    case "reserve-job":
      store.reserveJob(job, reserver)
      return
    case "use":
      return use(store, someone, step.tube)
    case "watch":
      return void store.tubes.watch(reserver, step.tube)
    case "ignore":
      if (tube !== undefined && reserver.watched.size > 1) store.tubes.ignore(reserver, tube)
      return
    case "pause":
      return tube && store.pause(tube, step.seconds)
  }
}
