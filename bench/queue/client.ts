/**
 * The module of one store for the measured process: its name is in the query of the URL.
 */
import type { Client } from "../support.ts"
import { BENCHES, open } from "./session.ts"

const name = new URL(import.meta.url).searchParams.get("store")!

const client: Client<string> = Object.fromEntries(BENCHES.map((bench) => [bench, open(name, bench)]))

export default client
