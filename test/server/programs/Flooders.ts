/**
 * Dials a port many times, and sends with each connection more than a server should take, until it is killed.
 *
 * Arguments: the port, what is sent, how many.
 */
import { connect, type Socket } from "node:net"

const [port, what, clients] = process.argv.slice(2) as [string, string, string]

const BODY = "x".repeat(60_000)
const LINE = "x".repeat(1024 * 1024)
const LINE_MEBIBYTES = 16

const floods: Readonly<Record<string, (socket: Socket) => void>> = {
  // Large replies to many small commands, none of which it reads.
  replies: (socket) => {
    const looks = "peek-ready\r\n".repeat(1000)
    const more = () => void socket.write(looks, more)
    socket.write(`put 0 0 60 ${BODY.length}\r\n${BODY}\r\n`, more)
  },
  // Bodies that it announces and does not send.
  bodies: (socket) => void socket.write("put 0 0 60 65535\r\nx"),
  // A line that has an end only so that it can be seen to have been read.
  line: (socket) => {
    let left = LINE_MEBIBYTES
    const more = () => void (left-- > 0 ? socket.write(LINE, more) : socket.write("\r\nlist-tube-used\r\n"))
    more()
  }
}

for (let n = 0; n < Number(clients); n++) {
  floods[what]!(connect(Number(port), "127.0.0.1").on("error", () => {}))
}
