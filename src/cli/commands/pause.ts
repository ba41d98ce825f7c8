/**
 * `pause` and `unpause`: whether a tube hands out jobs.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { seconds, tubeArgument } from "../flags.ts"
import { result } from "../terminal/output.ts"

const pauseFor = Effect.fnUntraced(function*(tube: string, delay: Duration.Duration) {
  const client = yield* connect
  yield* client.pauseTube(tube, delay)
  yield* result("", { tube, delay: Math.ceil(Duration.toSeconds(delay)) })
}, Effect.scoped)

export const pause = Command.make(
  "pause",
  {
    tube: tubeArgument("tube", "Name of the tube"),
    // A default would have to be a guess: how long a tube stands still matters.
    delay: seconds(Flag.String("delay")).pipe(
      Flag.withAlias("d"),
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("How many seconds the tube hands out no jobs; 0 ends a pause, as unpause does")
    )
  },
  ({ delay, tube }) => pauseFor(tube, delay)
).pipe(documented({
  description: "Pause a tube: its jobs stay where they are until the pause ends",
  examples: { "beanstalk pause emails -d 60": "Pause the tube emails for a minute" }
}))

export const unpause = Command.make(
  "unpause",
  { tube: tubeArgument("tube", "Name of the tube") },
  ({ tube }) => pauseFor(tube, Duration.zero)
).pipe(documented({
  description: "End the pause of a tube, if it has one",
  examples: { "beanstalk unpause emails": "Let workers have the jobs of the tube emails again" }
}))
