/**
 * The command `beanstalk` itself, with the flags that all its commands share.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { documented } from "./documented.ts"
import { hostAlone, whyNoHost } from "./hosts.ts"
import { BoundedInt, seconds, switchedOff } from "./flags.ts"

const host = Flag.String("host").pipe(
  Flag.withAlias("H"),
  Flag.filterMap(hostAlone, whyNoHost),
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
    "Server as beanstalk://HOST:PORT, beanstalk+tls://HOST:PORT or unix:///PATH, or several as HOST:PORT,HOST:PORT, with or " +
      "without the scheme, or as beanstalk+srv://NAME; without --host, --port and --url the " +
      "environment variable BEANSTALKD_URL names the server"
  ),
  Flag.optional
)

const tlsFile = (name: string, what: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(`${what}, in PEM; the connection is by TLS then`),
    Flag.optional
  )

const tlsCa = tlsFile("tls-ca", "Certificates of the authorities that are trusted")
const tlsCert = tlsFile("tls-cert", "Certificate that is shown to the server, with --tls-key")
const tlsKey = tlsFile("tls-key", "Private key of --tls-cert")

const json = switchedOff("json", "Print JSON for machines: one object, or one object per line")

const serverTimeout = seconds(Flag.String("server-timeout"), { min: 0.001 }).pipe(
  Flag.withMetavar("SECONDS"),
  Flag.withDescription(
    "How long to wait for a server that does not answer, default 5 to connect and 10 for each answer"
  ),
  Flag.optional
)

/** `yield* beanstalk` in the handler of a command gives the flags above. */
export const beanstalk = Command.make("beanstalk").pipe(
  Command.withSharedFlags({ host, port, url, json, serverTimeout, tlsCa, tlsCert, tlsKey }),
  documented({
    description:
      "A client for beanstalkd. Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an error, 2 wrong " +
      "usage, 3 nothing there (NOT_FOUND, TIMED_OUT), 4 no server there (UNREACHABLE, NO_ANSWER, CONNECTION_LOST), 130 " +
      "interrupted.",
    examples: {
      "beanstalk put \"A job to work on\"": "Put a job into the tube default, and print its id",
      "beanstalk reserve delete": "Take the next job, print it, delete it",
      "beanstalk --host 10.0.0.2 top": "Watch another server",
      "BEANSTALKD_URL=beanstalk://10.0.0.2:11300 beanstalk list": "Name the server in the environment"
    }
  })
)
