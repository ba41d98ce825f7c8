/**
 * Bytes that are nearly right, or not at all: what broken and hostile peers send. One character is one byte.
 */
import type { Dice } from "../../conformance/Dice.ts"

/** Any bytes. */
export const garbage = (dice: Dice, most = 60): string =>
  String.fromCharCode(...Array.from({ length: dice.int(0, most) }, () => dice.int(0, 255)))

const NUMBERS = [
  "0",
  "-1",
  "+1",
  "1.5",
  "1e9",
  "0x10",
  "007",
  "",
  " ",
  "NaN",
  "4294967295",
  "4294967296",
  "9007199254740991",
  "9007199254740992",
  "18446744073709551615",
  "18446744073709551616",
  "9".repeat(30),
  "9".repeat(400),
  "4096",
  "4097"
]

const mutations: ReadonlyArray<(dice: Dice, text: string) => string> = [
  // One byte is another one.
  (dice, text) => {
    const at = dice.int(0, Math.max(0, text.length - 1))
    return text.slice(0, at) + String.fromCharCode(dice.int(0, 255)) + text.slice(at + 1)
  },
  // A part is missing.
  (dice, text) => {
    const at = dice.int(0, text.length)
    return text.slice(0, at) + text.slice(at + dice.int(1, 5))
  },
  // It ends too early.
  (dice, text) => text.slice(0, dice.int(0, text.length)),
  // Something is in the middle.
  (dice, text) => {
    const at = dice.int(0, text.length)
    return text.slice(0, at) + garbage(dice, 8) + text.slice(at)
  },
  // A number is another one.
  (dice, text) => {
    const numbers = [...text.matchAll(/\d+/g)]
    if (numbers.length === 0) return text
    const { 0: digits, index } = dice.one(numbers)
    return text.slice(0, index) + dice.one(NUMBERS) + text.slice(index + digits.length)
  },
  // A line's end is not one.
  (dice, text) => text.replace("\r\n", dice.one(["\n", "\r", "\n\r", "\r\r\n", "\0\r\n", ""])),
  // Blanks.
  (dice, text) => text.replace(dice.one([" ", "\r\n"]), dice.one(["  ", "\t", " \r\n"])),
  (dice, text) => text.replace(/[A-Z]+/, (word) => dice.chance(0.5) ? word.toLowerCase() : `${word}_`),
  // Twice.
  (_, text) => text + text,
  // Far too long.
  (dice, text) => dice.one(["x", "DELETED\r\n", "\r", "\0"]).repeat(dice.int(1, 3000)) + text
]

/** The same with something wrong, once or several times. */
export const mutate = (dice: Dice, text: string): string => {
  let mutated = text
  for (let times = dice.int(1, 3); times > 0; times--) mutated = dice.one(mutations)(dice, mutated)
  return mutated
}

// Into more pieces nothing is cut.
const MOST_PIECES = 2000

/** In pieces, broken anywhere. */
export const split = (dice: Dice, text: string): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  const most = dice.one([1, 3, 20, text.length + 1]) * Math.ceil(text.length / MOST_PIECES)
  for (let at = 0; at < text.length;) {
    const size = dice.int(1, most)
    pieces.push(text.slice(at, at + size))
    at += size
  }
  return pieces
}
