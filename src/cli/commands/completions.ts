/**
 * `completions`: a script that teaches a shell the commands and flags.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import { write } from "../terminal/output.ts"

/** The command that prints completions of all commands, itself included. */
export const completionsOf = (all: () => Command.Command.Any) =>
  Command.make(
    "completions",
    { shell: Argument.Literals("shell", ["bash", "zsh", "fish"]).pipe(Argument.withDescription("The shell")) },
    ({ shell }) => write(`${Completions.generate("beanstalk", shell, Completions.fromCommand(all()))}\n`)
  ).pipe(
    Command.withDescription("Print a completion script for bash, zsh or fish"),
    Command.withExamples([
      { command: "source <(beanstalk completions bash)", description: "In this bash; in ~/.bashrc for all" },
      { command: "beanstalk completions zsh > ~/.zfunc/_beanstalk", description: "zsh, with ~/.zfunc in fpath" },
      { command: "beanstalk completions fish > ~/.config/fish/completions/beanstalk.fish", description: "fish" }
    ])
  )
