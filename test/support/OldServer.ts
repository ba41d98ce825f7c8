/**
 * A server that lacks commands: a proxy before a real one, which answers UNKNOWN_COMMAND to them, as beanstalkd 1.11 does to
 * `reserve-job`, and forks to others.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Serve from "./Serve.ts"

// The server answers in order, so a command that it does not know keeps its place among the others.
const UNKNOWN = Buffer.from("nosuch-command\r\n")

/** Passes requests on, line by line, with their bodies. */
const rewriter = (isLacking: (line: string) => boolean, pass: (bytes: Uint8Array) => void) => {
  let rest = Buffer.alloc(0)
  let body = 0
  return (bytes: Uint8Array) => {
    rest = Buffer.concat([rest, bytes])
    for (;;) {
      if (body > 0) {
        const some = rest.subarray(0, body)
        if (some.length > 0) pass(some)
        body -= some.length
        rest = rest.subarray(some.length)
      }
      const end = rest.indexOf("\r\n")
      if (body > 0 || end === -1) return
      const line = rest.toString("latin1", 0, end)
      pass(isLacking(line) ? UNKNOWN : rest.subarray(0, end + 2))
      rest = rest.subarray(end + 2)
      const [command, , , , size] = line.split(" ")
      if (command === "put") body = Number(size) + 2
    }
  }
}

/** A server without the commands whose lines begin like this, in front of the one at this port. */
export const lacking = (
  port: number,
  commands: RegExp
): Effect.Effect<{ readonly port: number; readonly refused: () => number }, never, Scope.Scope> => {
  let refused = 0
  const isLacking = (line: string) => {
    const lacks = commands.test(line)
    if (lacks) refused++
    return lacks
  }
  return Effect.map(
    Serve.serve((client) => {
      const server = Net.connect(port, "127.0.0.1").setNoDelay(true)
      client.on("data", rewriter(isLacking, (bytes) => server.write(bytes)))
      server.on("data", (bytes) => client.write(bytes))
      client.on("close", () => server.destroy())
      server.on("error", () => client.destroy())
      server.on("close", () => client.destroy())
    }),
    ({ port }) => ({ port, refused: () => refused })
  )
}
