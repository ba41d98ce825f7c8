/**
 * The help of a command.
 */
import * as Command from "effect/cli/Command"

export interface Documentation {
  /** The text that `beanstalk COMMAND --help` begins with. */
  readonly description: string
  /** The line in the list of commands. Default: `description`. */
  readonly short?: string | undefined
  /** Command lines, each with what it does. Wrong usage shows them too, so every command has some. */
  readonly examples: Readonly<Record<string, string>>
}

/** Gives a command its help. */
export const documented =
  ({ description, examples, short = description }: Documentation) =>
  <const Name extends string, Input, E, R, ContextInput>(
    command: Command.Command<Name, Input, ContextInput, E, R>
  ): Command.Command<Name, Input, ContextInput, E, R> =>
    command.pipe(
      Command.withDescription(description),
      Command.withShortDescription(short),
      Command.withExamples(Object.entries(examples).map(([command, description]) => ({ command, description })))
    )
