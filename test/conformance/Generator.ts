/**
 * Random sequences: all 25 commands, mostly valid, often not quite, and now and then garbage. Nothing in them depends on
 * how much time passes: what takes time takes none, or a thousand seconds and more.
 */
import { Dice } from "./Dice.ts"
import { bodies, lineLengths, oddIds, oddLines, oddNumbers, oddTimeouts, oddTimes, oddTubes } from "./Oddities.ts"
import type { Sequence, Step } from "./Sequence.ts"

const commandWeights = {
  put: 26,
  "reserve-with-timeout": 12,
  reserve: 5,
  "reserve-job": 5,
  delete: 6,
  release: 8,
  bury: 6,
  touch: 3,
  kick: 5,
  "kick-job": 3,
  peek: 3,
  "peek-ready": 2,
  "peek-delayed": 2,
  "peek-buried": 2,
  use: 5,
  watch: 6,
  ignore: 4,
  "pause-tube": 3,
  stats: 3,
  "stats-job": 5,
  "stats-tube": 4,
  "list-tubes": 2,
  "list-tube-used": 1,
  "list-tubes-watched": 2,
  quit: 0.5
}

/** Each sequence does some things often and others never: that leads further than a bit of everything. */
const weightsOf = (dice: Dice, isCrowd: boolean): typeof commandWeights => {
  const weights = { ...commandWeights }
  for (const command of Object.keys(weights) as Array<keyof typeof weights>) weights[command] *= dice.one([0, 1, 1, 4])
  weights.put = Math.max(weights.put, 10)
  return isCrowd ? { ...weights, watch: 0, ignore: 0 } : weights
}

class Script {
  readonly #dice: Dice
  /** A sequence stays with a few tubes, lest nobody ever meets. */
  readonly #tubes: ReadonlyArray<string>
  readonly #weights: typeof commandWeights
  /** How many ids may have been given away, about. */
  #puts = 0

  constructor(dice: Dice, isCrowd: boolean) {
    this.#dice = dice
    this.#weights = weightsOf(dice, isCrowd)
    this.#tubes = isCrowd ? ["crowd", "crowd", "a"] : ["default", "a", "b", "t".repeat(200)].slice(0, dice.int(1, 4))
  }

  part(): string {
    const { one, chance, int } = this.#bound
    const line = chance(0.08) ? this.#oddLine() : this.#command()
    if (!line.startsWith("put ") || line.startsWith("put  ")) return `${line}\r\n`
    if (chance(0.03)) return `${line}\r\n${one(bodies)}`
    const body = one(bodies)
    // The length is right unless it is wrong, and so is what follows the body.
    const length = chance(0.04) ? body.length + int(-2, 3) : body.length
    const trailer = chance(0.04) ? one(["", "\n\n", "xy", "\r\n\r\n", "\n"]) : "\r\n"
    return `${line}${Math.max(0, length)}${chance(0.02) ? one([" ", "x", " 1"]) : ""}\r\n${body}${trailer}`
  }

