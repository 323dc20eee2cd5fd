import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import { MessageWriter } from './message-writer.ts'
import {
  type AnyField,
  type Fields,
  includes,
  LONG_MAX,
  LONG_MIN,
  NEVER,
  type RecordSlices,
  STRING_MAX_BYTES,
} from './schema.ts'

// From a schema and a version to a function that writes it. The values are of the schema's types: the compiler has
// seen to it.

export type Write = (writer: MessageWriter, value: unknown) => void

type Struct = Readonly<Record<string, unknown>>

export function compileStructWrite(fields: Fields, version: number, flexible: boolean): Write {
  const plain: { name: string; fallback: unknown; write: Write }[] = []
  const tagged: { tag: number; name: string; field: AnyField; write: Write }[] = []
  const mustBeDefault: { name: string; field: AnyField }[] = []
  for (const [name, field] of Object.entries(fields)) {
    const { versions, ignorable, tag, fallback } = field.spec
    if (!includes(versions, version)) {
      if (!ignorable) mustBeDefault.push({ name, field })
      continue
    }
    const write = compileWrite(name, field, version, flexible)
    if (tag !== null) tagged.push({ tag, name, field, write })
    else plain.push({ name, fallback, write })
  }
  tagged.sort((a, b) => a.tag - b.tag)
  return (writer, value) => {
    const struct = value as Struct
    for (const { name, field } of mustBeDefault) {
      if (!isDefault(field, struct[name])) {
        throw new ChronikError('NOT_IN_VERSION', 'invalid', `version ${version} cannot carry a value of ${name}`)
      }
    }
    for (let i = 0; i < plain.length; i++) {
      const { name, fallback, write } = plain[i]!
      const member = struct[name]
      write(writer, member === undefined ? fallback : member)
    }
    if (!flexible) return
    const present = tagged.length === 0 ? tagged : tagged.filter(({ name, field }) => !isDefault(field, struct[name]))
    writer.uvarint(present.length)
    for (const { tag, name, write } of present) {
      const scratch = new MessageWriter()
      write(scratch, struct[name])
      writer.uvarint(tag)
      writer.uvarint(scratch.offset)
      writer.raw(scratch.written())
    }
  }
}

function isDefault(field: AnyField, value: unknown): boolean {
  const { shape, fallback } = field.spec
  if (value === undefined || value === fallback) return true
  if (value === null || fallback === null) return false
  switch (shape.kind) {
    case 'array':
    case 'bytes':
      return (value as { length: number }).length === 0
    case 'struct':
      return Object.entries(shape.fields).every(([name, member]) => isDefault(member, (value as Struct)[name]))
    default:
      return false
  }
}

function compileWrite(name: string, field: AnyField, version: number, flexible: boolean): Write {
  const write = compileValueWrite(name, field, version, flexible)
  if (field.spec.nullable === NEVER) return write
  const writeNull = includes(field.spec.nullable, version)
    ? compileNullWrite(field, flexible)
    : () => {
        throw new ChronikError('NOT_IN_VERSION', 'invalid', `version ${version} cannot carry a null ${name}`)
      }
  return (writer, value) => (value === null ? writeNull(writer) : write(writer, value))
}

function compileNullWrite(field: AnyField, flexible: boolean): (writer: MessageWriter) => void {
  const { kind } = field.spec.shape
  if (kind === 'struct') return writer => writer.i8(-1)
  if (flexible) return writer => writer.uvarint(0)
  return kind === 'string' ? writer => writer.i16(-1) : writer => writer.i32(-1)
}

