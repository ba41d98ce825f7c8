/**
 * A command on selected jobs, on one server or on several in turn.
 */
import * as Effect from "effect/Effect"
import { checkJobs, onEachServer, several } from "../servers.ts"
import type { Selection } from "./selection.ts"

/**
 * Runs the command on each server with the part of the selection that is there. It returns how many jobs it was, so that `-n`
 * bounds the jobs of all servers together.
 */
export const onSelected = Effect.fnUntraced(function*<E, R>(
  selection: Selection,
  command: (selection: Selection) => Effect.Effect<number, E, R>
) {
  const servers = yield* several
  if (servers !== undefined) yield* checkJobs(servers.all, selection.ids)
  let done = 0
  yield* onEachServer(Effect.fnUntraced(function*(server) {
    const ids = server === undefined ? selection.ids : selection.ids.filter((job) => job.server === server)
    const count = selection.count - done
    if (count === 0 || ids.length < Math.min(1, selection.ids.length)) return
    done += yield* command({ ...selection, ids, count })
  }))
})
