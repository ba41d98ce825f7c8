/**
 * Sequences in which time passes: made, played on the model and on the engine, and compared.
 */
import { Dice } from "./Dice.ts"
import { EngineTarget, type Written } from "./EngineTarget.ts"
import { type Command, Model } from "./Model.ts"
import type { Event, Reply } from "./Timeline.ts"

export type TimedStep =
  | { readonly conn: number; readonly command: Command }
  /** In milliseconds. */
  | { readonly advance: number }

const CONNECTIONS = 4

const tubes = ["default", "a", "b"]

const weights = {
  put: 20,
  "reserve-with-timeout": 14,
  reserve: 6,
  "reserve-job": 4,
  delete: 4,
  release: 6,
  bury: 4,
  touch: 5,
  kick: 3,
  "kick-job": 3,
  peek: 1,
  "peek-ready": 2,
  "peek-delayed": 2,
  "peek-buried": 2,
  use: 4,
  watch: 4,
  ignore: 2,
  "pause-tube": 6,
  "stats-job": 8,
  "stats-tube": 5,
  close: 1
}

const commandOf = (dice: Dice, puts: number, held: ReadonlyArray<number>): Command => {
  const name = dice.weighted(weights)
  const seconds = () => dice.one([0, 0, 1, 2, 3, 5, 10, 30, 100])
  const pri = () => dice.one([0, 1, 1023, 1024])
  const id = () => dice.int(1, puts + 1)
  const idToEnd = () => held.length > 0 && dice.chance(0.8) ? dice.one(held) : id()
  switch (name) {
    case "put": {
      return { name, pri: pri(), delay: seconds(), ttr: dice.one([0, 1, 2, 3, 5, 10, 60, 120]) }
    }
    case "reserve-with-timeout": {
      return { name, seconds: seconds() }
    }
    case "release": {
      return { name, id: idToEnd(), pri: pri(), delay: seconds() }
    }
    case "bury": {
      return { name, id: idToEnd(), pri: pri() }
    }
    case "kick": {
      return { name, bound: dice.int(0, 3) }
    }
    case "touch": {
      return { name, id: idToEnd() }
    }
    case "pause-tube": {
      return { name, tube: dice.one(tubes), seconds: seconds() }
    }
    case "use":
    case "watch":
    case "ignore":
    case "stats-tube": {
      return { name, tube: dice.one(tubes) }
    }
    case "reserve-job":
    case "delete":
    case "kick-job":
    case "peek":
    case "stats-job": {
      return { name, id: id() }
    }
    default: {
      return { name }
    }
  }
}

/** The model plays along, so that some commands are about jobs that are held. */
export const generate = (seed: number): ReadonlyArray<TimedStep> => {
  const dice = new Dice(seed)
  const model = new Model(CONNECTIONS)
  let puts = 0
  return Array.from({ length: dice.int(10, 80) }, (): TimedStep => {
    const isPause = dice.chance(0.25)
    const conn = dice.int(0, CONNECTIONS - 1)
    const step = isPause
      ? { advance: 500 * (dice.chance(0.7) ? dice.int(1, 8) : dice.int(1, 400)) }
      : { conn, command: commandOf(dice, puts, model.held(conn)) }
    if ("command" in step && step.command.name === "put") puts++
    playOnModel(model, step)
    return step
  })
}

/** No two commands come at the same time, so that hardly anything is due at the same time. */
const BETWEEN_COMMANDS = 1

/** Returns whether the command was given: who waits is not asked anything, but may go. */
const playOnModel = (model: Model, step: TimedStep): boolean => {
  model.advance(timeOf(model.now, step))
  if ("advance" in step) return false
  const isGiven = step.command.name === "close" || !model.isWaiting(step.conn)
  if (isGiven) model.execute(step.conn, step.command)
  return isGiven
}

const timeOf = (now: number, step: TimedStep) => now + ("advance" in step ? step.advance : BETWEEN_COMMANDS)

const playOnEngine = (engine: EngineTarget, step: TimedStep, isGiven: boolean): void => {
  engine.advance(timeOf(engine.now, step))
  if ("advance" in step || !isGiven) return
  if (step.command.name === "close") engine.close(step.conn)
  else engine.send(step.conn, lineOf(step.command))
}

const lineOf = (command: Exclude<Command, { readonly name: "close" }>): string => {
  if (command.name === "put") return `put ${command.pri} ${command.delay} ${command.ttr} 1\r\nx\r\n`
  // The fields are in the order of the arguments.
  return `${Object.values(command).join(" ")}\r\n`
}

/** The reply with just as much in it as the model says. */
const reduce = (reply: string, expected: Reply | undefined): Reply => {
  const [line, ...rest] = reply.split("\r\n")
  if (line!.startsWith("OK ") && typeof expected === "object") {
    const entries = rest.join("\r\n").split("\n").map((entry) => entry.split(": "))
    return Object.fromEntries(
      Object.entries(expected).map(([key, value]) => {
        const text = entries.find(([name]) => name === key)?.[1]
        return [key, typeof value === "number" ? Number(text) : text!]
      })
    )
  }
  return line!.replace(/^((?:RESERVED|FOUND) \d+) \d+$/, "$1")
}

export interface Mismatch {
  readonly step: number
  readonly expected: ReadonlyArray<Event>
  readonly actual: ReadonlyArray<Event>
}

const byConn = (a: { readonly at: number; readonly conn: number }, b: { readonly at: number; readonly conn: number }) =>
  a.at - b.at || a.conn - b.conn

const compare = (step: number, events: Array<Event>, written: Array<Written>): Mismatch | undefined => {
  const expected = events.splice(0).sort(byConn)
  const actual = written.splice(0).sort(byConn).map(({ at, conn, reply }, index) => ({
    at,
    conn,
    reply: reduce(reply, expected[index]?.reply)
  }))
  return JSON.stringify(actual) === JSON.stringify(expected) ? undefined : { step, expected, actual }
}

/** Plays the steps on both; undefined if they agree. */
export const play = (steps: ReadonlyArray<TimedStep>): Mismatch | undefined => {
  const model = new Model(CONNECTIONS)
  const engine = new EngineTarget()
  for (const [index, step] of steps.entries()) {
    playOnEngine(engine, step, playOnModel(model, step))
    if (model.isAmbiguous) return undefined
    const mismatch = compare(index, model.events, engine.written)
    if (mismatch !== undefined) return mismatch
  }
  return undefined
}

export const print = (steps: ReadonlyArray<TimedStep>): string =>
  steps.map((step, index) =>
    "advance" in step
      ? `${index}. ${step.advance / 1000} seconds pass`
      : `${index}. connection ${step.conn}: ${Object.values(step.command).join(" ")}`
  ).join("\n")