function compileValueWrite(name: string, field: AnyField, version: number, flexible: boolean): Write {
  const { shape } = field.spec
  switch (shape.kind) {
    case 'bool':
      return (writer, value) => writer.u8(value === true ? 1 : 0)
    case 'int8':
      return (writer, value) => writer.i8(value as number)
    case 'int16':
      return name === 'errorCode' ? writeErrorCode : (writer, value) => writer.i16(value as number)
    case 'uint16':
      return (writer, value) => writer.u16(value as number)
    case 'int32':
      return (writer, value) => writer.i32(value as number)
    case 'int64':
      return writeInt64
    case 'float64':
      return (writer, value) => writer.f64(value as number)
    case 'uuid':
      return writeUuid
    case 'string':
      return flexible ? writeCompactString : writeString
    case 'bytes':
      return (writer, value) => {
        writeLength(writer, (value as Buffer).length, flexible)
        writer.raw(value as Buffer)
      }
    case 'records':
      return (writer, value) => writeRecords(writer, value as Buffer | RecordSlices, flexible)
    case 'array':
      return compileArrayWrite(compileWrite(name, shape.of, version, flexible), flexible)
    case 'struct': {
      const write = compileStructWrite(shape.fields, version, flexible)
      if (!includes(field.spec.nullable, version)) return write
      return (writer, value) => {
        writer.i8(1)
        write(writer, value)
      }
    }
  }
}

function writeErrorCode(writer: MessageWriter, value: unknown): void {
  writer.i16(value as number)
  if (value !== 0) writer.tellsError = true
}

function compileArrayWrite(writeElement: Write, flexible: boolean): Write {
  return (writer, value) => {
    const elements = value as readonly unknown[]
    writeLength(writer, elements.length, flexible)
    for (let i = 0; i < elements.length; i++) writeElement(writer, elements[i])
  }
}

function writeLength(writer: MessageWriter, length: number, flexible: boolean): void {
  if (flexible) writer.uvarint(length + 1)
  else writer.i32(length)
}

function writeString(writer: MessageWriter, value: unknown): void {
  const byteLength = textLength(value as string)
  writer.i16(byteLength)
  writeText(writer, value as string, byteLength)
}

function writeCompactString(writer: MessageWriter, value: unknown): void {
  const byteLength = textLength(value as string)
  writer.uvarint(byteLength + 1)
  writeText(writer, value as string, byteLength)
}

/** A text that came in as invalid UTF-8 goes out longer: it may be too long through no fault of ours. */
function textLength(text: string): number {
  const byteLength = Buffer.byteLength(text)
  if (byteLength <= STRING_MAX_BYTES) return byteLength
  throw new ChronikError(
    'STRING_TOO_LONG',
    'invalid',
    `a string of ${byteLength} bytes, at most ${STRING_MAX_BYTES} can be sent`,
  )
}

function writeText(writer: MessageWriter, text: string, byteLength: number): void {
  const at = writer.reserve(byteLength)
  writer.bytes.write(text, at, byteLength, 'utf8')
}

function writeRecords(writer: MessageWriter, value: Buffer | RecordSlices, flexible: boolean): void {
  if (Buffer.isBuffer(value)) {
    writeLength(writer, value.length, flexible)
    writer.splice(value)
    return
  }
  writeLength(writer, value.byteLength, flexible)
  const end = writer.byteLength + value.byteLength
  for (const slice of value.slices) writer.splice(slice)
  assert(writer.byteLength === end, 'the slices of records are as long as announced')
}

function writeInt64(writer: MessageWriter, value: unknown): void {
  const number = value as number
  assert(Number.isSafeInteger(number), 'an int64 is a whole number within LONG_MIN and LONG_MAX')
  if (number === LONG_MAX) {
    writer.u32(0x7fffffff)
    writer.u32(0xffffffff)
  } else if (number === LONG_MIN) {
    writer.u32(0x80000000)
    writer.u32(0)
  } else {
    writer.i64(number)
  }
}

function writeUuid(writer: MessageWriter, value: unknown): void {
  const text = value as string
  const at = writer.reserve(16)
  if (text === '') {
    writer.bytes.fill(0, at, at + 16)
    return
  }
  const length = writer.bytes.write(text, at, 16, 'base64url')
  assert(length === 16 && text.length === 22, 'a uuid is 22 characters of base64url')
}
