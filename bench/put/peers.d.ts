/**
 * The parts of the peers that are measured. fivebeans has no types, jackd's name an export that it does not have, and
 * node-beanstalk's bring an old `@types/node` with them.
 */
declare module "fivebeans" {
  type Callback<Values extends Array<unknown>> = (error: unknown, ...values: Values) => void
  class Client {
    constructor(host: string, port: number)
    connect(): void
    once(event: "connect", listener: () => void): void
    once(event: "error", listener: (error: Error) => void): void
    end(): void
    use(tube: string, callback: Callback<[string]>): void
    watch(tube: string, callback: Callback<[string]>): void
    ignore(tube: string, callback: Callback<[string]>): void
    put(priority: number, delay: number, ttr: number, body: Buffer, callback: Callback<[string]>): void
    reserve_with_timeout(seconds: number, callback: Callback<[string, Buffer]>): void
    destroy(id: string, callback: Callback<[]>): void
  }
  interface Handler {
    readonly type: string
    readonly work: (payload: unknown, done: (action: "success") => void) => void
  }
  class Worker {
    constructor(
      options: { id: string; host: string; port: number; handlers: Record<string, Handler>; ignoreDefault: boolean }
    )
    /** `null` until it has been started. */
    readonly client: Client | null
    start(tubes: Array<string>): void
    stop(): void
    on(event: "error", listener: (error: Error) => void): void
    on(event: "job.deleted", listener: () => void): void
  }
  const fivebeans: { readonly client: typeof Client; readonly worker: typeof Worker }
  export default fivebeans
}

declare module "jackd" {
  export default class Jackd {
    connect(options: { host: string; port: number }): Promise<this>
    disconnect(): Promise<void>
    use(tube: string): Promise<string>
    watch(tube: string): Promise<number>
    ignore(tube: string): Promise<number>
    put(body: string, options: { priority: number; ttr: number }): Promise<string>
    reserve(): Promise<{ id: string; payload: Buffer }>
    reserveWithTimeout(seconds: number): Promise<{ id: string; payload: Buffer }>
    delete(id: string): Promise<void>
  }
}

declare module "node-beanstalk" {
  interface Serializer {
    serialize(body: unknown): Buffer
    deserialize(body: Buffer): unknown
  }
  export class Client {
    constructor(options: { host: string; port: number; serializer: Serializer })
    connect(): Promise<void>
    disconnect(): Promise<void>
    use(tube: string): Promise<string>
    watch(tube: string): Promise<number>
    ignore(tube: string): Promise<boolean>
    put(body: Buffer, ttr: number, priority: number): Promise<{ id: number }>
    reserveWithTimeout(seconds: number): Promise<{ id: number; payload: unknown } | null>
    delete(id: number): Promise<boolean>
  }
}
