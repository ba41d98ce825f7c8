/**
 * A PostgreSQL with a directory of its own, one per Scope, and Effect's client of it. It refuses to run as root, so that it
 * runs as the user that its package has made.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import { execFileSync } from "node:child_process"
import { chownSync } from "node:fs"
import { join } from "node:path"
import * as Binary from "./Binary.ts"
import { freePort } from "./FreePort.ts"
import { tempDir } from "./TempDir.ts"

const DIRECTORIES = "/usr/lib/postgresql/*/bin"

const postgres = Binary.find("postgres", DIRECTORIES)
const initdb = Binary.find("initdb", DIRECTORIES)

/** Whether there is a PostgreSQL. */
export const available: boolean = postgres !== undefined && initdb !== undefined

/** `describe` for tests that need PostgreSQL. */
export const describePostgres = (name: string, body: () => void): void =>
  Binary.describeWith("postgresql", available, name, body)

const idOf = (option: "-u" | "-g"): number => Number(execFileSync("id", [option, "postgres"], { encoding: "utf8" }))

const userOf = (): { readonly uid?: number; readonly gid?: number } =>
  process.getuid?.() === 0 ? { uid: idOf("-u"), gid: idOf("-g") } : {}

/** Starts a PostgreSQL, and returns its port when it listens. Nothing is synced to the disk. */
export const make: Effect.Effect<{ readonly port: number }, never, Scope.Scope> = Effect.gen(function*() {
  const dir = yield* tempDir
  const port = yield* freePort
  const user = userOf()
  if (user.uid !== undefined) chownSync(dir, user.uid, user.gid!)
  const data = join(dir, "data")
  execFileSync(initdb!, ["-D", data, "-U", "test", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"], {
    ...user,
    cwd: dir,
    stdio: "ignore"
  })
  const settings = [`port=${port}`, "listen_addresses=127.0.0.1", `unix_socket_directories=${dir}`, "fsync=off"]
  const args = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])]
  // At once, and with all its processes.
  yield* Binary.start(postgres!, args, { ...user, cwd: dir, killSignal: "SIGQUIT" })
  yield* Binary.listens(port)
  return { port }
})

/** A PostgreSQL of its own, and its client. */
export const layer: Layer.Layer<SqlClient.SqlClient> = Layer.unwrap(
  Effect.map(
    make,
    ({ port }) => PgClient.layer({ host: "127.0.0.1", port, username: "test", database: "postgres", maxConnections: 4 })
  )
).pipe(Layer.orDie)
