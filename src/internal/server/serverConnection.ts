/**
 * The server's end of a connection: cuts what its client sends into commands, has them executed one by one, and collects
 * the replies.
 */
import { execute } from "./commands.ts"
import type { Engine } from "./engine.ts"
import { forJob, type ReserveListener, type Reserver, type StoredJob, type StoredTube } from "./entities.ts"
import { type Body, RequestParser, TOO_LONG } from "./requestParser.ts"
import type { Counted } from "./statsText.ts"
import type { Store } from "./store.ts"

/** Where the replies of a connection go. */
export interface Output {
  /** Takes bytes; `false` asks to wait for `drained` before more are written. */
  readonly write: (bytes: Uint8Array) => boolean
  /** The server closes the connection, once all that was written has gone out. */
  readonly end: () => void
  /** The connection takes bytes again, after `receive` has said that it does not. */
  readonly resume: () => void
  /** Cuts the connection off, with all that has not gone out. */
  readonly drop: () => void
  /** Runs a task in a later tick. Without it, a connection executes all that has come at once, however much that is. */
  readonly defer?: ((task: () => void) => void) | undefined
}

/** A put whose body has yet to come. */
export interface PendingPut {
  readonly id: number
  readonly tube: StoredTube
  readonly pri: number
  readonly delay: number
  readonly ttr: number
  readonly size: number
}

const SECOND = 1000

// Past so many commands the other connections, and the clock, have their turn.
const COMMANDS_PER_TICK = 100

// Past so many bytes of replies that the client has not read, or of commands that cannot be executed yet, the connection
// is not read from any further.
const MAX_UNSENT = 256 * 1024
const MAX_UNREAD = 256 * 1024

/** The replies that have not been written yet, text of one byte per character and bytes: many small ones become one write. */
class OutputBuffer {
  /** What comes before `#text`. */
  #pieces: Array<Uint8Array> = []
  #text = ""
  /** In bytes. */
  size = 0

  addText(text: string): void {
    this.#text += text
    this.size += text.length
  }

  /** Adds bytes as they are, which must not change afterwards. */
  addBytes(bytes: Uint8Array): void {
    this.#closeText()
    this.#pieces.push(bytes)
    this.size += bytes.length
  }

  /** All that has been added since the last time, or undefined if that is nothing. */
  take(): Uint8Array | undefined {
    if (this.size === 0) return undefined
    this.#closeText()
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces)
    this.clear()
    return bytes
  }

  clear(): void {
    this.#pieces = []
    this.#text = ""
    this.size = 0
  }

  #closeText(): void {
    if (this.#text === "") return
    this.#pieces.push(Buffer.from(this.#text, "latin1"))
    this.#text = ""
  }
}

/** One connection of an engine. */
export class ServerConnection implements ReserveListener {
  readonly engine: Engine
  readonly store: Store
  readonly reserver: Reserver
  #output: Output
  readonly #received = new RequestParser()
  readonly #unsent = new OutputBuffer()
  used: StoredTube
  isProducer = false
  isWorker = false
  /** A client that has closed its half sends no more, and still reads. */
  #state: "open" | "halfClosed" | "closed" = "open"
  /** Whether `run` is on the stack, or comes in a later tick. */
  #execution: "idle" | "running" | "deferred" = "idle"
  /** The output has said to wait. */
  #isCongested = false
  /** The client has been told to wait. */
  #isFull = false
  #put: PendingPut | undefined
  /** Bytes to throw away before the next command, and the reply that follows them. */
  #toSkip = 0
  #replyAfterSkip = ""

