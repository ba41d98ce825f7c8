/**
 * Dials a port many times, waits in a reserve with each connection, and stays until it is told to end.
 *
 * Arguments: the port, how many.
 */
import { connect } from "node:net"

const [port, clients] = process.argv.slice(2).map(Number) as [number, number]

const sockets = Array.from({ length: clients }, () => connect(port, "127.0.0.1").setNoDelay(true))
for (const socket of sockets) socket.write("reserve\r\n")

process.on("SIGTERM", () => sockets.forEach((socket) => socket.destroy()))
