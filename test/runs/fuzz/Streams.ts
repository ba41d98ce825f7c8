/**
 * What hostile clients send: parts that are commands, nearly so, or not at all. `{id:n}` in them stands for the n-th job.
 */
import type { Dice } from "../../conformance/Dice.ts"
import { lineLengths, oddLines, oddNumbers, oddTimeouts, oddTubes } from "../../conformance/Oddities.ts"
import { garbage, mutate } from "./Mutations.ts"

const LINES = [
  "use TUBE",
  "watch TUBE",
  "ignore TUBE",
  "reserve",
  "reserve-with-timeout 0",
  "reserve-with-timeout 0",
  "reserve-with-timeout TIMEOUT",
  "reserve-job ID",
  "delete ID",
  "release ID PRI SECONDS",
  "bury ID PRI",
  "touch ID",
  "peek ID",
  "peek-ready",
  "peek-delayed",
  "peek-buried",
  "kick BOUND",
  "kick-job ID",
  "stats",
  "stats-job ID",
  "stats-tube TUBE",
  "list-tubes",
  "list-tube-used",
  "list-tubes-watched",
  "pause-tube TUBE SECONDS"
]

type Words = Readonly<Record<string, (dice: Dice) => string>>

const id = (dice: Dice): string => `{id:${dice.int(1, 12)}}`

/** Nothing is due before a stream has been executed, but for deadlines that are at once too soon. */
const right: Words = {
  TUBE: (dice) => dice.one(["default", "a", "b", "t".repeat(200)]),
  TIMEOUT: (dice) => dice.one(["1000", "2147483647"]),
  ID: id,
  PRI: (dice) => dice.one(["0", "1", "1023", "1024", "4294967295"]),
  SECONDS: (dice) => dice.one(["0", "0", "1000", "4294967295"]),
  TTR: (dice) => dice.one(["0", "1", "1000", "4294967295"]),
  BOUND: (dice) => String(dice.int(0, 10))
}

const longTime = (dice: Dice): string => dice.one(oddNumbers.filter((number) => !/^[ 0]*[1-9]$/.test(number)))

const odd: Words = {
  TUBE: (dice) => dice.one(oddTubes),
  TIMEOUT: (dice) => dice.one(oddTimeouts),
  ID: (dice) => dice.one(oddNumbers),
  PRI: (dice) => dice.one(oddNumbers),
  SECONDS: longTime,
  TTR: longTime,
  BOUND: (dice) => dice.one(oddNumbers)
}

const fill = (dice: Dice, line: string, words: Words): string => line.replace(/[A-Z]+/g, (word) => words[word]!(dice))

// A body that is read as commands is a few of them, not most of all that there are.
const LARGE = 200

const bodyOf = (dice: Dice, size: number): string => {
  const pattern = dice.one(
    size < LARGE ? ["x", "\r\n", "quit\r\n", "\0\xff", "delete 1\r\n", "put 0 0 1 1\r\n"] : ["x", "\0\xff"]
  )
  return pattern.repeat(Math.ceil(size / pattern.length)).slice(0, size)
}

const put = (dice: Dice, body: string, size = String(body.length), words = right): string =>
  `${fill(dice, "put PRI SECONDS TTR", words)} ${size}\r\n${body}`

const rightPut = (dice: Dice, largest: number): string => {
  const size = dice.weighted({ small: 8, any: 2, largest: 1 })
  return `${put(dice, bodyOf(dice, size === "largest" ? largest : dice.int(0, size === "any" ? largest : 20)))}\r\n`
}

const command = (dice: Dice, largest: number): string =>
  dice.chance(0.25) ? rightPut(dice, largest) : `${fill(dice, dice.one(LINES), right)}\r\n`

/** The body is not what was announced, or does not end as it should. */
const wrongPut = (dice: Dice, largest: number): string => {
  const body = bodyOf(dice, dice.int(0, 60))
  switch (dice.weighted({ length: 4, end: 4, tooLarge: 3, garbage: 2, odd: 2, huge: 0.3 })) {
    case "length":
      return `${put(dice, body, String(Math.max(0, body.length + dice.int(-3, 3))))}\r\n`
    case "end":
      return put(dice, body) + dice.one(["", "\n\n", "xy", "\r\r\n", "\n", "\r", "\0\0"])
    case "tooLarge":
      return `${put(dice, bodyOf(dice, largest + dice.int(1, 3)))}${dice.one(["\r\n", "", "xy"])}`
    case "garbage":
      return put(dice, body, `${body.length}${dice.one([" ", "x", " 1", "\0", "\t"])}`)
    case "odd":
      return `${put(dice, body, String(body.length), odd)}\r\n`
    case "huge":
      return put(dice, body, dice.one(["2147483648", "4294967294", "4294967295", "4294967296", "9".repeat(30)]))
  }
}

const overlong = (dice: Dice): string => {
  const start = dice.one(["stats-tube ", "use ", "", "peek ", "delete ", "put 0 0 60 5"])
  const length = dice.chance(0.5) ? dice.one(lineLengths) : dice.int(200, 1500)
  return `${start}${dice.one(["x", "9", " ", "\0"]).repeat(length)}${dice.one(["\r\n", "\r\n", "\n"])}`
}

// What comes out of a mutation can be far too long for a stream of many parts.
const LONGEST = 1500

/** One part of a stream; `largest` is the size of the largest body that the server takes. */
const part = (dice: Dice, largest: number): string => {
  switch (
    dice.weighted({
      command: 40,
      odd: 12,
      nearly: 15,
      wrongPut: 12,
      line: 5,
      garbage: 4,
      overlong: 4,
      nul: 2,
      quit: 0.3
    })
  ) {
    case "command":
      return command(dice, largest)
    case "odd":
      return `${fill(dice, dice.one(LINES), odd)}\r\n`
    case "nearly":
      return mutate(dice, command(dice, Math.min(largest, 50))).slice(0, LONGEST)
    case "wrongPut":
      return wrongPut(dice, largest)
    case "line":
      return `${dice.one(oddLines)}\r\n`
    case "garbage":
      return garbage(dice) + dice.one(["", "\r\n"])
    case "overlong":
      return overlong(dice)
    case "nul":
      return `${fill(dice, dice.one(LINES), right)}\0\r\n`
    case "quit":
      return dice.one(["quit\r\n", "quitx\r\n", "quit now\r\n"])
  }
}

/** So many parts. */
export const parts = (dice: Dice, count: number, largest: number): ReadonlyArray<string> =>
  Array.from({ length: count }, () => part(dice, largest))

const REPLY_BYTES = 2_000_000

/** More than anybody wants to read, in few commands: replies, a line, a body. */
export const flood = (dice: Dice, largest: number): string => {
  const size = dice.int(200_000, 600_000)
  switch (dice.weighted({ replies: 2, line: 1, body: 1 })) {
    case "replies": {
      const puts = Array.from({ length: 3 }, () => `${put(dice, bodyOf(dice, largest))}\r\n`).join("")
      const look = dice.one(["peek-ready", "peek-delayed", "stats", "peek {id:1}", "foo"])
      return puts + `${look}\r\n`.repeat(dice.int(5, Math.min(300, Math.ceil(REPLY_BYTES / largest))))
    }
    case "line":
      return `${dice.one(["x", "\0", "\r", "put "]).repeat(size)}\r\n`
    case "body":
      return `${put(dice, bodyOf(dice, size))}\r\n`
  }
}

/** The text with the ids in it, if the first of them is given away as this one. */
export const withIds = (text: string, first: bigint): string =>
  text.replace(/\{id:(\d+)\}/g, (_, n: string) => String(first - 1n + BigInt(n)))
