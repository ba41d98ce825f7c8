/**
 * A salvage that is ended by a kill or by a power failure at each of its operations, and done again: it gives what it would have
 * given.
 */
import { Dice } from "../../conformance/Dice.ts"
import { FILE_SIZE, inOrder, type Recorded, textOf } from "./Recorded.ts"
import { type Files, imageOf, Restarts } from "./Recover.ts"
import type { Image } from "../../support/MemoryDisk.ts"

/** What was salvaged. */
export interface Totals {
  salvages: number
  kills: number
  powerFailures: number
  readonly violations: Array<string>
}

export const makeTotals = (): Totals => ({ salvages: 0, kills: 0, powerFailures: 0, violations: [] })

/** Flips a bit somewhere. */
const damaged = ({ files }: Recorded, dice: Dice): { readonly what: string; readonly files: Files } => {
  const name = dice.one(inOrder(files))
  const bytes = Buffer.from(files.get(name)!)
  const at = dice.int(0, bytes.findLastIndex((byte) => byte !== 0))
  bytes[at]! ^= 1 << dice.int(0, 7)
  return { what: `${name} flipped at ${at}`, files: new Map(files).set(name, bytes) }
}

const salvaged = (image: Image, onMoment?: () => void): string => {
  const result = new Restarts(image, onMoment).start({ fileSize: FILE_SIZE, salvage: true })
  return result._tag === "Refused" ? `refused: ${result.why}` : textOf(result.jobs)
}

const judge = (what: string, damage: Image, dice: Dice, totals: Totals): void => {
  const images: Array<Image> = []
  const image = damage.clone()
  const whole = salvaged(image, () => images.push(image.clone()))
  totals.salvages++
  for (const [i, left] of images.entries()) {
    const where = `${what}: operation ${i + 1} of ${images.length}`
    const afterPowerFailure = left.afterPowerFailure(dice)
    totals.kills++
    if (salvaged(left) !== whole) totals.violations.push(`${where}: other jobs after a kill`)
    totals.powerFailures++
    if (salvaged(afterPowerFailure) !== whole) totals.violations.push(`${where}: other jobs after a power failure`)
  }
}

/** Salvages so many damaged directories. */
export const run = (
  recorded: Recorded,
  { count, seed }: { readonly count: number; readonly seed: number },
  totals: Totals
) => {
  const dice = new Dice(seed)
  while (totals.salvages < count) {
    const { files, what } = damaged(recorded, dice)
    const image = imageOf(files)
    const isRefused = new Restarts(image.clone()).start({ fileSize: FILE_SIZE })._tag === "Refused"
    if (isRefused) judge(what, image, dice, totals)
  }
}
