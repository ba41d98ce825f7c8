/**
 * The public connection over a pipeline.
 */
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import { NodeInspectSymbol } from "effect/Inspectable"
import type { Service } from "../../Connection.ts"
import * as Errors from "../../Errors.ts"
import { commands } from "../../Protocol.ts"
import * as Validate from "../protocol/validate.ts"
import type { Pipeline } from "./pipeline.ts"
import { reserveSliced } from "./reserveSliced.ts"

/** Marks connections, for `isConnection`. */
export const TypeId = "~effect-beanstalkd/Connection" as const

/** The part of a pipeline that a connection needs. That of a lent connection stops working when it is given back. */
export type ConnectionPipeline = Pick<Pipeline, "server" | "death" | "run">

// The table lets these commands name a tube. Here none is named, so none can be wrong.
const withoutTube = <A, E>(effect: Effect.Effect<A, E | Errors.InvalidArgument>) =>
  Effect.catchIf(effect, (error) => error instanceof Errors.InvalidArgument, Effect.die)

/** The connection over this pipeline. Its members do not use `this`, so they can be taken out of it. */
export const fromPipeline = (pipeline: ConnectionPipeline): Service => {
  const toJSON = () => ({ _id: "Connection", server: pipeline.server, closed: pipeline.death !== undefined })
  return {
    [TypeId]: TypeId,
    [NodeInspectSymbol]: toJSON,
    toJSON,
    toString: () => Formatter.format(toJSON()),
    server: pipeline.server,
    closed: Effect.sync(() => pipeline.death !== undefined),
    put: (body, options) => pipeline.run(commands.put, body, options),
    use: (tube) => pipeline.run(commands.use, tube),
    reserve: pipeline.run(commands.reserve),
    reserveWithTimeout: (timeout) =>
      Effect.suspend(() => {
        const seconds = Validate.timeout("reserve-with-timeout", timeout)
        return seconds instanceof Errors.InvalidArgument ? Effect.fail(seconds) : reserveSliced(pipeline, seconds)
      }),
    reserveJob: (id) => pipeline.run(commands.reserveJob, id),
    delete: (id) => pipeline.run(commands.delete, id),
    release: (id, options) => pipeline.run(commands.release, id, options),
    bury: (id, options) => pipeline.run(commands.bury, id, options),
    touch: (id) => pipeline.run(commands.touch, id),
    watch: (tube) => pipeline.run(commands.watch, tube),
    ignore: (tube) => pipeline.run(commands.ignore, tube),
    peek: (id) => pipeline.run(commands.peek, id),
    peekReady: withoutTube(pipeline.run(commands.peekReady)),
    peekDelayed: withoutTube(pipeline.run(commands.peekDelayed)),
    peekBuried: withoutTube(pipeline.run(commands.peekBuried)),
    kick: (bound) => pipeline.run(commands.kick, bound),
    kickJob: (id) => pipeline.run(commands.kickJob, id),
    statsJob: (id) => pipeline.run(commands.statsJob, id),
    statsTube: (tube) => pipeline.run(commands.statsTube, tube),
    stats: pipeline.run(commands.stats),
    listTubes: pipeline.run(commands.listTubes),
    listTubeUsed: pipeline.run(commands.listTubeUsed),
    listTubesWatched: pipeline.run(commands.listTubesWatched),
    pauseTube: (tube, delay) => pipeline.run(commands.pauseTube, tube, delay),
    quit: pipeline.run(commands.quit),
    run: (command, ...args) => pipeline.run(command, ...args)
  }
}
