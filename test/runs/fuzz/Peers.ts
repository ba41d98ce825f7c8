/**
 * The two kinds of client of an embedded server without sockets: one that does as it pleases, and one that behaves.
 */
import type { EngineHost } from "../../../src/internal/server/engineHost.ts"
import type { Output, ServerConnection } from "../../../src/internal/server/serverConnection.ts"
import assert from "node:assert/strict"

// What the server may write to a client that does not read: what it holds back at most, the reply that went over it, and
// a job that the client waited for. And what it may read from it meanwhile: as much, and the piece that went over it.
const MOST = 256 * 1024
// Replies with statistics are no longer than that, nor is a job's line.
const STATS = 4096
const mostWritten = (maxJobSize: number): number => MOST + 2 * (maxJobSize + STATS)

/** An end that hears nothing. */
export const NOBODY: Output = { write: () => true, end: () => {}, drop: () => {}, resume: () => {} }

/** How a client ends. */
export type End = "halfClose" | "cut"

const NO_MORE = { done: true, value: undefined } as const

const accept = (host: EngineHost, output: Output): ServerConnection => {
  const conn = host.accept(output)
  assert.ok(conn !== undefined, "it is refused")
  return conn
}

/** The other end of a connection. */
export class Hostile {
  readonly conn: ServerConnection
  readonly end: End
  sent = ""
  received = ""
  /** What the server has done that it must not. */
  readonly wrongs: Array<string> = []
  isOver = false
  readonly #pieces: Iterator<string>
  #isReading = true
  /** The server knows that it does not read. */
  #isStalled = false
  #unread = 0
  #unexecuted = 0
  /** The server does not want any more for now. */
  #isHeld = false
  #deferred = 0

  constructor(
    host: EngineHost,
    { end, isDeferred, pieces }: {
      readonly end: End
      readonly pieces: ReadonlyArray<string>
      readonly isDeferred: boolean
    }
  ) {
    this.end = end
    this.#pieces = pieces.values()
    this.conn = accept(host, {
      write: (bytes) => {
        if (this.isOver) this.wrongs.push("it is written to after its end")
        this.received += Buffer.from(bytes).toString("latin1")
        if (this.#isReading) return true
        this.#isStalled = true
        this.#unread += bytes.length
        if (this.#unread > mostWritten(host.engine.maxJobSize)) this.wrongs.push("it is written to without end")
        return false
      },
      end: () => {
        if (this.isOver) this.wrongs.push("it is ended twice")
        this.isOver = true
      },
      drop: () => this.wrongs.push("it is cut off"),
      resume: () => {
        this.#isHeld = false
      },
      defer: isDeferred
        ? (task) => {
          this.#deferred++
          host.later(0, () => {
            this.#deferred--
            task()
          })
        }
        : undefined
    })
  }

  /** The server has said that it goes on later. */
  get isDeferred(): boolean {
    return this.#deferred > 0
  }

  stopReading(): void {
    this.#isReading = false
  }

  startReading(): void {
    if (this.#isReading) return
    this.#isReading = true
    this.#isStalled = false
    this.#unread = this.#unexecuted = 0
    this.conn.drained()
  }

  /** Sends a piece, or does what it does in the end. Whether it has not come to it. */
  goOn(): boolean {
    // This may bring it to its end.
    if (this.#isHeld) this.startReading()
    if (this.isOver) return false
    if (this.#isHeld && this.isDeferred) return true
    if (this.#isHeld && !this.conn.reserver.isWaiting) this.wrongs.push("it is never read from again")
    const { done, value: piece } = this.#isHeld ? NO_MORE : this.#pieces.next()
    if (done === true) {
      this.#finish()
      return false
    }
    this.sent += piece
    if (this.#unexecuted > MOST) this.wrongs.push("it is read from without end")
    if (this.#isStalled) this.#unexecuted += piece.length
    this.#isHeld = !this.conn.receive(Buffer.from(piece, "latin1"))
    return true
  }

  #finish(): void {
    if (this.end === "halfClose") {
      this.startReading()
      this.conn.halfClose()
      return
    }
    this.isOver = true
    this.conn.close()
  }
}

/** A client that does what it should, on a tube of its own. */
export class Tame {
  readonly #conn: ServerConnection
  #received = ""
  #jobs: ReadonlyMap<string, string> = new Map()

  constructor(host: EngineHost) {
    this.#conn = accept(host, {
      ...NOBODY,
      write: (bytes) => {
        this.#received += Buffer.from(bytes).toString("latin1")
        return true
      }
    })
    assert.equal(this.ask("use tame", "watch tame", "ignore default"), "USING tame\r\nWATCHING 2\r\nWATCHING 1\r\n")
    const jobs = new Map<string, string>()
    for (const body of ["", "hello", "\r\nquit\r\n"]) {
      const id = /^INSERTED (\d+)\r\n$/.exec(this.#put(body))?.[1]
      assert.ok(id !== undefined)
      assert.equal(this.ask("reserve"), `RESERVED ${id} ${body.length}\r\n${body}\r\n`)
      jobs.set(id, body)
    }
    this.#jobs = jobs
  }

  /** What is answered before anything else happens. */
  ask(...lines: ReadonlyArray<string>): string {
    this.#received = ""
    this.#conn.receive(Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1"))
    return this.#received
  }

  owns(id: string): boolean {
    return this.#jobs.has(id)
  }

  /** Whatever the others do. */
  isServed(): void {
    assert.equal(this.ask("list-tube-used"), "USING tame\r\n", "others are in the way")
  }

  /** When there is room. */
  hasLostNothing(): void {
    for (const [id, body] of this.#jobs) {
      assert.equal(this.ask(`peek ${id}`), `FOUND ${id} ${body.length}\r\n${body}\r\n`)
      assert.match(this.ask(`stats-job ${id}`), /\ntube: tame\nstate: reserved\n[^]*\nreserves: 1\ntimeouts: 0\n/)
    }
    const id = /^INSERTED (\d+)\r\n$/.exec(this.#put("more"))?.[1]
    assert.ok(id !== undefined, "nothing can be put any more")
    assert.equal(this.ask("reserve", `delete ${id}`), `RESERVED ${id} 4\r\nmore\r\nDELETED\r\n`)
  }

  /** With all its jobs. */
  leave(): void {
    for (const id of this.#jobs.keys()) assert.equal(this.ask(`delete ${id}`), "DELETED\r\n")
    this.#conn.close()
  }

  #put(body: string): string {
    return this.ask(`put 0 0 1000 ${body.length}\r\n${body}`)
  }
}
