/**
 * The engine of the embedded server for tests that move its time by hand.
 */
import { Engine } from "../../src/internal/server/engine.ts"
import type { ServerConnection } from "../../src/internal/server/serverConnection.ts"
import { Store } from "../../src/internal/server/store.ts"
import { replyLength } from "./RawSocket.ts"

export interface Written {
  readonly at: number
  readonly conn: number
  /** One whole reply. */
  readonly reply: string
}

/** A machine that never changes. */
export const host = {
  pid: 1,
  version: "1.12",
  id: "0123456789abcdef",
  hostname: "host",
  os: "os",
  platform: "platform",
  cpuMicros: () => ({ user: 0, system: 0 })
}

export class EngineTarget {
  now = 0
  readonly written: Array<Written> = []
  readonly #engine = new Engine({ store: new Store(() => this.now), host })
  readonly #conns = new Map<number, ServerConnection>()

  /** A connection is made by the first that is sent on it. */
  send(conn: number, text: string): void {
    const connection = this.#conns.get(conn) ?? this.#connect(conn)
    connection.receive(Buffer.from(text, "latin1"))
  }

  /** The connection goes; the next command finds a new one in its place. */
  close(conn: number): void {
    this.#conns.get(conn)?.close()
    this.#conns.delete(conn)
  }

  /** Lets time pass until `to`; whatever is due happens on time. */
  advance(to: number): void {
    while (this.#engine.nextDeadline <= to) {
      if (this.#engine.nextDeadline < this.now) {
        throw new Error(`left undone: what was due at ${this.#engine.nextDeadline}`)
      }
      this.now = this.#engine.nextDeadline
      this.#engine.runTimers()
      if (this.#engine.nextDeadline <= this.now) throw new Error(`left undone: what is due at ${this.now}`)
    }
    this.now = to
  }

  #connect(number: number): ServerConnection {
    let unread = ""
    const connection = this.#engine.connect({
      write: (bytes) => {
        unread += Buffer.from(bytes).toString("latin1")
        let length: number | undefined
        while ((length = replyLength(unread)) !== undefined) {
          this.written.push({ at: this.now, conn: number, reply: unread.slice(0, length) })
          unread = unread.slice(length)
        }
        return true
      },
      end: () => {},
      drop: () => {},
      resume: () => {}
    })
    this.#conns.set(number, connection)
    return connection
  }
}
