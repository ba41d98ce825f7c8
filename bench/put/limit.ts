/**
 * What the machine, node's sockets and beanstalkd allow at all: prebuilt commands on a bare socket. Replies are not
 * read but counted, by their line ends, and all that one chunk answers is followed by as many commands in one write.
 * Nothing that gives its caller the replies can be expected to be much faster.
 */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { BODY, BODY_BYTES, type Client, PRIORITY, TTR_SECONDS, TUBE } from "../support.ts"

const LINE_FEED = 10

const countLines = (chunk: Buffer): number => {
  let lines = 0
  for (let at = 0; at < chunk.length; at++) {
    if (chunk[at] === LINE_FEED) lines++
  }
  return lines
}

/** Writes `first`, and what `next` says for every chunk of reply lines, until `lines` of them have come. */
export const exchange = (
  socket: Socket,
  first: Buffer | string,
  lines: number,
  next: (lines: number) => Buffer | string
): Promise<void> =>
  new Promise((resolve, reject) => {
    let left = lines
    const onData = (chunk: Buffer): void => {
      const came = countLines(chunk)
      left -= came
      if (left === 0) {
        socket.off("data", onData).off("error", reject)
        resolve()
        return
      }
      const commands = next(came)
      if (commands.length > 0) socket.write(commands, "latin1")
    }
    socket.on("data", onData).once("error", reject)
    socket.write(first, "latin1")
  })

export const open = async (port: number): Promise<Socket> => {
  const socket = connect(port, "127.0.0.1").setNoDelay(true)
  await once(socket, "connect")
  await exchange(socket, `use ${TUBE}\r\nwatch ${TUBE}\r\nignore default\r\n`, 3, () => "")
  return socket
}

const PUT = `put ${PRIORITY} 0 ${TTR_SECONDS} ${BODY_BYTES.length}\r\n${BODY}\r\n`
const RESERVE = "reserve-with-timeout 0\r\n"

const put = (socket: Socket, fibers: number, ops: number): Promise<void> => {
  const commands = Buffer.from(PUT.repeat(Math.min(fibers, ops)))
  let sent = commands.length / PUT.length
  return exchange(socket, commands, ops, (replies) => {
    const more = Math.min(replies, ops - sent)
    sent += more
    return commands.subarray(0, more * PUT.length)
  })
}

/**
 * Commands go out in turns: a reserve of every loop, then a delete of every loop, and so on; each only after the reply
 * to the one before it in its loop. Jobs come in the order of their ids, so that the id to delete can be counted too.
 */
const reserveDelete = (socket: Socket, fibers: number, ops: number, firstId: number): Promise<void> => {
  const isReserve = (command: number): boolean => Math.floor(command / fibers) % 2 === 0
  let id = firstId
  let sent = fibers
  let replied = 0
  let inBody = false
  return exchange(socket, RESERVE.repeat(fibers), ops * 3, (lines) => {
    let commands = ""
    for (let line = 0; line < lines; line++) {
      // RESERVED is followed by the line of the body
      inBody = !inBody && isReserve(replied)
      if (inBody) continue
      replied++
      if (sent === ops * 2) continue
      commands += isReserve(sent++) ? RESERVE : `delete ${id++}\r\n`
    }
    return commands
  })
}

const client: Client<"put" | "reserve-delete"> = {
  "put": async (port, fibers) => {
    const socket = await open(port)
    return { connections: 1, run: (ops) => put(socket, fibers, ops), close: () => socket.end() }
  },
  "reserve-delete": async (port, fibers) => {
    const socket = await open(port)
    let firstId = 1
    const run = async (ops: number): Promise<void> => {
      await reserveDelete(socket, fibers, ops, firstId)
      firstId += ops
    }
    return { connections: 1, run, close: () => socket.end() }
  }
}

export default client
