/**
 * `peek`, `peek-ready`, `peek-delayed`, `peek-buried`: a look at a job, which changes nothing.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as Client from "../../Client.ts"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { base64Bodies, use } from "../flags.ts"
import { idOn, jobArgument } from "../jobNames.ts"
import { printJob } from "../terminal/output.ts"

export const peek = Command.make(
  "peek",
  { id: jobArgument("Id of the job"), base64: base64Bodies },
  Effect.fnUntraced(function*({ base64, id }) {
    const client = yield* connect
    yield* printJob(yield* client.peek(yield* idOn(client.server, id)), base64)
  }, Effect.scoped)
).pipe(documented({
  description: "Look at a job in any state",
  examples: { "beanstalk peek 42": "Print job 42" }
}))

const peekHead = (
  state: "ready" | "delayed" | "buried",
  which: string,
  look: (client: Client.Service) => Client.Service["peekReady"]
) =>
  Command.make(
    `peek-${state}`,
    { use, base64: base64Bodies },
    Effect.fnUntraced(function*({ base64, use }) {
      const client = yield* connect
      yield* printJob(yield* look(client)(use), base64)
    }, Effect.scoped)
  ).pipe(documented({
    description: `Look at the ${state} job of a tube ${which}`,
    examples: { [`beanstalk peek-${state} -u emails`]: "Print that job of the tube emails" }
  }))

export const peekReady = peekHead("ready", "that comes next", (client) => client.peekReady)
export const peekDelayed = peekHead("delayed", "whose delay ends first", (client) => client.peekDelayed)
export const peekBuried = peekHead("buried", "that was buried first", (client) => client.peekBuried)
