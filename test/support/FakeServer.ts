/**
 * A scripted peer: it plays one list of steps, in order, over the connections that a client opens, and tells whether
 * the client kept to it. The format is that of test/fixtures/client.json. Strings are Latin-1: one character, one byte.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as RealTime from "./RealTime.ts"
import * as Serve from "./Serve.ts"

export * from "./Serve.ts"

/** Connections are numbered in the order in which they are accepted, from 0; a step without `conn` means 0. */
export type Step =
  /** Exactly these bytes come next on that connection, in whatever pieces. */
  | { readonly conn?: number | undefined; readonly expect: string }
  | { readonly conn?: number | undefined; readonly reply: string }
  /** The server closes the connection. */
  | { readonly conn?: number | undefined; readonly close: boolean }
  | { readonly sleepMs: number }
  /** The server stops listening; as the first step: nobody ever listens on the port. */
  | { readonly refuse: boolean }

export type Script = ReadonlyArray<Step>

export interface ScriptOptions extends Serve.ServeOptions {
  /** How long a step may wait for the client, in milliseconds. Default: 3000. */
  readonly patienceMs?: number | undefined
}

export interface ScriptedServer extends Serve.Serving {
  /**
   * Succeeds when the whole script has been played; the connections are still open then, and what comes is recorded.
   * Fails when the client did something else; all connections are closed then, so that the client does not hang.
   */
  readonly done: Effect.Effect<void, ScriptError>
}

/** The client did not keep to the script. */
export class ScriptError extends Schema.TaggedError<ScriptError>()("ScriptError", {
  /** The number of the step, from 0. */
  step: Schema.Int,
  conn: Schema.Int,
  /** The bytes that the step expects; for another step, that step as JSON. */
  expected: Schema.String,
  /** The bytes that came in their place. */
  received: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `step ${this.step} of the script, connection ${this.conn}: ${this.detail}\n` +
      `  expected ${quote(this.expected)}\n  received ${quote(this.received)}`
  }
}

const quote = (text: string) =>
  text.length <= 400 ? JSON.stringify(text) : `${JSON.stringify(text.slice(0, 400))}... (${text.length} bytes)`

const firstDifference = (a: string, b: string) => {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return i
}

/** Listens and plays `script`. A failure that nobody has asked `done` for fails the scope, rather than being lost. */
export const make = Effect.fnUntraced(function*(
  script: Script,
  options: ScriptOptions = {}
): Effect.fn.Return<ScriptedServer, never, Scope.Scope> {
  const patienceMs = options.patienceMs ?? 3000
  const done = yield* Deferred.make<void, ScriptError>()
  let asked = false
  let failure: ScriptError | undefined
  let wake = () => {}

  const server = yield* Serve.serve((socket) => {
    socket.on("data", () => wake())
    socket.on("close", () => wake())
    socket.on("end", () => wake())
    wake()
  }, options)

  /** How many bytes of each connection earlier steps have consumed. */
  const consumed: Array<number> = []
  const next = (conn: number) => server.received(conn).slice(consumed[conn] ?? 0)

  const play = Effect.fnUntraced(function*(step: Step, index: number) {
    const conn = "conn" in step && step.conn !== undefined ? step.conn : 0
    const expected = "expect" in step ? step.expect : JSON.stringify(step)
    const fail = (detail: string) =>
      Effect.fail(new ScriptError({ step: index, conn, expected, received: next(conn), detail }))
    const orFail = (detail: string) => ({
      duration: patienceMs,
      orElse: () => fail(`${detail} within ${patienceMs} ms`)
    })

    /** Looks now, and after each event of a connection, until there is an outcome. */
    const until = <A>(look: () => Effect.Effect<A, ScriptError> | undefined, otherwise: string) =>
      RealTime.timeoutOrElse(
        Effect.callback<A, ScriptError>((resume) => {
          wake = () => {
            const outcome = look()
            if (outcome !== undefined) resume(outcome)
          }
          wake()
        }),
        orFail(otherwise)
      )

    if ("sleepMs" in step) return yield* RealTime.sleep(step.sleepMs)
    if ("refuse" in step) return yield* server.refuse

    const socket = yield* until(() => {
      const socket = server.sockets[conn]
      return socket && Effect.succeed(socket)
    }, "no such connection was made")

    if ("expect" in step) {
      yield* until(() => {
        const came = next(conn).slice(0, expected.length)
        const same = firstDifference(came, expected)
        if (same < came.length) return fail(`byte ${same} is another one`)
        if (same === expected.length) return Effect.void
        return socket.readableEnded || socket.destroyed ? fail("the client closed the connection") : undefined
      }, "the rest did not come")
      consumed[conn] = (consumed[conn] ?? 0) + expected.length
    } else if ("reply" in step) {
      const written = Effect.callback<void, ScriptError>((resume) => {
        socket.write(step.reply, "latin1", (error) => {
          resume(error ? fail(`could not reply: ${error.message}`) : Effect.void)
        })
      })
      yield* RealTime.timeoutOrElse(written, orFail("the client did not read the reply"))
    } else {
      socket.destroySoon()
      yield* until(() => socket.destroyed ? Effect.void : undefined, "the connection could not be closed")
    }
  })

  yield* Effect.addFinalizer(() => failure === undefined || asked ? Effect.void : Effect.die(failure))
  yield* Effect.forEach(script, play, { discard: true }).pipe(
    Effect.tapError((error) =>
      Effect.sync(() => {
        failure = error
        server.sockets.forEach((socket) => socket.destroy())
      })
    ),
    Deferred.into(done),
    // At once, so that a script that begins with refuse refuses before its port is known.
    Effect.forkScoped({ startImmediately: true })
  )

  return {
    ...server,
    done: Effect.suspend(() => {
      asked = true
      return Deferred.await(done)
    })
  }
})
