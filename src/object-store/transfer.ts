// Bytes on their way to and from a service.

import { Readable } from 'node:stream'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { StoreError } from './store-errors.ts'

/** What is encrypted and handed to the system at once: the thread does nothing else meanwhile. */
const CHUNK_BYTES = 128 * 1024

/** Sends the pieces one behind the other without copying them. */
export function streamOf(pieces: readonly Uint8Array[]): Readable {
  return Readable.from(chunksOf(pieces), { objectMode: false })
}

function* chunksOf(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += CHUNK_BYTES) yield piece.subarray(at, at + CHUNK_BYTES)
  }
}

export function bytesOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}

/** The bytes `[from, to)` of all the pieces. */
export function sliceOf(pieces: readonly Uint8Array[], from: number, to: number): Uint8Array[] {
  const slice: Uint8Array[] = []
  let begin = 0
  for (const piece of pieces) {
    const [first, last] = [Math.max(0, from - begin), Math.min(piece.length, to - begin)]
    if (first < last) slice.push(piece.subarray(first, last))
    begin += piece.length
  }
  return slice
}

/** CRC-32C as the services want it: its four bytes, the highest first, in base64. */
export function checksumOf(pieces: readonly Uint8Array[]): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(pieces.reduce((before, piece) => crc32c(piece, 0, piece.length, before), 0))
  return sum.toString('base64')
}

/** All that comes, which must be so many bytes: a connection that breaks is no end of an object. */
export function collect(body: Readable, sizeBytes: number, what: string): Promise<Buffer> {
  const into = Buffer.allocUnsafeSlow(sizeBytes)
  let at = 0
  return new Promise((resolve, reject) => {
    body.on('data', (chunk: Uint8Array) => {
      if (at + chunk.length <= sizeBytes) into.set(chunk, at)
      else body.destroy()
      at += chunk.length
    })
    body.on('end', () => {
      if (at === sizeBytes) resolve(into)
    })
    body.on('error', reject)
    // After the end, or without one.
    body.on('close', () => reject(cut(what, at, sizeBytes)))
  })
}

function cut(what: string, came: number, wanted: number): StoreError {
  return new StoreError('STORE_UNAVAILABLE', `${what}: ${came} bytes came instead of ${wanted}`)
}
