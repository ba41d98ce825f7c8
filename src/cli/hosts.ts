/**
 * Hosts as people write them, and a hint for those that are something else.
 */
import * as Option from "effect/Option"

const WITH_PORT = /^([^:[\]]+|\[[^\]]*\]):([0-9]*)$/

/** A host name or an address, without a port, a scheme or brackets. */
export const hostAlone = (text: string): Option.Option<string> =>
  text !== "" && !/[[\]/\s]/.test(text) && !WITH_PORT.test(text) ? Option.some(text) : Option.none()

/** What to write instead. */
export const whyNoHost = (text: string): string => {
  const [, host, port] = WITH_PORT.exec(text) ?? []
  const inner = /^\[(.*)\]$/.exec(host ?? text)?.[1]
  if (text.includes("/")) return `a host alone; a URL goes to --url: --url ${text}`
  if (host !== undefined) return `a host alone: --host ${inner ?? host} --port ${port === "" ? "11300" : port}`
  if (inner !== undefined) return `an address without brackets: --host ${inner}`
  return "a host name or an address"
}

/** The usage that somebody needs who wrote -h for the host, as in other clients. */
export const dashH = (args: ReadonlyArray<string>, isCommand: (word: string) => boolean): string | undefined => {
  const end = args.indexOf("--")
  const flags = end < 0 ? args : args.slice(0, end)
  const hint = (host: string) => `-h is --help; the host is given with -H or --host: --host ${host}`
  const attached = flags.find((arg) => /^-h[^=]/.test(arg) && arg !== "-help")
  if (attached !== undefined) return hint(attached.slice(2))
  const next = flags[flags.indexOf("-h") + 1]
  return flags.includes("-h") && next !== undefined && !next.startsWith("-") && !isCommand(next)
    ? hint(next)
    : undefined
}
