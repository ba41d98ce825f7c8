/**
 * Fresh beanstalkd servers on free ports of the loopback, the real one and the embedded one, and a look into them.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { type Command, placed, type Placement } from "./cpus.ts"
import { own } from "./processes.ts"

/** What `beanstalkd -v` says, or `undefined` if there is no beanstalkd. */
export const version = (): string | undefined => {
  const { error, stdout } = spawnSync("beanstalkd", ["-v"], { encoding: "utf8" })
  return error === undefined ? stdout.trim() : undefined
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return address.port
}

/**
 * All that the server at `port` replies to `commands`, which must end with `quit`.
 */
export const ask = async (port: number, commands: string): Promise<string> => {
  const socket = connect(port, "127.0.0.1")
  socket.write(commands)
  let replies = ""
  for await (const chunk of socket) {
    replies += String(chunk)
  }
  return replies
}

const accepts = (port: number): Promise<boolean> => ask(port, "quit\r\n").then(() => true, () => false)

/** How to start a server on a port. */
export type Start = (port: number) => Command

export const real: Start = (port) => ["beanstalkd", "-l", "127.0.0.1", "-p", String(port)]

const PROGRAM = fileURLToPath(new URL("server/program.ts", import.meta.url))

/** It answers a message with what its heap holds. */
export const embedded: Start = (port) => [process.execPath, "--expose-gc", PROGRAM, String(port)]

/** Runs `use` with the port and the process of a server that nothing else uses, and ends that afterwards. */
export const withServer = async <A>(
  start: Start,
  placement: Placement,
  use: (port: number, server: ChildProcess) => Promise<A>
): Promise<A> => {
  const port = await freePort()
  const [command, ...args] = placed(placement, "server", start(port))
  const server = spawn(command, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
  own(server)
  const ended = once(server, "exit")
  try {
    while (!await accepts(port)) {
      if (server.exitCode !== null) throw new Error(`${command} ended with ${server.exitCode} instead of listening`)
      await sleep(5)
    }
    return await use(port, server)
  } finally {
    server.kill()
    await ended
  }
}
