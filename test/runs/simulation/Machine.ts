/**
 * A machine runs one program, and can stop it, kill it and start it again.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Client from "../../../src/Client.ts"
import * as Isolation from "../../../src/internal/worker/isolation.ts"
import type { Run } from "./Run.ts"
import { Process } from "./World.ts"

/** A program: a client, and what it does with it. */
export type Program = (client: Client.Service, process: Process) => Effect.Effect<void, never, Scope.Scope>

/** A machine. */
export class Machine {
  readonly name: string
  readonly #run: Run
  readonly #program: Program
  process: Process
  #main: Fiber.Fiber<void>
  #starts = 0

  constructor(run: Run, name: string, program: Program) {
    this.#run = run
    this.name = name
    this.#program = program
    this.process = this.#newProcess()
    this.#main = this.#boot()
  }

  /** Whether its program has ended. */
  get isOver(): boolean {
    return !this.process.isAlive || this.#main.pollUnsafe() !== undefined
  }

  #newProcess(): Process {
    return new Process(this.#run.world, `${this.name}.${++this.#starts}`)
  }

  #boot(): Fiber.Fiber<void> {
    const { process } = this
    const { network, plan } = this.#run
    const program = Effect.gen({ self: this }, function*() {
      const client = yield* Client.make({
        dialer: network.dialer(process),
        commandTimeout: plan.commandTimeout,
        maxReplySize: this.#run.maxReplySizeOf(process),
        maxConnections: plan.poolConnections
      }).pipe(Effect.retry(Schedule.spaced("300 millis")))
      this.#run.clients.set(process, client)
      yield* this.#program(client, process)
    }).pipe(
      Effect.scoped,
      Effect.provideService(Isolation.Current, new Isolation.Isolation()),
      Effect.ensuring(Effect.sync(() => this.#run.clients.delete(process))),
      Effect.catchCause((cause) => this.#run.unexpected(process, "its program", cause))
    )
    const fiber = process.fork(program)
    this.#run.world.tell(`${process.name} starts`)
    return fiber
  }

  /** Starts the program again, if it does not run. */
  start(): void {
    if (!this.isOver) return
    this.process = this.#newProcess()
    this.#main = this.#boot()
  }

  /** Tells the program to end. */
  stop(): void {
    this.#run.world.tell(`${this.process.name} is told to end`)
    this.#run.ledger.stopping.add(this.process)
    this.#main.interruptUnsafe()
  }

  /** Kills the process as SIGKILL does, or if the server does not hear of it, as a power cut does. */
  kill(isHeard: boolean): void {
    if (this.isOver) return
    this.#run.world.tell(`${this.process.name} is killed, ${isHeard ? "heard" : "unheard"}`)
    this.process.kill()
    this.#run.ledger.killed(this.process)
    this.#run.clients.delete(this.process)
    this.#run.network.kill(this.process, isHeard)
  }
}
