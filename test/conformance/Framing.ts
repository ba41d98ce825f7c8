/**
 * How far a server has got with what one connection has sent: whether it is between two commands, within a line or
 * within a body. This much must be known to say when all replies have come, and nothing more is.
 *
 * Quirks of the real server that the embedded one does not copy. What would meet them is not sent, or not compared:
 * - "long line": a line whose length, CRLF included, is 225 bytes (449, ...) swallows the next one; and so may any line
 *   of more than 224 bytes that comes in several pieces.
 * - "bare CR": a CR without LF hides later ends of lines.
 * - "waiter order": which of several waiters is served depends on the history of the tube. It is first come, first
 *   served if at most two wait, or three if all of them watch one and the same tube; and if nobody has ever been served
 *   from the tube before. (The tube `default` never dies, and so its history never ends.)
 * - "job without a body": between the line of a put and the end of its body the job can already be found. `stats-job`
 *   says `state: invalid`, for which NOT_FOUND is taken; `peek` shows whatever is in the memory, so that it is not sent
 *   while the body of a put is missing.
 * - "list order": lists are in order of insertion only as long as nothing is removed. They are compared sorted.
 * - "late resume": what `pause-tube` with a delay of 0 sets free is served a microsecond later, at times after the next
 *   command. So pause-tube is the last of the commands that are sent at once.
 * - "missed expiry": a job may stay reserved beyond its ttr. No ttr ends while a sequence is played.
 */

/** A run of bytes that is sent at once, and what can be waited for when it has been. */
export interface Piece {
  readonly text: string
  /** It goes on with a line whose beginning has been sent before. */
  readonly isBegun: boolean
  readonly kind:
    /** Complete commands, each answered at once: whatever comes behind is a command. */
    | "commands"
    /** One reserve that may have to wait. */
    | "reserve"
    /** A line that makes the server close the connection. */
    | "quit"
    /** The line of a put and the beginning of its body. */
    | "put"
    /** More of a body, or the beginning of a line: nothing to be seen from outside. */
    | "more"
    /** A line that meets a quirk. */
    | "quirk"
}

const BODY_AND_LINE_END = 2
const LONGEST_LINE = 222
const LINE_BUFFER = 224

const isUint32 = (digits: string) => BigInt(digits) < 2n ** 32n

/** How many bytes the server takes from behind this line before it looks for the next one. */
const bodyLength = (line: string, maxJobSize: number): number => {
  if (line.includes("\0") || line.length > LONGEST_LINE) return 0
  const put = /^put +(\d+) +(\d+) +(\d+) +(\d+)(.*)$/s.exec(line)
  if (!put || !put.slice(1, 5).every(isUint32)) return 0
  const size = Number(put[4])
  return size > maxJobSize || put[5] === "" ? size + BODY_AND_LINE_END : 0
}

const meetsQuirk = (line: string, isBegun: boolean, bodyIsMissing: boolean): boolean =>
  (bodyIsMissing && line.startsWith("peek ")) ||
  line.includes("\r") || (line.length > LONGEST_LINE && (isBegun || line.length % LINE_BUFFER === LINE_BUFFER - 1))

const kindOf = (
  line: string,
  isBegun: boolean,
  bodyIsMissing: boolean
): "quirk" | "quit" | "reserve" | undefined => {
  if (meetsQuirk(line, isBegun, bodyIsMissing)) return "quirk"
  if (line.length > LONGEST_LINE || line.includes("\0")) return undefined
  if (line.startsWith("quit")) return "quit"
  const reserves = line === "reserve" || line.startsWith("reserve-with-timeout ")
  return reserves && !/^reserve-with-timeout +0+$/.test(line) ? "reserve" : undefined
}

export class Framing {
  readonly #maxJobSize: number
  /** The beginning of a line that has been sent. */
  #line = ""
  /** What is missing of the body; 0 outside of bodies. */
  #missing = 0

  constructor(maxJobSize: number) {
    this.#maxJobSize = maxJobSize
  }

  get isInBody(): boolean {
    return this.#missing > 0
  }

  /**
   * The first piece of what is to be sent; from now on it counts as sent. The rest is empty if it is the last.
   * `bodyIsMissing` tells of the other connections.
   */
  cut(text: string, bodyIsMissing: boolean): { readonly piece: Piece; readonly rest: string } {
    const begun = this.#line
    const pieceOf = (length: number, kind: Piece["kind"]) => ({
      piece: { text: text.slice(0, length), isBegun: begun !== "", kind },
      rest: text.slice(length)
    })

    // Up to here everything is answered. Commands that are not come apart from those before them.
    let answered = Math.min(this.#missing, text.length)
    this.#missing -= answered
    if (this.#missing > 0) return pieceOf(text.length, "more")

    while (answered < text.length) {
      const line = this.#line + text.slice(answered)
      const end = line.indexOf("\r\n")
      if (end < 0) {
        if (answered > 0) return pieceOf(answered, "commands")
        this.#line = line
        return pieceOf(text.length, "more")
      }
      const next = answered + end + 2 - this.#line.length
      const kind = kindOf(line.slice(0, end), this.#line !== "", bodyIsMissing)
      const missing = bodyLength(line.slice(0, end), this.#maxJobSize)
      const isComplete = kind === undefined && next + missing <= text.length
      if (!isComplete && answered > 0) return pieceOf(answered, "commands")
      this.#line = ""
      if (kind !== undefined) return pieceOf(next, kind)
      if (!isComplete) {
        this.#missing = next + missing - text.length
        return pieceOf(text.length, "put")
      }
      answered = next + missing
      if (line.startsWith("pause-tube")) return pieceOf(answered, "commands")
    }
    return pieceOf(answered, "commands")
  }
}
