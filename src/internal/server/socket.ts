/**
 * A connection of the embedded server on a socket of Effect's `SocketServer`.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Socket from "effect/socket/Socket"
import type * as Net from "node:net"
import { finished } from "node:stream"
import type { EngineHost } from "./engineHost.ts"

/**
 * The socket of `node:net` behind an Effect socket, if there is one: `@effect/platform-node` and `-node-shared` provide it.
 * It is declared here by their name, so that a server on another `SocketServer` needs neither package.
 */
export class NetSocket extends Context.Service<NetSocket, Net.Socket>()("@effect/platform-node/NodeSocket/NetSocket") {}

// The client has closed its half of the connection, and still reads.
const isEndOfStream = ({ reason }: Socket.SocketError): boolean =>
  reason._tag === "SocketCloseError" && reason.code === 1000

// Ends the socket, and waits until all bytes have gone out or the client is gone. Effect's socket would do so after its
// Scope, where a client that never reads could no longer be cut off.
const flush = Effect.flatMap(
  Effect.serviceOption(NetSocket),
  Option.match({
    onNone: () => Effect.void,
    onSome: (socket) =>
      Effect.callback<void>((resume) => {
        finished(socket, { readable: false }, () => resume(Effect.void))
        socket.destroySoon()
      })
  })
)

/** Serves one connection until it is closed. */
export const serve = (host: EngineHost) =>
  Effect.fnUntraced(function*(socket: Socket.Socket) {
    const pull = yield* Socket.readerBytes(socket)
    const writer = yield* socket.writer
    const run = Effect.runForkWith(yield* Effect.context())
    const inScope = Fiber.runIn(yield* Effect.scope)
    // A write to an Effect socket that is gone never ends, so it must end with the Scope.
    const fork = <A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> => {
      const fiber = run(effect)
      return fiber.pollUnsafe() === undefined ? inScope(fiber) : fiber
    }
    const isOver = Deferred.makeUnsafe<void>()
    const mayRead = Latch.makeUnsafe(true)

    const end = () => Deferred.doneUnsafe(isOver, Exit.void)
    // Closes at once, and drops the bytes that have not gone out.
    const destroy = writer.write(new Socket.CloseEvent(1000))

    const connection = host.accept({
      write: (bytes) => {
        const writing = fork(writer.write(bytes))
        if (writing.pollUnsafe() !== undefined) return true
        // Nothing reads from the socket meanwhile, so only this write can tell that the client is gone.
        writing.addObserver((exit) => {
          if (Exit.isSuccess(exit)) return connection?.drained()
          connection?.close()
          end()
        })
        return false
      },
      end,
      drop: () => {
        fork(Effect.ignore(destroy))
        end()
      },
      resume: () => Latch.openUnsafe(mayRead),
      defer: (task) => host.later(0, task)
    })
    if (connection === undefined) return yield* destroy

    const read = Effect.gen(function*() {
      while (true) {
        for (const piece of yield* pull) {
          if (!connection.receive(piece)) Latch.closeUnsafe(mayRead)
        }
        yield* mayRead.await
      }
    }).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          if (isEndOfStream(error)) return connection.halfClose()
          connection.close()
          end()
        })
      )
    )
    yield* Effect.forkChild(read)
    yield* Deferred.await(isOver).pipe(
      Effect.andThen(flush),
      Effect.onInterrupt(() => Effect.andThen(Effect.sync(() => connection.close()), Effect.ignore(destroy)))
    )
  }, Effect.scoped)
