/**
 * A server that takes down what it hears, reads it by the letter of the protocol, and answers.
 */
import * as Effect from "effect/Effect"
import type { Dialer } from "../../../src/internal/connection/transport.ts"
import { withBody } from "../../support/scripted/Commands.ts"

/** A command as it was heard. Text is one character a byte. */
export interface Heard {
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly body?: string | undefined
}

const MAX_UINT32 = 4_294_967_295

const uint = (most: number) => (text: string): boolean => /^(0|[1-9]\d*)$/.test(text) && Number(text) <= most
const number = uint(MAX_UINT32)
const ttr = (text: string): boolean => number(text) && text !== "0"
const seconds = uint(2_147_483_647)
const id = uint(Number.MAX_SAFE_INTEGER)
const tube = (text: string): boolean => /^[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}$/.test(text)

// The job that was asked for, if one was.
const job = (word: string) => ([id = "7"]: ReadonlyArray<string>) => withBody(`${word} ${id}`, "hello")
const says = (reply: string) => () => `${reply}\r\n`
const using = ([name]: ReadonlyArray<string>) => `USING ${name}\r\n`
const list = () => withBody("OK", "---\n- default\n")

type Reply = (args: ReadonlyArray<string>) => string

/** The arguments of each command, and an answer. */
const grammar: Readonly<Record<string, readonly [args: ReadonlyArray<(text: string) => boolean>, reply: Reply]>> = {
  put: [[number, number, ttr, number], says("INSERTED 7")],
  use: [[tube], using],
  reserve: [[], job("RESERVED")],
  "reserve-with-timeout": [[seconds], says("TIMED_OUT")],
  "reserve-job": [[id], job("RESERVED")],
  delete: [[id], says("DELETED")],
  release: [[id, number, number], says("RELEASED")],
  bury: [[id, number], says("BURIED")],
  touch: [[id], says("TOUCHED")],
  watch: [[tube], says("WATCHING 2")],
  ignore: [[tube], says("WATCHING 1")],
  peek: [[id], job("FOUND")],
  "peek-ready": [[], job("FOUND")],
  "peek-delayed": [[], job("FOUND")],
  "peek-buried": [[], job("FOUND")],
  kick: [[number], says("KICKED 1")],
  "kick-job": [[id], says("KICKED")],
  "stats-job": [
    [id],
    ([id]) => withBody("OK", `---\nid: ${id}\ntube: default\nstate: reserved\npri: 5\nttr: 60\nreserves: 1\n`)
  ],
  "stats-tube": [[tube], ([name]) => withBody("OK", `---\nname: ${name}\n`)],
  stats: [[], () => withBody("OK", "---\nversion: \"1.12\"\n")],
  "list-tubes": [[], list],
  "list-tube-used": [[], () => "USING default\r\n"],
  "list-tubes-watched": [[], list],
  "pause-tube": [[tube, number], says("PAUSED")],
  quit: [[], () => ""]
}

export class Recorder {
  readonly dialer: Dialer
  /** What it has heard that is no command by the letter of the protocol. */
  readonly injected: Array<string> = []
  #heard: Array<Heard> = []
  #jobs = 0
  #hasJob = false

  constructor() {
    this.dialer = {
      server: "recorder",
      open: (handlers) =>
        Effect.sync(() => {
          let isOpen = true
          const answer = (reply: string) =>
            queueMicrotask(() => isOpen && handlers.onData(Buffer.from(reply, "latin1")))
          return {
            write: (bytes) => {
              this.#read(Buffer.from(bytes).toString("latin1"), answer)
              return true
            },
            destroy: () => {
              isOpen = false
            }
          }
        })
    }
  }

  /** What it has heard since it was asked last. From now on it has one more job. */
  take(): ReadonlyArray<Heard> {
    const heard = this.#heard
    this.#heard = []
    this.#hasJob = true
    return heard
  }

  // Commands are written whole.
  #read(bytes: string, answer: (reply: string) => void): void {
    let at = 0
    while (at < bytes.length) {
      const start = at
      const end = bytes.indexOf("\r\n", at)
      const [name = "", ...args] = bytes.slice(at, end).split(" ")
      const row = grammar[name]
      at = end + 2
      const size = name === "put" ? Number(args[3]) + 2 : 0
      const body = bytes.slice(at, at + size)
      const isRight = end !== -1 && row !== undefined && row[0].length === args.length &&
        row[0].every((isArgument, i) => isArgument(args[i]!)) && (name !== "put" || body.endsWith("\r\n"))
      if (!isRight) return void this.injected.push(bytes.slice(start, start + 100))
      at += size
      this.#heard.push(name === "put" ? { name, args, body: body.slice(0, -2) } : { name, args })
      this.#answer(name, args, row[1], answer)
    }
  }

  // A reserve that waits does so until there is a job, which may be for ever.
  #answer(name: string, args: ReadonlyArray<string>, reply: Reply, answer: (reply: string) => void): void {
    if (name !== "reserve-with-timeout") return answer(reply(args))
    if (!this.#hasJob) return args[0] === "0" ? answer(reply(args)) : undefined
    this.#hasJob = false
    answer(job("RESERVED")([String(++this.#jobs)]))
  }
}
