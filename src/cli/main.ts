#!/usr/bin/env node
/**
 * The `beanstalk` command. Until a listener is there SIGUSR1 opens Node's debugger, while to a beanstalkd it means "drain":
 * hence first of all the listener, which `serve` relies on, and only then everything else.
 */
process.on("SIGUSR1", () => {})
await import("./run.ts")
