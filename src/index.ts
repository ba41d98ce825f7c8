/**
 * A beanstalkd client for Effect. Each module is a namespace here and an entry point of its own
 * (`effect-beanstalkd/Connection`).
 */
export * as Connection from "./Connection.ts"
export * as Errors from "./Errors.ts"
export * as Protocol from "./Protocol.ts"
export * as Stats from "./Stats.ts"
