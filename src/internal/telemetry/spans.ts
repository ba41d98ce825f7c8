/**
 * The spans of jobs, named and attributed as the OpenTelemetry conventions for messaging say.
 */
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import type { Head } from "../../Envelope.ts"
import { errorTypeOf, serverAttributes } from "./conventions.ts"

/** Whether anybody hears of the spans of this fiber. Without a tracer Effect makes spans that nobody sees. */
export const isTraced = ({ cache }: Fiber.Fiber<unknown, unknown>): boolean =>
  cache.tracer !== undefined && cache.tracerEnabled

const SYSTEM = "beanstalkd"

/** Where a server is, as spans say it. */
interface Address {
  readonly server: string
  readonly address: unknown
  readonly port: number | undefined
}

// Mostly there is one server.
let last: Address = { server: "", address: "", port: undefined }

const addressOf = (server: string): Address => {
  if (last.server === server) return last
  const { "server.address": address, "server.port": port } = serverAttributes(server)
  last = { server, address, port: port === undefined ? undefined : Number(port) }
  return last
}

/** Says on a span which server it is about. */
export const setServer = (span: Tracer.Span, server: string): void => {
  const { address, port } = addressOf(server)
  span.attribute("server.address", address)
  if (port !== undefined) span.attribute("server.port", port)
}

/** Says on the span of a put where it goes. Of several servers, one is told when it has the job. */
export const describePut = (span: Tracer.Span, tube: string, server: string): void => {
  span.attribute("messaging.system", SYSTEM)
  span.attribute("messaging.operation.name", "send")
  span.attribute("messaging.operation.type", "send")
  span.attribute("messaging.destination.name", tube)
  if (!server.includes(",")) setServer(span, server)
}

/** What is known of a job whose handler begins. */
export interface Delivery {
  readonly tube: string
  readonly job: {
    readonly id: number
    readonly server: string
    readonly known: { readonly reserves: number; readonly pri: number; readonly ttr: number } | undefined
  }
  readonly head: Head | undefined
  /** How long the job was ready before its handler began, in milliseconds, if anything tells. */
  readonly waitedMillis: number | undefined
}

/** Says on the span of a handler which job it is for. One by one: that is cheaper than to make an object for all. */
export const describe = (span: Tracer.Span, { head, job, tube, waitedMillis }: Delivery): void => {
  const { known, server } = job
  span.attribute("messaging.system", SYSTEM)
  span.attribute("messaging.operation.name", "process")
  span.attribute("messaging.operation.type", "process")
  span.attribute("messaging.destination.name", tube)
  span.attribute("messaging.message.id", String(job.id))
  setServer(span, server)
  if (known !== undefined) {
    span.attribute("messaging.beanstalkd.message.delivery_attempt", known.reserves)
    span.attribute("messaging.beanstalkd.message.priority", known.pri)
    span.attribute("messaging.beanstalkd.message.ttr", known.ttr)
  }
  if (head !== undefined) {
    span.attribute("messaging.beanstalkd.message.key", head.id)
    if (head.correlationId !== undefined) span.attribute("messaging.message.conversation_id", head.correlationId)
  }
  if (waitedMillis !== undefined) span.attribute("messaging.beanstalkd.message.wait_time", waitedMillis / 1000)
}

/** The attributes of the event of the command that settled a job. */
export const settle = (command: string | undefined): Record<string, unknown> => ({
  "messaging.operation.name": command ?? "unknown",
  "messaging.operation.type": "settle"
})

/** Says on the span of an operation how it failed, if it did. */
export const markFailure = (span: Tracer.Span, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isFailure(exit)) span.attribute("error.type", errorTypeOf(exit.cause))
}
