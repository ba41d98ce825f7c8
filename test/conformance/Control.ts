/**
 * The connection on which a session asks the server about the others.
 */
import { RawSocket, replyLength, Watch } from "./RawSocket.ts"

/** The server stayed silent when it should have answered. Nothing can be said about what comes after. */
export class Silence extends Error {}

export const PATIENCE_MS = 2000

export class Control {
  readonly #socket: RawSocket
  /** How often `stats` has been asked beside what a sequence asks. */
  polls = 0

  private constructor(socket: RawSocket) {
    this.#socket = socket
  }

  static async connect(host: string, port: number): Promise<Control> {
    return new Control(await RawSocket.connect(host, port, new Watch()))
  }

  close(): void {
    this.#socket.close()
  }

  /** One command, one reply. */
  async ask(command: string): Promise<string> {
    this.#socket.write(`${command}\r\n`)
    const length = await this.#socket.until(({ text }) => replyLength(text), PATIENCE_MS)
    if (length === undefined) throw new Silence(JSON.stringify(command))
    return this.#socket.take(length)
  }

  /** Asks for the numbers in `stats`, and again until `isDone`. */
  async stats(
    what = "stats",
    isDone: (stats: Record<string, number>) => boolean = () => true
  ): Promise<Record<string, number>> {
    const end = performance.now() + PATIENCE_MS
    while (performance.now() < end) {
      this.polls++
      const stats: Record<string, number> = {}
      for (const line of (await this.ask("stats")).split("\n")) {
        const colon = line.indexOf(": ")
        stats[line.slice(0, colon)] = Number(line.slice(colon + 2))
      }
      if (isDone(stats)) return stats
    }
    throw new Silence(what)
  }

  /** Returns the id. */
  async put(body: string): Promise<bigint> {
    return BigInt(/\d+/.exec(await this.ask(`put 4294967295 0 1 ${body.length}\r\n${body}`))![0])
  }

  /** Deletes all that there are, if nobody holds them. */
  async deleteJobs(first: bigint, last: bigint): Promise<void> {
    let commands = ""
    for (let id = first; id <= last; id++) commands += `delete ${id}\r\n`
    this.#socket.write(commands)
    for (let id = first; id <= last; id++) {
      const length = await this.#socket.until(({ text }) => replyLength(text), PATIENCE_MS)
      if (length === undefined) throw new Silence(`delete ${id}`)
      this.#socket.take(length)
    }
  }
}
