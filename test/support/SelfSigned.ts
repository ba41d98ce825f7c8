/**
 * A key and a certificate for TLS on loopback: `localhost` and 127.0.0.1, signed by itself, valid for 100 years.
 * They are public and protect nothing. A client trusts the server that shows them with `{ ca: selfSigned.cert }`.
 */
import { readFileSync } from "node:fs"

const fixture = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8")

export const selfSigned: { readonly key: string; readonly cert: string } = {
  key: fixture("tls-key.pem"),
  cert: fixture("tls-cert.pem")
}
