/**
 * `completions`: a script with which a shell completes commands, flags and tubes.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import { documented } from "../documented.ts"
import { withTubes } from "../terminal/tubeCompletion.ts"
import { write } from "../terminal/output.ts"

/** The command that prints completions for all commands, itself included. */
export const completionsOf = (all: () => Command.Command.Any) =>
  Command.make(
    "completions",
    { shell: Argument.Literals("shell", ["bash", "zsh", "fish"]).pipe(Argument.withDescription("The shell")) },
    ({ shell }) => {
      const descriptor = Completions.fromCommand(all())
      return write(withTubes(`${Completions.generate("beanstalk", shell, descriptor)}\n`, shell, descriptor))
    }
  ).pipe(documented({
    description:
      "Print a script with which bash, zsh or fish completes commands, flags and the names of tubes, which it asks the server for",
    short: "Print a completion script for bash, zsh or fish",
    examples: {
      "source <(beanstalk completions bash)": "Use it in this bash; put the line into ~/.bashrc for every bash",
      "beanstalk completions zsh > ~/.zfunc/_beanstalk": "Install it for zsh, with ~/.zfunc in fpath",
      "beanstalk completions fish > ~/.config/fish/completions/beanstalk.fish": "Install it for fish"
    }
  }))
