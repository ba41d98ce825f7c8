/**
 * A bad network between a client and a TCP server: it passes bytes on, and does to each connection what its plan says.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

/**
 * How a connection is cut: both ends are told so (`fin`), both are reset, only the end to which the bytes went is told
 * (`half-close`), or nobody is, and nothing passes any more (`silence`).
 */
export type Cut = "fin" | "reset" | "half-close" | "silence"

/** The fate of the bytes of one direction. */
export interface Lane {
  /** The number of bytes after which the connection is cut. */
  readonly cut?: { readonly after: number; readonly how: Cut } | undefined
  /** How long bytes are held back, in milliseconds. */
  readonly delay?: number | undefined
  /** How long bytes are collected into one piece, in milliseconds. */
  readonly coalesce?: number | undefined
  /** The most bytes per packet. */
  readonly pieces?: number | undefined
  /** How fast the source is read, in bytes per second. */
  readonly rate?: number | undefined
}

/**
 * The fate of a connection. It is passed on to the server (`open`), read but never answered (`black-hole`), accepted
 * and not even read, as by a server without file descriptors (`deaf`), or reset at once (`reset`).
 */
export interface Plan {
  readonly gate?: "open" | "black-hole" | "deaf" | "reset" | undefined
  /** From the client to the server. */
  readonly up?: Lane | undefined
  readonly down?: Lane | undefined
}

export interface Link {
  /** How many bytes have been passed on to the server. */
  readonly up: number
  readonly down: number
  /** How it was cut, if it was. */
  readonly wasCut: Cut | undefined
  readonly isOpen: boolean
  readonly cut: (how: Cut) => void
}

export interface FaultProxy {
  readonly host: "127.0.0.1"
  readonly port: number
  /** All connections ever accepted, in that order. */
  readonly links: ReadonlyArray<Link>
  /** Sets the fate of the connections that are accepted from now on, by their number (from 0). */
  readonly plan: (plan: Plan | ((n: number) => Plan)) => void
  /** Stops listening: later dials are refused, open connections live on. */
  readonly refuse: Effect.Effect<void>
  /** Listens again, on the same port. */
  readonly accept: Effect.Effect<void>
}

type Direction = "up" | "down"

const passed = (sink: Net.Socket, piece: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => sink.write(piece, (error) => error ? reject(error) : resolve()))

const cutUp = (chunk: Buffer, size: number): Array<Buffer> => {
  const pieces: Array<Buffer> = []
  for (let at = 0; at < chunk.length; at += size) pieces.push(chunk.subarray(at, at + size))
  return pieces
}

/** Reads and drops all further bytes, so that their end is noticed. */
const discard = (socket: Net.Socket): void => {
  socket.removeAllListeners("readable").on("data", () => {}).resume()
}

