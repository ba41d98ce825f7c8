/**
 * The options that all benches take.
 */
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { type Placement, PLACEMENTS } from "./cpus.ts"

export interface Options {
  readonly json: boolean
  readonly rounds: number
  readonly ops: number | undefined
  readonly fibers: ReadonlyArray<number> | undefined
  readonly clients: ReadonlyArray<string>
  readonly cpus: Placement | undefined
  readonly out: string | undefined
  /** Another checkout of this library, built and with the bench's packages, to be measured in turns with this one. */
  readonly before: string | undefined
}

/** This library, and the one in the checkout that `--before` names. */
export const OURS = "effect-beanstalkd"
export const BEFORE = "before"

/** The command line is wrong: the message says how. */
export class UsageError extends Error {}

const positive = (option: string, text: string): number => {
  if (!/^[1-9][0-9]*$/.test(text)) throw new UsageError(`--${option}: not a positive integer: "${text}"`)
  return Number(text)
}

const oneOf = <A extends string>(option: string, values: ReadonlyArray<A>, text: string): A => {
  const found = values.find((value) => value === text)
  if (found === undefined) throw new UsageError(`--${option}: none of ${values.join(", ")}: "${text}"`)
  return found
}

const parse = (args: Array<string>) => {
  try {
    return parseArgs({
      args,
      options: {
        json: { type: "boolean", default: false },
        rounds: { type: "string", default: "5" },
        ops: { type: "string" },
        fibers: { type: "string" },
        clients: { type: "string" },
        cpus: { type: "string" },
        out: { type: "string" },
        before: { type: "string" }
      }
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** Reads the arguments of a bench that knows these clients. */
export const parseOptions = (args: Array<string>, clients: ReadonlyArray<string>): Options => {
  const values = parse(args)
  const known = values.before === undefined ? clients : [OURS, BEFORE, ...clients.filter((client) => client !== OURS)]
  return {
    json: values.json,
    rounds: positive("rounds", values.rounds),
    ops: values.ops === undefined ? undefined : positive("ops", values.ops),
    fibers: values.fibers?.split(",").map((text) => positive("fibers", text)),
    clients: values.clients?.split(",").map((text) => oneOf("clients", known, text)) ??
      (values.before === undefined ? clients : [OURS, BEFORE]),
    cpus: values.cpus === undefined ? undefined : oneOf("cpus", PLACEMENTS, values.cpus),
    out: values.out,
    before: values.before
  }
}

/** Where the module of a client is, in the folder of its bench. */
export const moduleOf = ({ before }: Options, bench: string, client: string): URL =>
  client === BEFORE
    ? pathToFileURL(join(resolve(before!), "bench", bench, `${OURS}.ts`))
    : new URL(`${bench}/${client}.ts`, import.meta.url)
