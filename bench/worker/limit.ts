/**
 * A raw consumer: all the jobs that one chunk of replies has brought are deleted, and as many reserved again, in one
 * write; so that always so many are reserved or asked for as there are fibers. Replies are not read but counted, as in
 * `put`, and since jobs come in the order of their ids, these can be counted too.
 */
import type { Socket } from "node:net"
import { exchange, open } from "../put/limit.ts"
import type { Client, Open } from "../support.ts"

const RESERVE = "reserve-with-timeout 0\r\n"

const consume = (socket: Socket, fibers: number, ops: number, firstId: number): Promise<void> => {
  const first = Math.min(fibers, ops)
  // First RESERVED and its body come alone, then each behind a DELETED, and at last DELETED alone.
  const linesOfFirst = first * 2
  const linesWithReserves = linesOfFirst + (ops - first) * 3
  const endsJob = (line: number): boolean =>
    line < linesOfFirst ? line % 2 === 1 : line < linesWithReserves && (line - linesOfFirst) % 3 === 2
  let asked = first
  let id = firstId
  let line = 0
  return exchange(socket, RESERVE.repeat(first), ops * 3, (came) => {
    let commands = ""
    for (const end = line + came; line < end; line++) {
      if (!endsJob(line)) continue
      commands += `delete ${id++}\r\n`
      if (asked === ops) continue
      commands += RESERVE
      asked++
    }
    return commands
  })
}

const session: Open = async (port, fibers) => {
  const socket = await open(port)
  let firstId = 1
  const run = async (ops: number): Promise<void> => {
    await consume(socket, fibers, ops, firstId)
    firstId += ops
  }
  return { connections: 1, run, close: () => socket.end() }
}

const client: Client<string> = {
  "worker": session,
  "worker-guarded": session,
  "stream-1": session,
  "stream-16": session,
  "stream-64": session
}

export default client
