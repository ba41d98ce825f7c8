/**
 * Imports the package, and prints the URLs of all modules that this loads.
 */
import { registerHooks } from "node:module"
import { importBuilt } from "./Built.ts"

const urls: Array<string> = []
registerHooks({
  load: (url, context, next) => {
    urls.push(url)
    return next(url, context)
  }
})

await importBuilt()
console.log(JSON.stringify(urls))
