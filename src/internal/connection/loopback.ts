/**
 * A dialer for a server in this process. A connection has no socket: each end calls the other, by way of the server's wire,
 * which keeps the order of what is sent.
 */
import * as Effect from "effect/Effect"
import * as Errors from "../../Errors.ts"
import type { Dialer, Handlers, Transport } from "./transport.ts"

/** The client's end of a connection, as the server sees it. */
interface ClientEnd {
  readonly write: (bytes: Uint8Array) => boolean
  readonly end: () => void
  readonly drop: () => void
  readonly resume: () => void
}

/** The server's end. */
interface ServerEnd {
  readonly receive: (bytes: Uint8Array) => boolean
  readonly close: () => void
}

/** What a client needs of a server in its process. */
export interface Endpoint {
  /** The server's end of a new connection, or undefined if it is refused. */
  readonly accept: (end: ClientEnd) => ServerEnd | undefined
  readonly deliver: (piece: () => void) => void
}

const REFUSED = new Errors.OpenError({ cause: new Error("the server refuses connections") })

const connect = ({ accept, deliver }: Endpoint, handlers: Handlers): Transport | undefined => {
  let isOpen = true
  const close = (detail: string) =>
    deliver(() => {
      if (!isOpen) return
      isOpen = false
      handlers.onClose(new Errors.ConnectionClosed({ detail }))
    })
  const server = accept({
    write: (bytes) => {
      deliver(() => {
        if (isOpen) handlers.onData(bytes)
      })
      return true
    },
    end: () => close("the server closed it"),
    drop: () => close("the server dropped it"),
    resume: () =>
      deliver(() => {
        if (isOpen) handlers.onDrain()
      })
  })
  if (server === undefined) return undefined
  return {
    isSynchronous: true,
    write: (bytes) => {
      let takesMore = true
      deliver(() => {
        takesMore = server.receive(bytes)
      })
      return takesMore
    },
    destroy: () => {
      isOpen = false
      deliver(() => server.close())
    }
  }
}

/** The dialer for a server in this process. `server` is its name, as errors show it. */
export const makeDialer = (server: string, endpoint: Endpoint): Dialer => ({
  server,
  open: (handlers) =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        const transport = connect(endpoint, handlers)
        return transport === undefined ? Effect.fail(REFUSED) : Effect.succeed(transport)
      }),
      (transport) => Effect.sync(transport.destroy)
    )
})
