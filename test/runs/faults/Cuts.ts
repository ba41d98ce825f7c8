/**
 * Sessions whose network is cut after a number of bytes: each on a server of its own, so that the bytes are the same each
 * time.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Server from "../../../src/Server.ts"
import { ask, parseStats } from "../../support/Ask.ts"
import { eventually } from "../../support/Eventually.ts"
import { fasterBy } from "../../support/FastClock.ts"
import * as FaultProxy from "../../support/FaultProxy.ts"
import * as RealServer from "../../support/RealServer.ts"
import * as RealTime from "../../support/RealTime.ts"
import { type Session, sessions } from "./Sessions.ts"
import { Testimony } from "./Testimony.ts"

/** A server on a port. */
export type Target = Effect.Effect<{ readonly port: number }, unknown, Scope.Scope>

export const real: Target = RealServer.make()

export const embedded: Target = Effect.map(Server.make({ port: 0 }), ({ port }) => ({ port: port! }))

const HOWS = ["fin", "reset", "half-close", "silence"] as const
const DIRECTIONS = ["up", "down"] as const

/** Where a session is cut: after so many bytes of that direction on that connection, counted as they are opened. */
export interface Place {
  readonly session: string
  readonly conn: number
  readonly direction: "up" | "down"
  readonly how: FaultProxy.Cut
  readonly after: number
}

// The defaults that users have, ten seconds for a command, are a quarter of a second.
export const SPEED = 40

// The longest that a session may have to wait is for a reserve that waits on a dead network, a second at this speed.
const HANGS_AFTER = "15 seconds"

const planOf = ({ after, conn, direction, how }: Place) => (n: number): FaultProxy.Plan =>
  n === conn ? { [direction]: { cut: { after, how } } } : {}

/** All bodies that a server has, and how many of its jobs are reserved. */
const remains = Effect.fnUntraced(function*(raw: (command: string) => Effect.Effect<string>) {
  const stats = parseStats(yield* raw("stats"))
  const ids = Array.from({ length: Number(stats["cmd-put"]) }, (_, i) => i + 1)
  const answers = yield* raw(ids.map((id) => `peek ${id}`).join("\r\n"))
  const bodies = [...answers.matchAll(/FOUND \d+ (\d+)\r\n/g)].map(({ 0: line, 1: size, index }) =>
    answers.slice(index + line.length, index + line.length + Number(size))
  )
  return { bodies, reserved: stats["current-jobs-reserved"] }
})

/** How a session is run: at which speed, and what the network does to it. */
export interface Circumstances {
  readonly speed: number
  readonly plan?: ((n: number) => FaultProxy.Plan) | undefined
  /** Goes on beside the session. */
  readonly meanwhile?: ((proxy: FaultProxy.FaultProxy) => Effect.Effect<void>) | undefined
}

/** Runs a session once, and gives what passed. Whatever must not be is a defect. */
export const attempt = Effect.fnUntraced(
  function*(target: Target, session: Session, { meanwhile, plan, speed }: Circumstances) {
    const { port } = yield* target
    const raw = (command: string) => Effect.orDie(ask(port, command))
    const proxy = yield* FaultProxy.make({ port }, plan)
    const witness = new Testimony()
    if (meanwhile !== undefined) yield* Effect.forkScoped(meanwhile(proxy))
    yield* RealTime.timeoutOrElse(
      Effect.scoped(session({ port: proxy.port, witness, raw })).pipe(
        fasterBy(speed),
        Effect.provide(Logger.layer([]))
      ),
      { duration: HANGS_AFTER, orElse: () => Effect.die(new Error(`hung after ${HANGS_AFTER}`)) }
    )
    yield* eventually(Effect.map(remains(raw), ({ bodies, reserved }) => {
      assert.strictEqual(reserved, "0", "jobs are held by nobody")
      witness.agreesWith(bodies.filter((body) => body !== "h"))
    }))
    return { links: proxy.links, witness }
  },
  Effect.scoped
)

/** All places at which the session that was named can be cut. */
const placesOf = Effect.fnUntraced(function*(target: Target, name: string) {
  const { links } = yield* attempt(target, sessions[name]!, { speed: 1 })
  return links.flatMap((link, conn) =>
    DIRECTIONS.flatMap((direction) =>
      HOWS.flatMap((how) =>
        Array.from({ length: link[direction] + 1 }, (_, after): Place => ({
          session: name,
          conn,
          direction,
          how,
          after
        }))
      )
    )
  )
})

export interface Outcome {
  /** Positions at which sessions were cut. */
  readonly cut: number
  /** Commands that were answered, and that failed, in all of them. */
  readonly answered: number
  readonly failed: number
  readonly violations: ReadonlyArray<string>
}

const describe = ({ after, conn, direction, how, session }: Place): string =>
  `${session}, connection ${conn}, ${direction}, ${how} after ${after} bytes`

/** Cuts all sessions at every place, or at one of so many, beginning with the `offset`th. */
export const run = Effect.fnUntraced(function*(
  target: Target,
  options: { readonly oneOf: number; readonly offset: number; readonly concurrency: number }
) {
  const all = (yield* Effect.forEach(Object.keys(sessions), (name) => placesOf(target, name))).flat()
  const places = all.filter((_, i) => i % options.oneOf === options.offset % options.oneOf)
  const outcome = { cut: 0, answered: 0, failed: 0, violations: [] as Array<string> }
  yield* Effect.forEach(
    places,
    (place) =>
      attempt(target, sessions[place.session]!, { speed: SPEED, plan: planOf(place) }).pipe(
        Effect.map(({ links, witness }) => {
          if (links[place.conn]?.wasCut === undefined) return
          outcome.cut++
          outcome.answered += witness.answered
          outcome.failed += witness.failed
        }),
        Effect.catchCause((cause) => Effect.sync(() => outcome.violations.push(`${describe(place)}: ${String(cause)}`)))
      ),
    { concurrency: options.concurrency, discard: true }
  )
  return outcome
})
