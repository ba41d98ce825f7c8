/**
 * A network that a seed rules. Bytes arrive late, in pieces, together or never; connections break for both ends or for
 * one, or cannot be opened. It does nothing that a real network could not do.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Output, ServerConnection } from "../../../src/internal/server/serverConnection.ts"
import * as Errors from "../../../src/Errors.ts"
import type { Dialer, Handlers, Transport } from "../../../src/internal/connection/transport.ts"
import type { Dice } from "../../conformance/Dice.ts"
import { MissingCommand } from "./MissingCommand.ts"
import type { Process, World } from "./World.ts"

const CONNECT_TIMEOUT = Duration.seconds(5)

// Ten for the shared connection, ten for those of the pool and for each stream or worker, and all those of a pool that were
// lost together.
const MOST_DIALS_PER_SECOND = 60

// How many bytes a socket takes before it asks the writer to wait.
const ROOM = 16 * 1024

/** How fast the network is, and how it cuts bytes into pieces. */
export interface Weather {
  readonly latency: readonly [from: number, to: number]
  /** The probability that a piece is cut in two. */
  readonly splits: number
}

export const FAIR: Weather = { latency: [0, 1], splits: 0.05 }

/** How the sending end closed a direction. */
type End = "fin" | "reset"

/** One direction of a connection. */
class Direction {
  readonly #network: Network
  readonly #owner: Process
  readonly #isBlocked: () => boolean
  readonly #onPiece: (piece: Uint8Array) => boolean
  readonly #onEnd: (end: End) => void
  readonly #onRoom: () => void
  readonly #pieces: Array<Uint8Array> = []
  /** How many bytes are in flight. */
  size = 0
  #end: End | undefined
  #isComing = false
  #isCut = false
  #mustWait = false
  #isFull = false

  constructor(
    network: Network,
    owner: Process,
    isBlocked: () => boolean,
    onPiece: (piece: Uint8Array) => boolean,
    onEnd: (end: End) => void,
    onRoom: () => void
  ) {
    this.#network = network
    this.#owner = owner
    this.#isBlocked = isBlocked
    this.#onPiece = onPiece
    this.#onEnd = onEnd
    this.#onRoom = onRoom
  }

