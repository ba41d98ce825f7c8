/**
 * A route handler as Next.js and others have them: a module that exports `POST`, and gets web standard requests. The runtime is
 * one per process, not one per request, and not one per version of this file: in development the module is loaded again at
 * each change, so the runtime is kept on `globalThis`, and its connections with it.
 *
 * In Next.js this is `app/orders/route.ts`, without the lines that call it, and with `export const runtime = "nodejs"`.
 */
import { ManagedRuntime } from "effect"
import { acceptOrder, ClientOfHost } from "./support/acceptOrder.ts"

const make = () => ManagedRuntime.make(ClientOfHost)

const kept = globalThis as typeof globalThis & { beanstalkdRuntime?: ReturnType<typeof make> }

const runtime = (kept.beanstalkdRuntime ??= make())

export async function POST(request: Request): Promise<Response> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(5000)])
  const { body, headers, status } = await acceptOrder(runtime, await request.text(), signal)
  return Response.json(body, { status, headers: { ...headers } })
}

const callItself = async (): Promise<void> => {
  const post = async (body: unknown, handler = POST): Promise<void> => {
    const request = new Request("http://localhost/orders", { method: "POST", body: JSON.stringify(body) })
    const response = await handler(request)
    process.stdout.write(`${response.status} ${(await response.text()).slice(0, 70)}\n`)
  }
  await post({ id: "1", item: "tent" })
  await post({ id: "", item: "stove" })
  await post({ id: "2", item: "x".repeat(70_000) })
  // The file has changed: another module, the same runtime.
  const changed: { readonly POST: typeof POST } = await import(`${import.meta.url}?changed`)
  process.stdout.write("loaded again\n")
  await post({ id: "3", item: "lamp" }, changed.POST)
  await kept.beanstalkdRuntime?.dispose()
}

// Not awaited here: a file that is still being loaded cannot be loaded again.
if (import.meta.main && !import.meta.url.includes("?")) void callItself()
