import type { ByteReader, ByteWriter } from '#bytes/cursor.ts'

// Fields of what is stored: texts and bytes behind their length, an unsigned LEB128; what may be missing behind its length and
// one, 0 being nothing.

export function writeText(into: ByteWriter, text: string): void {
  into.uvarint(Buffer.byteLength(text))
  into.utf8(text)
}

export function readText(from: ByteReader): string {
  return from.utf8(from.uvarint())
}

export function writeOptionalText(into: ByteWriter, text: string | null): void {
  into.uvarint(text === null ? 0 : Buffer.byteLength(text) + 1)
  if (text !== null) into.utf8(text)
}

export function readOptionalText(from: ByteReader): string | null {
  const length = from.uvarint()
  return length === 0 ? null : from.utf8(length - 1)
}

export function writeBlob(into: ByteWriter, bytes: Buffer): void {
  into.uvarint(bytes.length)
  into.raw(bytes)
}

/** A view: what it is read from may be used again. */
export function readBlob(from: ByteReader): Buffer {
  return from.view(from.uvarint())
}

export function writeTextMap(into: ByteWriter, map: ReadonlyMap<string, string>): void {
  into.uvarint(map.size)
  for (const [key, value] of map) {
    writeText(into, key)
    writeText(into, value)
  }
}

export function readTextMap(from: ByteReader): Map<string, string> {
  const map = new Map<string, string>()
  for (let left = from.uvarint(); left > 0; left--) map.set(readText(from), readText(from))
  return map
}

/** For what there is much of: fields of fixed size are written and read through one view. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
