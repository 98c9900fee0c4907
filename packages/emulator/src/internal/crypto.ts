import * as Encoding from "effect/Encoding"
import type { Ids } from "./call.js"

// The Web's own cryptography, which Node, Bun and the edge all have.
const { subtle } = globalThis.crypto

const encoder = new TextEncoder()

// Its types want to know that nobody shares the memory.
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

/** Base64 of an HMAC-SHA256: reference 1.6 [D]. */
export const hmac = async (secret: string, text: string): Promise<string> => {
  const key = await subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
  return Encoding.encodeBase64(new Uint8Array(await subtle.sign("HMAC", key, encoder.encode(text))))
}

export interface Keys {
  readonly token: string
  /** 43 characters of Base64 */
  readonly aesKey: string
  /** `suiteKey` for a third-party app */
  readonly ownerKey: string
}

/** Reference 8.1: SHA-1 of the sorted parts. */
export const signatureOf = async (...parts: ReadonlyArray<string>): Promise<string> =>
  Encoding.encodeHex(new Uint8Array(await subtle.digest("SHA-1", encoder.encode([...parts].sort().join("")))))

const keyBytes = (aesKey: string): Uint8Array<ArrayBuffer> => {
  const padded = Encoding.decodeBase64(`${aesKey}=`)
  return own(padded._tag === "Right" ? padded.right : new Uint8Array(32))
}

const importKey = (bytes: Uint8Array<ArrayBuffer>) =>
  subtle.importKey("raw", bytes, "AES-CBC", false, ["encrypt", "decrypt"])

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Reference 8.1: padded to blocks of 32 bytes, while the cipher's own padding is to 16 and has to go. */
const encrypt = async ({ aesKey, ownerKey }: Keys, message: string, random: string): Promise<string> => {
  const bytes = keyBytes(aesKey)
  const text = encoder.encode(message)
  const size = new Uint8Array(4)
  new DataView(size.buffer).setUint32(0, text.length)
  const plain = concat(encoder.encode(random.slice(0, 16)), size, text, encoder.encode(ownerKey))
  const padding = 32 - plain.length % 32
  const padded = concat(plain, new Uint8Array(padding).fill(padding))
  const cipher = await subtle.encrypt({ name: "AES-CBC", iv: bytes.slice(0, 16) }, await importKey(bytes), padded)
  return Encoding.encodeBase64(new Uint8Array(cipher).slice(0, padded.length))
}

/** `undefined` for what was not encrypted with these keys, or for somebody else. */
const decrypt = async ({ aesKey, ownerKey }: Keys, encrypted: string): Promise<string | undefined> => {
  const cipher = Encoding.decodeBase64(encrypted)
  if (cipher._tag === "Left" || cipher.right.length === 0 || cipher.right.length % 16 !== 0) return undefined
  const bytes = keyBytes(aesKey)
  const key = await importKey(bytes)
  // A last block of padding, which the cipher insists on: the empty text, chained to what is there.
  const last = own(cipher.right.slice(-16))
  const end = new Uint8Array(await subtle.encrypt({ name: "AES-CBC", iv: last }, key, new Uint8Array(0)))
  const padded = new Uint8Array(
    await subtle.decrypt({ name: "AES-CBC", iv: bytes.slice(0, 16) }, key, concat(cipher.right, end))
  )
  const padding = padded.at(-1) ?? 0
  const plain = padded.slice(0, padded.length - (padding >= 1 && padding <= 32 ? padding : 0))
  if (plain.length < 20) return undefined
  const size = new DataView(plain.buffer, plain.byteOffset).getUint32(16)
  if (20 + size > plain.length) return undefined
  const decoder = new TextDecoder()
  return decoder.decode(plain.slice(20 + size)) === ownerKey ? decoder.decode(plain.slice(20, 20 + size)) : undefined
}

export interface Sealed {
  readonly signature: string
  readonly timestamp: string
  readonly nonce: string
  readonly encrypt: string
}

export const seal = async (keys: Keys, message: string, now: number, ids: Ids): Promise<Sealed> => {
  const timestamp = String(now)
  const nonce = ids.hex().slice(0, 16)
  const encrypted = await encrypt(keys, message, ids.hex())
  return {
    encrypt: encrypted,
    nonce,
    timestamp,
    signature: await signatureOf(keys.token, timestamp, nonce, encrypted)
  }
}

/** `undefined` for what is not sealed with these keys. */
export const open = async (keys: Keys, sealed: Sealed): Promise<string | undefined> =>
  sealed.signature === await signatureOf(keys.token, sealed.timestamp, sealed.nonce, sealed.encrypt)
    ? decrypt(keys, sealed.encrypt)
    : undefined
