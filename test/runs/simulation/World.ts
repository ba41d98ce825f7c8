/**
 * Time and order in one thread, ruled by a seed: the tasks of processes run in any order, and the clock moves by whole
 * milliseconds when no task is ready. Nothing else makes anything happen.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Scheduler from "effect/Scheduler"
import { Heap, type HeapItem } from "../../../src/internal/server/collections.ts"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import { Trace } from "./Trace.ts"

type Task = () => void

/** Tasks that run one after the other. */
interface Lane {
  readonly process: Process
  readonly tasks: Array<{ readonly priority: number; readonly task: Task }>
}

class Timer implements HeapItem {
  readonly at: number
  readonly serial: number
  readonly process: Process
  readonly task: Task
  index = -1

  constructor(at: number, serial: number, process: Process, task: Task) {
    this.at = at
    this.serial = serial
    this.process = process
    this.task = task
  }
}

// The wall clock at the beginning of a run.
const EPOCH = 1_767_225_600_000

// More tasks than this within one millisecond mean that something spins.
const MOST_TASKS_PER_MILLI = 200_000

// More operations of fibers than this within one task mean the same.
const MOST_OPS_PER_TASK = 1_000_000

/** How this seed orders tasks. */
interface Manner {
  /** The order of the tasks that are ready. */
  readonly order: "any" | "first" | "last"
  /** A fiber yields after about this many operations. */
  readonly opsPerTurn: number
  /** The probability that the clock jumps. */
  readonly stalls: number
}

const mannerOf = (dice: Dice): Manner => ({
  order: dice.one(["any", "any", "any", "first", "last"]),
  opsPerTurn: dice.one([8, 40, 200, 2000, Infinity]),
  stalls: dice.chance(0.3) ? 0.001 : 0
})

/** A world. */
export class World {
  readonly seed: number
  readonly trace = new Trace()
  readonly violations: Array<string> = []
  /** Called when no task is ready, before the clock moves. */
  onRest: () => void = () => {}
  now = 0
  steps = 0
  readonly #dice: Dice
  readonly #manner: Manner
  readonly #ready: Array<Lane> = []
  readonly #timers = new Heap<Timer>((a, b) => a.at < b.at || (a.at === b.at && a.serial < b.serial))
  readonly #microtasks: Array<Task> = []
  #alarms: Array<{ readonly step: number; readonly task: Task }> = []
  #serial = 0
  #opsLeft = 0
  #tasksSinceTick = 0
  #opsSinceStep = 0

  constructor(seed: number) {
    this.seed = seed
    this.#dice = this.dice(0)
    this.#manner = mannerOf(this.#dice)
    this.#opsLeft = this.#manner.opsPerTurn
  }

  /** Whether the clock never jumps. */
  get isSteady(): boolean {
    return this.#manner.stalls === 0
  }

  /** Dice per user, so that a throw of one user does not change the luck of another. */
  dice(index: number): Dice {
    return new Dice(seedOf(this.seed, index))
  }

  tell(line: string): void {
    this.trace.add(`${this.now} ${line}`)
  }

