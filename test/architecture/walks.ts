/**
 * Walks a put, and prints as JSON through which files of `src/` it comes: in a client, from `put` to the resumed fiber,
 * and in the embedded server, from the bytes of a raw put to the bytes of its reply.
 *
 * Each function of `src/` is made to say that it runs. A file is entered when one of its functions is called from another
 * file, from Effect or from Node. Everything is warm: what happens once per connection does not count.
 */
import type * as Client from "effect-beanstalkd/Client"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { registerHooks, stripTypeScriptTypes } from "node:module"
import * as Net from "node:net"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "vite"

/** The files of one way, and how often each is entered. */
export type Walk = Readonly<Record<string, number>>

/** The ways of a put. */
export interface Walks {
  readonly client: Walk
  readonly server: Walk
  readonly loopback: Walk
}

const SRC = join(import.meta.dirname, "../../src")

// ---------------------------------------------------------------------------------------------------------------------
// Functions that say that they run
// ---------------------------------------------------------------------------------------------------------------------

const entered = new Map<string, number>()
const stack: Array<string> = []

const tell = {
  enter: (file: string): void => {
    if (stack.at(-1) !== file) entered.set(file, (entered.get(file) ?? 0) + 1)
    stack.push(file)
  },
  leave: (): void => {
    stack.pop()
  }
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly body?: Node | null
  readonly generator?: boolean
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value

function* functionsIn(node: Node): Iterable<Node> {
  if (/^(ArrowFunctionExpression|FunctionDeclaration|FunctionExpression)$/.test(node.type)) yield node
  for (const value of Object.values(node).flat()) if (isNode(value)) yield* functionsIn(value)
}

// A generator runs in pieces, each of which calls something else: those calls tell enough.
const telling = (file: string, source: string): string => {
  const enter = `__tell.enter(${JSON.stringify(file)});`
  const begin = `${enter}try{`
  const end = "}finally{__tell.leave()}"
  const insertions = [...functionsIn(parseSync("source.js", source).program as unknown as Node)].flatMap(
    ({ body, generator }): ReadonlyArray<readonly [at: number, text: string]> => {
      if (!isNode(body) || generator === true) return []
      if (body.end === body.start + 2) return [[body.start + 1, `${enter}__tell.leave()`]]
      return body.type === "BlockStatement"
        ? [[body.start + 1, begin], [body.end - 1, end]]
        : [[body.start, `{${begin}return `], [body.end, `${end}}`]]
    }
  )
  // From the end, so that the places before stay right; of two at one place, the outer function's comes first.
  return insertions.sort(([a], [b]) => b - a).reduce(
    (text, [at, more]) => text.slice(0, at) + more + text.slice(at),
    source
  )
}

/** The files that are entered meanwhile, when it runs for the fourth time. */
const walk = Effect.fnUntraced(function*<E, R>(action: Effect.Effect<unknown, E, R>) {
  // The fiber is resumed in the midst of the tick in which the reply came: the rest of that tick belongs to the walk.
  const inTicksOfItsOwn = Effect.andThen(action, Effect.yieldNow)
  for (let i = 0; i < 3; i++) yield* inTicksOfItsOwn
  entered.clear()
  yield* inTicksOfItsOwn
  return Object.fromEntries([...entered].sort(([a], [b]) => a < b ? -1 : 1))
})

const only = (walk: Walk, isPart: (file: string) => boolean): Walk =>
  Object.fromEntries(Object.entries(walk).filter(([file]) => isPart(file)))

// ---------------------------------------------------------------------------------------------------------------------
// The ways
// ---------------------------------------------------------------------------------------------------------------------

const PUT = "put 0 0 60 5\r\nhello\r\n"

const isServer = (file: string) => file.startsWith("internal/server/")

const main = Effect.gen(function*() {
  // Only now, when the functions are made to tell.
  const { make } = yield* Effect.promise(() => import("../../src/Client.ts"))
  const Server = yield* Effect.promise(() => import("../../src/Server.ts"))
  const server = yield* Server.make({ port: 0 })
  const socket = Net.connect(server.port!)
  const rawPut = Effect.promise(() => {
    socket.write(PUT)
    return once(socket, "data")
  })
  const memory = yield* Server.makeMemory()
  const remote = yield* make(server.clientOptions)
  const local = yield* make(memory.clientOptions)
  const put = (client: Client.Service) => Effect.suspend(() => client.put("emails", "hello"))
  const walks: Walks = {
    client: only(yield* walk(put(remote)), (file) => !isServer(file)),
    server: only(yield* walk(rawPut), isServer),
    loopback: only(yield* walk(put(local)), isServer)
  }
  socket.destroy()
  console.log(JSON.stringify(walks, null, 2))
}).pipe(Effect.scoped)

if (import.meta.main) {
  Object.assign(globalThis, { __tell: tell })
  registerHooks({
    load: (url, context, nextLoad) => {
      const path = url.startsWith("file:") ? fileURLToPath(url) : ""
      if (!path.startsWith(SRC)) return nextLoad(url, context)
      const source = stripTypeScriptTypes(readFileSync(path, "utf8"))
      return { format: "module", shortCircuit: true, source: telling(relative(SRC, path), source) }
    }
  })
  await Effect.runPromise(main)
}
