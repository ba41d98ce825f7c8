/**
 * Everything that a connection of one's own, and a reserved job, offer.
 */
import * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import { Connection, Protocol } from "effect-beanstalkd"
import type { Job, TypeId } from "effect-beanstalkd/Job"
import assert from "node:assert/strict"
import type { Interruptible } from "./Interruptible.ts"
import { PRIORITY, type Stage } from "./Stage.ts"

const options = { priority: PRIORITY }

/** Works with `jobs`, has reserved the job that was ready, and watches an empty tube. */
const connect = Effect.fnUntraced(function*({ options, ready }: Stage) {
  const connection = yield* Connection.make({ ...options, use: "jobs", watch: ["nothing"] })
  yield* connection.reserveJob(ready)
  return connection
})

// In sync with the server: the next commands get their own answers. Or gone.
const isInSync = Effect.fnUntraced(function*(connection: Connection.Service, mayBeClosed: boolean) {
  if (yield* connection.closed) return assert.ok(mayBeClosed, "the connection is closed")
  const [used, watched] = yield* Effect.all([connection.listTubeUsed, connection.listTubesWatched])
  assert.ok(["jobs", "other"].includes(used))
  assert.equal(watched[0], "nothing")
})

interface Expected extends Omit<Interruptible, "prepare" | "afterwards"> {
  /** The connection may end by it. */
  readonly ends?: boolean | undefined
}

const on = (
  run: (connection: Connection.Service, stage: Stage) => Effect.Effect<unknown, unknown>,
  { ends = false, ...expected }: Expected = {}
): Interruptible => {
  let current: Connection.Service | undefined
  return {
    prepare: (stage) =>
      Effect.map(connect(stage), (connection) => {
        current = connection
        return run(connection, stage)
      }),
    afterwards: Effect.suspend(() => isInSync(current!, ends)),
    alreadyHeld: 1,
    ...expected
  }
}

type Command = Exclude<keyof Connection.Service, "server" | Connection.TypeId | keyof Inspectable.Inspectable>

/** Each command of a connection. */
export const connection: Record<Command | `reserve${string}`, Interruptible> = {
  closed: on((connection) => connection.closed),
  put: on((connection) => connection.put("a job", options), { adds: 1 }),
  use: on((connection) => connection.use("other")),
  reserve: on((connection) => Effect.andThen(connection.watch("jobs"), connection.reserve), {
    adds: 0,
    holds: true,
    ends: true
  }),
  "reserve, which waits": on((connection) => connection.reserve, { ends: true }),
  reserveWithTimeout: on(
    (connection) =>
      Effect.andThen(
        connection.kick(),
        Effect.andThen(connection.watch("jobs"), connection.reserveWithTimeout("1 hour"))
      ),
    { holds: true, ends: true }
  ),
  "reserve with a timeout, which waits": on((connection) => connection.reserveWithTimeout("1 hour"), { ends: true }),
  "reserve with a timeout, which finds nothing": on((connection) => Effect.flip(connection.reserveWithTimeout(0))),
  reserveJob: on((connection, { buried }) => connection.reserveJob(buried), { holds: true, ends: true }),
  delete: on((connection, { ready }) => connection.delete(ready), { removes: 1 }),
  release: on((connection, { ready }) => connection.release(ready, options)),
  bury: on((connection, { ready }) => connection.bury(ready, options)),
  touch: on((connection, { ready }) => connection.touch(ready)),
  watch: on((connection) => connection.watch("other")),
  ignore: on((connection) => connection.ignore("other")),
  peek: on((connection, { ready }) => connection.peek(ready)),
  peekReady: on((connection) => Effect.flip(connection.peekReady)),
  peekDelayed: on((connection) => connection.peekDelayed),
  peekBuried: on((connection) => connection.peekBuried),
  kick: on((connection) => connection.kick(2)),
  kickJob: on((connection, { delayed }) => connection.kickJob(delayed)),
  statsJob: on((connection, { ready }) => connection.statsJob(ready)),
  statsTube: on((connection) => connection.statsTube("jobs")),
  stats: on((connection) => connection.stats),
  listTubes: on((connection) => connection.listTubes),
  listTubeUsed: on((connection) => connection.listTubeUsed),
  listTubesWatched: on((connection) => connection.listTubesWatched),
  pauseTube: on((connection) => connection.pauseTube("jobs", "1 hour")),
  quit: on((connection) => connection.quit, { ends: true }),
  run: on((connection) => connection.run(Protocol.commands.peekReady, "other"))
}

const withJob = (
  run: (job: Job) => Effect.Effect<unknown, unknown>,
  expected: Omit<Interruptible, "prepare" | "afterwards"> = {}
): Interruptible => ({
  prepare: ({ client }) => Effect.map(client.reserve("jobs"), run),
  alreadyHeld: 1,
  ...expected
})

type Member = Exclude<keyof Job, "server" | "id" | "ref" | "body" | "text" | TypeId>

/** Each member of a reserved job. */
export const job: Record<Member | `${string} with ${string}`, Interruptible> = {
  delete: withJob((job) => job.delete, { removes: 1 }),
  release: withJob((job) => job.release()),
  "release with a priority and a delay": withJob((job) => job.release({ ...options, delay: "1 hour" })),
  bury: withJob((job) => job.bury()),
  "bury with a priority": withJob((job) => job.bury(options)),
  touch: withJob((job) => job.touch),
  lost: withJob((job) => job.lost),
  stats: withJob((job) => job.stats),
  tube: withJob((job) => job.tube),
  attempt: withJob((job) => job.attempt)
}
