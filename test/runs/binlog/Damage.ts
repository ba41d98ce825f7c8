/**
 * Files of ours are damaged at every byte: cut off there, zeroed from there on, or a bit flipped. Nothing that was
 * acknowledged may be missing or different in silence, and with salvage the server starts and has no job that nobody put.
 */
import { seedOf } from "../../conformance/Dice.ts"
import { FILE_SIZE, inOrder, type Moment, numberOf, type Recorded, textOf } from "./Recorded.ts"
import { type Files, imageOf, type Recovered, Restarts } from "./Recover.ts"

/** A kind of damage. */
export type Kind = "cut" | "zeroed" | "flipped"

/** What a start said of damage. */
export interface Outcomes {
  /** All that was acknowledged is there. */
  right: number
  rightTold: number
  refused: number
  /** Something that was acknowledged is missing or different, and a line says that something is. */
  told: number
  silent: number
  /**
   * The last file has been cut, or zeroed, from before records that were durable when an older file was removed, which had the
   * same jobs. No kill and no power failure leaves that. Nothing tells that there was more.
   */
  beyond: number
}

/** What was damaged, and what was found. */
export interface Totals {
  files: number
  bytes: number
  readonly plain: Record<Kind, Outcomes>
  readonly salvaged: Record<Kind, Outcomes>
  /** Jobs that a salvage gave in a state that they never had. */
  invented: number
  readonly violations: Array<string>
}

const none = (): Outcomes => ({ right: 0, rightTold: 0, refused: 0, told: 0, silent: 0, beyond: 0 })

const noneOfAll = (): Record<Kind, Outcomes> => ({ cut: none(), zeroed: none(), flipped: none() })

export const makeTotals = (): Totals => ({
  files: 0,
  bytes: 0,
  plain: noneOfAll(),
  salvaged: noneOfAll(),
  invented: 0,
  violations: []
})

/** Damage at one place. */
interface Damage {
  readonly kind: Kind
  readonly name: string
  readonly at: number
  readonly bit: number
}

const applied = ({ at, bit, kind }: Damage, bytes: Buffer): Buffer => {
  if (kind === "cut") return bytes.subarray(0, at)
  const damaged = Buffer.from(bytes)
  if (kind === "zeroed") damaged.fill(0, at)
  else damaged[at]! ^= 1 << bit
  return damaged
}

/** What may be had back in silence. */
interface Allowed {
  readonly states: ReadonlyArray<string>
  readonly isBeyond: boolean
}

const allowed = ({ files, moments }: Recorded, { at, kind, name }: Damage): Allowed => {
  const last = moments.at(-1)!
  const file = numberOf(name)
  const isWhole = kind === "cut" && at >= files.get(name)!.length
  if (kind === "flipped" || file !== last.file || isWhole) return { states: [last.jobs], isBeyond: false }
  // Of the last file, it looks as if what follows had not been written yet, and so it was not acknowledged.
  const isBefore = (moment: Moment) => moment.file < file || (moment.file === file && moment.end <= at)
  const n = moments.findLastIndex(isBefore)
  return { states: moments.slice(n, n + 2).map(({ jobs }) => jobs), isBeyond: moments[n]!.oldest < last.oldest }
}

const outcomeOf = (recovered: Recovered, { isBeyond, states }: Allowed): keyof Outcomes => {
  if (recovered._tag === "Refused") return "refused"
  const isTold = recovered.told.length > 0
  if (states.includes(textOf(recovered.jobs))) return isTold ? "rightTold" : "right"
  if (isTold) return "told"
  return isBeyond ? "beyond" : "silent"
}

const show = ({ at, bit, kind, name }: Damage) => `${name} ${kind} at ${at}${kind === "flipped" ? `, bit ${bit}` : ""}`

/** Starts without salvage, and with it, and then once more. */
const judge = (recorded: Recorded, damage: Damage, totals: Totals): void => {
  const note = (text: string) => totals.violations.push(`${show(damage)}: ${text}`)
  const files: Files = new Map(recorded.files).set(damage.name, applied(damage, recorded.files.get(damage.name)!))
  const may = allowed(recorded, damage)
  const image = imageOf(files)
  const outcome = outcomeOf(new Restarts(image.clone()).start({ fileSize: FILE_SIZE }), may)
  totals.plain[damage.kind][outcome]++
  if (outcome === "silent") note("an acknowledged job is missing or different, and nobody is told")

  const restarts = new Restarts(image)
  const salvaged = restarts.start({ fileSize: FILE_SIZE, salvage: true })
  const outcomeOfSalvage = outcomeOf(salvaged, may)
  totals.salvaged[damage.kind][outcomeOfSalvage]++
  if (salvaged._tag === "Refused") return void note(`it does not start with salvage: ${salvaged.why}`)
  if (outcomeOfSalvage === "silent") note("with salvage, an acknowledged job is missing or different in silence")
  const invented = salvaged.jobs.filter((job) => !recorded.states.has(textOf([job])))
  totals.invented += invented.length
  for (const job of invented) note(`with salvage there is a job that nobody put so: ${textOf([job]).slice(0, 80)}`)
  const again = restarts.start({ fileSize: FILE_SIZE })
  if (again._tag === "Refused") return void note(`it does not start after a salvage: ${again.why}`)
  if (textOf(again.jobs) !== textOf(salvaged.jobs)) note("it has other jobs after a salvage and a restart")
}

// Behind the last record there is nothing but zeros.
const BEYOND = 100

/** How much is damaged: every so many bytes, and so many bits of each. */
export interface Options {
  readonly seed: number
  readonly bits: number
  readonly step: number
}

/** Damages every file. */
export const run = (recorded: Recorded, { bits, seed, step }: Options, totals: Totals): void => {
  for (const name of inOrder(recorded.files)) {
    const bytes = recorded.files.get(name)!
    const end = Math.min(bytes.length, bytes.findLastIndex((byte) => byte !== 0) + BEYOND)
    totals.files++
    totals.bytes += end
    for (let at = 0; at < end; at += step) {
      judge(recorded, { kind: "cut", name, at, bit: 0 }, totals)
      judge(recorded, { kind: "zeroed", name, at, bit: 0 }, totals)
      for (let i = 0; i < bits; i++) {
        judge(recorded, { kind: "flipped", name, at, bit: (seedOf(seed, at) + i) % 8 }, totals)
      }
    }
  }
}
