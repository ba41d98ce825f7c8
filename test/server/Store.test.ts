/**
 * Jobs go from state to state as beanstalkd has it (beanstalkd-behaviour.md, 5 to 9), and whatever happens, what the
 * store knows without looking is what one finds who looks at every job.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import type { StoredJob, StoredTube } from "../../src/internal/server/entities.ts"
import { Store } from "../../src/internal/server/store.ts"
import {
  AnyStep,
  compareUrgency,
  FOREVER,
  jobsOf,
  join,
  leave,
  put,
  run,
  type Someone,
  TimedStore,
  use
} from "./StoreSteps.ts"

// ---------------------------------------------------------------------------------------------------------------------
// One who looks at everything
// ---------------------------------------------------------------------------------------------------------------------

const compareDeadlines = (a: StoredJob, b: StoredJob): number => a.deadline - b.deadline || a.id - b.id

const countsOf = (jobs: ReadonlyArray<StoredJob>) => {
  const inState = (state: StoredJob["state"]) => jobs.filter((job) => job.state === state).length
  return {
    ready: inState("ready"),
    reserved: inState("reserved"),
    delayed: inState("delayed"),
    buried: inState("buried"),
    urgent: jobs.filter(({ pri, state }) => state === "ready" && pri < 1024).length
  }
}

const nextDeadline = (store: Store, everyone: ReadonlyArray<Someone>): number => {
  const jobs = jobsOf(store)
  const delayed = jobs.filter(({ state }) => state === "delayed")
  return Math.min(
    ...delayed.map(({ deadline }) => deadline),
    ...[...store.tubes.values()].filter(({ isPaused }) => isPaused).map(({ resumes }) => resumes.at),
    ...everyone.map(({ reserver }) => reserver.timesOutAt),
    // Who waits is told a second before.
    ...jobs.map(({ deadline, holder }) => holder === undefined ? Infinity : deadline - (holder.isWaiting ? 1000 : 0))
  )
}

const isSoundTube = (tube: StoredTube, jobs: ReadonlyArray<StoredJob>, everyone: ReadonlyArray<Someone>): void => {
  const watching = everyone.filter(({ reserver }) => reserver.watched.has(tube))
  const waiting = watching.filter(({ reserver }) => reserver.isWaiting)
  const seen = {
    ready: tube.ready.size,
    reserved: tube.reserved,
    delayed: tube.delayed.size,
    buried: tube.buried.size,
    urgent: tube.urgent,
    using: tube.using,
    watching: tube.watching,
    waiting: tube.waiters.size
  }
  assert.deepStrictEqual(seen, {
    ...countsOf(jobs),
    using: everyone.filter(({ used }) => used === tube).length,
    watching: watching.length,
    waiting: waiting.length
  }, tube.name)
  const inState = (state: StoredJob["state"]) => jobs.filter((job) => job.state === state)
  assert.strictEqual(tube.ready.head, inState("ready").toSorted(compareUrgency)[0])
  assert.strictEqual(tube.delayed.head, inState("delayed").toSorted(compareDeadlines)[0])
  assert.isTrue(tube.isPaused || waiting.length === 0 || inState("ready").length === 0, `${tube.name} serves nobody`)
}

const isSound = (store: Store, everyone: ReadonlyArray<Someone>): void => {
  const jobs = jobsOf(store)
  const { buried, delayed, ready, reserved, urgent } = store
  assert.deepStrictEqual({ buried, delayed, ready, reserved, urgent }, countsOf(jobs))
  assert.strictEqual(store.waiting, everyone.filter(({ reserver }) => reserver.isWaiting).length)
  const needed = new Set([
    store.tubes.default,
    ...jobs.map(({ tube }) => tube),
    ...everyone.flatMap(({ reserver, used }) => [used, ...reserver.watched])
  ])
  assert.sameMembers([...store.tubes.values()], [...needed])
  for (const tube of store.tubes.values()) {
    assert.strictEqual(store.tubes.get(tube.name), tube)
    isSoundTube(tube, jobs.filter((job) => job.tube === tube), everyone)
  }
  for (const { reserver } of everyone) {
    const held = jobs.filter(({ holder }) => holder === reserver)
    assert.deepStrictEqual([reserver.held.size, reserver.deadlines.size], [held.length, held.length])
    assert.strictEqual(reserver.deadlines.head, held.toSorted(compareDeadlines)[0])
  }
  for (const job of jobs) {
    assert.strictEqual(job.state === "reserved", job.holder !== undefined)
    assert.strictEqual(job.state === "buried", job.index === -1)
  }
  assert.strictEqual(store.nextDeadline, nextDeadline(store, everyone))
}

// ---------------------------------------------------------------------------------------------------------------------
// Sentence by sentence
// ---------------------------------------------------------------------------------------------------------------------

describe("ready jobs", () => {
  it("are reserved by priority, and equals by id", () => {
    const store = new TimedStore()
    const me = join(store)
    for (const pri of [5, 1, 5, 0, 1]) put(store, me, { pri })
    for (let i = 0; i < 5; i++) store.wait(me.reserver, 0)
    assert.deepStrictEqual(me.told, [4, 2, 5, 1, 3].map((id) => `RESERVED ${id}`))
    isSound(store, [me])
  })

  it("regain their place by id when they are released, kicked, expired or left", () => {
    const store = new TimedStore()
    const [me, other] = [join(store), join(store)]
    const [released, kicked, expired, left] = [
      put(store, me),
      put(store, me),
      put(store, me, { ttr: 1 }),
      put(store, me)
    ]
    for (const job of [left, kicked, expired]) store.reserveJob(job, other.reserver)
    store.reserveJob(released, me.reserver)
    store.bury(kicked, kicked.pri)
    leave(store, other)
    store.reserveJob(expired, me.reserver)
    store.pass(1_000)
    store.release(released, released.pri, 0)
    store.kickJob(kicked)
    isSound(store, [me])
    for (let i = 0; i < 4; i++) store.wait(me.reserver, 0)
    assert.deepStrictEqual(me.told, [1, 2, 3, 4].map((id) => `RESERVED ${id}`))
    assert.deepStrictEqual([released.releases, kicked.kicks, expired.timeouts, left.reserves], [1, 1, 1, 2])
  })

  it("go to the one who has waited longest for any of the tubes", () => {
    const store = new TimedStore()
    const [producer, first, second] = [join(store), join(store), join(store)]
    store.tubes.watch(first.reserver, "a")
    store.wait(first.reserver, FOREVER)
    store.wait(second.reserver, FOREVER)
    put(store, producer)
    use(store, producer, "a")
    put(store, producer)
    assert.deepStrictEqual([first.told, second.told], [["RESERVED 1"], []])
    isSound(store, [producer, first, second])
  })

  it("of a paused tube go to nobody until the pause is over, and then the most urgent of all first", () => {
    const store = new TimedStore()
    const me = join(store)
    store.pause(store.tubes.default, 10)
    put(store, me, { pri: 2 })
    put(store, me, { pri: 1 })
    store.wait(me.reserver, FOREVER)
    store.pass(9_999)
    assert.deepStrictEqual([me.told, store.tubes.default.pause], [[], 10])
    store.pass(1)
    assert.deepStrictEqual([me.told, store.tubes.default.pause, store.tubes.default.pauses], [["RESERVED 2"], 0, 1])
  })
})

describe("a pause", () => {
  it("of no time ends the one before at once, and is one all the same", () => {
    const store = new TimedStore()
    const me = join(store)
    store.pause(store.tubes.default, 10)
    put(store, me)
    store.wait(me.reserver, FOREVER)
    store.pause(store.tubes.default, 0)
    assert.deepStrictEqual(me.told, ["RESERVED 1"])
    assert.deepInclude(store.tubes.default, { isPaused: false, pause: 0, pauses: 2 })
    isSound(store, [me])
  })
})

describe("a delayed job", () => {
  it("is ready when its delay is over, and not a millisecond before", () => {
    const store = new TimedStore()
    const me = join(store)
    const job = put(store, me, { delay: 86_400 })
    store.pass(86_399_999)
    assert.strictEqual(job.state, "delayed")
    store.pass(1)
    assert.strictEqual(job.state, "ready")
    isSound(store, [me])
  })

  it("is kicked earliest deadline first, if nothing is buried", () => {
    const store = new TimedStore()
    const me = join(store)
    const [late, early, buried] = [put(store, me, { delay: 20 }), put(store, me, { delay: 10 }), put(store, me)]
    store.reserveJob(buried, me.reserver)
    store.bury(buried, 0)
    assert.strictEqual(store.kick(store.tubes.default, 2), 1)
    assert.deepStrictEqual([buried.state, early.state], ["ready", "delayed"])
    assert.strictEqual(store.kick(store.tubes.default, 1), 1)
    assert.deepStrictEqual([early.state, late.state, early.delay], ["ready", "delayed", 10])
    assert.strictEqual(store.kick(store.tubes.default, 2 ** 32 - 1), 1)
    assert.strictEqual(store.kick(store.tubes.default, 2 ** 32 - 1), 0)
  })
})

describe("jobs that are delayed in one transaction", () => {
  it("are ready in the order in which they were delayed, however short the time between", () => {
    const clock = { now: 0 }
    const store = new Store(() => clock.now)
    const me = join(store)
    const [first, second] = [put(store, me), put(store, me)]
    for (let i = 0; i < 2; i++) store.wait(me.reserver, 0)
    for (const job of [second, first]) {
      clock.now += 1
      store.release(job, job.pri, 1)
    }
    assert.strictEqual(store.tubes.default.delayed.head, second)
    assert.deepStrictEqual([second.deadline, first.deadline], [1001, 1002])
  })
})

describe("buried jobs", () => {
  it("are kicked in the order in which they were buried, whatever their priority", () => {
    const store = new TimedStore()
    const me = join(store)
    const jobs = [put(store, me), put(store, me), put(store, me)] as const
    for (const job of jobs) store.reserveJob(job, me.reserver)
    for (const [at, pri] of [[1, 9], [2, 0], [0, 5]] as const) store.bury(jobs[at], pri)
    const kicked: Array<number> = []
    for (let i = 0; i < 3; i++) {
      kicked.push(store.tubes.default.buried.head!.id)
      store.kick(store.tubes.default, 1)
    }
    assert.deepStrictEqual(kicked, [2, 3, 1])
    isSound(store, [me])
  })

  it("can be taken out of the middle", () => {
    const store = new TimedStore()
    const me = join(store)
    const jobs = [put(store, me), put(store, me), put(store, me)] as const
    for (const job of jobs) store.reserveJob(job, me.reserver)
    for (const job of jobs) store.bury(job, 0)
    assert.isTrue(store.delete(2, me.reserver))
    assert.strictEqual(store.kick(store.tubes.default, 10), 2)
    isSound(store, [me])
  })
})

describe("a reserved job", () => {
  it("is its holder's alone until its time to run is over, and touching begins that anew", () => {
    const store = new TimedStore()
    const [me, other] = [join(store), join(store)]
    const job = put(store, me, { ttr: 10 })
    store.wait(me.reserver, 0)
    assert.isFalse(store.delete(job.id, other.reserver))
    assert.isFalse(store.reserveJob(job, me.reserver))
    store.pass(9_999)
    store.touch(job)
    store.pass(9_999)
    assert.isTrue(store.isHeldBy(job, me.reserver))
    store.pass(1)
    assert.deepStrictEqual([job.state, job.timeouts, store.timeouts, me.told], ["ready", 1, 1, ["RESERVED 1"]])
    // An idle holder is not told. Another may delete it now.
    assert.isTrue(store.delete(job.id, other.reserver))
    isSound(store, [me, other])
  })

  it("that runs out together with one of another holder is ready first if its holder was there first", () => {
    const store = new TimedStore()
    const [first, second, other] = [join(store), join(store), join(store)]
    const jobs = [put(store, other, { ttr: 10 }), put(store, other, { ttr: 10 })]
    store.reserveJob(jobs[0], second.reserver)
    store.reserveJob(jobs[1], first.reserver)
    store.wait(other.reserver, FOREVER)
    store.pass(10_000)
    assert.deepStrictEqual(other.told, ["RESERVED 2"])
    isSound(store, [first, second, other])
  })

  it("that is touched lets the others of its holder run out before it", () => {
    const store = new TimedStore()
    const me = join(store)
    const [touched, other] = [put(store, me, { ttr: 10 }), put(store, me, { ttr: 11 })]
    for (const job of [touched, other]) store.reserveJob(job, me.reserver)
    store.pass(5_000)
    store.touch(touched)
    isSound(store, [me])
    store.pass(6_000)
    assert.deepStrictEqual([touched.state, other.state], ["reserved", "ready"])
    store.pass(4_000)
    assert.deepStrictEqual([touched.state, touched.timeouts], ["ready", 1])
  })

  it("makes its holder's next reserve end a second before its deadline", () => {
    const store = new TimedStore()
    const me = join(store)
    put(store, me, { ttr: 10 })
    store.wait(me.reserver, 0)
    store.wait(me.reserver, FOREVER)
    store.pass(8_999)
    assert.deepStrictEqual(me.told, ["RESERVED 1"])
    store.pass(1)
    assert.deepStrictEqual(me.told, ["RESERVED 1", "DEADLINE_SOON"])
    store.wait(me.reserver, FOREVER)
    assert.deepStrictEqual(me.told.slice(2), ["DEADLINE_SOON"])
    // A job that is ready comes first all the same.
    put(store, me)
    store.wait(me.reserver, FOREVER)
    assert.deepStrictEqual(me.told.slice(3), ["RESERVED 2"])
    isSound(store, [me])
  })

  it("is ready again, with the others in the order of their reservation, when its holder leaves", () => {
    const store = new TimedStore()
    const [me, other] = [join(store), join(store)]
    for (const pri of [3, 1, 2]) put(store, me, { pri })
    for (const id of [3, 1, 2]) store.reserveJob(store.jobs.get(id), me.reserver)
    store.wait(other.reserver, FOREVER)
    leave(store, me)
    assert.deepStrictEqual(other.told, ["RESERVED 3"])
    assert.deepStrictEqual([store.ready, store.reserved, store.timeouts], [2, 1, 0])
    isSound(store, [other])
  })
})

describe("a tube", () => {
  it("is there as long as somebody uses or watches it, or a job is in it, and forgets everything then", () => {
    const store = new TimedStore()
    const me = join(store)
    const has = () => store.tubes.get("a") !== undefined
    use(store, me, "a")
    store.tubes.watch(me.reserver, "a")
    const job = put(store, me, { delay: 1 })
    store.pause(job.tube, 100)
    use(store, me, "default")
    store.tubes.ignore(me.reserver, job.tube)
    assert.isTrue(has())
    store.pass(1_000)
    assert.isTrue(has())
    store.reserveJob(job, me.reserver)
    assert.isTrue(has())
    store.bury(job, 0)
    assert.isTrue(has())
    store.delete(job.id, me.reserver)
    assert.isFalse(has())
    assert.strictEqual(store.nextDeadline, Infinity)
    const anew = store.tubes.findOrMake("a")
    assert.deepInclude(anew, { pause: 0, pauses: 0, totalJobs: 0, deletes: 0, isPaused: false })
  })

  it("default is there for ever", () => {
    const store = new TimedStore()
    leave(store, join(store))
    assert.deepStrictEqual(Array.from(store.tubes.values(), ({ name }) => name), ["default"])
  })
})

describe("a wait", () => {
  it("is over when its time is, and then leaves no place in any line", () => {
    const store = new TimedStore()
    const me = join(store)
    store.tubes.watch(me.reserver, "a")
    store.wait(me.reserver, 5_000)
    assert.deepStrictEqual([store.waiting, store.nextDeadline], [1, 5_000])
    store.pass(5_000)
    assert.deepStrictEqual([store.waiting, store.nextDeadline, me.told], [0, Infinity, ["TIMED_OUT"]])
    put(store, me)
    assert.lengthOf(me.told, 1)
    isSound(store, [me])
  })

  it("of no time is over at once", () => {
    const store = new TimedStore()
    const me = join(store)
    store.wait(me.reserver, 0)
    assert.deepStrictEqual([me.told, store.waiting], [["TIMED_OUT"], 0])
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// At random
// ---------------------------------------------------------------------------------------------------------------------

describe("whatever happens", () => {
  it.prop("the counters, heads and lines are what one finds who looks at everything", [
    Arbitrary.array(AnyStep, { maxLength: 120 })
  ], ([steps]) => {
    const store = new TimedStore()
    const everyone = [join(store), join(store), join(store)]
    for (const step of steps) {
      run(store, everyone, step)
      isSound(store, everyone)
      assert.isAbove(store.nextDeadline, store.now)
    }
    for (const someone of everyone.splice(0)) leave(store, someone)
    isSound(store, [])
  }, { arbitrary: { runs: 150, size: 120 } })

  it.prop("all is as it was in the beginning when all jobs are deleted and all have left", [
    Arbitrary.array(AnyStep, { maxLength: 80 })
  ], ([steps]) => {
    const store = new TimedStore()
    const everyone = [join(store), join(store)]
    for (const step of steps) run(store, everyone, step)
    for (const someone of everyone.splice(0)) leave(store, someone)
    const last = join(store)
    for (const { id } of jobsOf(store)) assert.isTrue(store.delete(id, last.reserver))
    leave(store, last)
    assert.deepStrictEqual(Array.from(store.tubes.values(), ({ name }) => name), ["default"])
    const { buried, delayed, ready, reserved, urgent, waiting } = store
    assert.deepStrictEqual([ready, urgent, reserved, delayed, buried, waiting], [0, 0, 0, 0, 0, 0])
    // Only the pause of the tube that never goes away is left.
    assert.strictEqual(store.nextDeadline, store.tubes.default.isPaused ? store.tubes.default.resumes.at : Infinity)
  }, { arbitrary: { runs: 200, size: 80 } })
})
