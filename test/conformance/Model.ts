/**
 * beanstalkd with time, as naive as can be. It knows commands, not lines, and shares no code with the server that it is
 * compared with.
 */
import {
  byDeadline,
  byOrder,
  byPriority,
  type Conn,
  type Event,
  type Job,
  newConn,
  type Reply,
  SECOND,
  Timeline
} from "./Timeline.ts"

export type Command =
  | { readonly name: "put"; readonly pri: number; readonly delay: number; readonly ttr: number }
  | { readonly name: "reserve" }
  | { readonly name: "reserve-with-timeout"; readonly seconds: number }
  | {
    readonly name: "reserve-job" | "delete" | "touch" | "kick-job" | "peek" | "stats-job"
    readonly id: number
  }
  | { readonly name: "release"; readonly id: number; readonly pri: number; readonly delay: number }
  | { readonly name: "bury"; readonly id: number; readonly pri: number }
  | { readonly name: "kick"; readonly bound: number }
  | { readonly name: "pause-tube"; readonly tube: string; readonly seconds: number }
  | { readonly name: "use" | "watch" | "ignore" | "stats-tube"; readonly tube: string }
  | { readonly name: "peek-ready" | "peek-delayed" | "peek-buried" }
  /** The connection goes; the next command finds a new one in its place. */
  | { readonly name: "close" }

export class Model {
  readonly #timeline: Timeline
  #lastId = 0

  constructor(connections: number) {
    this.#timeline = new Timeline(connections)
  }

  get now(): number {
    return this.#timeline.now
  }

  get isAmbiguous(): boolean {
    return this.#timeline.isAmbiguous
  }

  /** All replies, in order; whoever has read them may take them away. */
  get events(): Array<Event> {
    return this.#timeline.events
  }

  isWaiting(conn: number): boolean {
    return this.#timeline.conns[conn]!.waitsUntil !== undefined
  }

  /** The ids of what it has reserved. */
  held(conn: number): ReadonlyArray<number> {
    return this.#timeline.heldBy(this.#timeline.conns[conn]!).map(({ id }) => id)
  }

  /** Lets time pass until `to`; whatever is due happens on time. */
  advance(to: number): void {
    this.#timeline.advance(to)
  }

  /** Executes a command at the present time. */
  execute(conn: number, command: Command): void {
    const timeline = this.#timeline
    const reply = this.#reply(timeline.conns[conn]!, command)
    if (reply !== undefined) timeline.say(timeline.conns[conn]!, reply)
    timeline.serve()
    timeline.tick()
    for (const tube of timeline.pauses.keys()) if (!timeline.exists(tube)) timeline.pauses.delete(tube)
  }

  #reply(conn: Conn, command: Command): Reply | undefined {
    switch (command.name) {
      case "put": {
        return this.#put(conn, command.pri, command.delay, command.ttr)
      }
      case "reserve": {
        return this.#wait(conn, Infinity)
      }
      case "reserve-with-timeout": {
        return this.#wait(conn, this.#timeline.now + command.seconds * SECOND)
      }
      case "kick": {
        return `KICKED ${this.#kick(conn.used, command.bound)}`
      }
      case "use": {
        conn.used = command.tube
        return `USING ${command.tube}`
      }
      case "watch": {
        if (!conn.watched.includes(command.tube)) conn.watched.push(command.tube)
        return `WATCHING ${conn.watched.length}`
      }
      case "ignore": {
        const others = conn.watched.filter((tube) => tube !== command.tube)
        if (others.length === 0) return "NOT_IGNORED"
        conn.watched = others
        return `WATCHING ${others.length}`
      }
      case "pause-tube": {
        if (!this.#timeline.exists(command.tube)) return "NOT_FOUND"
        if (command.seconds === 0) this.#timeline.pauses.delete(command.tube)
        else {this.#timeline.pauses.set(command.tube, {
            seconds: command.seconds,
            until: this.#timeline.now + command.seconds * SECOND
          })}
        return "PAUSED"
      }
      case "stats-tube": {
        return this.#timeline.exists(command.tube) ? this.#statsTube(command.tube) : "NOT_FOUND"
      }
      case "peek-ready": {
        return found(this.#timeline.in("ready", conn.used).sort(byPriority)[0])
      }
      case "peek-delayed": {
        return found(this.#timeline.in("delayed", conn.used).sort(byDeadline)[0])
      }
      case "peek-buried": {
        return found(this.#timeline.in("buried", conn.used).sort(byOrder)[0])
      }
      case "close": {
        return this.#close(conn)
      }
      default: {
        const job = this.#timeline.jobs.find(({ id }) => id === command.id)
        return job === undefined ? "NOT_FOUND" : this.#replyOnJob(conn, job, command)
      }
    }
  }

  #replyOnJob(conn: Conn, job: Job, command: Extract<Command, { readonly id: number }>): Reply {
    const isHolder = job.holder === conn
    const isReserved = job.state === "reserved"
    switch (command.name) {
      case "peek": {
        return found(job)
      }
      case "stats-job": {
        return this.#statsJob(job)
      }
      case "reserve-job": {
        if (isReserved) return "NOT_FOUND"
        this.#timeline.reserve(job, conn)
        return `RESERVED ${job.id}`
      }
      case "delete": {
        if (isReserved && !isHolder) return "NOT_FOUND"
        this.#timeline.jobs = this.#timeline.jobs.filter((other) => other !== job)
        return "DELETED"
      }
      case "kick-job": {
        if (isReserved || job.state === "ready") return "NOT_FOUND"
        job.kicks++
        this.#timeline.makeReady(job)
        return "KICKED"
      }
      case "touch": {
        if (!isHolder) return "NOT_FOUND"
        job.deadline = this.#timeline.now + job.ttr * SECOND
        return "TOUCHED"
      }
      case "release": {
        if (!isHolder) return "NOT_FOUND"
        job.releases++
        job.pri = command.pri
        this.#timeline.enqueue(job, command.delay)
        return "RELEASED"
      }
      case "bury": {
        if (!isHolder) return "NOT_FOUND"
        this.#timeline.bury(job, command.pri)
        return "BURIED"
      }
    }
  }

