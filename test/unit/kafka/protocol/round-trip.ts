import fc from 'fast-check'
import { expect } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import { decodeMessage, encodeMessage } from '#kafka/protocol/codec.ts'
import { type Decoded, type Message, MessageWriter } from '#kafka/protocol/protocol.ts'
import { type AnyField, type Fields, includes } from '#kafka/protocol/schema.ts'

/** Random messages, each written and read again. */
export function checkRoundTrips(message: Message, version: number, options: { seed: number; runs: number }): void {
  const property = fc.property(messages(message, version), value => {
    const writer = new MessageWriter()
    encodeMessage(message, version, value, writer)
    const reader = new ByteReader(Buffer.concat(writer.takeChunks()))
    expect(decodeMessage(message, version, reader)).toEqual(value)
  })
  fc.assert(property, { seed: options.seed, numRuns: options.runs })
}

export function messages(message: Message, version: number): fc.Arbitrary<Decoded<Message>> {
  return structs(message.fields, version)
}

function structs(fields: Fields, version: number): fc.Arbitrary<Record<string, unknown>> {
  const members = Object.entries(fields).map(([name, field]) => [name, values(field, version)])
  return fc.record(Object.fromEntries(members), { noNullPrototype: true })
}

function values(field: AnyField, version: number): fc.Arbitrary<unknown> {
  const { versions, nullable, fallback } = field.spec
  if (!includes(versions, version)) return fc.constant(fallback)
  const present = presentValues(field, version)
  return includes(nullable, version) ? fc.option(present) : present
}

function presentValues(field: AnyField, version: number): fc.Arbitrary<unknown> {
  const { shape } = field.spec
  switch (shape.kind) {
    case 'struct':
      return structs(shape.fields, version)
    case 'array':
      return fc.array(values(shape.of, version), { maxLength: 3 })
    case 'bool':
      return fc.boolean()
    case 'int8':
      return fc.integer({ min: -128, max: 127 })
    case 'int16':
      return fc.integer({ min: -32768, max: 32767 })
    case 'uint16':
      return fc.integer({ min: 0, max: 65535 })
    case 'int32':
      return fc.integer()
    case 'int64':
      return fc.maxSafeInteger()
    case 'float64':
      return fc.double()
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 200 })
    case 'bytes':
    case 'records':
      return fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map(uuidText)
  }
}

function uuidText(bytes: Uint8Array): string {
  return bytes.every(byte => byte === 0) ? '' : Buffer.from(bytes).toString('base64url')
}
