/**
 * Arguments that people write and `effect/cli` does not parse: `-p10` for `-p 10`, and `--json 1`, where the parser would
 * take the 1 for the value of `--json`.
 */
import type * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"

type Descriptor = Completions.CommandDescriptor

const flagsOf = (command: Descriptor): ReadonlyArray<Completions.FlagDescriptor> => [
  ...command.flags,
  ...command.subcommands.flatMap(flagsOf)
]

// The command that the words lead to.
const named = (command: Descriptor, words: ReadonlyArray<string>): Descriptor => {
  for (const [i, word] of words.entries()) {
    const sub = command.subcommands.find(({ name }) => name === word)
    if (sub !== undefined) return named(sub, words.slice(i + 1))
  }
  return command
}

const dashed = (name: string) => name.length === 1 ? `-${name}` : `--${name}`

const wordsOf = ({ aliases, name }: Completions.FlagDescriptor) => [name, ...aliases].map(dashed)

const isSwitch = ({ type }: Completions.FlagDescriptor) => type._tag === "Boolean"

/** Rewrites arguments for the parser. Arguments after `--` are no flags and stay as they are. */
export const normalize = (args: ReadonlyArray<string>, command: Command.Command.Any): ReadonlyArray<string> => {
  const all = Completions.fromCommand(command)
  // Two commands may have flags of the same name, of which one is a switch.
  const own = named(all, args).flags
  const taken = new Set(own.flatMap(wordsOf))
  const others = flagsOf(all)
  const words = (isBoolean: boolean) => [
    ...own.filter((flag) => isSwitch(flag) === isBoolean).flatMap(wordsOf),
    ...others.filter((flag) => isSwitch(flag) === isBoolean).flatMap(wordsOf).filter((word) => !taken.has(word))
  ]
  const switches = new Set(words(true))
  const valued = new Set(words(false))
  const end = args.indexOf("--")
  const parsed = end < 0 ? args : args.slice(0, end)
  const rewritten = parsed.flatMap((arg) => {
    if (switches.has(arg)) return [`${arg}=true`]
    const short = arg.slice(0, 2)
    return arg.length > 2 && arg[2] !== "=" && valued.has(short) ? [short, arg.slice(2)] : [arg]
  })
  return end < 0 ? rewritten : [...rewritten, ...args.slice(end)]
}
