/**
 * A journal that hears of everything that is durable, and of it before any client does: from it alone, another store can be
 * brought to the same jobs.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import type { StoredJob } from "../../src/internal/server/entities.ts"
import type { Journal } from "../../src/internal/server/journal.ts"
import { Store } from "../../src/internal/server/store.ts"
import { AnyStep, FOREVER, jobsOf, join, leave, put, run, TimedStore, use } from "./StoreSteps.ts"

type Kind = Extract<keyof Journal, "put" | "state" | "deleted">

/** A record as a binlog could write it: a copy of the job at that moment. */
interface Entry {
  readonly kind: Kind
  readonly at: number
  readonly id: number
  readonly tube: string
  readonly body: string
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  readonly state: StoredJob["state"]
  readonly deadline: number
  readonly counts: readonly [releases: number, buries: number, kicks: number]
}

const copy = (
  { body, buries, deadline, delay, id, kicks, pri, releases, state, ttr, tube }: StoredJob
) => ({
  id,
  tube: tube.name,
  body: String(body),
  pri,
  delay,
  ttr,
  state,
  deadline,
  counts: [releases, buries, kicks] as const
})

/** A store, and a journal that keeps all entries; `log` has them in words, among what the store tells its connections. */
const recorded = () => {
  const entries: Array<Entry> = []
  const log: Array<string> = []
  const record = (kind: Kind) => (job: StoredJob) => {
    entries.push({ kind, at: store.now, ...copy(job) })
    log.push(`${kind} ${job.id}${kind === "state" ? ` ${job.state}` : ""}`)
  }
  const store: TimedStore = new TimedStore({
    hasRoomForPut: () => true,
    hasRoomForChange: () => true,
    put: record("put"),
    state: record("state"),
    deleted: record("deleted")
  })
  return { entries, log, store }
}

/** A store that knows nothing but the entries. Its own timers never run. */
class Replay {
  #now = 0
  readonly counts = new Map<number, Entry["counts"]>()
  readonly store = new Store(() => this.#now)
  readonly #me = join(this.store)

  apply(entry: Entry): void {
    this.#apply(entry)
    this.counts.set(entry.id, entry.counts)
    if (entry.state === "delayed") {
      assert.strictEqual(this.store.jobs.get(entry.id)?.deadline ?? entry.deadline, entry.deadline)
    }
  }

  #apply({ at, body, delay, id, kind, pri, state, ttr, tube }: Entry): void {
    const { store } = this
    const { reserver } = this.#me
    this.#now = at
    store.setNow()
    if (kind === "put") {
      use(store, this.#me, tube)
      if (state === "buried") store.putBuried(id, this.#me.used, body, pri, delay, ttr)
      else store.put(id, this.#me.used, body, pri, delay, ttr)
      return
    }
    if (kind === "deleted") {
      assert.isTrue(store.delete(id, reserver))
      return
    }
    const job = store.jobs.get(id)
    assert.isTrue(store.reserveJob(job, reserver))
    if (state === "buried") return store.bury(job!, pri)
    store.release(job!, pri, delay)
    // A job that was kicked keeps the delay that it had. One that is reserved would be ready after a restart.
    if (state !== "delayed") store.kickJob(job)
  }
}

/** The jobs as they would be after a restart, and the order in which buried ones would be kicked. */
const durable = (store: Store) => {
  const jobs = jobsOf(store).map((job) => {
    const { counts: _, deadline, state, ...rest } = copy(job)
    return { ...rest, state: state === "reserved" ? "ready" : state, deadline: state === "delayed" ? deadline : 0 }
  })
  const buried = Array.from(store.tubes.values(), ({ buried, name }) => {
    const ids: Array<number> = []
    for (let job = buried.head; job !== undefined; job = job.next) ids.push(job.id)
    return { name, ids }
  }).filter(({ ids }) => ids.length > 0)
  return { jobs, buried: buried.toSorted((a, b) => a.name.localeCompare(b.name)) }
}

describe("a journal", () => {
  it.prop("is all that another store needs to have the same jobs, after every step", [
    Arbitrary.array(AnyStep, { maxLength: 120 })
  ], ([steps]) => {
    const { entries, store } = recorded()
    const replay = new Replay()
    const everyone = [join(store), join(store), join(store)]
    for (const step of steps) {
      run(store, everyone, step)
      for (const entry of entries.splice(0)) replay.apply(entry)
      assert.deepStrictEqual(durable(replay.store), durable(store))
      for (const job of jobsOf(store)) assert.deepStrictEqual(replay.counts.get(job.id), copy(job).counts)
    }
  }, { arbitrary: { runs: 150, size: 120 } })

  it("hears of a job, with its state, before the connection that waits for it", () => {
    const { entries, log, store } = recorded()
    const [producer, waiting] = [join(store), join(store, log)]
    store.wait(waiting.reserver, FOREVER)
    put(store, producer)
    assert.deepStrictEqual(log, ["put 1", "RESERVED 1"])
    put(store, producer, { delay: 10 })
    assert.deepInclude(entries.at(-1), { kind: "put", state: "delayed", delay: 10, deadline: 10_000 })
  })

  it.each<
    readonly [what: string, happens: (store: TimedStore, holder: ReturnType<typeof join>, job: StoredJob) => void]
  >([
    ["is released", (store, _, job) => store.release(job, 5, 0)],
    ["is kicked", (store, _, job) => {
      store.bury(job, 5)
      store.kick(store.tubes.default, 1)
    }],
    ["has matured", (store, _, job) => {
      store.release(job, 5, 1)
      store.pass(1_000)
    }],
    ["has run out of its time", (store) => store.pass(60_000)],
    ["is left by its holder", (store, holder) => leave(store, holder)]
  ])("hears that a job is ready since it %s before the connection that waits for it", (_, happens) => {
    const { log, store } = recorded()
    const [holder, waiting] = [join(store), join(store, log)]
    const job = put(store, holder)
    store.wait(holder.reserver, 0)
    store.wait(waiting.reserver, FOREVER)
    happens(store, holder, job)
    assert.deepStrictEqual(log.slice(-2), ["state 1 ready", "RESERVED 1"])
  })

  it("hears nothing of what no restart would find", () => {
    const { log, store } = recorded()
    const me = join(store)
    const job = put(store, me)
    store.wait(me.reserver, 0)
    store.touch(job)
    store.tubes.watch(me.reserver, "a")
    store.pause(store.tubes.default, 10)
    store.pass(10_000)
    assert.deepStrictEqual(log, ["put 1"])
  })

  it("hears that a buried or delayed job is reserved by its id, since a restart must not bury or delay it again", () => {
    const { log, store } = recorded()
    const me = join(store)
    const [buried, delayed] = [put(store, me), put(store, me, { delay: 10 })]
    store.reserveJob(buried, me.reserver)
    store.bury(buried, 5)
    for (const job of [buried, delayed]) store.reserveJob(job, me.reserver)
    assert.deepStrictEqual(log, ["put 1", "put 2", "state 1 buried", "state 1 reserved", "state 2 reserved"])
  })

  it("hears of a job that is deleted while it still says what it was", () => {
    const { entries, store } = recorded()
    const me = join(store)
    put(store, me, { pri: 7, ttr: 9 })
    store.delete(1, me.reserver)
    assert.deepInclude(entries.at(-1), { kind: "deleted", id: 1, tube: "default", body: "body", pri: 7, ttr: 9 })
  })
})
