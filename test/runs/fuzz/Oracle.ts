/**
 * What the bytes of a server mean, read once more and in another way than the client does: which replies there are, and
 * what each of them makes of the command that it comes to.
 */
import type { Protocol } from "effect-beanstalkd"

export const MAX_REPLY_SIZE = 4096
const MAX_LINE = 1024
// The largest that a put can announce.
const MAX_JOB_SIZE = 4_294_967_295

/** A reply, of one character a byte. */
export interface Frame {
  readonly line: string
  readonly body?: string | undefined
  /** The body was larger than allowed, so nobody sees it. */
  readonly isTooLarge?: boolean | undefined
}

/** The replies in the order in which they came, and what is behind them. */
export interface Reading {
  readonly frames: ReadonlyArray<Frame>
  readonly rest: "nothing" | "the beginning of a reply" | "nonsense"
}

/** Cuts a stream of bytes into replies. */
export const read = (stream: string): Reading => {
  const frames: Array<Frame> = []
  let at = 0
  while (at < stream.length) {
    const end = stream.indexOf("\r\n", at)
    const line = end === -1 ? stream.slice(at) : stream.slice(at, end)
    if (line.length > MAX_LINE + (end === -1 ? 1 : 0)) return { frames, rest: "nonsense" }
    if (end === -1) return { frames, rest: "the beginning of a reply" }
    at = end + 2
    const length = /^(?:RESERVED|FOUND) [^ ]* ([^ ]*)$|^OK ([^ ]*)$/s.exec(line)
    if (length === null) {
      frames.push({ line })
      continue
    }
    const digits = length[1] ?? length[2]!
    const isTooLarge = Number(digits) > MAX_REPLY_SIZE
    const most = length[1] === undefined ? MAX_REPLY_SIZE : MAX_JOB_SIZE
    if (!/^\d+$/.test(digits) || Number(digits) > most) return { frames, rest: "nonsense" }
    const body = stream.slice(at, at + Number(digits))
    at += Number(digits)
    const ending = stream.slice(at, at + 2)
    if (!"\r\n".startsWith(ending)) return { frames, rest: "nonsense" }
    if (ending !== "\r\n") return { frames, rest: "the beginning of a reply" }
    at += 2
    frames.push(isTooLarge ? { line, isTooLarge } : { line, body })
  }
  return { frames, rest: "nothing" }
}

/** What a reply makes of a command: a value, a typed error of this tag or with this reason, the end of the connection. */
export type Meaning =
  | { readonly value: unknown }
  | { readonly error: string }
  | "nonsense"
  /** A document, which is checked field by field: a value, or nonsense. */
  | "document"

const id = (digits: string): Meaning =>
  digits.length <= 20 && Number.isSafeInteger(Number(digits)) ? { value: Number(digits) } : "nonsense"

const done: Meaning = { value: undefined }

// What the commands of the table ask for.
const ASKED_FOR = 7

type Row = ReadonlyArray<readonly [pattern: RegExp, meaning: (found: RegExpExecArray, frame: Frame) => Meaning]>

const says = (word: string, error: string): Row[number] => [new RegExp(`^${word}$`), () => ({ error })]
const succeeds = (word: string): Row[number] => [new RegExp(`^${word}$`), () => done]
const notFound = says("NOT_FOUND", "NotFound")
const counts = (word: string): Row[number] => [new RegExp(`^${word} (\\d+)$`), (found) => id(found[1]!)]
const job = (word: string): Row[number] => [
  new RegExp(`^${word} (\\d+) \\d+$`),
  (found, { body, isTooLarge }) => {
    const meaning = id(found[1]!)
    if (meaning === "nonsense") return meaning
    return isTooLarge === true ? { error: "ReplyTooLarge" } : { value: { id: Number(found[1]), body } }
  }
]
/** A job that was asked for by its id. */
const thisJob = (word: string): Row[number] => [
  new RegExp(`^${word} 0*${ASKED_FOR} \\d+$`),
  (_, { body, isTooLarge }) => isTooLarge === true ? { error: "ReplyTooLarge" } : { value: { id: ASKED_FOR, body } }
]
const document: Row[number] = [/^OK \d+$/, () => "document"]
const tube = (pattern: string): Row[number] => [new RegExp(`^USING (${pattern})$`), (found) => ({ value: found[1] })]
const look: Row = [job("FOUND"), notFound]
const settles = (word: string): Row => [succeeds(word), notFound]

const rows: Record<Protocol.CommandName, Row> = {
  put: [
    counts("INSERTED"),
    [/^BURIED (\d+)$/, (found) => id(found[1]!) === "nonsense" ? "nonsense" : { error: "JobBuried" }],
    says("JOB_TOO_BIG", "JobTooBig"),
    says("DRAINING", "Draining"),
    says("OUT_OF_MEMORY", "OutOfMemory")
  ],
  use: [tube("foo")],
  reserve: [job("RESERVED"), says("DEADLINE_SOON", "DeadlineSoon")],
  reserveWithTimeout: [job("RESERVED"), says("DEADLINE_SOON", "DeadlineSoon"), says("TIMED_OUT", "TimedOut")],
  reserveJob: [thisJob("RESERVED"), notFound],
  delete: settles("DELETED"),
  release: [...settles("RELEASED"), says("BURIED", "JobBuried")],
  bury: settles("BURIED"),
  touch: settles("TOUCHED"),
  watch: [counts("WATCHING")],
  ignore: [counts("WATCHING"), says("NOT_IGNORED", "NotIgnored")],
  peek: [thisJob("FOUND"), notFound],
  peekReady: look,
  peekDelayed: look,
  peekBuried: look,
  kick: [counts("KICKED")],
  kickJob: settles("KICKED"),
  statsJob: [document, notFound],
  statsTube: [document, notFound],
  stats: [document],
  listTubes: [document],
  listTubeUsed: [tube("[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}")],
  listTubesWatched: [document],
  pauseTube: settles("PAUSED"),
  quit: []
}

const REFUSALS: ReadonlyMap<string, string> = new Map([
  ["OUT_OF_MEMORY", "ServerOutOfMemory"],
  ["INTERNAL_ERROR", "InternalError"],
  ["BAD_FORMAT", "BadFormat"],
  ["UNKNOWN_COMMAND", "UnknownCommand"],
  ["EXPECTED_CRLF", "ExpectedCrlf"]
])

/** What this reply to this command must mean to the client. */
export const meaningOf = (command: Protocol.CommandName, frame: Frame): Meaning => {
  for (const [pattern, meaning] of rows[command]) {
    const found = pattern.exec(frame.line)
    if (found !== null) return meaning(found, frame)
  }
  // A `use` that did not work would send the next put elsewhere.
  const refusal = command === "quit" || command === "use" ? undefined : REFUSALS.get(frame.line)
  return refusal === undefined ? "nonsense" : { error: refusal }
}
