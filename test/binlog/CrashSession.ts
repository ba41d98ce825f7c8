/**
 * A session at random on a store with a binlog, whose machine may be killed, or lose its power, at any moment: before and
 * within each operation of its disk. At each of them the session starts another machine on what is left, and checks what that
 * has.
 */
import type { SyncPolicy } from "../../src/internal/binlog/policy.ts"
import type { Reserver, StoredJob } from "../../src/internal/server/entities.ts"
import { Dice } from "../conformance/Dice.ts"
import { Image, type Operation } from "../support/MemoryDisk.ts"
import { Machine } from "./Machine.ts"
import { allAt, jobAt, type View, viewOf } from "./Views.ts"

export interface SessionOptions {
  readonly seed: number
  readonly sync: SyncPolicy
  readonly steps: number
  /** How many times it goes on after a crash. */
  readonly crashes: number
  /** A disk that says it has synced, and has not. */
  readonly hasLyingDisk?: boolean
  /** Clients that are told before anything is written. */
  readonly isHasty?: boolean
}

const TUBES = ["default", "a", "a-tube-with-a-longer-name"]

const nobody = { onReserved: () => {}, onDeadlineSoon: () => {}, onTimedOut: () => {} }

const errorOf = (action: () => void): string => {
  try {
    action()
    return ""
  } catch (error) {
    return String(error)
  }
}

/** The lines that only one of two texts has. */
const difference = (wanted: string, seen: string): string => {
  const only = (lines: string, others: string) => lines.split("\n").filter((line) => !others.split("\n").includes(line))
  return [...only(wanted, seen).map((line) => `- ${line}`), ...only(seen, wanted).map((line) => `+ ${line}`)].join("\n")
}

