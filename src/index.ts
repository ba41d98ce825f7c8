/**
 * A beanstalkd client for Effect. Each module is a namespace here, and an entry point of its own
 * (`effect-beanstalkd/Connection`).
 *
 * @since 0.1.0
 */

/**
 * Who may deliver the element of an id: claims in memory, Redis or a database.
 *
 * @since 0.1.0
 */
export * as Claims from "./Claims.ts"

/**
 * The client that an application provides and uses: every command as an effect, and the layers.
 *
 * @since 0.1.0
 */
export * as Client from "./Client.ts"

/**
 * One pipelined connection, with an Effect for each of the protocol's 25 commands.
 *
 * @since 0.1.0
 */
export * as Connection from "./Connection.ts"

/**
 * Reserved jobs as a `Stream` with backpressure, or one at a time with its lease kept.
 *
 * @since 0.1.0
 */
export * as Consumer from "./Consumer.ts"

/**
 * Envelopes around the bodies of jobs: an id, times, the trace, the version of the Schema.
 *
 * @since 0.1.0
 */
export * as Envelope from "./Envelope.ts"

/**
 * The tagged errors of commands, and the reasons of a `BeanstalkdError`.
 *
 * @since 0.1.0
 */
export * as Errors from "./Errors.ts"

/**
 * Several servers behind the service of one client.
 *
 * @since 0.1.0
 */
export * as Fleet from "./Fleet.ts"

/**
 * A reserved job and how to settle it; a peeked one; the reference to a job, `JobRef`.
 *
 * @since 0.1.0
 */
export * as Job from "./Job.ts"

/**
 * The metrics that the client updates.
 *
 * @since 0.1.0
 */
export * as Metrics from "./Metrics.ts"

/**
 * A store for Effect's `PersistedQueue` and `DurableQueue`.
 *
 * @since 0.1.0
 */
export * as PersistedQueueStore from "./PersistedQueueStore.ts"

/**
 * Connections that are each lent to one borrower at a time.
 *
 * @since 0.1.0
 */
export * as Pool from "./Pool.ts"

/**
 * The protocol as data: the table of commands, ids, names and bounds.
 *
 * @since 0.1.0
 */
export * as Protocol from "./Protocol.ts"

/**
 * A beanstalkd inside this process, in memory for tests, or on a socket.
 *
 * @since 0.1.0
 */
export * as Server from "./Server.ts"

/**
 * The Schemas of the server's statistics.
 *
 * @since 0.1.0
 */
export * as Stats from "./Stats.ts"

/**
 * Tubes whose jobs are typed values.
 *
 * @since 0.1.0
 */
export * as Tube from "./Tube.ts"

/**
 * Handlers of jobs, with concurrency, leases, retries and shutdown.
 *
 * @since 0.1.0
 */
export * as Worker from "./Worker.ts"
