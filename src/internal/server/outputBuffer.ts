/**
 * The replies of one connection that have not been written yet: many small ones become one write.
 */

/** Collects text of one byte per character, and bytes. */
export class OutputBuffer {
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