/** A session. */
export class CrashSession {
  readonly #options: SessionOptions
  readonly #dice: Dice
  #machine: Machine
  #reservers: Array<Reserver> = []
  /** What there was after each command. */
  #views: Array<View> = [{ jobs: new Map(), buried: "", lastId: 0 }]
  /** Up to which view clients know of it. */
  #acknowledged = 0
  /** Up to which view all is durable for sure. */
  #durable = 0
  readonly violations: Array<string> = []
  /** How often it was checked what a crash leaves. */
  checks = 0
  migrated = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.#dice = new Dice(options.seed)
    this.#machine = this.#machineOn(new Image())
  }

  #machineOn(image: Image, time = 0): Machine {
    const { hasLyingDisk = false, sync } = this.#options
    const machine: Machine = new Machine({
      image,
      sync,
      time,
      onMoment: (operation) => this.#check(machine, operation)
    })
    machine.disk.lies = hasLyingDisk
    return machine
  }

  /** How many milliseconds have passed. */
  get time(): number {
    return this.#machine.time
  }

  /** How many jobs were put. */
  get puts(): number {
    return this.#views.at(-1)!.lastId
  }

  /** What there is in the end, in words. */
  get last(): string {
    return allAt(this.#views.at(-1)!, this.time)
  }

  run(): this {
    this.#machine.start()
    for (let crash = 0; crash <= this.#options.crashes && this.violations.length === 0; crash++) {
      if (crash > 0) this.#crash()
      this.#reservers = [0, 1].map(() => this.#machine.store.join(nobody))
      for (let step = 0; step < this.#options.steps && this.violations.length === 0; step++) this.#step()
      this.migrated += this.#machine.binlog.facts.migrated
    }
    return this
  }

  #violated(what: string): void {
    this.violations.push(`seed ${this.#options.seed}, sync ${this.#options.sync}: ${what}`)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Checks
  // -------------------------------------------------------------------------------------------------------------------

  #check(machine: Machine, operation: Operation): void {
    if (machine !== this.#machine || this.violations.length > 0) return
    this.checks++
    const { sync } = this.#options
    const { image } = machine.disk
    this.#checkAll(`killed before or in a ${operation}`, image.clone(), this.#acknowledged)
    if (sync === "never") return
    const left = image.clone().afterPowerFailure(this.#dice)
    const what = `without power before or in a ${operation}`
    if (sync === "always") this.#checkAll(what, left, this.#acknowledged)
    else this.#checkEach(what, left)
  }

  #read(what: string, image: Image): View | undefined {
    const machine = new Machine({ image, sync: this.#options.sync, time: this.#machine.time })
    const error = errorOf(() => machine.start())
    if (error !== "") {
      this.#violated(`${what}: ${error}`)
      return undefined
    }
    return viewOf(machine)
  }

  /** There must be what there was after one of the commands from `least` on. Gives the place of that. */
  #checkAll(what: string, image: Image, least: number): number | undefined {
    const found = this.#read(what, image)
    if (found === undefined) return undefined
    const { time } = this.#machine
    const seen = allAt(found, time)
    const candidates = this.#views.slice(least)
    const at = candidates.findLastIndex((view) => allAt(view, time) === seen)
    if (at < 0) {
      const wanted = candidates.map((view) => difference(allAt(view, time), seen)).join("\nor\n")
      this.#violated(`${what}: what there is differs from all that may be:\n${wanted}`)
      return undefined
    }
    if (found.lastId < this.#views[least]!.lastId) this.#violated(`${what}: ids come back`)
    return least + at
  }

  /** Each job must be as it was after one of the commands since all was durable. */
  #checkEach(what: string, image: Image): View | undefined {
    const found = this.#read(what, image)
    if (found === undefined) return undefined
    const { time } = this.#machine
    const candidates = this.#views.slice(this.#durable)
    for (const id of new Set([found, ...candidates].flatMap(({ jobs }) => [...jobs.keys()]))) {
      const seen = jobAt(found, id, time)
      const wanted = [...new Set(candidates.map((view) => jobAt(view, id, time)))]
      if (!wanted.includes(seen)) this.#violated(`${what}: job ${id} is ${seen} in place of ${wanted.join(" or ")}`)
    }
    if (found.lastId < candidates[0]!.lastId) this.#violated(`${what}: ids come back`)
    return found
  }

  /** The machine is killed or loses its power, and is started again. */
  #crash(): void {
    const { sync } = this.#options
    const { disk: { image } } = this.#machine
    const isKilled = sync === "never" || this.#dice.chance(0.5)
    const left = isKilled ? image.clone() : image.afterPowerFailure(this.#dice)
    if (isKilled || sync === "always") {
      const at = this.#checkAll("crashed", left.clone(), this.#acknowledged)
      if (at !== undefined) this.#startOn(left, at, isKilled && sync !== "always")
      return
    }
    const found = this.#checkEach("crashed", left.clone())
    if (found === undefined) return
    this.#views.push(found)
    this.#acknowledged = this.#durable = this.#views.length - 1
    this.#startOn(left, this.#durable, false)
  }

  /** Another machine starts, with what there was after one command. Until it has, a crash leaves whatever the last one may. */
  #startOn(image: Image, at: number, isVolatile: boolean): void {
    this.#machine = this.#machineOn(image, this.#machine.time + this.#dice.int(0, 3000))
    const error = errorOf(() => this.#machine.start())
    if (error !== "") return this.#violated(`started again: ${error}`)
    this.#views = [...this.#views.slice(0, at), viewOf(this.#machine)]
    this.#acknowledged = at
    this.#durable = isVolatile ? Math.min(this.#durable, at) : at
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Steps
  // -------------------------------------------------------------------------------------------------------------------

  #step(): void {
    const machine = this.#machine
    switch (this.#dice.weighted({ command: 50, turn: 20, disk: 25, time: 4, settle: 1 })) {
      case "command":
        return this.#do(() => this.#command())
      case "turn":
        return machine.endTurn()
      case "disk":
        return machine.runDisk((count) => this.#dice.int(0, count - 1))
      case "time":
        return this.#do(() => machine.pass(this.#dice.one([1, 50, 999, 3000])))
      case "settle":
        machine.settle()
        if (typeof this.#options.sync === "number") this.#do(() => machine.pass(Number(this.#options.sync)))
        machine.settle()
        this.#durable = this.#views.length - 1
    }
    if (machine.troubles.length > 0) this.#violated(`trouble: ${JSON.stringify(machine.troubles[0])}`)
  }

  /** A client does something, and hears of it when it may. */
  #do(command: () => void): void {
    const { binlog } = this.#machine
    command()
    const index = this.#views.push(viewOf(this.#machine)) - 1
    const acknowledge = () => void (this.#acknowledged = Math.max(this.#acknowledged, index))
    if (this.#options.isHasty === true || binlog.gate.isOpen) acknowledge()
    else binlog.gate.hold(() => acknowledge)
  }

  #command(): void {
    const dice = this.#dice
    const { store } = this.#machine
    const jobs = [...store.jobs.values()]
    const reserver = dice.one(this.#reservers)
    const job = jobs.length === 0 ? undefined : dice.one(jobs)
    const pri = dice.int(0, 2000)
    store.setNow()
    switch (dice.weighted({ put: 30, delete: 20, reserve: 15, settle: 15, kick: 4, byId: 10, leave: 2 })) {
      case "put":
        return jobs.length > 15 ? undefined : this.#put(pri)
      case "delete":
        return job && void store.delete(job.id, reserver)
      case "reserve":
        return reserver.isWaiting ? undefined : store.wait(reserver, 0)
      case "settle":
        return this.#settleHeld(reserver.held.head, pri)
      case "kick":
        return void store.kick(store.tubes.get(dice.one(TUBES)) ?? store.tubes.default, 1)
      case "byId":
        if (store.journal?.hasRoomForChange() === false) return
        return void (dice.chance(0.5) ? store.kickJob(job) : store.reserveJob(job, reserver))
      case "leave":
        store.leave(reserver)
        this.#reservers = this.#reservers.map((one) => one === reserver ? store.join(nobody) : one)
    }
  }

  #put(pri: number): void {
    const dice = this.#dice
    const { store } = this.#machine
    const tube = store.tubes.use(store.tubes.findOrMake(dice.one(TUBES))!)
    const size = dice.one([0, 5, 50, 300, 300, dice.chance(0.05) ? 3000 : 100])
    const delay = dice.one([0, 0, 1, 2, 60])
    if (store.journal?.hasRoomForPut(tube.name, size) !== false) {
      store.put(store.nextId(), tube, String(dice.int(0, 9)).repeat(size), pri, delay, dice.int(1, 100))
    }
    store.tubes.unuse(tube)
  }

  #settleHeld(job: StoredJob | undefined, pri: number): void {
    const { store } = this.#machine
    if (job === undefined || store.journal?.hasRoomForChange() === false) return
    switch (this.#dice.one(["release", "delay", "bury", "touch"] as const)) {
      case "release":
        return store.release(job, pri, 0)
      case "delay":
        return store.release(job, pri, this.#dice.int(1, 60))
      case "bury":
        return store.bury(job, pri)
      case "touch":
        return store.touch(job)
    }
  }
}
