/**
 * The worker processes of a chaos run, each of which is replaced when it is killed or stopped.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Runtime from "../../support/Runtime.ts"
import type { Handled } from "./Accounts.ts"

const PROGRAM = fileURLToPath(new URL("worker.ts", import.meta.url))

// Handlers may go on for half a second, and settling on a dead connection takes until the command timeout.
const STOPS_WITHIN = "15 seconds"

interface Process {
  readonly child: ChildProcess.ChildProcess
  readonly ended: Deferred.Deferred<void>
  signal: NodeJS.Signals | undefined
}

export interface Workers {
  readonly size: number
  /** Ends one and starts another in its place. After SIGTERM it must end by itself; that is not awaited here. */
  readonly replace: (n: number, signal: "SIGKILL" | "SIGTERM") => Effect.Effect<void>
  /** Stops all, and waits until they have ended. */
  readonly stop: Effect.Effect<void>
  readonly handled: () => Handled
}

/** Starts so many. Who ends in another way than it was told to, or does not, is complained of. */
export const make = Effect.fnUntraced(function*(
  options: {
    readonly port: number
    readonly size: number
    readonly notes: string
    readonly complain: (what: string) => void
  }
): Effect.fn.Return<Workers, never, Scope.Scope> {
  const { complain, notes, port, size } = options
  const running = new Set<Process>()

  const spawn = (): Process => {
    const child = ChildProcess.spawn(process.execPath, [PROGRAM, String(port), notes], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    const own: Process = { child, ended: Deferred.makeUnsafe<void>(), signal: undefined }
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.on("close", (code, signal) => {
      running.delete(own)
      Deferred.doneUnsafe(own.ended, Effect.void)
      const isAsTold = own.signal === "SIGTERM" ? code === 0 || signal === "SIGTERM" : signal === own.signal
      if (!isAsTold || stderr !== "") complain(`a worker ended with ${code ?? signal}: ${stderr}`)
    })
    running.add(own)
    return own
  }

  const end = (own: Process, signal: NodeJS.Signals) =>
    Effect.suspend(() => {
      if (!running.has(own)) return Effect.void
      own.signal = signal
      Runtime.signal(own.child, signal)
      return Deferred.await(own.ended)
    })

  const stop = (own: Process) =>
    end(own, "SIGTERM").pipe(
      Effect.timeoutOrElse({
        duration: STOPS_WITHIN,
        orElse: () => {
          complain("hung: a worker that was stopped does not end")
          return end(own, "SIGKILL")
        }
      })
    )

  const places = Array.from({ length: size }, spawn)
  const scope = yield* Effect.scope
  yield* Effect.addFinalizer(() => Effect.forEach([...running], (own) => end(own, "SIGKILL"), { discard: true }))

  return {
    size,
    replace: (n, signal) =>
      Effect.suspend(() => {
        const old = places[n]!
        places[n] = spawn()
        return signal === "SIGKILL" ? end(old, signal) : Effect.asVoid(Effect.forkIn(stop(old), scope))
      }),
    stop: Effect.suspend(() => Effect.forEach([...running], stop, { concurrency: "unbounded", discard: true })),
    handled: () => {
      const sets = { s: new Set<number>(), d: new Set<number>() }
      for (const [, what, n] of readFileSync(notes, "latin1").matchAll(/^([sd]) (\d+)$/gm)) {
        sets[what as "s" | "d"].add(Number(n))
      }
      return { began: sets.s, did: sets.d }
    }
  }
})
