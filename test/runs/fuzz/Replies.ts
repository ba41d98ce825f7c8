/**
 * Hostile servers: commands on a connection whose server answers with what is nearly right or not at all. Each command
 * ends as an oracle says, and the connection is dead or in sync.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { Connection, Errors, type Protocol } from "effect-beanstalkd"
import type { Dialer, Handlers } from "../../../src/internal/connection/transport.ts"
import assert from "node:assert/strict"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import { rows, table, withBody } from "../../support/scripted/Commands.ts"
import { garbage, mutate, split } from "./Mutations.ts"
import { type Frame, MAX_REPLY_SIZE, type Meaning, meaningOf, read } from "./Oracle.ts"

/** A server that says what it is told to. */
class Peer {
  received = ""
  isGone = false
  #handlers: Handlers | undefined
  readonly dialer: Dialer

  constructor(isSynchronous: boolean) {
    this.dialer = {
      server: "peer",
      open: (handlers) =>
        Effect.sync(() => {
          this.#handlers = handlers
          return {
            isSynchronous,
            write: (bytes) => {
              this.received += Buffer.from(bytes).toString("latin1")
              return true
            },
            destroy: () => {
              this.isGone = true
            }
          }
        })
    }
  }

  say(text: string): void {
    if (!this.isGone) this.#handlers!.onData(Buffer.from(text, "latin1"))
  }

  close(): void {
    if (!this.isGone) this.#handlers!.onClose(new Errors.ConnectionClosed({ detail: "the server closed it" }))
  }
}

/** What a server might answer to that command. */
const answerTo = (dice: Dice, command: Protocol.CommandName): string => {
  const { reply } = rows[command]
  switch (dice.weighted({ right: 4, nearly: 4, other: 1, refusal: 1, garbage: 1 })) {
    case "right":
      return reply
    case "nearly":
      return mutate(dice, reply)
    case "other":
      return dice.one(table).reply
    case "refusal":
      return `${dice.one(["OUT_OF_MEMORY", "INTERNAL_ERROR", "BAD_FORMAT", "NOT_FOUND", "DRAINING", "BURIED"])}\r\n`
    case "garbage":
      return garbage(dice)
  }
}

const turn = Effect.promise(() => Promise.resolve())

/** How a command ended. */
type Ended = Exit.Exit<unknown, unknown> | undefined

const tagOf = (exit: Exit.Failure<unknown, unknown>): string => {
  const [reason, ...others] = exit.cause.reasons
  assert.ok(reason !== undefined && others.length === 0 && Cause.isFailReason(reason), "an error that is not typed")
  const { error } = reason
  if (!(error instanceof Errors.BeanstalkdError)) return (error as { readonly _tag: string })._tag
  assert.ok(error.sent, "it had been sent")
  assert.ok(error.message.length < 2000, "a message without end")
  return error.reason._tag
}

const isUnexpected = (exit: Ended): boolean =>
  exit !== undefined && Exit.isFailure(exit) && tagOf(exit) === "UnexpectedReply"

const failsWith = (exit: Ended, tag: string): void => {
  assert.ok(exit !== undefined, `should have failed with ${tag}, and has not ended`)
  assert.ok(Exit.isFailure(exit), `should have failed with ${tag}`)
  assert.equal(tagOf(exit), tag)
}

const valueOf = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !("body" in value)) return value
  const { body, id } = value as Protocol.RawJob
  return { id, body: Buffer.from(body).toString("latin1") }
}

/** Whether the connection lives on after this reply. */
const endsAs = (exit: Ended, meaning: Meaning): boolean => {
  if (meaning === "nonsense" || (meaning === "document" && isUnexpected(exit))) {
    failsWith(exit, "UnexpectedReply")
    return false
  }
  if (meaning !== "document" && "error" in meaning) failsWith(exit, meaning.error)
  else {
    assert.ok(exit !== undefined && Exit.isSuccess(exit), "should have succeeded")
    if (meaning !== "document") assert.deepEqual(valueOf(exit.value), meaning.value)
  }
  return true
}

/** Checks the commands against the replies. Whether the connection must still be alive, and how many are unanswered. */
const check = (commands: ReadonlyArray<Protocol.CommandName>, exits: ReadonlyArray<Ended>, stream: string) => {
  const { frames, rest } = read(stream)
  const answer = (n: number, frame: Frame) => n < commands.length && endsAs(exits[n], meaningOf(commands[n]!, frame))
  let answered = 0
  let isAlive = true
  for (const frame of frames) {
    isAlive = answer(answered++, frame)
    if (!isAlive) break
  }
  if (isAlive && rest === "nonsense") {
    if (answered < commands.length) failsWith(exits[answered++], "UnexpectedReply")
    isAlive = false
  }
  for (const exit of exits.slice(answered)) {
    if (isAlive) assert.equal(exit, undefined, "answered by nobody")
    else failsWith(exit, "ConnectionClosed")
  }
  return { isAlive, isInSync: isAlive && rest === "nothing" && answered === commands.length }
}

const stillWorks = Effect.fnUntraced(function*(connection: Connection.Service, peer: Peer) {
  const asking = yield* Effect.forkChild(connection.listTubesWatched, { startImmediately: true })
  yield* turn
  peer.say(withBody("OK", "---\n- still\n- alive\n"))
  const exit = asking.pollUnsafe()
  assert.ok(exit !== undefined && Exit.isSuccess(exit), "the next command has no answer")
  assert.deepEqual(exit.value, ["still", "alive"])
})

const names = table.map(({ name }) => name as Protocol.CommandName)

/** One connection and what its server says. How many replies that were. */
const round = Effect.fnUntraced(function*(seed: number) {
  const dice = new Dice(seed)
  const peer = new Peer(dice.chance(0.3))
  const connection = yield* Connection.make({ dialer: peer.dialer, maxReplySize: MAX_REPLY_SIZE })
  // Nothing leaves behind a quit.
  const commands = Array.from({ length: dice.int(1, 4) }, () => dice.one(names))
  const quit = commands.indexOf("quit")
  if (quit !== -1) commands.length = quit + 1
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  for (const name of commands) {
    fibers.push(yield* Effect.forkChild(rows[name].issue(connection), { startImmediately: true }))
  }
  yield* turn
  assert.equal(peer.received, commands.map((name) => rows[name].sends).join(""))
  const replies = commands.map((name) => answerTo(dice, name))
  if (dice.chance(0.1)) replies.push(dice.one(table).reply)
  const stream = replies.join("")
  for (const piece of split(dice, stream)) peer.say(piece)
  const ends = () => fibers.map((fiber) => fiber.pollUnsafe())
  const { isAlive, isInSync } = check(commands, ends(), stream)
  assert.equal(yield* connection.closed, !isAlive, "dead or alive")
  assert.equal(peer.isGone, !isAlive, "the transport is left open")
  if (isInSync) yield* stillWorks(connection, peer)
  peer.close()
  for (const exit of ends()) {
    assert.ok(exit !== undefined, "it hangs")
    if (Exit.isFailure(exit)) tagOf(exit)
  }
  assert.ok(yield* connection.closed)
  return replies.length
}, Effect.scoped)

/** So many replies, from this seed. */
export const run = Effect.fnUntraced(function*(seed: number, count: number) {
  let replies = 0
  for (let n = 0; replies < count; n++) {
    replies += yield* Effect.catchCause(
      round(seedOf(seed, n)),
      (cause) => Effect.die(new Error(`round ${n} of seed ${seed}`, { cause: Cause.squash(cause) }))
    )
  }
  return replies
})
