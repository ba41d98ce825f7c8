/**
 * A directory per test, for a binlog or a Unix socket. It is removed with the scope.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const tempDir: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  // Short, because the path of a Unix socket may not be longer than about 100 bytes.
  Effect.promise(() => mkdtemp(join(tmpdir(), "bs-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)
