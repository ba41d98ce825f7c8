/**
 * A program that peeks, kicks, pauses, deletes, reserves by id, and checks the replies.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Client from "../../../src/Client.ts"
import type { JobId } from "../../../src/internal/protocol/scalars.ts"
import { settle } from "./Handler.ts"
import type { Program } from "./Machine.ts"
import { payloadOf } from "./Enclosed.ts"
import { tubesOf } from "./Plan.ts"
import type { Run } from "./Run.ts"
import type { Process } from "./World.ts"

const COMMANDS = {
  kick: 3,
  kickJob: 2,
  pause: 1,
  peek: 3,
  peekReady: 1,
  peekDelayed: 1,
  peekBuried: 1,
  delete: 1,
  statsJob: 3,
  statsTube: 2,
  stats: 1,
  listTubes: 1,
  reserveJob: 2,
  connection: 1
} as const

const isTagged = (error: unknown): error is Error & { readonly _tag: string } =>
  error instanceof Error && "_tag" in error

const command = (run: Run, client: Client.Service, process: Process): Effect.Effect<unknown, unknown> => {
  const { dice, ledger, plan, world } = run
  const tube = dice.one(tubesOf(plan))
  const job = dice.one([...ledger.jobs.values(), undefined])
  const id = (job?.id ?? 1) as JobId
  const expect = (isRight: boolean, what: string) => {
    if (!isRight && !ledger.hasForgotten) world.violate(`${process.name} was told nonsense: ${what}`)
  }
  const looksAt = ({ id, text }: { readonly id: JobId; readonly text: string }, tube?: string) => {
    const looked = ledger.jobs.get(id)
    expect(looked?.put.body === payloadOf(text) && (tube === undefined || looked.tube === tube), `job ${id} in ${tube}`)
  }
  switch (dice.weighted(COMMANDS)) {
    case "kick": {
      const bound = dice.int(1, 5)
      return Effect.map(client.kick(tube, bound), (count) => expect(count <= bound, `${count} kicked of ${bound}`))
    }
    case "kickJob":
      return client.kickJob(id)
    case "pause":
      return client.pauseTube(tube, Duration.seconds(dice.int(0, 3)))
    case "peek":
      return Effect.map(client.peek(id), (found) => {
        expect(found.id === id, `a peek at ${id} found ${found.id}`)
        looksAt(found)
      })
    case "peekReady":
      return Effect.map(client.peekReady(tube), (found) => looksAt(found, tube))
    case "peekDelayed":
      return Effect.map(client.peekDelayed(tube), (found) => looksAt(found, tube))
    case "peekBuried":
      return Effect.map(client.peekBuried(tube), (found) => looksAt(found, tube))
    case "delete":
      ledger.deleting.add(id)
      return client.delete(id)
    case "statsJob":
      return Effect.map(
        client.statsJob(id),
        (stats) =>
          expect(
            stats.id === id && (job === undefined || (stats.tube === job.tube && stats.ttr === job.ttrSeconds)),
            `stats of ${stats.id}, not ${id}`
          )
      )
    case "statsTube":
      return Effect.map(client.statsTube(tube), ({ name }) => expect(name === tube, `stats of ${name}, not ${tube}`))
    case "stats":
      return Effect.map(client.stats, ({ currentConnections }) => expect(currentConnections > 0, "nobody is connected"))
    case "listTubes":
      return Effect.map(client.listTubes, (tubes) => expect(tubes.includes("default"), "there is no default tube"))
    case "reserveJob":
      return Effect.scoped(Effect.gen(function*() {
        const reserved = yield* client.reserveJob(id)
        expect(reserved.id === id, `${reserved.id} was reserved, not ${id}`)
        yield* Effect.uninterruptibleMask((restore) => {
          const inHand = ledger.begin(process, reserved, false)
          if (inHand === undefined) return Effect.void
          return Effect.onExit(
            dice.chance(0.5)
              ? restore(settle(run, inHand, reserved, { command: "release", delaySeconds: 0 }))
              : Effect.void,
            () => Effect.sync(() => ledger.end(inHand, "interrupted"))
          )
        })
      }))
    case "connection":
      return Effect.scoped(Effect.gen(function*() {
        const connection = yield* client.connection
        yield* connection.watch(tube)
        yield* connection.use(tube)
        const [used, watched] = yield* Effect.all([connection.listTubeUsed, connection.listTubesWatched], {
          concurrency: "unbounded"
        })
        expect(used === tube && watched.includes(tube), `${used} in use, ${watched.join()} watched`)
        yield* Effect.exit(connection.reserveWithTimeout(0))
        yield* connection.quit
      }))
  }
}

/** Issues the commands of an administrator at random. */
export const admin = (run: Run): Program => (client, process) =>
  Effect.gen(function*() {
    const { dice, world } = run
    while (run.isOn) {
      const { exit, wasInterrupted } = yield* run.perhapsInterrupted(
        Effect.suspend(() => command(run, client, process))
      )
      if (Exit.isFailure(exit) && !(wasInterrupted && Cause.hasInterruptsOnly(exit.cause))) {
        const error = Cause.squash(exit.cause)
        if (!isTagged(error)) world.violate(`${process.name}: ${Cause.pretty(exit.cause)}`)
        else if (error._tag !== "NotFound") run.failed("a command", error)
      }
      yield* Effect.sleep(dice.int(1, 600))
    }
  })
