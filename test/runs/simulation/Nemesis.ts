/**
 * Causes faults as the seed says: in the network, in the server, on the machines of the clients.
 */
import * as Effect from "effect/Effect"
import type { EngineHost } from "../../../src/internal/server/engineHost.ts"
import type { Dice } from "../../conformance/Dice.ts"
import type { Machine } from "./Machine.ts"
import { FAIR, type Link } from "./Network.ts"
import type { Refuser } from "./Refuser.ts"
import type { Run } from "./Run.ts"

const FAULTS = {
  reset: 6,
  resetAll: 1,
  cutOff: 3,
  cutOffOneWay: 2,
  cutOffAll: 1,
  blackHole: 2,
  forget: 2,
  freeze: 2,
  crash: 3,
  amnesia: 1,
  drain: 1,
  noMemoryForJobs: 1,
  noMemoryForQueues: 1,
  refuse: 1,
  turnAway: 1,
  refuseReserves: 1,
  cutIdle: 2,
  slow: 2,
  inPieces: 2,
  kill: 3,
  unplug: 1,
  stop: 2,
  block: 2,
  refuseCommand: 1
} as const

/** The kinds of faults. */
export type Fault = keyof typeof FAULTS

/** Causes faults, and ends them. */
export class Nemesis {
  readonly #run: Run
  readonly #dice: Dice
  readonly #host: EngineHost
  readonly #machines: ReadonlyArray<Machine>
  readonly #onRestart: () => void
  readonly #onAmnesia: () => void
  readonly #refuser: Refuser
  faults = 0

  constructor(
    run: Run,
    host: EngineHost,
    machines: ReadonlyArray<Machine>,
    refuser: Refuser,
    onRestart: () => void,
    onAmnesia: () => void
  ) {
    this.#run = run
    this.#dice = run.world.dice(4)
    this.#host = host
    this.#machines = machines
    this.#refuser = refuser
    this.#onRestart = onRestart
    this.#onAmnesia = onAmnesia
  }

  /** Causes one fault after the other, until the run is to heal. */
  get work(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const { calm, faults } = this.#run.plan
      if (calm === "restarts") return yield* this.#restartPrograms
      if (calm === "refusals") return yield* this.#refuseCommands
      if (faults === 0) return
      while (this.#run.isOn) {
        yield* Effect.sleep(Math.ceil((this.#dice.next() * 2000) / faults))
        if (!this.#run.isOn) return
        const fault = this.#dice.weighted(FAULTS)
        this.faults++
        this.#run.world.tell(`fault: ${fault}`)
        yield* Effect.forkChild(this.#bring(fault))
      }
    })
  }

  // Nothing is wrong: no job may end with its connection.
  get #restartPrograms(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const machines = this.#machines.filter(({ name }) => /worker|streamer/.test(name))
      while (this.#run.isOn && machines.length > 0) {
        yield* Effect.sleep(this.#dice.int(100, 3000))
        const machine = this.#dice.one(machines)
        if (!this.#run.isOn || machine.isOver) continue
        machine.stop()
        yield* Effect.forkChild(this.#startWhenOver(machine))
      }
    })
  }

  get #refuseCommands(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      while (this.#run.isOn) {
        yield* Effect.sleep(this.#dice.int(100, 3000))
        if (this.#run.isOn) yield* this.#bring("refuseCommand")
      }
    })
  }

  #restart(): void {
    this.#host.engine.restart()
    this.#onRestart()
  }

