/**
 * A proxy between clients and a real server that records commands and replies. It parses both directions itself, so its
 * record does not depend on the client's code.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Serve from "./Serve.ts"

export interface Event {
  /** Connections are numbered as they are accepted, from 0. */
  readonly conn: number
  readonly kind: "request" | "reply" | "open" | "close"
  /** The line, without a body and CRLF; empty for `open` and `close`. */
  readonly line: string
}

export interface RecordingProxy {
  readonly port: number
  /** All events so far, in order. */
  readonly events: ReadonlyArray<Event>
}

/** Cuts a byte stream into lines, and skips the body that a line announces. */
const lines = (bodyOf: (line: string) => number | undefined, onLine: (line: string) => void) => {
  let rest = Buffer.alloc(0)
  let skip = 0
  return (bytes: Uint8Array) => {
    rest = Buffer.concat([rest, bytes])
    for (;;) {
      const skipped = Math.min(skip, rest.length)
      rest = rest.subarray(skipped)
      skip -= skipped
      const end = rest.indexOf("\r\n")
      if (skip > 0 || end === -1) return
      const line = rest.toString("latin1", 0, end)
      rest = rest.subarray(end + 2)
      const size = bodyOf(line)
      if (size !== undefined) skip = size + 2
      onLine(line)
    }
  }
}

const bodyOfRequest = (line: string) => {
  const [command, , , , size] = line.split(" ")
  return command === "put" ? Number(size) : undefined
}

const bodyOfReply = (line: string) => {
  const words = line.split(" ")
  return ["RESERVED", "FOUND", "OK"].includes(words[0]!) ? Number(words.at(-1)) : undefined
}

/** Listens, and passes everything on to the server at this port. */
export const make = Effect.fnUntraced(function*(
  port: number
): Effect.fn.Return<RecordingProxy, never, Scope.Scope> {
  const events: Array<Event> = []
  const serving = yield* Serve.serve((client, conn) => {
    const tell = (kind: Event["kind"]) => (line: string) => void events.push({ conn, kind, line })
    const onRequest = lines(bodyOfRequest, tell("request"))
    const onReply = lines(bodyOfReply, tell("reply"))
    const server = Net.connect(port, "127.0.0.1").setNoDelay(true)
    tell("open")("")
    // Recorded before it is passed on, so that no reply comes before its request.
    client.on("data", (bytes) => {
      onRequest(Buffer.from(bytes))
      server.write(bytes)
    })
    server.on("data", (bytes) => {
      onReply(Buffer.from(bytes))
      client.write(bytes)
    })
    client.on("close", () => {
      tell("close")("")
      server.destroy()
    })
    server.on("error", () => {})
    server.on("close", () => client.destroy())
  })
  return { port: serving.port, events }
})

export interface Findings {
  /** Connections that were ever open at once. */
  readonly connections: number
  /** Jobs that were ever reserved and unsettled at once, as the client knows it. */
  readonly unsettled: number
  /** The same jobs, and reserves that were sent and not answered. */
  readonly taken: number
  /** Commands that came on a connection that waited in a reserve. */
  readonly queued: ReadonlyArray<string>
  readonly counts: Readonly<Record<string, number>>
}

const SETTLES = new Set(["delete", "release", "bury"])

/** What happened on the connections that `isOurs`, by their first request. */
export const analyse = (
  events: ReadonlyArray<Event>,
  isOurs: (firstRequest: string) => boolean = () => true
): Findings => {
  const pending = new Map<number, Array<string>>()
  const ignored = new Set<number>()
  const held = new Map<number, Set<string>>()
  const counts: Record<string, number> = {}
  const queued: Array<string> = []
  let connections = 0
  let unsettled = 0
  let taken = 0
  for (const { conn, kind, line } of events) {
    if (kind === "open" || ignored.has(conn)) continue
    if (kind === "close") {
      pending.delete(conn)
      held.delete(conn)
      continue
    }
    if (kind === "request") {
      const mine = pending.get(conn) ?? []
      if (!pending.has(conn)) {
        if (!isOurs(line)) {
          ignored.add(conn)
          continue
        }
        pending.set(conn, mine)
        held.set(conn, new Set())
        connections = Math.max(connections, pending.size)
      }
      const waiting = mine.find((request) => /^reserve-with-timeout [1-9]|^reserve$/.test(request))
      if (waiting !== undefined) queued.push(`${line} behind ${waiting} on connection ${conn}`)
      const [command, id] = line.split(" ") as [string, string]
      const name = line === "reserve-with-timeout 0" ? line : command
      counts[name] = (counts[name] ?? 0) + 1
      mine.push(line)
      // The server reads in order, so later commands find the job settled.
      if (SETTLES.has(command)) held.get(conn)!.delete(id)
    } else {
      pending.get(conn)?.shift()
      const [word, id] = line.split(" ") as [string, string]
      if (word === "RESERVED") held.get(conn)?.add(id)
    }
    const jobs = [...held.values()].reduce((sum, ids) => sum + ids.size, 0)
    const asked = [...pending.values()].flat().filter((request) => request.startsWith("reserve")).length
    unsettled = Math.max(unsettled, jobs)
    taken = Math.max(taken, jobs + asked)
  }
  return { connections, unsettled, taken, queued, counts }
}
