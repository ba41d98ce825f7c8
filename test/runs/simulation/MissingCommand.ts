/**
 * A server that does not know a command for a while, as a fork or an older one: what a client sends is passed on, and the
 * command that is refused is replaced by one that no server knows.
 */

const PUT = /^put \d+ \d+ \d+ (\d+)$/

/** What passes on the bytes of one connection. */
export class MissingCommand {
  readonly #refused: () => string | undefined
  #line = Buffer.alloc(0)
  /** How many bytes of a body, and of its end, are to come. */
  #bodyLeft = 0

  /** `refused` is the beginning of the lines that are refused now. */
  constructor(refused: () => string | undefined) {
    this.#refused = refused
  }

  /** The bytes for the server. The beginning of a line waits for its end. */
  pass(piece: Uint8Array): Uint8Array {
    const bytes = this.#line.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#line, piece])
    const passed: Array<Buffer> = []
    let at = 0
    while (at < bytes.length) {
      const end = this.#bodyLeft > 0 ? Math.min(bytes.length, at + this.#bodyLeft) : endOfLine(bytes, at)
      if (end === undefined) break
      const part = bytes.subarray(at, end)
      passed.push(this.#bodyLeft > 0 ? part : this.#passLine(part))
      if (this.#bodyLeft > 0) this.#bodyLeft -= part.length
      else this.#bodyLeft = bodyOf(part)
      at = end
    }
    this.#line = bytes.subarray(at)
    return Buffer.concat(passed)
  }

  #passLine(line: Buffer): Buffer {
    const refused = this.#refused()
    return refused !== undefined && line.toString("latin1").startsWith(refused) ? Buffer.from("refused\r\n") : line
  }
}

const endOfLine = (bytes: Buffer, from: number): number | undefined => {
  const end = bytes.indexOf("\r\n", from, "latin1")
  return end === -1 ? undefined : end + 2
}

const bodyOf = (line: Buffer): number => {
  const put = PUT.exec(line.toString("latin1", 0, line.length - 2))
  return put === null ? 0 : Number(put[1]) + 2
}
