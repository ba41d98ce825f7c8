#!/usr/bin/env node
/**
 * The `beanstalk` command. A Node that is too old must get as far as the line that says so, where newer syntax or a static
 * import would stop it with a SyntaxError: so this file keeps to what any Node with ES modules understands, and imports
 * everything else once the version is known.
 */
const OLDEST = [22, 19]

const version = process.versions.node.split(".").map(Number)
const isTooOld = version[0]! < OLDEST[0]! || (version[0] === OLDEST[0] && version[1]! < OLDEST[1]!)

const failWith = (message: string) => {
  process.stderr.write("beanstalk: " + message + "\n")
  process.exitCode = 1
}

if (isTooOld) {
  failWith("Node " + OLDEST.join(".") + " or later is needed, this is Node " + process.versions.node)
} else {
  // Without a listener SIGUSR1 opens Node's debugger, while it tells a beanstalkd to drain: `serve` must have one from the
  // first moment.
  process.on("SIGUSR1", () => {})
  // Keeps the compiled modules for the next start. Deno does so by itself, and has no such function.
  const Module = process.getBuiltinModule("node:module")
  if ("enableCompileCache" in Module) Module.enableCompileCache()
  import("./run.ts").catch((error: unknown) =>
    import("./missingPackage.ts").then(({ describeMissing }) => {
      const message = describeMissing(error)
      if (message === undefined) throw error
      return failWith(message)
    })
  )
}
