/**
 * Plays a sequence on one server and writes down what comes back.
 *
 * Nothing is left to time. What is answered at once is followed by a sentinel, a command whose reply cannot be mistaken:
 * when it has come, everything before it has. Whether a reserve waits, whether a waiter has been served and whether a
 * connection is gone, is asked of the server, by `stats` on a connection of our own.
 */
import { type Control, PATIENCE_MS, Silence } from "./Control.ts"
import { Framing, type Piece } from "./Framing.ts"
import { type Baseline, countersOf, normalise } from "./Normalise.ts"
import { RawSocket, replyLength, Watch } from "./RawSocket.ts"
import { MAX_JOB_SIZE, type Sequence, type Step } from "./Sequence.ts"

/** What came in each step, and in the end; one entry a reply, with the number of its connection. */
export type Transcript = ReadonlyArray<ReadonlyArray<string>>

const SENTINEL = "sentinel"

/** At most so many wait at the same time; see the waiter order in `Framing`. */
const MAX_WAITING = 3

class Peer {
  readonly conn: number
  readonly socket: RawSocket
  readonly framing = new Framing(MAX_JOB_SIZE)
  /** The job that it reserved last, as in the transcript. */
  held = "{id:1}"
  /** It has begun a line that must not be ended. */
  isSpoiled = false

  constructor(conn: number, socket: RawSocket) {
    this.conn = conn
    this.socket = socket
  }
}

export class Session {
  readonly #host: string
  readonly #port: number
  readonly #control: Control
  readonly #sequence: Sequence
  readonly #drain: () => Promise<void>
  readonly #watch = new Watch()
  readonly #peers = new Map<number, Peer>()
  readonly #waiting = new Set<Peer>()
  #hasReserved = false
  #baseline: Baseline = { firstId: 0n, counters: new Map() }
  #transcript: Array<Array<string>> = []

  constructor(
    server: { readonly host: string; readonly port: number; readonly drain: () => Promise<void> },
    control: Control,
    sequence: Sequence
  ) {
    this.#host = server.host
    this.#port = server.port
    this.#drain = server.drain
    this.#control = control
    this.#sequence = sequence
  }

  /** Returns what came, and whether the server can be used again. */
  async play(): Promise<{ readonly transcript: Transcript; readonly isClean: boolean }> {
    let isClean = !this.#sequence.steps.some((step) => "drain" in step)
    try {
      await this.#begin()
      for (const step of this.#sequence.steps) {
        this.#transcript.push([])
        await this.#play(step)
        await this.#settleWaiting()
      }
      this.#transcript.push([])
      await this.#end()
      if (isClean) await this.#cleanUp()
    } catch (error) {
      if (!(error instanceof Silence)) throw error
      this.#write(`silence: ${error.message}`)
      isClean = false
    } finally {
      for (const { socket } of this.#peers.values()) socket.close()
    }
    return { transcript: this.#transcript, isClean }
  }

  async #begin(): Promise<void> {
    await this.#control.ask(`use ${SENTINEL}`)
    this.#baseline = { ...this.#baseline, firstId: await this.#control.put(SENTINEL) }
    await this.#control.stats("the connections before are gone", (stats) => stats["current-connections"] === 1)
    this.#baseline = { ...this.#baseline, counters: countersOf(await this.#control.ask("stats")) }
    this.#control.polls = 0
  }

  async #play(step: Step): Promise<void> {
    if ("drain" in step) return this.#drain()
    const peer = this.#peers.get(step.conn) ?? (await this.#open(step.conn))
    // Who leaves when three wait changes the order of the others.
    const mustStay = this.#waiting.has(peer) && this.#waiting.size >= MAX_WAITING
    if ("end" in step && mustStay) return
    const text = step.send.join("").replaceAll("{held}", peer.held).replace(/\{id:(\d+)\}/g, (_, n) => this.#id(n))
    if (!("end" in step)) return this.#send(peer, text)
    if (step.end === "halfClose") return this.#halfClose(peer, text)
    await this.#send(peer, text)
    if (step.end === "reset") peer.socket.reset()
    else peer.socket.close()
    await this.#gone(peer)
  }

  #id(offset: string): string {
    return String(this.#baseline.firstId + BigInt(offset))
  }

  async #open(conn: number): Promise<Peer> {
    const peer = new Peer(conn, await RawSocket.connect(this.#host, this.#port, this.#watch))
    this.#peers.set(conn, peer)
    await this.#sendPiece(peer, {
      text: this.#sequence.isCrowd ? "watch crowd\r\nignore default\r\n" : "",
      isBegun: false,
      kind: "commands"
    })
    return peer
  }

