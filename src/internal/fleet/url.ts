/**
 * The URL of several servers, and the servers that DNS has under a name.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Dns from "effect/net/Dns"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Errors from "../../Errors.ts"
import type { ServerOptions } from "../../Fleet.ts"
import { DEFAULT_PORT } from "../protocol/scalars.ts"
import * as Validate from "../protocol/validate.ts"

const RULE = "a URL of the form beanstalk://a:11300,b:11300, beanstalk+tls://a,b, beanstalk+srv://name or unix:///path"

/** What a URL names: servers, or a name of which DNS has the servers. */
export type Named = { readonly servers: ReadonlyArray<string> } | { readonly name: string }

/** Reads a URL of several servers. */
export const readUrl = (operation: string, url: string): Result.Result<Named, Errors.InvalidArgument> => {
  const wrong = Result.fail(Validate.refuse(operation, "url", url, RULE))
  const parts = typeof url === "string" ? /^(beanstalk(?:\+tls|\+srv)?):\/\/([^/]+)\/?$/.exec(url) : null
  if (typeof url === "string" && url.startsWith("unix:")) return Result.succeed({ servers: [url] })
  if (parts === null) return wrong
  const [, scheme, hosts] = parts as unknown as [string, string, string]
  if (scheme === "beanstalk+srv") return /^[\w.-]+$/.test(hosts) ? Result.succeed({ name: hosts }) : wrong
  const names = hosts.split(",")
  return names.includes("") ? wrong : Result.succeed({ servers: names.map((name) => `${scheme}://${name}`) })
}

/** How often DNS is asked unless it is said otherwise. */
const DEFAULT_REFRESH = Duration.seconds(10)

/** How DNS is asked. */
export interface DnsOptions {
  readonly service?: string | undefined
  readonly refresh?: Duration.Input | undefined
  readonly tls?: ServerOptions["tls"]
}

/** The servers that DNS has under a name, again and again. */
export const fromDns = (
  name: string,
  { refresh = DEFAULT_REFRESH, service, tls }: DnsOptions = {}
): Stream.Stream<ReadonlyArray<ServerOptions>, never, Dns.Dns> => {
  const query = service === undefined ? name : `_${service}._tcp.${name}`
  const lookUp = Effect.flatMap(Dns.Dns, (dns) => dns.resolve(query, "SRV")).pipe(
    Effect.map((records) =>
      [...records].map((record): ServerOptions => ({
        host: String(record.target).replace(/\.$/, ""),
        port: record.port === 0 ? DEFAULT_PORT : record.port,
        weight: Math.max(1, record.weight),
        ...(tls === undefined ? {} : { tls })
      }))
    ),
    // A lookup that fails says nothing about the servers.
    Effect.catch((error) =>
      Effect.as(Effect.logWarning(`the servers of ${query} cannot be looked up: ${error.message}`), [])
    )
  )
  return Stream.fromEffectSchedule(lookUp, Schedule.spaced(refresh)).pipe(Stream.filter((list) => list.length > 0))
}
