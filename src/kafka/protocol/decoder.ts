import { type ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { type AnyField, defaultsOf, type Fields, includes, LONG_MAX, LONG_MIN, STRING_MAX_BYTES } from './schema.ts'

// From a schema and a version to a function that reads it. Input may be hostile: nothing is allocated by a length
// that the bytes at hand do not bear out.

/** What a message may still take: three bytes can ask for an array element that takes a hundred as an object. */
export interface Budget {
  elementsLeft: number
}

export type Read = (reader: ByteReader, budget: Budget) => unknown

const TWO_32 = 4294967296

export function compileStructRead(fields: Fields, version: number, flexible: boolean): Read {
  const defaults = defaultsOf(fields)
  const names: string[] = []
  const reads: Read[] = []
  const tagged = new Map<number, { name: string; read: Read }>()
  for (const [name, field] of Object.entries(fields)) {
    if (!includes(field.spec.versions, version)) continue
    const read = compileRead(field, version, flexible)
    if (field.spec.tag !== null) {
      tagged.set(field.spec.tag, { name, read })
    } else {
      names.push(name)
      reads.push(read)
    }
  }
  return (reader, budget) => {
    const value: Record<string, unknown> = { ...defaults }
    for (let i = 0; i < reads.length; i++) value[names[i]!] = reads[i]!(reader, budget)
    if (flexible) readTags(reader, budget, tagged, value)
    return value
  }
}

function readTags(
  reader: ByteReader,
  budget: Budget,
  tagged: ReadonlyMap<number, { name: string; read: Read }>,
  value: Record<string, unknown>,
): void {
  for (let left = reader.uvarint(); left > 0; left--) {
    const known = tagged.get(reader.uvarint())
    const size = reader.uvarint()
    if (known === undefined) {
      reader.take(size)
      continue
    }
    const end = reader.offset + size
    value[known.name] = known.read(reader, budget)
    if (reader.offset !== end) throw new MalformedBytes(`the tagged field ${known.name} has a wrong size`)
  }
}

function compileRead(field: AnyField, version: number, flexible: boolean): Read {
  const { shape } = field.spec
  const nullable = includes(field.spec.nullable, version)
  switch (shape.kind) {
    case 'bool':
      return reader => reader.u8() !== 0
    case 'int8':
      return reader => reader.i8()
    case 'int16':
      return reader => reader.i16()
    case 'uint16':
      return reader => reader.u16()
    case 'int32':
      return reader => reader.i32()
    case 'int64':
      return readInt64
    case 'float64':
      return reader => reader.f64()
    case 'uuid':
      return readUuid
    case 'string':
      return reader => {
        const length = flexible ? reader.uvarint() - 1 : reader.i16()
        if (length < 0) return absent(nullable, 'string')
        if (length > STRING_MAX_BYTES) throw new MalformedBytes(`a string of ${length} bytes`)
        return reader.utf8(length)
      }
    case 'bytes':
    case 'records':
      return reader => {
        const length = flexible ? reader.uvarint() - 1 : reader.i32()
        return length < 0 ? absent(nullable, shape.kind) : reader.view(length)
      }
    case 'array':
      return compileArrayRead(compileRead(shape.of, version, flexible), nullable, flexible)
    case 'struct': {
      const read = compileStructRead(shape.fields, version, flexible)
      return nullable ? (reader, budget) => (reader.i8() < 0 ? null : read(reader, budget)) : read
    }
  }
}

function compileArrayRead(readElement: Read, nullable: boolean, flexible: boolean): Read {
  return (reader, budget) => {
    const length = flexible ? reader.uvarint() - 1 : reader.i32()
    if (length < 0) return absent(nullable, 'array')
    // Every element has at least one byte.
    if (length > reader.remaining) {
      throw new MalformedBytes(`an array of ${length} elements where ${reader.remaining} bytes are left`)
    }
    budget.elementsLeft -= length
    if (budget.elementsLeft < 0) throw new MalformedBytes('more array elements than a message may have')
    const elements: unknown[] = []
    for (let i = 0; i < length; i++) elements.push(readElement(reader, budget))
    return elements
  }
}

function absent(nullable: boolean, kind: string): null {
  if (!nullable) throw new MalformedBytes(`null where a value of kind ${kind} must be`)
  return null
}

function readInt64(reader: ByteReader): number {
  const value = reader.i32() * TWO_32 + reader.u32()
  return Math.min(Math.max(value, LONG_MIN), LONG_MAX)
}

function readUuid(reader: ByteReader): string {
  const { bytes } = reader
  const at = reader.take(16)
  const zero =
    bytes.readInt32BE(at) === 0 &&
    bytes.readInt32BE(at + 4) === 0 &&
    bytes.readInt32BE(at + 8) === 0 &&
    bytes.readInt32BE(at + 12) === 0
  return zero ? '' : bytes.toString('base64url', at, at + 16)
}
