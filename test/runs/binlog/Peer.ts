/**
 * A client without anything of the library: it pipelines, and pairs replies with commands. Text is Latin-1, one character one
 * byte.
 */
import * as Net from "node:net"
import { replyLength } from "../../conformance/RawSocket.ts"
import { parseStats } from "../../support/Ask.ts"

/** The first line of a reply, and its body if it has one. */
export interface Reply {
  readonly line: string
  readonly body: string | undefined
}

/** Where a server listens. */
export type Place = { readonly port: number } | { readonly path: string }

/** The connection has ended before the reply came. */
export class Ended extends Error {}

interface Pending {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Ended) => void
}

/** A connection. */
export class Peer {
  readonly #socket: Net.Socket
  readonly #pending: Array<Pending> = []
  #text = ""
  #isEnded = false

  private constructor(socket: Net.Socket) {
    this.#socket = socket
    socket.setNoDelay(true).setEncoding("latin1")
    socket.on("data", (text: string) => this.#read(text))
    const end = () => {
      this.#isEnded = true
      for (const { reject } of this.#pending.splice(0)) reject(new Ended("the connection has ended"))
    }
    socket.on("close", end).on("error", end)
  }

  static connect(place: Place): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const socket = Net.connect("path" in place ? { path: place.path } : { host: "127.0.0.1", port: place.port })
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(new Peer(socket))
      })
    })
  }

  #read(text: string): void {
    this.#text += text
    while (this.#pending.length > 0) {
      const length = replyLength(this.#text)
      if (length === undefined) return
      const end = this.#text.indexOf("\r\n") + 2
      const body = length > end ? this.#text.slice(end, length - 2) : undefined
      this.#pending.shift()!.resolve({ line: this.#text.slice(0, end - 2), body })
      this.#text = this.#text.slice(length)
    }
  }

  /** Sends a command without waiting for those before it. */
  send(command: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#isEnded) return reject(new Ended("the connection has ended"))
      this.#pending.push({ resolve, reject })
      this.#socket.write(`${command}\r\n`, "latin1")
    })
  }

  put(body: string, pri: number, delay: number, ttr: number): Promise<Reply> {
    return this.send(`put ${pri} ${delay} ${ttr} ${body.length}\r\n${body}`)
  }

  /** The dictionary that a command is answered with; undefined if there is none. */
  async stats(command: string): Promise<Record<string, string> | undefined> {
    const { body } = await this.send(command)
    return body === undefined ? undefined : parseStats(body)
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** The id in a reply, or undefined if it has none. */
export const idIn = ({ line }: Reply): number | undefined => {
  const found = /^(?:INSERTED|RESERVED) (\d+)/.exec(line)
  return found === null ? undefined : Number(found[1])
}
