/**
 * Runs once before the tests. Tests start the built command line, so `dist/` must not be older than `src/`.
 */
import { execFileSync } from "node:child_process"
import { globSync, statSync } from "node:fs"
import { delimiter, join } from "node:path"

const root = join(import.meta.dirname, "../..")
const changed = (path: string) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

export default (): void => {
  const built = changed("dist/cli/main.js") === 0
    ? 0
    : Math.max(...globSync("dist/**/*.js", { cwd: root }).map(changed))
  const isStale = globSync("src/**/*.ts", { cwd: root }).some((file) =>
    changed(file) > built || changed(file.replace(/^src(.*)ts$/, "dist$1js")) === 0
  )
  if (!isStale) return
  const PATH = `${join(root, "node_modules/.bin")}${delimiter}${process.env["PATH"] ?? ""}`
  try {
    execFileSync("npm", ["run", "build", "--silent"], { cwd: root, env: { ...process.env, PATH }, stdio: "inherit" })
  } catch {
    console.log("dist/ was built in spite of type errors: see above before you trust the tests of the command line.")
  }
}
