/**
 * The embedded beanstalkd without sockets and without a clock of its own: bytes of connections in, bytes out, and the
 * time when it is told. All commands and replies of beanstalkd 1.12. It shares nothing with the client but the bounds of
 * `Values`, so that the two can check each other.
 */
import * as EngineStats from "./statsText.ts"
import { Fields } from "./argumentReader.ts"
import { type Body, Input, TOO_LONG } from "./requestParser.ts"
import { forJob, Memory } from "./memoryBudget.ts"
import { type Outcome, type Reserver, Store, type StoredJob, type StoredTube } from "./store.ts"

/** Where the replies of a connection go. */
export interface Output {
  /** Takes bytes; `false` asks to wait for `drained` before more are written. */
  readonly write: (bytes: Uint8Array) => boolean
  /** The server closes the connection, once what was written has gone out. */
  readonly end: () => void
  /** The connection takes bytes again, after `receive` has said that it does not. */
  readonly resume: () => void
  /** Cuts the connection off, with all that has not gone out. */
  readonly drop: () => void
  /** Runs a task after others had their turn. Without it, all that has come is executed at once, however much it is. */
  readonly defer?: ((task: () => void) => void) | undefined
}

/** What an engine needs to know. `now` is in milliseconds and never goes back. */
export interface Options {
  readonly now: () => number
  readonly host: EngineStats.HostFacts
  /** The largest body that a put may have, in bytes. */
  readonly maxJobSize?: number | undefined
  /** About how much memory jobs and tubes may take, in bytes. */
  readonly maxMemory?: number | undefined
  /** Called after everything that could have changed `nextDeadline` or anything else. */
  readonly onChange?: (() => void) | undefined
}

/** What a server takes unless told otherwise, and the most that it can be told to take, in bytes. */
export const DEFAULT_MAX_JOB_SIZE = 65_535
export const LARGEST_MAX_JOB_SIZE = 1_073_741_824

/**
 * A server that is out of memory cannot keep a job, and answers a put OUT_OF_MEMORY; or it has no memory for a place in a
 * queue, and buries what is put or released, which it answers BURIED.
 */
export type Shortage = "jobs" | "queues"

const SECOND = 1000

// What one connection may have executed before the others, and the clock, have their turn.
const COMMANDS_PER_TURN = 100

// A connection that has so much to send, or that waits with so much more to read, is not read any further.
const MAX_UNSENT = 256 * 1024
const MAX_UNREAD = 256 * 1024

/**
 * The server's end of a connection.
 */
export class Conn implements Outcome {
  readonly engine: Engine
  readonly reserver: Reserver
  readonly #output: Output
  readonly #input = new Input()
  used: StoredTube
  isProducer = false
  isWorker = false
  #isOpen = true
  #isHalfClosed = false
  #isCongested = false
  #isDirty = false
  #isRunning = false
  /** It goes on after the others. */
  #isDeferred = false
  #isFull = false
  /** The put whose body is being read. */
  #put: Put | undefined
  /** Bytes to be thrown away before the next command, and what is said then. */
  #toSkip = 0
  #afterwards = ""
  #pieces: Array<Uint8Array> = []
  #text = ""
  #unsent = 0

