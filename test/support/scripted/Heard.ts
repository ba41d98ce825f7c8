/**
 * A parser of commands that shares nothing with the library, and a server that knows only which tube is in use.
 */
import * as FakeServer from "../FakeServer.ts"
import { withBody } from "./Commands.ts"

export interface Heard {
  readonly line: string
  readonly body: string | undefined
}

/** The whole commands in these bytes; the beginning of another at their end is left out. */
export const commandsIn = (bytes: string): ReadonlyArray<Heard> => {
  const commands: Array<Heard> = []
  for (let rest = bytes; rest.includes("\r\n");) {
    const end = rest.indexOf("\r\n")
    const line = rest.slice(0, end)
    const length = /^put .* (\d+)$/.exec(line)?.[1]
    const after = length === undefined ? end + 2 : end + 2 + Number(length) + 2
    if (after > rest.length) break
    const body = length === undefined ? undefined : rest.slice(end + 2, after - 2)
    if (body !== undefined && rest.slice(after - 2, after) !== "\r\n") throw new Error(`no CRLF behind ${body}`)
    commands.push({ line, body })
    rest = rest.slice(after)
  }
  return commands
}

/** A command, and the tube that was in use when it came. */
export interface Placed extends Heard {
  readonly tube: string
}

export const placesOf = (commands: ReadonlyArray<Heard>): ReadonlyArray<Placed> => {
  let tube = "default"
  return commands.map((command) => {
    if (command.line.startsWith("use ")) tube = command.line.slice("use ".length)
    return { ...command, tube }
  })
}

const answerTo = ({ line, tube }: Placed, nth: number): string => {
  switch (line.split(" ")[0]) {
    case "put":
      return `INSERTED ${nth}\r\n`
    case "kick":
      return "KICKED 0\r\n"
    case "peek-ready":
      return withBody("FOUND 7", tube)
    default:
      return `USING ${tube}\r\n`
  }
}

/** Answers `put` with the number of the command on its connection, `peek-ready` and `list-tube-used` with the tube. */
export const tubeServer = FakeServer.serve((socket) => {
  let bytes = ""
  let answered = 0
  socket.on("data", (piece: Buffer) => {
    bytes += piece.toString("latin1")
    const commands = placesOf(commandsIn(bytes))
    const answers = commands.slice(answered).map((command, i) => answerTo(command, answered + i + 1))
    answered = commands.length
    socket.write(answers.join(""), "latin1")
  })
})
