/**
 * The stdin of this process, as a service of Effect. That of `@effect/platform-node` would do the same, but the command line
 * runs without that package.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"

const failed = (cause: Error): PlatformError =>
  systemError({ _tag: "Unknown", module: "Stdio", method: "stdin", description: cause.message, cause })

/** The next piece of stdin, or undefined at its end. An async iterator would not be interrupted before the next piece. */
const nextPiece: Effect.Effect<Uint8Array | undefined, PlatformError> = Effect.callback((resume) => {
  const { stdin } = process
  const end = (next: Effect.Effect<Uint8Array | undefined, PlatformError>) => {
    stop()
    resume(next)
  }
  const fail = (error: Error) => end(Effect.fail(failed(error)))
  const read = () => {
    const piece = stdin.read() as Uint8Array | null
    if (piece === null && stdin.errored !== null) fail(stdin.errored)
    else if (piece !== null || stdin.readableEnded || stdin.destroyed) end(Effect.succeed(piece ?? undefined))
  }
  const stop = () => {
    for (const event of ["readable", "end", "close"]) stdin.off(event, read)
    stdin.off("error", fail)
  }
  for (const event of ["readable", "end", "close"]) stdin.on(event, read)
  stdin.on("error", fail)
  read()
  return Effect.sync(stop)
})

const stdin = Stream.fromPull(Effect.succeed(
  Effect.flatMap(
    nextPiece,
    (piece): Effect.Effect<readonly [Uint8Array], PlatformError | Cause.Done> =>
      piece === undefined ? Cause.done() : Effect.succeed([piece])
  )
))

/** `Stdio` with nothing but stdin: the commands write to stdout and stderr themselves. */
export const layer = Stdio.layerTest({ stdin })