  /** Ends all faults. */
  heal(): void {
    this.#run.world.tell("all is well again")
    this.#host.injectFaults({})
    this.#refuser.refused = undefined
    if (this.#host.engine.isDraining) this.#restart()
    this.#run.network.heal()
    for (const machine of this.#machines) if (!machine.process.isAlive) machine.start()
  }

  #someLink(): Link | undefined {
    const links = [...this.#run.network.links]
    return links.length === 0 ? undefined : this.#dice.one(links)
  }

  // `heal` may have ended the fault by then.
  #for(from: number, to: number, end: () => void): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(this.#dice.int(from, to)),
      Effect.sync(() => {
        if (this.#run.isOn) end()
      })
    )
  }

  #bring(fault: Fault): Effect.Effect<void> {
    const { network } = this.#run
    const dice = this.#dice
    const machine = dice.one(this.#machines)
    const { process } = machine
    switch (fault) {
      case "reset":
        return Effect.sync(() => this.#someLink()?.reset())
      case "resetAll":
        return Effect.sync(() => {
          for (const link of network.links) link.reset()
        })
      case "cutOff":
        network.block(process, true, true)
        return this.#for(100, 15_000, () => network.unblock(process))
      case "cutOffOneWay": {
        const up = dice.chance(0.5)
        network.block(process, up, !up)
        return this.#for(100, 15_000, () => network.unblock(process))
      }
      case "cutOffAll":
        network.block("network", true, true)
        return this.#for(100, 12_000, () => network.unblock("network"))
      case "blackHole":
        return Effect.sync(() => {
          const link = this.#someLink()
          if (link !== undefined) link.isBlackHole = true
        })
      case "forget":
        return Effect.sync(() => this.#someLink()?.forgetByServer())
      case "freeze":
        network.block("server", true, true)
        return this.#for(50, 12_000, () => network.unblock("server"))
      case "crash":
        network.refuses = true
        this.#restart()
        return this.#for(0, 6000, () => {
          network.refuses = false
        })
      case "amnesia":
        this.#restart()
        this.#onAmnesia()
        return Effect.void
      case "drain":
        this.#host.engine.drain()
        return this.#for(500, 6000, () => this.#restart())
      case "noMemoryForJobs":
        this.#host.injectFaults({ shortage: "jobs" })
        return this.#for(100, 3000, () => this.#host.injectFaults({}))
      case "noMemoryForQueues":
        this.#host.injectFaults({ shortage: "queues" })
        return this.#for(100, 3000, () => this.#host.injectFaults({}))
      case "refuse":
        network.refuses = true
        return this.#for(50, 5000, () => {
          network.refuses = false
        })
      case "turnAway":
        network.turnsAway = true
        return this.#for(50, 3000, () => {
          network.turnsAway = false
        })
      case "refuseReserves":
        network.refusedCommand = "reserve-with-timeout"
        return this.#for(100, 6000, () => {
          network.refusedCommand = undefined
        })
      case "cutIdle":
        network.idleMillis = dice.int(500, 3000)
        return Effect.raceFirst(
          Effect.forever(Effect.andThen(Effect.sync(() => network.cutIdle()), Effect.sleep(100))),
          this.#for(2000, 12_000, () => {
            network.idleMillis = Infinity
          })
        )
      case "slow":
        network.weather = { latency: [dice.int(1, 50), dice.int(50, 600)], splits: dice.one([0.05, 0.3]) }
        return this.#for(500, 8000, () => {
          network.weather = FAIR
        })
      case "inPieces":
        network.weather = { latency: [0, dice.int(0, 3)], splits: 0.95 }
        return this.#for(500, 5000, () => {
          network.weather = FAIR
        })
      case "kill":
      case "unplug":
        machine.kill(fault === "kill")
        return this.#for(10, 5000, () => machine.start())
      case "block":
        this.#run.world.block(process, dice.int(200, 6000))
        return Effect.void
      case "refuseCommand":
        this.#refuser.refused = {
          command: dice.one(["stats-job", "delete", "release", "bury"]),
          answer: dice.one(["INTERNAL_ERROR", "UNKNOWN_COMMAND"])
        }
        return this.#for(100, 3000, () => {
          this.#refuser.refused = undefined
        })
      case "stop":
        if (machine.isOver) return Effect.void
        machine.stop()
        return this.#startWhenOver(machine)
    }
  }

  #startWhenOver(machine: Machine): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      while (!machine.isOver) yield* Effect.sleep(100)
      if (this.#run.isOn) machine.start()
    })
  }
}
