/**
 * Plain sockets for tests that compare bytes: text is Latin-1, one character one byte, and nothing of the library is
 * in between. They are driven by promises, not effects: a differential run makes half a million round trips.
 */
import * as Net from "node:net"

/** Wakes the one who waits whenever something happens on any of the sockets that share it. */
export class Watch {
  #wake: (() => void) | undefined

  notify(): void {
    this.#wake?.()
  }

  /** What `look` returns, now or after a later event, as soon as it is not undefined; undefined when time is up. */
  until<A>(look: () => A | undefined, patienceMs: number): Promise<A | undefined> {
    const now = look()
    if (now !== undefined) return Promise.resolve(now)
    return new Promise((resolve) => {
      const settle = (outcome: A | undefined) => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve(outcome)
      }
      const timer = setTimeout(() => settle(look()), patienceMs)
      this.#wake = () => {
        const outcome = look()
        if (outcome !== undefined) settle(outcome)
      }
    })
  }
}

export class RawSocket {
  /** What has come and has not been taken. */
  text = ""
  /** The server has closed its side, or the connection is gone. */
  ended = false
  /** We have closed it entirely. */
  closed = false
  readonly #socket: Net.Socket
  readonly #watch: Watch

  private constructor(socket: Net.Socket, watch: Watch) {
    this.#socket = socket
    this.#watch = watch
    socket.setNoDelay(true).setEncoding("latin1")
    socket.on("data", (text: string) => {
      this.text += text
      watch.notify()
    })
    const end = () => {
      this.ended = true
      watch.notify()
    }
    socket.on("end", end).on("close", end).on("error", end)
  }

  static connect(host: string, port: number, watch: Watch): Promise<RawSocket> {
    return new Promise((resolve, reject) => {
      const socket = Net.connect({ host, port, allowHalfOpen: true })
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.off("error", reject)
        resolve(new RawSocket(socket, watch))
      })
    })
  }

  write(text: string): void {
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1")
  }

  halfClose(): void {
    this.#socket.end()
  }

  close(): void {
    this.closed = true
    this.#socket.destroy()
  }

  /** Ends it with a RST. */
  reset(): void {
    this.closed = true
    this.#socket.resetAndDestroy()
  }

  until<A>(look: (socket: this) => A | undefined, patienceMs: number): Promise<A | undefined> {
    return this.#watch.until(() => look(this), patienceMs)
  }

  /** Takes the first `count` bytes. */
  take(count: number): string {
    const taken = this.text.slice(0, count)
    this.text = this.text.slice(count)
    return taken
  }
}

/**
 * The length of the first whole reply, body and all; undefined if it is not all there. The body is only skipped, so
 * whether CRLF follows it must be looked at by whoever takes it.
 */
export const replyLength = (text: string): number | undefined => {
  const lineEnd = text.indexOf("\r\n")
  if (lineEnd < 0) return undefined
  const body = /^(?:OK|FOUND \d+|RESERVED \d+) (\d+)$/.exec(text.slice(0, lineEnd))
  const length = lineEnd + 2 + (body ? Number(body[1]) + 2 : 0)
  return text.length >= length ? length : undefined
}
