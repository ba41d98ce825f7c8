/**
 * Random commands over three connections, the same for the same dice and the same replies.
 */
import type { Dice } from "../../conformance/Dice.ts"
import { idIn, Peer, type Place } from "./Peer.ts"

const CONNECTIONS = 3
const MAX_BODY = 3000

const TUBES = ["default", "a", "emails", "x".repeat(200), "t-1+/;.$_()"]

const WEIGHTS = {
  put: 30,
  reserve: 18,
  delete: 18,
  release: 9,
  bury: 8,
  kickJob: 4,
  kick: 2,
  reserveJob: 3,
  touch: 2,
  deleteHeld: 3
}

const anyBody = (dice: Dice, max: number): string => {
  const size = dice.chance(0.1) ? dice.int(0, max) : dice.int(0, 80)
  return Buffer.from(Array.from({ length: size }, () => dice.int(0, 255))).toString("latin1")
}

const anyPri = (dice: Dice) => dice.chance(0.5) ? dice.int(0, 2000) : 4_294_967_295 - dice.int(0, 5)

// No delay and no lease ends while a workload runs.
const anyDelay = (dice: Dice, share: number) => dice.chance(share) ? 1000 + dice.int(0, 100_000) : 0

/** One of the connections, and what it holds. */
interface Session {
  readonly peer: Peer
  readonly held: Array<number>
}

// Some workloads fill the files, and some empty them, so that they are compacted.
const weightsOf = (dice: Dice) => ({ ...WEIGHTS, put: dice.one([10, 30, 60]) })

/** The jobs when a workload begins. */
export interface Beginning {
  readonly ids: Iterable<number>
  /** The largest id so far. */
  readonly lastId: number
  /** In bytes. Default: 3000. */
  readonly maxBody?: number
}

/** A workload. */
export class Workload {
  readonly #dice: Dice
  readonly #sessions: ReadonlyArray<Session>
  readonly #weights: typeof WEIGHTS
  /** Jobs that may be there. */
  readonly #ids: Array<number>
  readonly #maxBody: number
  lastId: number

  private constructor(dice: Dice, sessions: ReadonlyArray<Session>, { ids, lastId, maxBody = MAX_BODY }: Beginning) {
    this.#dice = dice
    this.#sessions = sessions
    this.#weights = weightsOf(dice)
    this.#ids = [...ids]
    this.lastId = lastId
    this.#maxBody = maxBody
  }

  static async connect(dice: Dice, place: Place, beginning: Beginning): Promise<Workload> {
    const sessions: Array<Session> = []
    for (let i = 0; i < CONNECTIONS; i++) {
      const peer = await Peer.connect(place)
      await Promise.all(TUBES.map((tube) => peer.send(`watch ${tube}`)))
      sessions.push({ peer, held: [] })
    }
    return new Workload(dice, sessions, beginning)
  }

  async run(commands: number): Promise<void> {
    for (let i = 0; i < commands; i++) await this.#step(this.#dice.one(this.#sessions))
  }

  async #step(session: Session): Promise<void> {
    const { held, peer } = session
    const dice = this.#dice
    const anyId = () => this.#ids.length === 0 ? 1 : dice.one(this.#ids)
    const step = dice.weighted(this.#weights)
    const mine = step === "touch" ? held.at(-1) : undefined
    switch (step) {
      case "put":
        return this.#put(peer)
      case "reserve":
        return this.#reserve(session, "reserve-with-timeout 0")
      case "reserveJob":
        return this.#reserve(session, `reserve-job ${anyId()}`)
      case "delete":
        return this.#delete(peer, anyId())
      case "kickJob":
        return void await peer.send(`kick-job ${anyId()}`)
      case "kick":
        return void await peer.send(`kick ${dice.int(0, 3)}`)
      case "touch":
        return void (mine !== undefined && await peer.send(`touch ${mine}`))
      case "release":
      case "bury":
      case "deleteHeld":
        return this.#end(session, step)
    }
  }

  async #put(peer: Peer): Promise<void> {
    const dice = this.#dice
    await peer.send(`use ${dice.one(TUBES)}`)
    const reply = await peer.put(
      anyBody(dice, this.#maxBody),
      anyPri(dice),
      anyDelay(dice, 0.3),
      100 + dice.int(0, 1000)
    )
    const id = idIn(reply)
    if (id === undefined) throw new Error(`a put was answered ${reply.line}`)
    this.lastId = Math.max(this.lastId, id)
    this.#ids.push(id)
  }

  async #delete(peer: Peer, id: number): Promise<void> {
    const { line } = await peer.send(`delete ${id}`)
    if (line === "DELETED") this.#ids.splice(this.#ids.indexOf(id), 1)
  }

  async #reserve({ held, peer }: Session, command: string): Promise<void> {
    const id = idIn(await peer.send(command))
    if (id !== undefined) held.push(id)
  }

  async #end({ held, peer }: Session, how: "release" | "bury" | "deleteHeld"): Promise<void> {
    const dice = this.#dice
    const id = held.pop()
    if (id === undefined) return
    if (how === "release") await peer.send(`release ${id} ${anyPri(dice)} ${anyDelay(dice, 0.5)}`)
    else if (how === "bury") await peer.send(`bury ${id} ${anyPri(dice)}`)
    else await this.#delete(peer, id)
  }

  close(): void {
    for (const { peer } of this.#sessions) peer.close()
  }
}