  constructor(engine: Engine, output: Output) {
    this.engine = engine
    this.#output = output
    this.reserver = engine.store.join(this)
    this.used = engine.store.use(engine.store.default)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From outside
  // -------------------------------------------------------------------------------------------------------------------

  /** Bytes have come from the client. `false` asks to wait for `resume` before more are read. */
  receive(bytes: Uint8Array): boolean {
    if (!this.#isOpen) return true
    this.engine.turn(() => {
      this.#input.push(bytes)
      this.run()
      this.#isFull = this.#input.size > MAX_UNREAD
    })
    return !this.#isFull
  }

  /** The client sends no more, but reads. What it has sent is answered; then the server closes. */
  halfClose(): void {
    this.engine.turn(() => {
      this.#isHalfClosed = true
      if (this.reserver.isWaiting) {
        this.engine.store.stopWaiting(this.reserver)
        this.onTimedOut()
      }
      this.run()
    })
  }

  /** Cuts it off. */
  drop(): void {
    this.close()
    this.#output.drop()
  }

  /** The connection is gone. */
  close(): void {
    if (!this.#isOpen) return
    this.engine.turn(() => {
      this.#text = ""
      this.#pieces = []
      this.#unsent = 0
      this.#leave()
    })
  }

  /** The output takes bytes again. */
  drained(): void {
    this.engine.turn(() => {
      this.#isCongested = false
      this.run()
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reading
  // -------------------------------------------------------------------------------------------------------------------

  /** Executes what has come, one command at a time, as far as it can. */
  run(): void {
    if (this.#isDeferred) return
    this.#isRunning = true
    let left = this.#output.defer === undefined ? Infinity : COMMANDS_PER_TURN
    while (this.#isOpen && !this.#isCongested && !this.reserver.isWaiting) {
      if (left-- === 0) {
        this.#isDeferred = true
        this.#output.defer?.(this.#runOn)
        break
      }
      if (this.#step()) continue
      if (this.#isHalfClosed) this.end()
      break
    }
    this.#isRunning = false
    this.#input.keep()
    if (!this.#isFull || this.#input.size > MAX_UNREAD) return
    this.#isFull = false
    this.#output.resume()
  }

  readonly #runOn = (): void =>
    this.engine.turn(() => {
      this.#isDeferred = false
      this.run()
    })

  #goOn(): void {
    if (!this.#isRunning) this.engine.resume(this)
  }

  // Whether there was enough to do something.
  #step(): boolean {
    if (this.#put !== undefined) return this.#readBody(this.#put)
    if (this.#toSkip > 0) {
      this.#toSkip = this.#input.skip(this.#toSkip)
      if (this.#toSkip > 0) return false
      this.reply(this.#afterwards)
      return true
    }
    const line = this.#input.line()
    if (line === undefined) return false
    if (line === TOO_LONG) this.reply("BAD_FORMAT")
    else execute(this, line)
    return true
  }

  #readBody(put: Put): boolean {
    const read = this.#input.body(put.size)
    if (read === undefined) return false
    this.#forgetPut()
    if (!read.isEnded) this.reply("EXPECTED_CRLF")
    else if (this.engine.isDraining) this.reply("DRAINING")
    else if (this.engine.shortage === "queues") {
      this.engine.store.putBuried(put.id, put.tube, read.body, put.pri, put.delay, put.ttr)
      this.reply(`BURIED ${put.id}`)
    } else {
      this.engine.store.put(put.id, put.tube, read.body, put.pri, put.delay, put.ttr)
      this.reply(`INSERTED ${put.id}`)
    }
    return true
  }

  /** Reads a body next, for which there is memory from now on. */
  expectBody(put: Put): void {
    this.#put = put
    this.engine.store.memory.take(forJob(put.size))
  }

  #forgetPut(): void {
    if (this.#put === undefined) return
    this.engine.store.memory.giveBack(forJob(this.#put.size))
    this.#put = undefined
  }

  /** Waits for a job; until it has come, or the wait is over, no further command is executed. */
  wait(timeoutSeconds: number): void {
    this.engine.store.wait(this.reserver, this.#isHalfClosed ? 0 : timeoutSeconds * SECOND)
  }

  /** Throws so many bytes away, and then says so. */
  skip(bytes: number, afterwards: string): void {
    this.#toSkip = bytes
    this.#afterwards = afterwards
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Replies
  // -------------------------------------------------------------------------------------------------------------------

  reply(line: string): void {
    this.#send(`${line}\r\n`)
  }

  replyWithBody(head: string, body: Body): void {
    const { length } = body
    if (typeof body === "string") return this.#send(`${head} ${length}\r\n${body}\r\n`)
    this.#send(`${head} ${length}\r\n`)
    this.#closeText()
    this.#pieces.push(body)
    this.#unsent += length
    this.#send("\r\n")
  }

  onReserved(job: StoredJob): void {
    this.replyWithBody(`RESERVED ${job.id}`, job.body)
    this.#goOn()
  }

  onDeadlineSoon(): void {
    this.reply("DEADLINE_SOON")
    this.#goOn()
  }

  onTimedOut(): void {
    this.reply("TIMED_OUT")
    this.#goOn()
  }

  #send(text: string): void {
    this.#text += text
    this.#unsent += text.length
    if (this.#unsent > MAX_UNSENT) return this.flush()
    if (this.#isDirty) return
    this.#isDirty = true
    this.engine.flushLater(this)
  }

  #closeText(): void {
    if (this.#text === "") return
    this.#pieces.push(Buffer.from(this.#text, "latin1"))
    this.#text = ""
  }

  /** Hands over what there is to send. */
  flush(): void {
    this.#isDirty = false
    if (this.#unsent === 0) return
    this.#closeText()
    const [first, ...others] = this.#pieces
    const bytes = others.length === 0 ? first! : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#unsent = 0
    if (!this.#output.write(bytes)) this.#isCongested = true
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The end
  // -------------------------------------------------------------------------------------------------------------------

  /** The server closes it. */
  end(): void {
    this.flush()
    this.#leave()
    this.#output.end()
  }

  #leave(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#forgetPut()
    this.engine.store.leave(this.reserver)
    this.engine.store.unuse(this.used)
    this.engine.forget(this)
  }
}

const noCounts = () =>
  Object.fromEntries(EngineStats.COUNTED.map((command) => [command, 0])) as Record<EngineStats.Counted, number>

/**
 * A server.
 */
export class Engine {
  readonly store: Store
  readonly host: EngineStats.HostFacts
  readonly maxJobSize: number
  startedAt: number
  counts: Record<EngineStats.Counted, number> = noCounts()
  readonly #onChange: () => void
  readonly #conns = new Set<Conn>()
  #events: Array<() => void> = []
  #runnable: Array<Conn> = []
  #dirty: Array<Conn> = []
  isDraining = false
  shortage: Shortage | undefined
  totalConnections = 0
  producers = 0
  workers = 0

  constructor(options: Options) {
    this.store = new Store(options.now, new Memory(options.maxMemory ?? Infinity))
    this.#onChange = options.onChange ?? (() => {})
    this.host = options.host
    this.maxJobSize = Math.min(options.maxJobSize ?? DEFAULT_MAX_JOB_SIZE, LARGEST_MAX_JOB_SIZE)
    this.startedAt = this.store.now
  }

  /** The open connections. */
  get connections(): number {
    return this.#conns.size
  }

  /** Opens a connection. */
  connect(output: Output): Conn {
    const conn = new Conn(this, output)
    this.#conns.add(conn)
    this.totalConnections++
    return conn
  }

  /** Cuts off all connections; how many there were. */
  dropConnections(): number {
    const all = [...this.#conns]
    for (const conn of all) conn.drop()
    return all.length
  }

  /** From now on no put is accepted. */
  drain(): void {
    this.isDraining = true
  }

  /**
   * As if it had been killed, and started again with a binlog that has everything: connections are cut off, the jobs are
   * there and those that were reserved are ready, pauses and statistics are gone, and it drains no longer.
   */
  restart(): void {
    // All at once: what one connection held must not be given to another that is to be cut off as well.
    this.turn(() => {
      for (const conn of this.#conns) this.store.stopWaiting(conn.reserver)
      this.dropConnections()
    })
    this.store.restart()
    this.counts = noCounts()
    this.totalConnections = 0
    this.startedAt = this.store.now
    this.isDraining = false
  }

  /** When `tick` has something to do next, on the scale of `now`; Infinity for never. */
  get nextDeadline(): number {
    return this.store.nextDeadline
  }

  /** Does what is due by now. */
  tick(): void {
    this.turn(() => {})
  }

  /** How many connections wait for a job of this tube. */
  waitingFor(tube: string): number {
    return this.store.tubes.get(tube)?.waiters.size ?? 0
  }

  // -------------------------------------------------------------------------------------------------------------------
  // For connections
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * Everything that happens, happens in a turn: what was due before comes first, what it makes possible comes last. What
   * happens in the course of a turn, because a reply was read at once, comes after it.
   */
  turn(event: () => void): void {
    this.#events.push(event)
    if (this.#events.length > 1) return
    const failures: Array<unknown> = []
    // Whoever reads replies must not keep the others from theirs.
    const attempt = (action: () => void) => {
      try {
        action()
      } catch (error) {
        failures.push(error)
      }
    }
    // These grow meanwhile.
    for (const next of this.#events) {
      this.store.setNow()
      this.store.runTimers()
      attempt(next)
      for (const conn of this.#runnable) attempt(() => conn.run())
      this.#runnable = []
      const dirty = this.#dirty
      this.#dirty = []
      for (const conn of dirty) attempt(() => conn.flush())
    }
    this.#events = []
    this.#onChange()
    if (failures.length > 0) throw failures[0]
  }

  /** A connection waits no longer: what it sent meanwhile is executed at the end of the turn. */
  resume(conn: Conn): void {
    this.#runnable.push(conn)
  }

  flushLater(conn: Conn): void {
    this.#dirty.push(conn)
  }

  forget(conn: Conn): void {
    this.#conns.delete(conn)
    if (conn.isProducer) this.producers--
    if (conn.isWorker) this.workers--
  }

  becomesProducer(conn: Conn): void {
    if (conn.isProducer) return
    conn.isProducer = true
    this.producers++
  }

  becomesWorker(conn: Conn): void {
    if (conn.isWorker) return
    conn.isWorker = true
    this.workers++
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Commands
// ---------------------------------------------------------------------------------------------------------------------

interface Put {
  readonly id: number
  readonly tube: StoredTube
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  readonly size: number
}

type Execute = (conn: Conn, fields: Fields) => void

const badFormat = (conn: Conn): void => conn.reply("BAD_FORMAT")

const count = (conn: Conn, command: EngineStats.Counted | undefined): void => {
  if (command !== undefined) conn.engine.counts[command]++
}

// The commands whose only argument is nothing, an id, or the name of a tube.
const bare = (command: EngineStats.Counted, run: (conn: Conn) => void): Execute => (conn, fields) => {
  if (!fields.isAtEnd) return badFormat(conn)
  count(conn, command)
  run(conn)
}

const withId =
  (command: EngineStats.Counted | undefined, run: (conn: Conn, id: number) => void): Execute => (conn, fields) => {
    const id = fields.lastUint64()
    if (id === undefined) return badFormat(conn)
    count(conn, command)
    run(conn, id)
  }

const withTube = (command: EngineStats.Counted, run: (conn: Conn, name: string) => void): Execute => (conn, fields) => {
  const name = fields.tubeName()
  if (name === undefined) return badFormat(conn)
  count(conn, command)
  run(conn, name)
}

const found = (conn: Conn, job: StoredJob | undefined): void =>
  job === undefined ? conn.reply("NOT_FOUND") : conn.replyWithBody(`FOUND ${job.id}`, job.body)

const put: Execute = (conn, fields) => {
  const { engine } = conn
  const pri = fields.uint32()
  const delay = fields.uint32()
  const ttr = fields.uint32()
  const size = fields.uint32()
  if (pri === undefined || delay === undefined || ttr === undefined || size === undefined) return badFormat(conn)
  count(conn, "put")
  if (size > engine.maxJobSize) return conn.skip(size + 2, "JOB_TOO_BIG")
  if (!fields.isAtEnd) return badFormat(conn)
  engine.becomesProducer(conn)
  if (engine.shortage === "jobs" || !engine.store.memory.hasRoomFor(forJob(size))) {
    return conn.skip(size + 2, "OUT_OF_MEMORY")
  }
  conn.expectBody({ id: engine.store.nextId(), tube: conn.used, pri, delay, ttr: Math.max(ttr, 1), size })
}

const reserve = (conn: Conn, timeoutSeconds: number): void => {
  conn.engine.becomesWorker(conn)
  conn.wait(timeoutSeconds)
}

const reserveWithTimeout: Execute = (conn, fields) => {
  const seconds = fields.timeout()
  if (seconds === undefined) return badFormat(conn)
  count(conn, "reserve-with-timeout")
  reserve(conn, seconds < 0 ? Infinity : seconds)
}

const reserveJob = withId(undefined, (conn, id) => {
  const { store } = conn.engine
  const job = store.jobs.get(id)
  if (!store.reserveJob(job, conn.reserver)) return conn.reply("NOT_FOUND")
  conn.engine.becomesWorker(conn)
  conn.replyWithBody(`RESERVED ${id}`, job.body)
})

const release: Execute = (conn, fields) => {
  const { store } = conn.engine
  const id = fields.uint64()
  const pri = fields.uint32()
  const delay = fields.lastUint32()
  if (id === undefined || pri === undefined || delay === undefined) return badFormat(conn)
  count(conn, "release")
  const job = store.jobs.get(id)
  if (!store.isHeldBy(job, conn.reserver)) return conn.reply("NOT_FOUND")
  if (conn.engine.shortage === "queues") {
    store.bury(job, pri)
    return conn.reply("BURIED")
  }
  store.release(job, pri, delay)
  conn.reply("RELEASED")
}

const bury: Execute = (conn, fields) => {
  const { store } = conn.engine
  const id = fields.uint64()
  const pri = fields.lastUint32()
  if (id === undefined || pri === undefined) return badFormat(conn)
  count(conn, "bury")
  const job = store.jobs.get(id)
  if (!store.isHeldBy(job, conn.reserver)) return conn.reply("NOT_FOUND")
  store.bury(job, pri)
  conn.reply("BURIED")
}

const kick: Execute = (conn, fields) => {
  const bound = fields.bound()
  if (bound === undefined) return badFormat(conn)
  count(conn, "kick")
  conn.reply(`KICKED ${conn.engine.store.kick(conn.used, bound)}`)
}

const kickJob = withId(undefined, (conn, id) => {
  const { store } = conn.engine
  conn.reply(store.kickJob(store.jobs.get(id)) ? "KICKED" : "NOT_FOUND")
})

const touch = withId("touch", (conn, id) => {
  const { store } = conn.engine
  const job = store.jobs.get(id)
  if (!store.isHeldBy(job, conn.reserver)) return conn.reply("NOT_FOUND")
  store.touch(job)
  conn.reply("TOUCHED")
})

// What has been sent behind it was meant for that tube, and would go astray.
const refuseTube = (conn: Conn): void => {
  conn.reply("OUT_OF_MEMORY")
  conn.end()
}

const use = withTube("use", (conn, name) => {
  const { store } = conn.engine
  const before = conn.used
  const tube = store.findOrMake(name)
  if (tube === undefined) return refuseTube(conn)
  conn.used = store.use(tube)
  store.unuse(before)
  conn.reply(`USING ${name}`)
})

const watching = (conn: Conn): void => conn.reply(`WATCHING ${conn.reserver.watched.size}`)

const watch = withTube("watch", (conn, name) => {
  const { store } = conn.engine
  if (store.watch(conn.reserver, name)) watching(conn)
  else refuseTube(conn)
})

const ignore = withTube("ignore", (conn, name) => {
  const { reserver, engine: { store } } = conn
  const tube = store.tubes.get(name)
  if (tube !== undefined && reserver.watched.has(tube)) {
    if (reserver.watched.size === 1) return conn.reply("NOT_IGNORED")
    store.ignore(reserver, tube)
  }
  watching(conn)
})

const pauseTube: Execute = (conn, fields) => {
  const { store } = conn.engine
  const name = fields.tubeCharacters()
  const delay = fields.lastUint32()
  if (name === undefined || delay === undefined) return badFormat(conn)
  count(conn, "pause-tube")
  if (new Fields(name, 0).tubeName() === undefined) return badFormat(conn)
  const tube = store.tubes.get(name)
  if (tube === undefined) return conn.reply("NOT_FOUND")
  store.pause(tube, delay)
  conn.reply("PAUSED")
}

const ok = (conn: Conn, text: string): void => conn.replyWithBody("OK", text)

const statsJob = withId("stats-job", (conn, id) => {
  const job = conn.engine.store.jobs.get(id)
  return job === undefined ? conn.reply("NOT_FOUND") : ok(conn, EngineStats.ofJob(conn.engine.store, job))
})

const statsTube = withTube("stats-tube", (conn, name) => {
  const tube = conn.engine.store.tubes.get(name)
  return tube === undefined ? conn.reply("NOT_FOUND") : ok(conn, EngineStats.ofTube(conn.engine.store, tube))
})

// In the order in which they are tried: the first whose beginning fits, however the line goes on.
const COMMANDS: ReadonlyArray<readonly [prefix: string, execute: Execute]> = [
  ["put ", put],
  ["peek ", withId("peek", (conn, id) => found(conn, conn.engine.store.jobs.get(id)))],
  ["peek-ready", bare("peek-ready", (conn) => found(conn, conn.used.ready.head))],
  ["peek-delayed", bare("peek-delayed", (conn) => found(conn, conn.used.delayed.head))],
  ["peek-buried", bare("peek-buried", (conn) => found(conn, conn.used.buried.head))],
  ["reserve-with-timeout ", reserveWithTimeout],
  ["reserve-job ", reserveJob],
  ["reserve", bare("reserve", (conn) => reserve(conn, Infinity))],
  [
    "delete ",
    withId("delete", (conn, id) => conn.reply(conn.engine.store.delete(id, conn.reserver) ? "DELETED" : "NOT_FOUND"))
  ],
  ["release ", release],
  ["bury ", bury],
  ["kick ", kick],
  ["kick-job ", kickJob],
  ["touch ", touch],
  ["stats-job ", statsJob],
  ["stats-tube ", statsTube],
  ["stats", bare("stats", (conn) => ok(conn, EngineStats.ofServer(conn.engine.store, conn.engine)))],
  ["use ", use],
  ["watch ", watch],
  ["ignore ", ignore],
  ["list-tubes-watched", bare("list-tubes-watched", (conn) => ok(conn, EngineStats.list(conn.reserver.watched)))],
  ["list-tube-used", bare("list-tube-used", (conn) => conn.reply(`USING ${conn.used.name}`))],
  ["list-tubes", bare("list-tubes", (conn) => ok(conn, EngineStats.list(conn.engine.store.tubes.values())))],
  ["quit", (conn) => conn.end()],
  ["pause-tube", pauseTube]
]

const byFirstLetter = new Map<string, Array<readonly [string, Execute]>>()
for (const command of COMMANDS) {
  const letter = command[0].charAt(0)
  byFirstLetter.set(letter, [...(byFirstLetter.get(letter) ?? []), command])
}

const execute = (conn: Conn, line: string): void => {
  if (line.includes("\0")) return badFormat(conn)
  for (const [prefix, run] of byFirstLetter.get(line.charAt(0)) ?? []) {
    if (line.startsWith(prefix)) return run(conn, new Fields(line, prefix.length))
  }
  conn.reply("UNKNOWN_COMMAND")
}
