/**
 * `peek`, `peek-ready`, `peek-delayed`, `peek-buried`: a look at a job, which changes nothing.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type * as Client from "../../Client.ts"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { use } from "../flags.ts"
import { onServersOf } from "../servers.ts"
import { idOn, jobArgument } from "../jobNames.ts"
import { checkStyle, styleFlags } from "../jobStyle.ts"
import { printJob } from "../terminal/output.ts"

export const peek = Command.make(
  "peek",
  { id: jobArgument("Id of the job"), ...styleFlags },
  Effect.fnUntraced(function*({ id, ...style }) {
    yield* checkStyle("peek", style)
    yield* onServersOf(
      [id],
      ([job]) =>
        Effect.scoped(Effect.flatMap(connect, (client) =>
          idOn(client.server, job!).pipe(
            Effect.flatMap((id) => client.peek(id)),
            Effect.flatMap((job) => printJob(job, style))
          )))
    )
  })
).pipe(documented({
  description: "Look at a job in any state",
  examples: {
    "beanstalk peek 42": "Print job 42",
    "beanstalk peek 42 --raw > body": "Write its body to a file, every byte as it was put"
  }
}))

const peekHead = (
  state: "ready" | "delayed" | "buried",
  which: string,
  look: (client: Client.Service) => Client.Service["peekReady"]
) =>
  Command.make(
    `peek-${state}`,
    { use, ...styleFlags },
    Effect.fnUntraced(function*({ use, ...style }) {
      yield* checkStyle(`peek-${state}`, style)
      const client = yield* connect
      yield* printJob(yield* look(client)(use), style)
    }, Effect.scoped)
  ).pipe(documented({
    description: `Look at the ${state} job of a tube ${which}`,
    examples: { [`beanstalk peek-${state} -u emails`]: "Print that job of the tube emails" }
  }))

export const peekReady = peekHead("ready", "that comes next", (client) => client.peekReady)
export const peekDelayed = peekHead("delayed", "whose delay ends first", (client) => client.peekDelayed)
export const peekBuried = peekHead("buried", "that was buried first", (client) => client.peekBuried)