  /** Whatever cannot be sent now is left out: the same on every server that does as it should. */
  async #send(peer: Peer, text: string): Promise<void> {
    let rest = text
    while (rest !== "" && !peer.isSpoiled && !peer.socket.ended && !this.#waiting.has(peer)) {
      const cut = this.#cut(peer, rest)
      await this.#sendPiece(peer, cut.piece)
      rest = cut.rest
    }
  }

  #cut(peer: Peer, text: string) {
    return peer.framing.cut(text, [...this.#peers.values()].some(({ framing }) => framing.isInBody))
  }

  async #sendPiece(peer: Peer, { isBegun, kind, text }: Piece): Promise<void> {
    const { socket } = peer
    switch (kind) {
      case "commands": {
        const last = `FOUND ${this.#id("0")} ${SENTINEL.length}\r\n${SENTINEL}\r\n`
        socket.write(`${text}peek ${this.#id("0")}\r\n`)
        await this.#until(peer, () => socket.ended || socket.text.endsWith(last), "the commands are answered")
        if (socket.text.endsWith(last)) socket.text = socket.text.slice(0, -last.length)
        this.#collect(peer)
        return
      }
      case "reserve": {
        // The commands before it may have served others.
        await this.#settleWaiting()
        if (this.#mayWait()) return this.#reserve(peer, text)
        peer.isSpoiled = isBegun
        return
      }
      case "quit": {
        socket.write(text)
        return this.#atEnd(peer)
      }
      case "put": {
        const before = (await this.#control.stats())["cmd-put"]!
        socket.write(text)
        await this.#control.stats("the line of put is counted", (stats) => stats["cmd-put"] === before + 1)
        return
      }
      case "more": {
        socket.write(text)
        // Nothing can be seen of it. This only makes it likely that it is read for itself.
        await this.#control.ask("list-tube-used")
        return
      }
      case "quirk": {
        peer.isSpoiled = isBegun
      }
    }
  }

  #mayWait(): boolean {
    if (this.#waiting.size === 0) return true
    return this.#sequence.isCrowd && !this.#hasReserved && this.#waiting.size < MAX_WAITING
  }

  async #reserve(peer: Peer, text: string): Promise<void> {
    const { socket } = peer
    socket.write(text)
    const isAnswered = () => socket.ended || replyLength(socket.text) !== undefined
    const waits = this.#waiting.size + 1
    await this.#control.stats(
      "the reserve is answered, or waits",
      (stats) => isAnswered() || stats["current-waiting"] === waits
    )
    if (isAnswered()) this.#collect(peer)
    else this.#waiting.add(peer)
  }

  /** Takes in what has come for those who waited. */
  async #settleWaiting(): Promise<void> {
    if (this.#waiting.size === 0) return
    const stats = await this.#control.stats()
    const expected = this.#waiting.size - stats["current-waiting"]!
    const served = () => [...this.#waiting].filter(({ socket }) => replyLength(socket.text) !== undefined)
    const came = await this.#watch.until(() => served().length >= expected || undefined, PATIENCE_MS)
    if (came === undefined) throw new Silence(`${expected} who waited are answered`)
    for (const peer of served()) {
      this.#waiting.delete(peer)
      this.#collect(peer)
    }
  }

  async #halfClose(peer: Peer, text: string): Promise<void> {
    let toSend = ""
    let rest = this.#waiting.has(peer) || peer.isSpoiled ? "" : text
    while (rest !== "") {
      const cut = this.#cut(peer, rest)
      const { isBegun, kind } = cut.piece
      if (kind === "quirk" && isBegun) break
      if (kind !== "quirk") toSend += cut.piece.text
      rest = kind === "quit" ? "" : cut.rest
    }
    peer.socket.write(toSend)
    peer.socket.halfClose()
    await this.#atEnd(peer)
  }

  async #atEnd(peer: Peer): Promise<void> {
    await this.#until(peer, () => peer.socket.ended, "the server closes the connection")
    this.#collect(peer)
    peer.socket.close()
    await this.#gone(peer)
  }

  async #gone(peer: Peer): Promise<void> {
    this.#waiting.delete(peer)
    this.#peers.delete(peer.conn)
    const left = this.#peers.size + 1
    await this.#control.stats("the connection is gone", (stats) => stats["current-connections"] === left)
  }

  async #end(): Promise<void> {
    for (const peer of this.#peers.values()) {
      await this.#halfClose(peer, "")
      await this.#settleWaiting()
    }
  }

  /** Nobody holds a job now. What is said in the end tells whether anything is left. */
  async #cleanUp(): Promise<void> {
    // The time that is left of a pause would differ, sooner or later.
    await this.#control.ask("pause-tube default 0")
    const last = await this.#control.put(SENTINEL)
    await this.#control.deleteJobs(this.#baseline.firstId, last)
    for (const command of ["list-tubes", "stats"]) {
      this.#write(normalise(await this.#control.ask(command), this.#baseline, this.#control.polls))
    }
  }

  async #until(peer: Peer, isDone: () => boolean, what: string): Promise<void> {
    const done = await this.#watch.until(() => isDone() || undefined, PATIENCE_MS)
    if (done !== undefined) return
    this.#collect(peer)
    throw new Silence(what)
  }

  /** Writes down the whole replies that have come; at the end of the connection, everything. */
  #collect(peer: Peer): void {
    const { conn, socket } = peer
    const write = (length: number) => {
      const reply = normalise(socket.take(length), this.#baseline, this.#control.polls)
      const reserved = /^RESERVED (\{id:\d+\})/.exec(reply)
      if (reserved) {
        peer.held = reserved[1]!
        this.#hasReserved = true
      }
      this.#write(`${conn}: ${reply}`)
    }
    let length: number | undefined
    while ((length = replyLength(socket.text)) !== undefined) write(length)
    if (socket.ended && socket.text !== "") write(socket.text.length)
    if (socket.ended) this.#write(`${conn}: closed`)
  }

  #write(entry: string): void {
    this.#transcript.at(-1)?.push(entry)
  }
}
