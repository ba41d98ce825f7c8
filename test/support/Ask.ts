/**
 * Asks a server on a plain connection, without any code of the client.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import type { Dialer } from "../../src/internal/connection/transport.ts"
import * as RealTime from "./RealTime.ts"

export class AskError extends Schema.TaggedError<AskError>()("AskError", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${JSON.stringify(this.command)} got no answer: ${this.detail}`
  }
}

/** Waits for the end of an answer, but not forever. */
const patiently = <E>(command: string, answer: Effect.Effect<string, E>, received: () => string) =>
  RealTime.timeoutOrElse(answer, {
    duration: "5 seconds",
    orElse: () => {
      const detail = `the connection was still open after 5 seconds; so far came ${JSON.stringify(received())}`
      return Effect.fail(new AskError({ command, detail }))
    }
  })

// `quit` ends the answer, so this code need not know which reply has a body and how long it is.
const withQuit = (command: string): Buffer => Buffer.from(`${command}\r\nquit\r\n`, "latin1")

/**
 * Sends `command` (CRLF is added) and returns all that the server answers, CRLF included; Latin-1, one character one
 * byte. The connection is gone when this returns, at the server too, for it is the server that closes it.
 *
 * A job that was reserved is therefore ready again, and the server counts one more connection.
 */
export const ask = (port: number, command: string): Effect.Effect<string, AskError> =>
  Effect.suspend(() => askOnce(port, command))

const askOnce = (port: number, command: string): Effect.Effect<string, AskError> => {
  let received = ""
  const answer = Effect.callback<string, AskError>((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.setEncoding("latin1")
    socket.on("data", (text: string) => {
      received += text
    })
    socket.on("error", ({ message }) => resume(Effect.fail(new AskError({ command, detail: message }))))
    socket.on("end", () => resume(Effect.succeed(received)))
    socket.write(withQuit(command))
    return Effect.sync(() => socket.destroy())
  })
  return patiently(command, answer, () => received)
}

/** `ask` of a server that has no port. */
export const askDialer = (dialer: Dialer, command: string): Effect.Effect<string, AskError> =>
  Effect.suspend(() => askDialerOnce(dialer, command))

const askDialerOnce = (dialer: Dialer, command: string): Effect.Effect<string, AskError> => {
  let received = ""
  const answer = Effect.gen(function*() {
    const closed = yield* Deferred.make<void>()
    const transport = yield* dialer.open({
      onData: (piece) => {
        received += Buffer.from(piece).toString("latin1")
      },
      onDrain: () => {},
      onClose: () => Deferred.doneUnsafe(closed, Effect.void)
    }).pipe(Effect.mapError(({ message }) => new AskError({ command, detail: message })))
    transport.write(withQuit(command))
    yield* Deferred.await(closed)
    return received
  }).pipe(Effect.scoped)
  return patiently(command, answer, () => received)
}

/** The dictionary in the answer to a `stats` command, as text without the quotes that newer servers put. */
export const parseStats = (answer: string): Record<string, string> => {
  const stats: Record<string, string> = {}
  for (const line of answer.split("\n")) {
    const entry = /^([a-z-]+): (.*)$/.exec(line)
    if (entry) stats[entry[1]!] = entry[2]!.replace(/^"(.*)"$/, "$1")
  }
  return stats
}