// After a FIN node cannot reset the socket any more, and would keep the handle.
const reset = (socket: Net.Socket): void => {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

class Connection implements Link {
  up = 0
  down = 0
  wasCut: Cut | undefined
  readonly #client: Net.Socket
  readonly #server: Net.Socket
  readonly #plan: Plan

  constructor(client: Net.Socket, server: Net.Socket, plan: Plan) {
    this.#client = client
    this.#server = server
    this.#plan = plan
    client.setNoDelay(true).on("error", () => this.#reset()).on("end", () => this.#isSilent ? this.#reset() : undefined)
    server.setNoDelay(true).on("error", () => this.#isSilent ? undefined : this.#reset())
    void this.#pump("up")
    void this.#pump("down")
  }

  get isOpen(): boolean {
    return !this.#client.destroyed || !this.#server.destroyed
  }

  get #isSilent(): boolean {
    return this.wasCut === "silence"
  }

  cut(how: Cut): void {
    this.#cut(how, "down")
  }

  #cut(how: Cut, direction: Direction): void {
    if (this.wasCut !== undefined) return
    this.wasCut = how
    if (how === "reset") return this.#reset()
    const isWhole = how !== "half-close"
    if (how === "fin" || (!isWhole && direction === "down")) this.#client.end()
    if (how === "fin" || (!isWhole && direction === "up")) this.#server.end()
    if (isWhole || direction === "up") discard(this.#client)
    if (isWhole || direction === "down") discard(this.#server)
  }

  #reset(): void {
    reset(this.#client)
    reset(this.#server)
  }

  async #pump(direction: Direction): Promise<void> {
    const [source, sink] = direction === "up" ? [this.#client, this.#server] : [this.#server, this.#client]
    const lane = this.#plan[direction] ?? {}
    const { after, how } = lane.cut ?? { after: Infinity, how: "fin" }
    const isWhole = () => this.wasCut === undefined || this.wasCut === "half-close"
    try {
      if (after === 0) return this.#cut(how, direction)
      for await (const chunk of source.iterator({ destroyOnReturn: false })) {
        for (const piece of await this.#prepare(lane, source, chunk as Buffer)) {
          const left = after - this[direction]
          if (!isWhole() || left === 0) return
          await passed(sink, piece.subarray(0, left))
          this[direction] += Math.min(left, piece.length)
          if (this[direction] === after) return this.#cut(how, direction)
        }
      }
      if (isWhole()) sink.end()
    } catch {
      // One end has gone without a FIN.
      if (isWhole()) this.#reset()
    }
  }

  async #prepare({ coalesce, delay, pieces, rate }: Lane, source: Net.Socket, chunk: Buffer): Promise<Array<Buffer>> {
    if (delay !== undefined) await sleep(delay)
    if (rate !== undefined) await sleep(1000 * chunk.length / rate)
    if (pieces !== undefined) return cutUp(chunk, pieces)
    if (coalesce === undefined) return [chunk]
    await sleep(coalesce)
    const rest = source.read() as Buffer | null
    return [rest === null ? chunk : Buffer.concat([chunk, rest])]
  }
}

/** A connection that ends at the proxy. */
const atTheGate = (client: Net.Socket, gate: Exclude<Plan["gate"], "open" | undefined>): Link => {
  client.on("error", () => {})
  if (gate === "reset") reset(client)
  if (gate === "black-hole") client.resume()
  return {
    up: 0,
    down: 0,
    wasCut: undefined,
    get isOpen() {
      return !client.destroyed
    },
    cut: (how) => {
      if (how === "reset") reset(client)
      else if (how !== "silence") client.destroy()
    }
  }
}

/** Listens on loopback for connections to the server at that port, until the Scope is closed. */
export const make = Effect.fnUntraced(function*(
  target: { readonly port: number },
  initial: Plan | ((n: number) => Plan) = {}
): Effect.fn.Return<FaultProxy, never, Scope.Scope> {
  let plan = initial
  const links: Array<Link> = []
  const sockets = new Set<Net.Socket>()

  const keep = (socket: Net.Socket): Net.Socket => {
    sockets.add(socket)
    return socket.on("close", () => sockets.delete(socket))
  }

  const accept = (client: Net.Socket) => {
    const n = links.length
    const own = typeof plan === "function" ? plan(n) : plan
    const { gate = "open" } = own
    keep(client)
    if (gate !== "open") return void links.push(atTheGate(client, gate))
    const server = keep(Net.connect({ port: target.port, host: "127.0.0.1", allowHalfOpen: true }))
    links.push(new Connection(client, server, own))
  }

  const listener = Net.createServer({ allowHalfOpen: true }, accept)
  const listen = (port: number) =>
    Effect.callback<void>((resume) => {
      const fail = (error: Error) => resume(Effect.die(error))
      listener.once("error", fail).listen(port, "127.0.0.1", () => {
        listener.off("error", fail)
        resume(Effect.void)
      })
    })

  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      listener.close(() => resume(Effect.void))
      for (const socket of sockets) socket.destroy()
    })
  )
  yield* listen(0)
  const { port } = listener.address() as Net.AddressInfo

  return {
    host: "127.0.0.1",
    port,
    links,
    plan: (next) => {
      plan = next
    },
    refuse: Effect.sync(() => listener.close()),
    accept: Effect.suspend(() => listener.listening ? Effect.void : listen(port))
  }
})
