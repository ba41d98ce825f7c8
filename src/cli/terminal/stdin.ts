/**
 * Bodies from stdin: all of it as one body, or one per line.
 */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { fstatSync } from "node:fs"
import { Failed } from "../failures.ts"

/** Some lines of stdin, without their LF. */
export interface Lines {
  readonly lines: ReadonlyArray<Uint8Array>
  /** The number of the first of them, counted from 1. */
  readonly first: number
  /** The number of bytes of stdin that have been read so far. */
  readonly bytes: number
}

const LF = 10

const tooLong = (what: string, limit: number) =>
  new Failed({ message: `JOB_TOO_BIG: ${what} is longer than anything the server takes (more than ${limit} bytes)` })

const pieces = Effect.map(
  Stdio.Stdio,
  ({ stdin }) => Stream.mapError(stdin, ({ reason }) => new Failed({ message: `cannot read stdin: ${reason.message}` }))
)

/** Runs `f` on the pieces of stdin, one after the other. */
const forEachPiece = <E, R>(f: (piece: Uint8Array) => Effect.Effect<unknown, E, R>) =>
  Effect.flatMap(pieces, Stream.runForEach(f))

/** All of stdin, to the last byte. `limit` bounds how much of it is kept in memory. */
export const readAll = Effect.fnUntraced(function*(limit: number) {
  const pieces: Array<Uint8Array> = []
  let size = 0
  yield* forEachPiece((piece) => {
    pieces.push(piece)
    size += piece.length
    return size > limit ? Effect.fail(tooLong("what came on stdin", limit)) : Effect.void
  })
  return Buffer.concat(pieces)
})

/** Cuts pieces into lines. A line may span pieces. */
class LineSplitter {
  #begun: Array<Uint8Array> = []
  #begunSize = 0

  /** The size of the last line so far. */
  get begunSize(): number {
    return this.#begunSize
  }

  /** The lines that end in this piece. */
  push(piece: Uint8Array): ReadonlyArray<Uint8Array> {
    const lines: Array<Uint8Array> = []
    let from = 0
    for (let at = piece.indexOf(LF); at >= 0; at = piece.indexOf(LF, from)) {
      lines.push(this.#end(piece.subarray(from, at)))
      from = at + 1
    }
    if (from < piece.length) {
      this.#begun.push(piece.subarray(from))
      this.#begunSize += piece.length - from
    }
    return lines
  }

  /** The last line, if it had no LF. */
  rest(): ReadonlyArray<Uint8Array> {
    return this.#begunSize === 0 ? [] : [this.#end(new Uint8Array())]
  }

  #end(piece: Uint8Array): Uint8Array {
    if (this.#begunSize === 0) return piece
    const line = Buffer.concat([...this.#begun, piece])
    this.#begun = []
    this.#begunSize = 0
    return line
  }
}

/** Runs `f` on the lines of stdin, many at a time, in order. A last line without LF counts. */
export const forEachLines = Effect.fnUntraced(function*<E, R>(
  limit: number,
  f: (lines: Lines) => Effect.Effect<unknown, E, R>
) {
  const splitter = new LineSplitter()
  let count = 0
  let bytes = 0
  const emit = (lines: ReadonlyArray<Uint8Array>) => {
    const first = count + 1
    count += lines.length
    return lines.length === 0 ? Effect.void : f({ lines, first, bytes })
  }
  yield* forEachPiece((piece): Effect.Effect<unknown, E | Failed, R> => {
    const lines = splitter.push(piece)
    bytes += piece.length
    const emitted = emit(lines)
    return splitter.begunSize > limit
      ? Effect.andThen(emitted, Effect.suspend(() => Effect.fail(tooLong(`line ${count + 1}`, limit))))
      : emitted
  })
  yield* emit(splitter.rest())
})

/** The size of stdin, if it is a file. */
export const sizeOfStdin = Effect.sync((): number | undefined => {
  try {
    const stat = fstatSync(0)
    return stat.isFile() && stat.size > 0 ? stat.size : undefined
  } catch {
    return undefined
  }
})

/** The bytes that base64 encodes, or undefined if the text is not base64. White space is ignored: `base64` wraps lines. */
export const fromBase64 = (text: string): Uint8Array | undefined => {
  const compact = text.replace(/\s+/g, "")
  const bytes = Buffer.from(compact, "base64")
  return bytes.toString("base64").replace(/=+$/, "") === compact.replace(/=+$/, "") ? bytes : undefined
}