  constructor(engine: Engine, output: Output) {
    this.engine = engine
    this.store = engine.store
    this.#output = output
    this.reserver = this.store.join(this)
    this.used = this.store.tubes.use(this.store.tubes.default)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From outside
  // -------------------------------------------------------------------------------------------------------------------

  /** Bytes have come from the client. `false` asks to wait for `resume` before more are read. */
  receive(bytes: Uint8Array): boolean {
    if (this.#state === "closed") return true
    this.engine.transact(() => {
      this.#received.push(bytes)
      this.run()
      this.#isFull = this.#received.size > MAX_UNREAD
    })
    return !this.#isFull
  }

  /** The client sends no more, but reads. All that it has sent is answered; then the server closes. */
  halfClose(): void {
    this.engine.transact(() => {
      if (this.#state === "open") this.#state = "halfClosed"
      if (this.reserver.isWaiting) {
        this.store.stopWaiting(this.reserver)
        this.onTimedOut()
      }
      this.run()
    })
  }

  /** Puts something between it and its output. */
  interceptOutput(intercept: (output: Output) => Output): void {
    this.#output = intercept(this.#output)
  }

  /** Cuts it off. */
  drop(): void {
    this.close()
    this.#output.drop()
  }

  /** The connection is gone. */
  close(): void {
    if (this.#state === "closed") return
    this.engine.transact(() => {
      this.#unsent.clear()
      this.#leave()
    })
  }

  /** The output takes no more bytes for now, as it has found later than it was given them. */
  congest(): void {
    this.#isCongested = true
  }

  /** The output takes bytes again. */
  drained(): void {
    this.engine.transact(() => {
      this.#isCongested = false
      this.run()
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reading
  // -------------------------------------------------------------------------------------------------------------------

  /** Executes the commands that have come, one by one, until one must wait. */
  run(): void {
    if (this.#execution === "deferred") return
    this.#execution = "running"
    this.#execution = this.#runCommands()
    this.#received.keep()
    if (!this.#isFull || this.#received.size > MAX_UNREAD) return
    this.#isFull = false
    this.#output.resume()
  }

  #runCommands(): "idle" | "deferred" {
    const { defer } = this.#output
    let left = defer === undefined ? Infinity : COMMANDS_PER_TICK
    while (this.#state !== "closed" && !this.#isCongested && !this.reserver.isWaiting) {
      if (left-- === 0) {
        defer?.(this.#runOn)
        return "deferred"
      }
      if (this.#step()) continue
      if (this.#state === "halfClosed") this.end()
      return "idle"
    }
    return "idle"
  }

  readonly #runOn = (): void =>
    this.engine.transact(() => {
      this.#execution = "idle"
      this.run()
    })

  /** Executes, after a wait, the commands that have come meanwhile: at the end of the transaction, not within another's. */
  #goOn(): void {
    if (this.#execution !== "running") this.engine.resume(this)
  }

  /** @returns whether enough had come to do something */
  #step(): boolean {
    if (this.#put !== undefined) return this.#readBody(this.#put)
    if (this.#toSkip > 0) {
      this.#toSkip = this.#received.skip(this.#toSkip)
      if (this.#toSkip > 0) return false
      this.reply(this.#replyAfterSkip)
      return true
    }
    const line = this.#received.line()
    if (line === undefined) return false
    if (line === TOO_LONG) this.reply("BAD_FORMAT")
    else execute(this, line)
    return true
  }

  #readBody(put: PendingPut): boolean {
    const read = this.#received.body(put.size)
    if (read === undefined) return false
    this.#forgetPut()
    if (!read.isEnded) this.reply("EXPECTED_CRLF")
    else if (this.engine.isDraining) this.reply("DRAINING")
    else if (this.store.journal?.hasRoomForPut(put.tube.name, put.size) === false) this.reply("OUT_OF_MEMORY")
    else if (this.engine.shortage === "queues") {
      this.store.putBuried(put.id, put.tube, read.body, put.pri, put.delay, put.ttr)
      this.reply(`BURIED ${put.id}`)
    } else {
      this.store.put(put.id, put.tube, read.body, put.pri, put.delay, put.ttr)
      this.reply(`INSERTED ${put.id}`)
    }
    return true
  }

  /** Reads a body next, and takes the memory for it from now on. */
  expectBody(put: PendingPut): void {
    this.#put = put
    this.store.memory.take(forJob(put.size))
  }

  #forgetPut(): void {
    if (this.#put === undefined) return
    this.store.memory.free(forJob(this.#put.size))
    this.#put = undefined
  }

  /** Waits for a job, and executes no further command meanwhile. */
  wait(timeoutSeconds: number): void {
    this.store.wait(this.reserver, this.#state === "halfClosed" ? 0 : timeoutSeconds * SECOND)
  }

  /** Throws so many bytes away, and replies then. */
  skip(bytes: number, reply: string): void {
    this.#toSkip = bytes
    this.#replyAfterSkip = reply
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Replies
  // -------------------------------------------------------------------------------------------------------------------

  reply(line: string): void {
    this.#send(`${line}\r\n`)
  }

  replyWithBody(head: string, body: Body): void {
    const { length } = body
    if (typeof body === "string") return this.#send(`${head} ${length}\r\n${body}\r\n`)
    this.#send(`${head} ${length}\r\n`)
    this.#unsent.addBytes(body)
    this.#send("\r\n")
  }

  onReserved(job: StoredJob): void {
    this.replyWithBody(`RESERVED ${job.id}`, job.body)
    this.#goOn()
  }

  onDeadlineSoon(): void {
    this.reply("DEADLINE_SOON")
    this.#goOn()
  }

  onTimedOut(): void {
    this.reply("TIMED_OUT")
    this.#goOn()
  }

  #send(text: string): void {
    const wasFlushed = this.#unsent.size === 0
    this.#unsent.addText(text)
    if (this.#unsent.size > MAX_UNSENT) this.flush()
    else if (wasFlushed) this.engine.flushLater(this)
  }

  /** Writes the replies to the output. */
  flush(): void {
    const bytes = this.#unsent.take()
    if (bytes !== undefined && !this.#output.write(bytes)) this.#isCongested = true
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Statistics
  // -------------------------------------------------------------------------------------------------------------------

  count(command: Counted): void {
    this.engine.counts[command]++
  }

  becomeProducer(): void {
    if (this.isProducer) return
    this.isProducer = true
    this.engine.producers++
  }

  becomeWorker(): void {
    if (this.isWorker) return
    this.isWorker = true
    this.engine.workers++
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The end
  // -------------------------------------------------------------------------------------------------------------------

  /** The server closes it. */
  end(): void {
    this.flush()
    this.#leave()
    this.#output.end()
  }

  #leave(): void {
    if (this.#state === "closed") return
    this.#state = "closed"
    this.#forgetPut()
    this.store.leave(this.reserver)
    this.store.tubes.unuse(this.used)
    this.engine.forget(this)
  }
}