  /** Records a violation, which ends the run. */
  violate(what: string): void {
    this.tell(`VIOLATION ${what}`)
    this.violations.push(what)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What is to happen
  // -------------------------------------------------------------------------------------------------------------------

  enqueue(lane: Lane): void {
    if (lane.process.isBlocked) lane.process.parked.push(lane)
    else this.#ready.push(lane)
  }

  /** Has nothing of a process run for a while, as when it computes, or is suspended. */
  block(process: Process, millis: number): void {
    process.blockedUntil = this.now + millis
    for (let at = this.#ready.length - 1; at >= 0; at--) {
      if (this.#ready[at]!.process === process) process.parked.unshift(...this.#ready.splice(at, 1))
    }
    this.at(process.blockedUntil, process, () => {
      for (const lane of process.parked.splice(0)) this.enqueue(lane)
    })
  }

  at(when: number, process: Process, task: Task): () => void {
    const timer = new Timer(when, ++this.#serial, process, task)
    this.#timers.add(timer)
    process.timers++
    return () => {
      if (timer.index !== -1) this.#remove(timer)
    }
  }

  /** Runs a task after this many other tasks. */
  afterSteps(count: number, task: Task): void {
    this.#alarms.push({ step: this.steps + count, task })
  }

  shouldYield(): boolean {
    if (++this.#opsSinceStep > MOST_OPS_PER_TASK) {
      this.violate("something spins: a task does not end")
      throw new Error("it spins")
    }
    if (--this.#opsLeft > 0) return false
    this.#opsLeft = 3 + Math.floor(this.#dice.next() * 2 * this.#manner.opsPerTurn)
    return true
  }

  #remove(timer: Timer): void {
    this.#timers.remove(timer)
    timer.process.timers--
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Happening
  // -------------------------------------------------------------------------------------------------------------------

  /** Runs tasks until the fiber has ended, a rule is violated, or the deadline is over. */
  run(fiber: Fiber.Fiber<unknown, unknown>, deadline: () => number): void {
    const giveBack = this.#takeGlobals()
    try {
      while (fiber.pollUnsafe() === undefined && this.violations.length === 0) {
        if (this.#ready.length === 0) this.#goOn(deadline())
        else this.#step()
      }
    } finally {
      giveBack()
    }
  }

  #step(): void {
    this.steps++
    this.#opsSinceStep = 0
    if (++this.#tasksSinceTick > MOST_TASKS_PER_MILLI) return this.violate("something spins: no time passes any more")
    const at = this.#choose()
    const lane = this.#ready[at]!
    const { task } = lane.tasks.shift()!
    if (lane.tasks.length === 0) this.#ready.splice(at, 1)
    if (lane.process.isAlive) this.#attempt(task)
    if (this.#alarms.length > 0) this.#ringAlarms()
  }

  #choose(): number {
    const last = this.#ready.length - 1
    if (last === 0 || this.#manner.order === "first") return 0
    return this.#manner.order === "last" && this.#dice.chance(0.8) ? last : this.#dice.int(0, last)
  }

  #attempt(task: Task): void {
    try {
      task()
      // A microtask may add others.
      for (const microtask of this.#microtasks) microtask()
    } catch (error) {
      this.violate(`a task threw ${error instanceof Error ? error.stack ?? error.message : String(error)}`)
    }
    this.#microtasks.length = 0
  }

  #ringAlarms(): void {
    const due = this.#alarms.filter(({ step }) => step <= this.steps)
    if (due.length === 0) return
    this.#alarms = this.#alarms.filter(({ step }) => step > this.steps)
    for (const { task } of due) this.#attempt(task)
  }

  #goOn(deadline: number): void {
    this.onRest()
    const next = this.#timers.head
    if (next === undefined) return this.violate("nothing will ever happen again, and somebody waits")
    if (next.at > deadline) return this.violate("it has not ended in time")
    const before = this.now
    this.now = Math.max(this.now, next.at)
    if (this.#manner.stalls > 0 && this.#dice.chance(this.#manner.stalls)) this.now += this.#dice.int(1, 1500)
    if (this.now > before) this.#tasksSinceTick = 0
    for (let timer = this.#timers.head; timer !== undefined && timer.at <= this.now; timer = this.#timers.head) {
      this.#remove(timer)
      const { process, task } = timer
      if (process.isAlive) this.enqueue({ process, tasks: [{ priority: 0, task }] })
    }
  }

  // Code that uses a real timer violates a rule; real clocks and random numbers are replaced.
  #takeGlobals(): () => void {
    const { queueMicrotask, setImmediate, setTimeout } = globalThis
    const { random } = Math
    const { now } = Date
    const { stackTraceLimit } = Error
    const never = () => {
      this.violate("a real timer was set")
      throw new Error("a real timer was set")
    }
    const mine = {
      queueMicrotask: (task: Task) => this.#microtasks.push(task),
      setTimeout: never,
      setImmediate: never
    }
    Object.assign(globalThis, mine)
    // Errors are frequent here, and most of their cost is the stack.
    Error.stackTraceLimit = 0
    Math.random = () => this.#dice.next()
    Date.now = () => EPOCH + this.now
    return () => {
      Object.assign(globalThis, { queueMicrotask, setImmediate, setTimeout })
      Error.stackTraceLimit = stackTraceLimit
      Math.random = random
      Date.now = now
    }
  }
}

/** The fibers of one program on one machine: they live and die together. */
export class Process {
  readonly name: string
  readonly world: World
  readonly context: Context.Context<never>
  isAlive = true
  /** How many fibers have begun and not ended. */
  fibers = 0
  /** How many timers run for it. */
  timers = 0
  /** What is to run when it is not blocked any more. */
  readonly parked: Array<Lane> = []
  blockedUntil = 0
  /** With how many servers it talks. Each loss of contact is logged for each. */
  servers = 1
  #contactLines: Array<number> = []

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: () => world.shouldYield(),
      makeDispatcher: () => new Dispatcher(this)
    }
    const dice = world.dice(1000 + world.steps)
    const random: Random.Random = {
      nextDoubleUnsafe: () => dice.next(),
      nextIntUnsafe: () => dice.int(0, 2 ** 32 - 1)
    }
    const count = {
      recordFiberStart: () => {
        this.fibers++
      },
      recordFiberEnd: () => {
        this.fibers--
      }
    }
    this.context = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(Clock.Clock, clockOf(this)),
      Context.add(Random.Random, random),
      Context.add(Metric.FiberRuntimeMetrics, count),
      Context.add(Logger.CurrentLoggers, new Set([this.#contactLog])),
      Context.add(References.TracerEnabled, false)
    )
  }

  /** Whether its event loop is blocked. */
  get isBlocked(): boolean {
    return this.world.now < this.blockedUntil
  }

  fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  // Never a flood: three losses per minute, their ends, and what lasts or is refused once per minute.
  readonly #contactLog = Logger.make(({ message }) => {
    const line = String(message)
    if (!/contact with|refuses reserve/.test(line)) return
    const { world } = this
    world.tell(`${this.name} logs: ${line}`)
    this.#contactLines = this.#contactLines.filter((at) => world.now - at < 60_000)
    this.#contactLines.push(world.now)
    if (this.#contactLines.length > 9 * this.servers) world.violate(`${this.name} floods the log: ${line}`)
  })

  /** Kills the process, as SIGKILL does: none of its fibers runs again. */
  kill(): void {
    this.isAlive = false
  }
}

const clockOf = (process: Process): Clock.Clock => {
  const { world } = process
  const millis = () => EPOCH + world.now
  const nanos = () => BigInt(EPOCH + world.now) * 1_000_000n
  const monotonicNanos = () => BigInt(world.now) * 1_000_000n
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: monotonicNanos,
    monotonicTimeNanos: Effect.sync(monotonicNanos),
    sleep: (duration) => {
      const length = Duration.toMillis(duration)
      if (length <= 0) return Effect.yieldNow
      if (length === Infinity) return Effect.never
      return Effect.callback((resume) => {
        // Node ignores fractions of a millisecond, too.
        const at = world.now + Math.max(1, Math.trunc(length))
        return Effect.sync(world.at(at, process, () => resume(Effect.void)))
      })
    }
  }
}

class Dispatcher implements Scheduler.SchedulerDispatcher {
  readonly #lane: Lane

  constructor(process: Process) {
    this.#lane = { process, tasks: [] }
  }

  scheduleTask(task: Task, priority: number): void {
    const { process, tasks } = this.#lane
    let at = tasks.length
    while (at > 0 && tasks[at - 1]!.priority > priority) at--
    tasks.splice(at, 0, { priority, task })
    if (tasks.length === 1) process.world.enqueue(this.#lane)
  }

  flush(): void {
    throw new Error("nothing in a simulated process runs synchronously")
  }
}
