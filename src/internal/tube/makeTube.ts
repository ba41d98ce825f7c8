/**
 * Makes a tube of the options of `Tube.make`, once they are checked. What makes no sense becomes a tube whose effects fail.
 */
import type * as Context from "effect/Context"
import type * as Schema from "effect/Schema"
import * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Options, Tube } from "../../Tube.ts"
import * as EnvelopeOptions from "../envelope/options.ts"
import * as Validate from "../protocol/validate.ts"
import { Bodies } from "./bodies.ts"
import * as Codec from "./codec.ts"
import { invalidTube } from "./invalidTube.ts"
import { type KeyOf, Producer } from "./producer.ts"
import { TubeImpl } from "./tubeImpl.ts"

const OPERATION = "Tube.make"

const OPTIONS = Validate.optionNames<Options<never, never>>({
  schema: true,
  codec: true,
  priority: true,
  delay: true,
  ttr: true,
  key: true,
  envelope: true,
  client: true
})

type Given = Omit<Options<Schema.Constraint, never>, "schema" | "key" | "envelope" | "client"> & {
  readonly schema?: Schema.Constraint | undefined
  readonly key?: unknown
  readonly envelope?: unknown
  readonly client?: unknown
}

/** The tube of these options, of the type that `Tube.make` says. */
export const makeTube = (
  name: string,
  given: Given
): never => make(name, given) as never

const make = (name: string, given: Given): Tube<never, unknown, unknown, unknown> => {
  const options = Validate.snapshot(OPERATION, given, OPTIONS)
  if (options instanceof Errors.InvalidArgument) return invalidTube(name, Client.Beanstalkd, options)
  const { client = Client.Beanstalkd, codec: codecName = "json", envelope, key, schema, ...defaults } = options
  const isTag = Validate.tag(OPERATION, "client", client, "the tag of a client")
  if (isTag instanceof Errors.InvalidArgument) return invalidTube(name, Client.Beanstalkd, isTag)
  const tag = client as Context.Key<unknown, Client.Service>
  const refuse = (error: Errors.InvalidArgument) => invalidTube(name, tag, error)
  if (key !== undefined && typeof key !== "function") {
    return refuse(Validate.refuse(OPERATION, "key", key, "a function from a value to its key"))
  }
  const codec = Codec.make(codecName, schema)
  if (codec instanceof Errors.InvalidArgument) return refuse(codec)
  const settings = EnvelopeOptions.settingsOf(envelope)
  if (settings instanceof Errors.InvalidArgument) return refuse(settings)
  const bodies = new Bodies(name, codec, settings)
  return new TubeImpl(name, tag, bodies, new Producer(name, bodies, defaults, key as KeyOf<unknown>)) as never
}
