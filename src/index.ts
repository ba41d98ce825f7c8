/**
 * A beanstalkd client for Effect. Each module is a namespace here and an entry point of its own
 * (`effect-beanstalkd/Connection`).
 */
export * as Client from "./Client.ts"
export * as Connection from "./Connection.ts"
export * as Consumer from "./Consumer.ts"
export * as Errors from "./Errors.ts"
export * as Job from "./Job.ts"
export * as Metrics from "./Metrics.ts"
export * as Pool from "./Pool.ts"
export * as Protocol from "./Protocol.ts"
export * as Server from "./Server.ts"
export * as Stats from "./Stats.ts"
export * as Tube from "./Tube.ts"
export * as Worker from "./Worker.ts"