  send(piece: Uint8Array): boolean {
    if (this.#end !== undefined || this.#isCut || piece.length === 0) return true
    this.#pieces.push(piece)
    this.size += piece.length
    this.#isFull = this.size > ROOM
    this.kick()
    return !this.#isFull
  }

  /** Closes the sending end. A reset drops the bytes in flight in half of the cases. */
  end(end: End): void {
    if (this.#end !== undefined || this.#isCut) return
    this.#end = end
    if (end === "reset" && this.#network.dice.chance(0.5)) this.#forget()
    this.kick()
  }

  /** Drops everything, and delivers nothing any more. */
  cut(): void {
    this.#isCut = true
    this.#forget()
  }

  #forget(): void {
    this.#pieces.length = 0
    this.size = 0
  }

  /** The receiving end reads again. */
  resume(): void {
    this.#mustWait = false
    this.kick()
  }

  /** Continues to deliver, if nothing blocks it. */
  kick(): void {
    if (this.#isComing || this.#isCut || this.#mustWait || this.#isBlocked()) return
    if (this.#pieces.length === 0 && this.#end === undefined) return
    this.#isComing = true
    this.#network.later(this.#owner, this.#arrive)
  }

  readonly #arrive = (): void => {
    this.#isComing = false
    if (this.#isCut || this.#mustWait || this.#isBlocked()) return
    const piece = this.#next()
    if (piece === undefined) {
      const end = this.#end
      if (end === undefined) return
      this.#isCut = true
      return this.#onEnd(end)
    }
    this.size -= piece.length
    if (!this.#onPiece(piece)) this.#mustWait = true
    if (this.#isFull && this.size <= ROOM / 2) {
      this.#isFull = false
      this.#onRoom()
    }
    this.kick()
  }

  // One piece, a part of it, or all pieces together.
  #next(): Uint8Array | undefined {
    const { dice, weather } = this.#network
    if (this.#pieces.length > 1 && dice.chance(0.5)) {
      const all = Buffer.concat(this.#pieces)
      this.#pieces.length = 0
      this.#pieces.push(all)
    }
    const [first] = this.#pieces
    if (first === undefined) return undefined
    if (first.length > 1 && dice.chance(weather.splits)) {
      const size = dice.chance(0.3) ? 1 : dice.int(1, first.length - 1)
      this.#pieces[0] = first.subarray(size)
      return first.subarray(0, size)
    }
    this.#pieces.shift()
    return first
  }
}

/** A connection. */
export class Link {
  readonly client: Process
  readonly serial: number
  readonly #network: Network
  readonly #handlers: Handlers
  readonly #up: Direction
  readonly #down: Direction
  conn: ServerConnection | undefined
  /** Whether the connection is open as far as the client knows. */
  isClientOpen = false
  /** Whether the connection is open as far as the server knows. */
  isServerOpen = false
  isBlackHole = false
  /** Whether the client has heard that it is open. */
  isEstablished = false
  /** When bytes last came to either end. */
  heardAt: number

  constructor(network: Network, client: Process, server: Process, serial: number, handlers: Handlers) {
    this.#network = network
    this.client = client
    this.serial = serial
    this.#handlers = handlers
    this.heardAt = network.world.now
    const missing = new MissingCommand(() => network.refusedCommand)
    this.#up = new Direction(
      network,
      server,
      () => this.isBlackHole || network.isBlocked(this.client, "up"),
      (piece) => {
        this.heardAt = network.world.now
        network.sender = this.client
        const passed = missing.pass(piece)
        return passed.length === 0 || (this.conn?.receive(passed) ?? true)
      },
      (end) => this.#onClientEnded(end),
      () => {
        if (this.isClientOpen) handlers.onDrain()
      }
    )
    this.#down = new Direction(
      network,
      client,
      () => !this.isEstablished || this.isBlackHole || network.isBlocked(this.client, "down"),
      (piece) => {
        this.heardAt = network.world.now
        if (this.isClientOpen) {
          network.onDelivery(this, piece)
          handlers.onData(piece)
        }
        return true
      },
      (end) => this.#onServerEnded(end),
      () => this.conn?.drained()
    )
  }

  get name(): string {
    return `${this.client.name}#${this.serial}`
  }

  toString(): string {
    return `${this.name} (client ${this.isClientOpen}, server ${this.isServerOpen}, black hole ${this.isBlackHole})`
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The client's end
  // -------------------------------------------------------------------------------------------------------------------

  get transport(): Transport {
    return {
      write: (bytes) => {
        if (!this.isClientOpen) return true
        this.#network.onWrite(this, bytes)
        return this.#up.send(bytes)
      },
      destroy: () => this.destroy()
    }
  }

  /** The client closes its end. */
  destroy(): void {
    if (!this.isClientOpen) return
    this.#network.world.tell(`${this.name} closed by the client`)
    this.isClientOpen = false
    // A socket that is closed with unread bytes is reset.
    const isUnread = this.#down.size > 0
    this.#down.cut()
    this.#up.end(isUnread || this.#network.dice.chance(0.5) ? "reset" : "fin")
    if (this.isBlackHole) this.#network.breakOnceHealed(this)
    this.#network.forgetIfOver(this)
  }

  #onClientEnded(end: End): void {
    if (!this.isServerOpen) return
    this.#network.world.tell(`${this.name} server hears ${end}`)
    if (end === "fin") this.conn?.halfClose()
    else this.#dropByServer()
  }

  #tellClient(reason: Errors.BeanstalkdErrorReason): void {
    if (!this.isClientOpen) return
    const { client } = this
    if (client.isBlocked) {
      client.world.at(client.blockedUntil, client, () => this.#tellClient(reason))
      return
    }
    this.#network.world.tell(`${this.name} client hears ${reason.message}`)
    this.isClientOpen = false
    this.#up.cut()
    this.#down.cut()
    this.#network.forgetIfOver(this)
    if (this.client.isAlive) this.#handlers.onClose(reason)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The server's end
  // -------------------------------------------------------------------------------------------------------------------

  /** The output of the server. */
  get output(): Output {
    return {
      write: (bytes) => {
        if (this.isClientOpen) return this.#down.send(bytes)
        // The other machine answers with a reset, if it can.
        if (!this.#network.isBlocked(this.client, "up") && !this.isBlackHole) this.#network.laterBreak(this)
        return true
      },
      end: () => this.#endByServer("fin"),
      drop: () => this.#endByServer("reset"),
      resume: () => this.#up.resume()
    }
  }

  #endByServer(end: End): void {
    if (!this.isServerOpen) return
    this.isServerOpen = false
    this.#up.cut()
    this.#down.end(end)
    this.#network.forgetIfOver(this)
  }

  #onServerEnded(end: End): void {
    this.#tellClient(end === "fin" ? SERVER_CLOSED : RESET)
  }

  #dropByServer(): void {
    this.#up.cut()
    this.isServerOpen = false
    this.conn?.close()
    this.#network.forgetIfOver(this)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What goes wrong
  // -------------------------------------------------------------------------------------------------------------------

  /** Breaks the connection for both ends. */
  reset(): void {
    if (this.isServerOpen) this.#dropByServer()
    this.#tellClient(RESET)
  }

  /** The server loses the connection, and the client does not hear of it. */
  forgetByServer(): void {
    this.isBlackHole = true
    if (this.isServerOpen) this.#dropByServer()
  }

  /** The machine of the client is gone, and the server does not hear of it. */
  forgetByClient(): void {
    this.isClientOpen = false
    this.#down.cut()
    this.#up.cut()
    this.#network.forgetIfOver(this)
  }

  /** Continues in both directions after a block. */
  kick(): void {
    this.#up.kick()
    this.#down.kick()
  }
}

const SERVER_CLOSED = new Errors.ConnectionClosed({ detail: "the server closed it" })
const RESET = new Errors.ReadError({ cause: new Error("ECONNRESET") })
const REFUSED = new Errors.OpenError({ cause: new Error("ECONNREFUSED") })

/** What can be blocked: a client, the whole network, or the server because it is frozen. */
export type Blocked = Process | "network" | "server"

/** The network between one server and its clients. */
export class Network {
  readonly world: World
  readonly dice: Dice
  readonly #server: Process
  readonly #accept: (link: Link) => ServerConnection | undefined
  readonly links = new Set<Link>()
  readonly #blocked = new Map<Blocked, { readonly up: boolean; readonly down: boolean }>()
  #waiting: Array<() => void> = []
  #serial = 0
  #isHealed = false
  weather: Weather = FAIR
  /** Whether dials are refused. */
  refuses = false
  /** Whether the server closes new connections at once. */
  turnsAway = false
  /** The beginning of the commands that the server does not know. */
  refusedCommand: string | undefined
  /** After how many milliseconds without a byte a connection is cut, as by a load balancer. */
  idleMillis = Infinity
  readonly #dials = new Map<Process, Array<number>>()
  onDelivery: (link: Link, piece: Uint8Array) => void = () => {}
  /** The client whose bytes have reached the server last. */
  sender: Process | undefined
  onWrite: (link: Link, bytes: Uint8Array) => void = () => {}
  /** For how long a connection may be silent before a proxy cuts it, in milliseconds. */
  silenceMillis = Infinity
  /** Tells whether there is such a proxy before this client. */
  onSilence: (link: Link) => boolean = () => false

  /** Whether a frozen server's kernel completes connections, which then prove nothing. */
  hasBacklog = false
  readonly #name: string

  constructor(
    world: World,
    server: Process,
    accept: (link: Link) => ServerConnection | undefined,
    name = "simulated"
  ) {
    this.world = world
    this.#name = name
    this.dice = world.dice(2)
    this.#server = server
    this.#accept = accept
  }

  /** Runs a task for a process after the latency of the network. */
  later(process: Process, task: () => void): void {
    const [from, to] = this.weather.latency
    this.world.at(this.world.now + this.dice.int(from, to), process, task)
  }

  laterBreak(link: Link): void {
    this.later(this.#server, () => link.reset())
  }

  forgetIfOver(link: Link): void {
    if (!link.isClientOpen && !link.isServerOpen) this.links.delete(link)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Dialing
  // -------------------------------------------------------------------------------------------------------------------

  dialer(client: Process): Dialer {
    return {
      server: this.#name,
      open: Effect.fnUntraced(function*(this: Network, handlers: Handlers) {
        let link: Link | undefined
        let isOver = false
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            isOver = true
            link?.destroy()
          })
        )
        return yield* Effect.callback<Transport, Errors.BeanstalkdErrorReason>((resume) => {
          this.#dial(client, handlers, (answer) => {
            if (isOver) return answer?.destroy()
            link = answer
            resume(answer === undefined ? Effect.fail(REFUSED) : Effect.succeed(answer.transport))
          })
          return Effect.sync(() => {
            isOver = true
          })
        }).pipe(
          Effect.timeoutOrElse({
            duration: CONNECT_TIMEOUT,
            orElse: () => Effect.fail(new Errors.OpenTimeout({ timeoutMillis: Duration.toMillis(CONNECT_TIMEOUT) }))
          })
        )
      }).bind(this)
    }
  }

