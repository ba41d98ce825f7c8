/**
 * The command `beanstalk` itself and what all its commands share: where the server is, and how results are printed.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { BoundedInt, seconds, switchedOff } from "./flags.ts"

const host = Flag.String("host").pipe(
  Flag.withAlias("H"),
  Flag.withMetavar("HOST"),
  Flag.withDescription("Host of the server, default 127.0.0.1"),
  Flag.optional
)

const port = BoundedInt(Flag.String("port"), 0, 65_535).pipe(
  Flag.withMetavar("PORT"),
  Flag.withDescription("Port of the server, default 11300"),
  Flag.optional
)

const url = Flag.String("url").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription(
    "Server as beanstalk://HOST:PORT, beanstalk+tls://HOST:PORT or unix:///PATH; without any of --host, --port and --url " +
      "the variable BEANSTALKD_URL counts"
  ),
  Flag.optional
)

const json = switchedOff("json", "Print JSON for machines: one object, or one a line")

const serverTimeout = seconds(Flag.String("server-timeout"), { min: 0.001 }).pipe(
  Flag.withMetavar("SECONDS"),
  Flag.withDescription("Give up on a server after so long without an answer, default 5 to connect and 10 to answer"),
  Flag.optional
)

/** `yield* beanstalk` in the handler of a command gives the flags below. */
export const beanstalk = Command.make("beanstalk").pipe(
  Command.withSharedFlags({ host, port, url, json, serverTimeout }),
  Command.withDescription(
    "A client for beanstalkd. Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an error, 2 wrong " +
      "usage, 130 interrupted."
  ),
  Command.withExamples([
    { command: "beanstalk put \"A job to work on\"", description: "Put a job into the tube default; prints its id" },
    { command: "beanstalk reserve delete", description: "Take the next job, print it, delete it" },
    { command: "beanstalk --host 10.0.0.2 top", description: "See what goes on, on another server" },
    {
      command: "BEANSTALKD_URL=beanstalk://10.0.0.2:11300 beanstalk list",
      description: "The server, from the environment"
    }
  ])
)
