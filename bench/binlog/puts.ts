/**
 * Puts on bare sockets: so many unanswered on one connection, or one unanswered on each of so many connections.
 */
import { exchange, open } from "../put/limit.ts"
import limit from "../put/limit.ts"
import { BODY, BODY_BYTES, type Client, loops, PRIORITY, TTR_SECONDS } from "../support.ts"

const PUT = `put ${PRIORITY} 0 ${TTR_SECONDS} ${BODY_BYTES.length}\r\n${BODY}\r\n`

const client: Client<"pipelined" | "connections"> = {
  "pipelined": limit.put,
  "connections": async (port, fibers) => {
    const sockets = await Promise.all(Array.from({ length: fibers }, () => open(port)))
    return {
      connections: fibers,
      run: (ops) => loops(fibers, ops, (fiber) => exchange(sockets[fiber]!, PUT, 1, () => "")),
      close: () => sockets.forEach((socket) => socket.end())
    }
  }
}

export default client
