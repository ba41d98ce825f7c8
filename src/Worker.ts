/**
 * Workers: say what is to be done with a job, and get concurrency, backpressure, leases, retries and shutdown.
 *
 * A job is deleted when its handler succeeds, and tried again later when it fails. It is never dropped: what fails for good
 * is buried, or moved to a dead-letter tube. A handler may run more than once for the same job, so what it does must be
 * idempotent: delivery is at least once.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Arguments from "./Arguments.ts"
import type * as Client from "./Client.ts"
import * as Consumer from "./Consumer.ts"
import type * as Errors from "./Errors.ts"
import * as Intake from "./Intake.ts"
import type { ReservedJob } from "./Job.ts"
import { Leases } from "./Leases.ts"
import * as Metrics from "./Metrics.ts"
import { commands, type Failure } from "./Protocol.ts"
import * as Retry from "./Retry.ts"
import type { JobStats } from "./Stats.ts"
import type { Tube, TypedJob } from "./Tube.ts"

/**
 * What a worker does with a job.
 */
export type Handler<A, E, R> = (value: A, job: TypedJob<A>) => Effect.Effect<unknown, E, R>
