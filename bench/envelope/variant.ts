/**
 * Typed tubes with and without an envelope, in programs with and without a tracer: what is put, and what a worker does with
 * it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { Client, Tube, Worker } from "effect-beanstalkd"
import { type Client as Measured, type Session, TUBE } from "../support.ts"
import { Counter } from "../worker/jobs.ts"

/** How the jobs of a variant are put and worked on. */
export interface Variant {
  readonly envelope: boolean | "cloudevents"
  /** Whether spans are made. They are dropped when they end: what an exporter costs is not ours. */
  readonly isTraced: boolean
}

const Email = Schema.Struct({ to: Schema.String, text: Schema.String })

const VALUE = { to: "ada@example.com", text: "0123456789abcdef".repeat(2) }

const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })

const WINDOW = 512

/** The module of a variant. */
export const variant = ({ envelope, isTraced }: Variant): Measured<"put" | "put-work"> => {
  const Emails = Tube.make(TUBE, { schema: Email, envelope })

  const session = async (
    port: number,
    fibers: number,
    use: (put: (ops: number) => Effect.Effect<void, unknown>, provide: Provide) => {
      readonly run: (ops: number) => Promise<unknown>
      readonly close: () => Promise<unknown>
    }
  ): Promise<Session> => {
    const scope = Scope.makeUnsafe()
    const beanstalkd = await Effect.runPromise(Scope.provide(Client.make({ host: "127.0.0.1", port }), scope))
    const provide: Provide = (effect) =>
      Effect.provideService(effect, Client.Beanstalkd, beanstalkd).pipe(
        (provided) => isTraced ? Effect.provideService(provided, Tracer.Tracer, tracer) : provided
      )
    const put = (ops: number) =>
      provide(Effect.forEach(
        Array.from({ length: fibers }),
        () => {
          let left = ops / fibers
          return Effect.whileLoop({ while: () => left-- > 0, body: () => Emails.put(VALUE), step: () => {} })
        },
        { concurrency: "unbounded", discard: true }
      ))
    const { close, run } = use(put, provide)
    return {
      connections: 1,
      run,
      close: async () => {
        await close()
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    }
  }

  return {
    "put": (port, fibers) =>
      session(port, fibers, (put) => ({ run: (ops) => Effect.runPromise(put(ops)), close: () => Promise.resolve() })),
    "put-work": (port, fibers) =>
      session(port, WINDOW, (put, provide) => {
        const counter = new Counter()
        const handler = () => {
          counter.count()
          return Effect.void
        }
        let working: Fiber.Fiber<unknown, unknown> | undefined
        return {
          run: async (ops) => {
            const rounded = Math.ceil(ops / WINDOW) * WINDOW
            await Effect.runPromise(put(rounded))
            const done = counter.next(rounded)
            working ??= Effect.runFork(
              provide(Worker.run(Emails, handler, { concurrency: fibers, crashGuard: false }))
            )
            return done
          },
          close: () => working === undefined ? Promise.resolve() : Effect.runPromise(Fiber.interrupt(working))
        }
      })
  }
}

type Provide = <A, E>(effect: Effect.Effect<A, E, Client.Beanstalkd>) => Effect.Effect<A, E>
