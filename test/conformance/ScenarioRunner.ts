/**
 * Plays a scenario against a server, over TCP.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { RawSocket, replyLength, Watch } from "./RawSocket.ts"
import { type Expectation, Placeholders, type Scenario, type Step } from "./Scenario.ts"
import type { Running } from "./Target.ts"

/** How long an answer may take where the scenario does not say. */
const patienceMs = 4000

/** What comes late after the last step is still found. */
const lateMs = 2

export class ScenarioError extends Schema.TaggedError<ScenarioError>()("ScenarioError", {
  scenario: Schema.String,
  /** The number of the step, from 0; -1 after the last. */
  step: Schema.Int,
  detail: Schema.String
}) {
  override get message() {
    return `${this.scenario}, ${this.step < 0 ? "after the last step" : `step ${this.step}`}: ${this.detail}`
  }
}

const show = (text: string) =>
  text.length <= 1500 ? JSON.stringify(text) : `${JSON.stringify(text.slice(0, 1500))}... (${text.length} bytes)`

/** Not a moment less, which timers may be. */
const pause = async (milliseconds: number) => {
  const end = performance.now() + milliseconds
  for (let left = milliseconds; left > 0; left = end - performance.now()) {
    await new Promise<void>((resolve) => setTimeout(resolve, Math.ceil(left)))
  }
}

class Run {
  readonly #scenario: Scenario
  readonly #server: Running
  readonly #placeholders = new Placeholders(`t${randomBytes(4).toString("hex")}`)
  readonly #marks = new Map<string, number>()
  readonly #sockets = new Map<number, RawSocket>()
  /** The step that is played. */
  step = -1

  constructor(scenario: Scenario, server: Running) {
    this.#scenario = scenario
    this.#server = server
  }

  async play(): Promise<void> {
    const { connections, lazy = [], steps } = this.#scenario
    for (let conn = 0; conn < connections; conn++) if (!lazy.includes(conn)) await this.#open(conn)
    for (const [index, step] of steps.entries()) {
      this.step = index
      await this.#play(step)
    }
    this.step = -1
    for (const [conn, socket] of this.#sockets) {
      if (socket.closed) continue
      await socket.until(({ ended }) => ended || undefined, lateMs)
      if (socket.text !== "") throw new Error(`left unread on connection ${conn}: ${show(socket.text)}`)
    }
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close()
  }

  async #open(conn: number): Promise<void> {
    this.#sockets.set(conn, await RawSocket.connect(this.#server.host, this.#server.port, new Watch()))
  }

  async #play(step: Step): Promise<void> {
    const began = performance.now()
    if (step.mark !== undefined) this.#marks.set(step.mark, began)
    if (step.sleepMs !== undefined) await pause(step.sleepMs)
    if (step.drain === true) await Effect.runPromise(this.#server.drain)
    if (step.conn === undefined) return
    if (step.open === true) await this.#open(step.conn)

    const socket = this.#sockets.get(step.conn)
    if (socket === undefined) throw new Error(`connection ${step.conn} is not open`)
    if (step.send !== undefined) socket.write(this.#placeholders.text(step.send))
    if (step.halfClose === true) socket.halfClose()
    if (step.reset === true) socket.reset()
    else if (step.close === true) socket.close()

    if (step.silentMs !== undefined) {
      await socket.until(({ ended, text }) => ended || text !== "" || undefined, step.silentMs)
      if (socket.text !== "" || socket.ended) throw new Error(`expected silence, got ${this.#got(socket)}`)
    }
    if (step.expect === undefined && step.eof !== true) return
    const base = step.since === undefined ? began : this.#marks.get(step.since)!
    const deadline = step.maxMs === undefined ? began + patienceMs : base + step.maxMs
    if (step.expect !== undefined) await this.#expect(socket, step.expect, deadline)
    if (step.eof === true) {
      await socket.until(({ ended }) => ended || undefined, deadline - performance.now())
      if (socket.text !== "" || !socket.ended) throw new Error(`expected the end, got ${this.#got(socket)}`)
    }
    const took = performance.now() - base
    if (step.minMs !== undefined && took < step.minMs) {
      throw new Error(`too early: ${Math.round(took)} ms, at least ${step.minMs}`)
    }
  }

  async #expect(socket: RawSocket, expected: Expectation, deadline: number): Promise<void> {
    const left = deadline - performance.now()
    if (typeof expected !== "string") {
      const length = await socket.until(({ ended, text }) => replyLength(text) ?? (ended ? 0 : undefined), left)
      if (!length) throw new Error(`expected a reply like ${JSON.stringify(expected)}, got ${this.#got(socket)}`)
      this.#matchReply(socket.take(length), expected)
      return
    }
    const took = await socket.until(
      ({ ended, text }) => this.#placeholders.take(expected, text) ?? (ended ? 0 : undefined),
      left
    )
    if (took === undefined || took === 0) throw new Error(`expected ${show(expected)}, got ${this.#got(socket)}`)
    socket.take(took)
  }

  #matchReply(reply: string, expected: Exclude<Expectation, string>): void {
    if (!reply.endsWith("\r\n")) throw new Error(`the body is not followed by CRLF: ${show(reply)}`)
    if (expected.regex !== undefined && !this.#placeholders.matches(expected.regex, reply)) {
      throw new Error(`expected /${expected.regex}/, got ${show(reply)}`)
    }
    for (const part of expected.contains ?? []) {
      if (!this.#placeholders.isIn(part, reply)) throw new Error(`expected ${show(part)} in ${show(reply)}`)
    }
  }

  #got(socket: RawSocket): string {
    return `${show(socket.text)}${socket.ended ? " and the end" : ""}`
  }
}

/** Succeeds if the server did all that the scenario expects, and nothing that it does not. */
export const play = (scenario: Scenario, server: Running): Effect.Effect<void, ScenarioError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Run(scenario, server)),
    (run) =>
      Effect.tryPromise({
        try: () => run.play(),
        catch: (error) =>
          new ScenarioError({
            scenario: scenario.name,
            step: run.step,
            detail: error instanceof Error ? error.message : String(error)
          })
      }),
    (run) => Effect.sync(() => run.close())
  )
