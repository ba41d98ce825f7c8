/**
 * Who puts jobs, for the envelopes of puts that do not say.
 */
import * as Context from "effect/Context"

/** See `Envelope.Sender`. */
export const Sender: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "effect-beanstalkd/Envelope/Sender",
  {
    defaultValue: () => undefined
  }
)
