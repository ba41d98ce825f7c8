/**
 * A second opinion on a server: one command on a plain connection of its own, without any code of the library.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Net from "node:net"
import * as RealTime from "./RealTime.ts"

export class AskError extends Schema.TaggedError<AskError>()("AskError", {
  command: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${JSON.stringify(this.command)} got no answer: ${this.detail}`
  }
}

/**
 * Sends `command` (CRLF is added) and returns all that the server answers, CRLF included; Latin-1, one character one
 * byte. The connection is gone when this returns, at the server too, for it is the server that closes it.
 *
 * A job that was reserved is therefore ready again, and the server counts one more connection.
 */
export const ask = (port: number, command: string): Effect.Effect<string, AskError> => {
  let received = ""
  const fail = (detail: string) => Effect.fail(new AskError({ command, detail }))
  const answer = Effect.callback<string, AskError>((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.setEncoding("latin1")
    socket.on("data", (text: string) => {
      received += text
    })
    socket.on("error", (error) => resume(fail(error.message)))
    socket.on("end", () => resume(Effect.succeed(received)))
    // quit ends the answer: no need to know here which reply has a body, and how long it is.
    socket.write(`${command}\r\nquit\r\n`, "latin1")
    return Effect.sync(() => socket.destroy())
  })
  return RealTime.timeoutOrElse(answer, {
    duration: "5 seconds",
    orElse: () => fail(`the connection was still open after 5 seconds; so far came ${JSON.stringify(received)}`)
  })
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
