#!/usr/bin/env node
/**
 * The `beanstalk` command. Until a listener is there SIGUSR1 opens Node's debugger, while to a beanstalkd it means "drain":
 * hence first of all the listener, which `serve` relies on, and only then everything else, whose compiled form Node keeps
 * for the next time.
 */
import { enableCompileCache } from "node:module"

process.on("SIGUSR1", () => {})
enableCompileCache()
await import("./run.ts")