  #put({ used }: Conn, pri: number, delay: number, ttr: number): Reply {
    const job: Job = {
      id: ++this.#lastId,
      tube: used,
      ttr: Math.max(1, ttr),
      createdAt: this.#timeline.now,
      pri,
      delay,
      state: "ready",
      deadline: 0,
      holder: undefined,
      order: 0,
      reserves: 0,
      timeouts: 0,
      releases: 0,
      buries: 0,
      kicks: 0
    }
    this.#timeline.jobs.push(job)
    this.#timeline.enqueue(job, delay)
    return `INSERTED ${job.id}`
  }

  #wait(conn: Conn, until: number): Reply | undefined {
    const hasReady = this.#timeline.in("ready").some(({ tube }) => conn.watched.includes(tube))
    if (this.#timeline.isDeadlineSoon(conn) && !hasReady) return "DEADLINE_SOON"
    conn.waitsUntil = until
    this.#timeline.waiters.push(conn)
    return undefined
  }

  #kick(tube: string, bound: number): number {
    const buried = this.#timeline.in("buried", tube).sort(byOrder)
    const kicked = (buried.length > 0 ? buried : this.#timeline.in("delayed", tube).sort(byDeadline)).slice(0, bound)
    for (const job of kicked) {
      job.kicks++
      this.#timeline.makeReady(job)
    }
    return kicked.length
  }

  #close(conn: Conn): undefined {
    this.#timeline.waiters = this.#timeline.waiters.filter((waiter) => waiter !== conn)
    const held = this.#timeline.heldBy(conn).sort(byOrder)
    this.#timeline.conns[conn.number] = newConn(conn.number)
    for (const job of held) this.#timeline.makeReady(job)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Statistics
  // -------------------------------------------------------------------------------------------------------------------

  #seconds(millis: number): number {
    return Math.floor(millis / SECOND)
  }

  #statsJob(job: Job): Reply {
    const { buries, delay, id, kicks, pri, releases, reserves, state, timeouts, ttr, tube } = job
    const isTimed = state === "reserved" || state === "delayed"
    return {
      id,
      tube,
      state,
      pri,
      age: this.#seconds(this.#timeline.now - job.createdAt),
      delay,
      ttr,
      "time-left": isTimed ? this.#seconds(job.deadline - this.#timeline.now) : 0,
      reserves,
      timeouts,
      releases,
      buries,
      kicks
    }
  }

  #statsTube(tube: string): Reply {
    const pause = this.#timeline.pauses.get(tube)
    return {
      "current-jobs-urgent": this.#timeline.in("ready", tube).filter(({ pri }) => pri < 1024).length,
      "current-jobs-ready": this.#timeline.in("ready", tube).length,
      "current-jobs-reserved": this.#timeline.in("reserved", tube).length,
      "current-jobs-delayed": this.#timeline.in("delayed", tube).length,
      "current-jobs-buried": this.#timeline.in("buried", tube).length,
      "current-waiting": this.#timeline.waiters.filter(({ watched }) => watched.includes(tube)).length,
      pause: pause?.seconds ?? 0,
      "pause-time-left": pause === undefined ? 0 : this.#seconds(pause.until - this.#timeline.now)
    }
  }
}

const found = (job: Job | undefined): string => job === undefined ? "NOT_FOUND" : `FOUND ${job.id}`
