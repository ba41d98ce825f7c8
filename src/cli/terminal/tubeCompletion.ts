/**
 * Completion of the names of tubes, which the shell asks the server for. The scripts of `effect/cli` know only what is known
 * beforehand, so this adds to them. The names come from the server, so no shell may take them for its own words.
 */
import type * as Completions from "effect/cli/Completions"

type Descriptor = Completions.CommandDescriptor

/** The arguments and flags that are names of tubes. */
const TUBE_ARGUMENTS = new Set(["tube", "tubes", "from", "to"])
const TUBE_FLAGS = new Set(["use", "watch"])

/** The flags that say which server is asked. */
const SERVER_FLAGS = ["--host", "-H", "--port", "--url", "--tls-ca", "--tls-cert", "--tls-key"]

/** How long a shell waits for a server before it completes nothing. */
const PATIENCE = "--server-timeout 2"

const commandsWithTubes = ({ subcommands }: Descriptor): ReadonlyArray<string> =>
  subcommands.filter(({ arguments: args }) => args.some(({ name }) => TUBE_ARGUMENTS.has(name)))
    .map(({ name }) => name)

const tubeFlags = ({ subcommands }: Descriptor) =>
  subcommands.flatMap(({ flags, name: command }) =>
    flags.filter(({ name }) => TUBE_FLAGS.has(name)).map(({ aliases, name }) => ({ command, name, aliases }))
  )

const bash = (all: Descriptor) => `
_beanstalk_tubes()
{
  local -a line server
  local i word tube cur="\${COMP_WORDS[COMP_CWORD]}"
  read -ra line <<< "\${COMP_LINE:0:COMP_POINT}"
  for ((i = 1; i < \${#line[@]}; i++)); do
    word="\${line[i]}"
    case "$word" in
      ${SERVER_FLAGS.join("|")}) server+=("$word" "\${line[i + 1]}") ;;
      ${SERVER_FLAGS.map((flag) => `${flag}=*`).join("|")}) server+=("$word") ;;
    esac
  done
  COMPREPLY=()
  while IFS= read -r tube; do
    [[ "$tube" == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$tube")")
  done < <("$1" "\${server[@]}" ${PATIENCE} list 2> /dev/null < /dev/null)
}

_beanstalk_with_tubes()
{
  _beanstalk "$@"
  local i cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}"
  case "$prev" in
    ${[...TUBE_FLAGS].flatMap((name) => [`--${name}`, `-${name[0]}`]).join("|")}) _beanstalk_tubes "$1"; return ;;
    -*) return ;;
  esac
  [[ "$cur" == -* ]] && return
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      --) return ;;
      ${commandsWithTubes(all).join("|")}) _beanstalk_tubes "$1"; return ;;
    esac
  done
}

complete -F _beanstalk_with_tubes beanstalk
`

const zsh = `
_beanstalk_tubes() {
  local -a line server tubes
  local i
  line=(\${(z)LBUFFER})
  for ((i = 2; i <= $#line; i++)); do
    case "$line[i]" in
      ${SERVER_FLAGS.join("|")}) server+=("$line[i]" "$line[i+1]") ;;
      ${SERVER_FLAGS.map((flag) => `${flag}=*`).join("|")}) server+=("$line[i]") ;;
    esac
  done
  tubes=(\${(f)"$("$line[1]" $server ${PATIENCE} list 2> /dev/null < /dev/null)"})
  compadd -a tubes
}
`

const fish = (all: Descriptor) => `
function __beanstalk_tubes
  set -l words (commandline -opc)
  set -l server
  for i in (seq 2 (count $words))
    switch $words[$i]
      case ${SERVER_FLAGS.join(" ")}
        test $i -lt (count $words); and set -a server $words[$i] $words[(math $i + 1)]
      case ${SERVER_FLAGS.map((flag) => `'${flag}=*'`).join(" ")}
        set -a server $words[$i]
    end
  end
  $words[1] $server ${PATIENCE} list 2>/dev/null </dev/null
end

complete -c beanstalk -n '__fish_seen_subcommand_from ${commandsWithTubes(all).join(" ")}' -f -a '(__beanstalk_tubes)'
${
  tubeFlags(all).map(({ aliases, command, name }) =>
    `complete -c beanstalk -n '__fish_seen_subcommand_from ${command}' -l ${name} -s ${
      aliases[0]
    } -r -f -a '(__beanstalk_tubes)'`
  ).join("\n")
}
`

// The specs of zsh name what completes a value, after its description.
const zshSpecs = (script: string, all: Descriptor): string => {
  const described = new Set(
    all.subcommands.flatMap(({ arguments: args }) =>
      args.filter(({ name }) => TUBE_ARGUMENTS.has(name)).map(({ description }) => description)
    )
  )
  return script.split("\n").map((line) => {
    const flag = /^ *'\(.*?\)--?(\w+)\[.*:value:'$/.exec(line)?.[1]
    const argument = /^ *'\*?:(.*):'$/.exec(line)?.[1]
    const isFlag = flag !== undefined && (TUBE_FLAGS.has(flag) || flag === "u" || flag === "w")
    return isFlag || (argument !== undefined && described.has(argument))
      ? line.replace(/:'$/, ":_beanstalk_tubes'")
      : line
  }).join("\n")
}

/** The script with which a shell completes commands, flags and tubes. */
export const withTubes = (script: string, shell: "bash" | "zsh" | "fish", all: Descriptor): string => {
  switch (shell) {
    case "bash":
      return script + bash(all)
    case "fish":
      return script + fish(all)
    case "zsh":
      // The script ends with the call of what it defines.
      return zshSpecs(script, all).replace("# Handle both direct", () => `${zsh}\n# Handle both direct`)
  }
}
