/**
 * The embedded beanstalkd without sockets and without a clock of its own: bytes of connections in, bytes out, and the time
 * when it is told. It has all commands and replies of beanstalkd 1.12. It shares nothing with the client but the bounds
 * in `scalars.ts`, so that each can check the other.
 *
 * This file is the loop of transactions, and what the server counts. A connection (`serverConnection.ts`) reads commands,
 * `commands.ts` executes them on the store, `store.ts` moves the jobs.
 */
import { type Output, ServerConnection } from "./serverConnection.ts"
import type { BinlogFacts } from "./journal.ts"
import { COUNTED, type Counted, type HostFacts, NO_BINLOG, type ServerFacts } from "./statsText.ts"
import type { Store } from "./store.ts"

/** What an engine needs to know. */
export interface Options {
  readonly store: Store
  readonly host: HostFacts
  /** The largest body that a put may have, in bytes. Default: 65,535. */
  readonly maxJobSize?: number | undefined
  /** What the statistics say of the journal of the store. Default: that there is none. */
  readonly binlog?: (() => BinlogFacts) | undefined
  /** Called after a transaction that has moved `nextDeadline`, or in which a connection began to wait for a job. */
  readonly onChange?: (() => void) | undefined
}

/** The largest body that a put may have unless the engine is told, in bytes. */
const DEFAULT_MAX_JOB_SIZE = 65_535

/** The most that the engine can be told. */
const LARGEST_MAX_JOB_SIZE = 1_073_741_824

/**
 * A server that is out of memory for `jobs` cannot keep a job, and answers a put OUT_OF_MEMORY. One that is out of memory
 * for `queues` has none for a place in a queue: it buries what is put or released, and answers BURIED.
 */
export type Shortage = "jobs" | "queues"

const noCounts = () => Object.fromEntries(COUNTED.map((command) => [command, 0])) as Record<Counted, number>

/** A server. */
export class Engine implements ServerFacts {
  store: Store
  readonly host: HostFacts
  readonly maxJobSize: number
  readonly #binlog: () => BinlogFacts
  startedAt: number
  counts: Record<Counted, number> = noCounts()
  readonly #onChange: () => void
  readonly #connections = new Set<ServerConnection>()
  #intercept: ((output: Output) => Output) | undefined
  #events: Array<() => void> = []
  #runnable: Array<ServerConnection> = []
  #dirty: Array<ServerConnection> = []
  /** As `onChange` knows them. */
  #knownDeadline = Infinity
  #knownWaits = 0
  isDraining = false
  shortage: Shortage | undefined
  totalConnections = 0
  producers = 0
  workers = 0

  constructor(
    { binlog = () => NO_BINLOG, host, maxJobSize = DEFAULT_MAX_JOB_SIZE, onChange = () => {}, store }: Options
  ) {
    this.store = store
    this.#binlog = binlog
    this.#onChange = onChange
    this.host = host
    this.maxJobSize = Math.min(maxJobSize, LARGEST_MAX_JOB_SIZE)
    this.startedAt = store.now
  }

  /** How many connections are open. */
  get connectionCount(): number {
    return this.#connections.size
  }

  get binlog(): BinlogFacts {
    return this.#binlog()
  }

  /** Opens a connection. */
  connect(output: Output): ServerConnection {
    const connection = new ServerConnection(this, this.#intercept?.(output) ?? output)
    this.#connections.add(connection)
    this.totalConnections++
    return connection
  }

  /** Puts something between all connections, open ones and those to come, and their outputs. */
  interceptOutputs(intercept: (output: Output) => Output): void {
    this.#intercept = intercept
    for (const connection of this.#connections) connection.interceptOutput(intercept)
  }

  /** Cuts off all connections, and gives their number. */
  dropConnections(): number {
    const all = [...this.#connections]
    for (const connection of all) connection.drop()
    return all.length
  }

  /** Accepts no put from now on. */
  drain(): void {
    this.isDraining = true
  }

  /** As if the server had been killed, and started again with the jobs of this store. */
  restartWith(store: Store): void {
    this.store = store
    this.#forget()
    this.#tellChange()
  }

  /**
   * As if the server had been killed and started again with a binlog that has everything: connections are cut off, jobs
   * that were reserved are ready, the other jobs are as they were, pauses and statistics are gone, and it drains no longer.
   */
  restart(): void {
    // In one transaction: no connection that is about to be cut off must be given a job of another.
    this.transact(() => {
      for (const { reserver } of this.#connections) this.store.stopWaiting(reserver)
      this.dropConnections()
    })
    this.store.restart()
    this.#forget()
  }

  #forget(): void {
    this.counts = noCounts()
    this.totalConnections = 0
    this.startedAt = this.store.now
    this.isDraining = false
  }

  /** When `runTimers` has something to do next, by the clock of the store; Infinity for never. */
  get nextDeadline(): number {
    return this.store.nextDeadline
  }

  /** Does what is due by now. */
  runTimers(): void {
    this.transact(() => {})
  }

  /** How many connections wait for a job of this tube. */
  waitingFor(tube: string): number {
    return this.store.tubes.get(tube)?.waiters.size ?? 0
  }

  // -------------------------------------------------------------------------------------------------------------------
  // For connections
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * Everything that happens, happens in a transaction: what is due by now, then the event, then the commands of connections
   * that need no longer wait, then all replies. An event that comes meanwhile, since a client read a reply at once, has
   * its own transaction afterwards.
   */
  transact(event: () => void): void {
    this.#events.push(event)
    if (this.#events.length > 1) return
    const failures: Array<unknown> = []
    // A client that throws while it reads must not keep the others from their replies.
    const attempt = (action: () => void) => {
      try {
        action()
      } catch (error) {
        failures.push(error)
      }
    }
    // Both arrays may grow in these loops.
    for (const next of this.#events) {
      this.store.setNow()
      this.store.runTimers()
      attempt(next)
      for (const connection of this.#runnable) attempt(() => connection.run())
      this.#runnable = []
      const dirty = this.#dirty
      this.#dirty = []
      for (const connection of dirty) attempt(() => connection.flush())
    }
    this.#events = []
    this.#tellChange()
    if (failures.length > 0) throw failures[0]
  }

  #tellChange(): void {
    const { nextDeadline, waits } = this.store
    if (nextDeadline === this.#knownDeadline && waits === this.#knownWaits) return
    this.#knownDeadline = nextDeadline
    this.#knownWaits = waits
    this.#onChange()
  }

  /** A connection waits no longer: the commands that came meanwhile are executed at the end of the transaction. */
  resume(connection: ServerConnection): void {
    this.#runnable.push(connection)
  }

  /** A connection has replies, which are written at the end of the transaction. */
  flushLater(connection: ServerConnection): void {
    this.#dirty.push(connection)
  }

  /** A connection is closed. */
  forget(connection: ServerConnection): void {
    this.#connections.delete(connection)
    if (connection.isProducer) this.producers--
    if (connection.isWorker) this.workers--
  }
}
