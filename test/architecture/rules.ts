/**
 * The rooms of `src/` and what each may import, as data. `Architecture.test.ts` checks every import against it, and
 * `lint.ts` makes `oxlint.json` of it, so that an editor shows a forbidden import while it is typed.
 *
 * A target is a room of `src/internal` (`protocol`), one file of a room (`protocol/scalars`), or a public module
 * (`Errors`).
 */
export interface Rule {
  /** Targets that may be imported. */
  readonly values: ReadonlyArray<string>
  /** Targets of which nothing but types may be imported. */
  readonly types: ReadonlyArray<string>
}

/** The public modules. Each may use those before it. */
export const PUBLIC: ReadonlyArray<string> = [
  "Errors",
  "Stats",
  "Protocol",
  "Envelope",
  "Connection",
  "Pool",
  "Job",
  "Client",
  "Metrics",
  "Consumer",
  "Tube",
  "Worker",
  "Server",
  "Fleet",
  "Claims",
  "PersistedQueueStore"
]

// The words that all rooms share: errors, statistics and the table of commands.
const VOCABULARY = ["Errors", "Stats", "Protocol"]

// The types of the public modules are no dependency at run time, so every room of the client may use them.
const room = (values: ReadonlyArray<string>, types: ReadonlyArray<string> = []): Rule => ({
  values,
  types: [...PUBLIC, ...types]
})

const publicModule = (name: string, rooms: ReadonlyArray<string>): Rule => ({
  values: [...rooms, ...PUBLIC.slice(0, PUBLIC.indexOf(name))],
  types: PUBLIC
})

/** The rule of each room and of each public module. */
export const rules: Readonly<Record<string, Rule>> = {
  // The rooms of the client, from the wire upwards.
  protocol: room(["Errors"]),
  telemetry: room(["protocol"]),
  envelope: room(["protocol", "Errors"]),
  connection: room(["protocol", "telemetry", ...VOCABULARY]),
  pool: room(["connection", "protocol", ...VOCABULARY]),
  job: room(["connection", "protocol", ...VOCABULARY], ["pool"]),
  consumer: room(["pool", "job", "connection", "protocol", ...VOCABULARY]),
  client: room(["consumer", "job", "pool", "connection", "protocol", ...VOCABULARY]),
  tube: room(["consumer", "envelope", "job", "telemetry", "protocol", ...VOCABULARY, "Client", "Consumer"]),
  worker: room(["tube", "consumer", "envelope", "job", "telemetry", "protocol", ...VOCABULARY]),
  fleet: room(["client", "consumer", "job", "pool", "connection", "protocol", ...VOCABULARY]),
  persistence: room(["consumer", "job", "protocol", ...VOCABULARY]),

  // The embedded server and the client check each other, so they must not share code that can have a bug.
  server: { values: ["protocol/scalars"], types: [] },
  binlog: { values: ["server", "protocol/scalars"], types: [] },

  Errors: publicModule("Errors", ["protocol"]),
  Stats: publicModule("Stats", ["protocol"]),
  Protocol: publicModule("Protocol", ["protocol"]),
  Envelope: publicModule("Envelope", ["envelope", "protocol"]),
  Metrics: publicModule("Metrics", ["telemetry", "protocol"]),
  Connection: publicModule("Connection", ["connection", "protocol"]),
  Pool: publicModule("Pool", ["pool", "connection", "protocol"]),
  Job: publicModule("Job", ["job", "pool", "connection", "protocol"]),
  Client: publicModule("Client", ["client", "consumer", "job", "pool", "connection", "protocol"]),
  Consumer: publicModule("Consumer", ["consumer", "job", "protocol"]),
  Tube: publicModule("Tube", ["tube", "protocol"]),
  Worker: publicModule("Worker", ["worker", "tube", "consumer", "job", "telemetry", "protocol"]),
  Server: publicModule("Server", ["binlog", "telemetry", "server", "client", "pool", "connection", "protocol"]),
  Fleet: publicModule("Fleet", ["fleet", "connection", "protocol"]),
  Claims: publicModule("Claims", ["persistence"]),
  PersistedQueueStore: publicModule("PersistedQueueStore", ["persistence"]),
  index: { values: PUBLIC, types: [] },

  // The command line pipelines by itself, below the public modules.
  cli: {
    values: [
      ...PUBLIC,
      "connection/connect",
      "envelope/compression",
      "envelope/head",
      "envelope/line",
      "envelope/options",
      "protocol/scalars",
      "fleet/settings",
      "fleet/stats",
      "fleet/url"
    ],
    types: ["connection/pipeline", "job/putAll"]
  }
}

/** Whether a name is a public module. */
export const isPublic = (name: string): boolean => PUBLIC.includes(name) || name === "index"

/** The rooms of `src/internal`. */
export const rooms: ReadonlyArray<string> = Object.keys(rules).filter((name) => !isPublic(name) && name !== "cli")