  /** Cuts the connections that have been idle for too long. */
  cutIdle(): void {
    for (const link of this.links) {
      if (this.world.now - link.heardAt >= this.idleMillis) link.reset()
    }
  }

  // Whatever goes wrong, nothing dials in a loop.
  #countDial(client: Process): void {
    const { now } = this.world
    const dials = (this.#dials.get(client) ?? []).filter((at) => now - at < 1000)
    dials.push(now)
    this.#dials.set(client, dials)
    if (dials.length > MOST_DIALS_PER_SECOND) {
      this.world.violate(`${client.name} has dialed ${dials.length} times within a second`)
    }
  }

  #dial(client: Process, handlers: Handlers, answer: (link: Link | undefined) => void): void {
    this.#countDial(client)
    const arrive = () => {
      if (this.#isUnreachable(client)) return void this.#waiting.push(arrive)
      if (!client.isAlive) return
      if (this.refuses) return this.later(client, () => answer(undefined))
      const link = new Link(this, client, this.#server, ++this.#serial, handlers)
      this.world.tell(`${link.name} opened`)
      this.links.add(link)
      link.isClientOpen = link.isServerOpen = true
      link.conn = this.#accept(link)
      if (this.turnsAway) link.conn?.end()
      this.later(client, () => {
        link.isEstablished = true
        this.#watchSilence(link)
        answer(link)
        link.kick()
      })
    }
    this.later(this.#server, arrive)
  }

  #isUnreachable(client: Process): boolean {
    if (!this.hasBacklog) return this.isBlocked(client, "up")
    return this.#blocked.get(client)?.up === true || this.#blocked.get("network")?.up === true
  }

  #watchSilence(link: Link): void {
    if (this.silenceMillis === Infinity || this.#isHealed) return
    link.heardAt = Math.max(link.heardAt, this.world.now)
    const look = () => {
      if (this.#isHealed || (!link.isClientOpen && !link.isServerOpen)) return
      const at = link.heardAt + this.silenceMillis
      if (this.world.now < at) this.world.at(at, this.#server, look)
      else if (this.onSilence(link)) {
        this.world.tell(`${link.name} is cut, since it was silent`)
        link.reset()
      }
    }
    this.world.at(link.heardAt + this.silenceMillis, this.#server, look)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Blocks
  // -------------------------------------------------------------------------------------------------------------------

  isBlocked(client: Process, direction: "up" | "down"): boolean {
    if (this.#blocked.size === 0) return false
    const keys: ReadonlyArray<Blocked> = [client, "network", "server"]
    return keys.some((key) => this.#blocked.get(key)?.[direction] === true)
  }

  /** Blocks one direction or both until `unblock`. */
  block(whom: Blocked, up: boolean, down: boolean): void {
    this.#blocked.set(whom, { up, down })
  }

  unblock(whom: Blocked): void {
    this.#blocked.delete(whom)
    this.#goOn()
  }

  #goOn(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const dial of waiting) dial()
    for (const link of this.links) link.kick()
  }

  /** The server's operating system notices later that the other end is gone. */
  breakOnceHealed(link: Link): void {
    if (this.#isHealed) this.world.at(this.world.now + this.dice.int(1, 3000), this.#server, () => link.reset())
  }

  /**
   * Ends all faults. If one end has lost a connection, the other notices within moments. Black holes stay: the client
   * must notice them.
   */
  heal(): void {
    this.#isHealed = true
    this.weather = FAIR
    this.refuses = this.turnsAway = false
    this.refusedCommand = undefined
    this.idleMillis = Infinity
    this.#blocked.clear()
    for (const link of this.links) {
      if (!link.isClientOpen || !link.isServerOpen) this.breakOnceHealed(link)
    }
    this.#goOn()
  }

  /** Stops the machine of a client, and tells the server or not. */
  kill(client: Process, isHeard: boolean): void {
    for (const link of this.links) {
      if (link.client !== client) continue
      if (isHeard) link.destroy()
      else link.forgetByClient()
    }
  }
}
