/**
 * The spans of jobs, named and attributed as the OpenTelemetry conventions for messaging say.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import type * as Tracer from "effect/Tracer"
import type { Head } from "../../Envelope.ts"

/** Whether anybody hears of the spans of this fiber. Without a tracer Effect makes spans that nobody sees. */
export const isTraced = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracerEnabled

type Attributes = Record<string, unknown>

const UNIX = "unix:"

// The server is named as errors show it: `host:port`, or the path of a Unix socket.
const serverAttributes = (server: string): Attributes => {
  const colon = server.lastIndexOf(":")
  const port = Number(server.slice(colon + 1))
  return server.startsWith(UNIX) || colon === -1 || !Number.isInteger(port)
    ? { "server.address": server }
    : { "server.address": server.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), "server.port": port }
}

let lastServer = ""
let lastAttributes: Attributes = {}

/** The attributes of a server. Mostly there is one. */
export const attributesOf = (server: string): Attributes => {
  if (server !== lastServer) {
    lastAttributes = serverAttributes(server)
    lastServer = server
  }
  return lastAttributes
}

const messaging = (operation: string, tube: string, server: string): Attributes => ({
  "messaging.system": "beanstalkd",
  "messaging.operation.name": operation,
  "messaging.operation.type": operation,
  "messaging.destination.name": tube,
  ...attributesOf(server)
})

const envelopeAttributes = (head: Head | undefined): Attributes =>
  head === undefined ? {} : {
    "messaging.beanstalkd.message.key": head.id,
    ...(head.correlationId === undefined ? {} : { "messaging.message.conversation_id": head.correlationId })
  }

/** The options of the span of a put. Its kind says whether the job carries it on. */
export const send = (tube: string, server: string, isCarried: boolean): Tracer.SpanOptionsNoTrace => ({
  kind: isCarried ? "producer" : "client",
  attributes: messaging("send", tube, server)
})

/** What is known of a job whose handler begins. */
export interface Delivery {
  readonly tube: string
  readonly server: string
  readonly id: number
  readonly counters: { readonly reserves: number; readonly pri: number; readonly ttr: number } | undefined
  readonly envelope: Head | undefined
  /** How long the job was ready before its handler began, in milliseconds, if its envelope tells. */
  readonly waitedMillis: number | undefined
}

/** The attributes of the span of a handler. */
export const process = (
  { counters, envelope, id, server, tube, waitedMillis }: Delivery
): Attributes => ({
  ...messaging("process", tube, server),
  "messaging.message.id": String(id),
  ...(counters === undefined ? {} : {
    "messaging.beanstalkd.message.delivery_attempt": counters.reserves,
    "messaging.beanstalkd.message.priority": counters.pri,
    "messaging.beanstalkd.message.ttr": counters.ttr
  }),
  ...envelopeAttributes(envelope),
  ...(waitedMillis === undefined ? {} : { "messaging.beanstalkd.message.wait_time": waitedMillis / 1000 })
})

/** The attributes of the event of the command that settled a job. */
export const settle = (command: string | undefined): Attributes => ({
  "messaging.operation.name": command ?? "unknown",
  "messaging.operation.type": "settle"
})

const errorType = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "interrupted"
  if (!Cause.hasFails(cause)) return "defect"
  const error = Cause.squash(cause)
  try {
    const tagged: unknown = Predicate.hasProperty(error, "reason") ? error.reason : error
    if (Predicate.hasProperty(tagged, "_tag")) return String(tagged._tag)
    return error instanceof Error ? error.name : "_OTHER"
  } catch {
    // An error that cannot be read.
    return "_OTHER"
  }
}

/** Says on the span of an operation how it failed, if it did. */
export const markFailure = (span: Tracer.Span, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isFailure(exit)) span.attribute("error.type", errorType(exit.cause))
}
