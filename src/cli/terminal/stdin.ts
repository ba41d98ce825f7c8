/**
 * What comes in on stdin: all of it as one body, or line by line, as bytes.
 */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { fstatSync } from "node:fs"
import { Failed } from "../failed.ts"

/** Some lines of stdin, without their LF; `first` is the number of the first, from 1, `bytes` how many came so far. */
export interface Lines {
  readonly lines: ReadonlyArray<Uint8Array>
  readonly first: number
  readonly bytes: number
}

const LF = 10

const bytesOfStdin = Effect.map(
  Stdio.Stdio,
  ({ stdin }) => Stream.mapError(stdin, ({ reason }) => new Failed({ message: `cannot read stdin: ${reason.message}` }))
)

const tooLong = (what: string, limit: number) =>
  new Failed({ message: `JOB_TOO_BIG: ${what} is longer than anything the server takes (more than ${limit} bytes)` })

/** All of stdin, to the last byte. `limit` bounds what is kept in memory. */
export const readAll = Effect.fnUntraced(function*(limit: number) {
  const pieces: Array<Uint8Array> = []
  let size = 0
  yield* Stream.runForEach(yield* bytesOfStdin, (piece) => {
    pieces.push(piece)
    size += piece.length
    return size > limit ? Effect.fail(tooLong("what came on stdin", limit)) : Effect.void
  })
  return Buffer.concat(pieces)
})

/** Runs `f` on the lines of stdin, many at a time, in order. A last line without LF counts. */
export const forEachLines = Effect.fnUntraced(function*<E, R>(
  limit: number,
  f: (lines: Lines) => Effect.Effect<unknown, E, R>
) {
  let begun: Array<Uint8Array> = []
  let begunSize = 0
  let count = 0
  let bytes = 0
  const emit = (lines: ReadonlyArray<Uint8Array>) => {
    const first = count + 1
    count += lines.length
    return lines.length === 0 ? Effect.void : f({ lines, first, bytes })
  }
  const endLine = (piece: Uint8Array): Uint8Array => {
    if (begunSize === 0) return piece
    const line = Buffer.concat([...begun, piece])
    begun = []
    begunSize = 0
    return line
  }
  yield* Stream.runForEach(
    yield* bytesOfStdin,
    (piece): Effect.Effect<unknown, E | Failed, R> => {
      const lines: Array<Uint8Array> = []
      let from = 0
      for (let at = piece.indexOf(LF); at >= 0; at = piece.indexOf(LF, from)) {
        lines.push(endLine(piece.subarray(from, at)))
        from = at + 1
      }
      bytes += piece.length
      if (from < piece.length) {
        begun.push(piece.subarray(from))
        begunSize += piece.length - from
      }
      return begunSize > limit
        ? Effect.andThen(emit(lines), Effect.suspend(() => Effect.fail(tooLong(`line ${count + 1}`, limit))))
        : emit(lines)
    }
  )
  if (begunSize > 0) yield* emit([endLine(new Uint8Array())])
})

/** How many bytes will come in all, if stdin is a file and that can be known. */
export const sizeOfStdin = Effect.sync((): number | undefined => {
  try {
    const stat = fstatSync(0)
    return stat.isFile() && stat.size > 0 ? stat.size : undefined
  } catch {
    return undefined
  }
})

/** The bytes behind base64, or undefined if it is none. White space, which `base64` puts between, does not count. */
export const fromBase64 = (text: string): Uint8Array | undefined => {
  const compact = text.replace(/\s+/g, "")
  const bytes = Buffer.from(compact, "base64")
  return bytes.toString("base64").replace(/=+$/, "") === compact.replace(/=+$/, "") ? bytes : undefined
}