  readonly #bound = {
    one: <A>(from: ReadonlyArray<A>) => this.#dice.one(from),
    chance: (probability: number) => this.#dice.chance(probability),
    int: (from: number, to: number) => this.#dice.int(from, to)
  }

  #command(): string {
    const dice = this.#dice
    const command = dice.weighted(this.#weights)
    switch (command) {
      case "put": {
        this.#puts++
        return `put ${this.#pri()} ${this.#seconds()} ${this.#ttr()} `
      }
      case "reserve-with-timeout": {
        return `${command} ${dice.chance(0.8) ? "0" : dice.chance(0.6) ? "1000" : dice.one(oddTimeouts)}`
      }
      case "reserve-job":
      case "delete":
      case "kick-job":
      case "peek":
      case "stats-job": {
        return `${command} ${this.#id()}`
      }
      case "touch": {
        return `touch ${this.#held()}`
      }
      case "release": {
        return `release ${this.#held()} ${this.#pri()} ${this.#seconds()}`
      }
      case "bury": {
        return `bury ${this.#held()} ${this.#pri()}`
      }
      case "kick": {
        return `kick ${dice.chance(0.8) ? dice.int(0, 4) : dice.one(oddNumbers)}`
      }
      case "use":
      case "watch":
      case "ignore":
      case "stats-tube": {
        return `${command} ${this.#tube()}`
      }
      case "pause-tube": {
        return `pause-tube ${this.#tube()} ${this.#seconds()}`
      }
      case "quit": {
        return dice.one(["quit", "quitx", "quit now"])
      }
      default: {
        return command
      }
    }
  }

  #oddLine(): string {
    const { chance, int, one } = this.#bound
    if (chance(0.15)) {
      const start = one(["stats-tube ", "use ", "", "peek ", "delete ", "kick "])
      return start + one(["x", "9", " "]).repeat(one(lineLengths) - start.length)
    }
    if (chance(0.7)) return one(oddLines)
    return Array.from({ length: int(1, 30) }, () => one(["p", "u", "t", " ", "0", "1", "-", "\n", "\xe4", "s"])).join(
      ""
    )
  }

  #pri(): string {
    const { chance, int, one } = this.#bound
    return chance(0.04) ? one(oddNumbers) : String(chance(0.7) ? int(0, 2) : one([1023, 1024, 4294967295]))
  }

  #seconds(): string {
    const { chance, one } = this.#bound
    return chance(0.04) ? one(oddTimes) : chance(0.7) ? "0" : one(["1000", "1001", "5000", "100000", "4294967295"])
  }

  #ttr(): string {
    const { chance, one } = this.#bound
    // A ttr of one second, which 0 is too, makes DEADLINE_SOON come at once.
    return chance(0.04) ? one(oddTimes) : chance(0.1) ? one(["0", "1"]) : one(["1000", "2000", "100000", "4294967295"])
  }

  #id(): string {
    const { chance, int, one } = this.#bound
    if (chance(0.04)) return one(oddIds)
    // The first jobs are those that somebody is likely to hold.
    const last = chance(0.6) ? Math.min(3, this.#puts + 1) : this.#puts + 1
    return `${chance(0.02) ? "000" : ""}{id:${int(1, last)}}`
  }

  #held(): string {
    return this.#dice.chance(0.7) ? "{held}" : this.#id()
  }

  #tube(): string {
    const { chance, one } = this.#bound
    return chance(0.06) ? one(oddTubes) : one(this.#tubes)
  }
}

/** A text in two writes, the second perhaps after steps of other connections. */
const split = (dice: Dice, text: string): [string, string] => {
  const at = dice.int(1, Math.max(1, text.length - 1))
  return [text.slice(0, at), text.slice(at)]
}

export const generate = (seed: number): Sequence => {
  const dice = new Dice(seed)
  const isCrowd = dice.chance(0.25)
  const script = new Script(dice, isCrowd)
  const connections = dice.int(1, 4)
  const steps: Array<Step> = []

  if (isCrowd) { for (let conn = 1; conn < connections; conn++) steps.push({ conn, send: ["reserve\r\n"] }) }
  const length = dice.int(8, 40)
  const pipelining = dice.one([0, 0.3, 0.9])
  while (steps.length < length) {
    const conn = dice.chance(0.4) ? 0 : dice.int(0, connections - 1)
    const end = dice.weighted({ none: 96, halfClose: 1.5, close: 1.5, reset: 1 })
    const parts = Array.from({ length: dice.chance(pipelining) ? dice.int(2, 8) : 1 }, () => script.part())
    if (end !== "none") {
      steps.push({ conn, send: dice.chance(0.5) ? parts : [], end })
    } else if (dice.chance(0.06)) {
      const [head, tail] = split(dice, parts.at(-1)!)
      steps.push({ conn, send: [...parts.slice(0, -1), head] })
      const other = dice.int(0, connections - 1)
      if (other !== conn) steps.push({ conn: other, send: [script.part()] })
      steps.push({ conn, send: [tail] })
    } else {
      steps.push({ conn, send: parts })
    }
  }
  // It cannot be undone, and costs a new server.
  if (dice.chance(0.01)) steps.splice(dice.int(0, steps.length), 0, { drain: true })
  return { isCrowd, steps }
}
