import { readFileSync } from 'node:fs'
import type { Decoded, Message } from '#kafka/protocol/protocol.ts'
import { type AnyField, type Fields, includes } from '#kafka/protocol/schema.ts'

// What Apache Kafka's own classes wrote (fixtures/wire/kafka.txt), and the values that they wrote: these follow from
// the paths of the fields by the rule that test/long/wire/WireGolden.java has too. So a field of a wrong name, type,
// place or version shows.

export const CLIENT_ID = 'golden'
export const CORRELATION_ID = 7

export type Variant = 'full' | 'nulls' | 'defaults'

export interface GoldenLine {
  readonly name: string
  readonly version: number
  readonly variant: Variant
  /** Header and body. */
  readonly hex: string
}

export interface GoldenError {
  readonly code: number
  readonly name: string
  readonly retriable: boolean
}

function readFixture(): string[][] {
  const text = readFileSync(new URL('../../../../fixtures/wire/kafka.txt', import.meta.url), 'utf8')
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return lines.map(line => line.split(' '))
}

export function readGoldenErrors(): GoldenError[] {
  const lines = readFixture().filter(([first]) => first === 'error')
  return lines.map(([, code, name = '', rest]) => ({ code: Number(code), name, retriable: rest === 'retriable' }))
}

/** By the path of the field; what is zero or empty by default is not among them. */
export function readGoldenDefaults(): Map<string, string> {
  const lines = readFixture().filter(([first]) => first === 'default')
  return new Map(lines.map(([, path = '', value = '']) => [path, value]))
}

export function readGolden(): GoldenLine[] {
  const lines = readFixture().filter(([first]) => first !== 'error' && first !== 'default')
  return lines.map(([name = '', version, variant, hex = '']) => {
    return { name, version: Number(version), variant: variant as Variant, hex }
  })
}

export function goldenValue(message: Message, version: number, variant: Variant): Decoded<Message> {
  return structValue(message.fields, version, message.name, variant)
}

function structValue(fields: Fields, version: number, path: string, variant: Variant): Record<string, unknown> {
  const members = Object.entries(fields).map(([name, field]) => {
    const absent = variant === 'defaults' || !includes(field.spec.versions, version)
    if (absent) return [name, field.spec.fallback]
    const isNull = variant === 'nulls' && includes(field.spec.nullable, version)
    return [name, isNull ? null : fieldValue(field, version, `${path}.${name}`, variant)]
  })
  return Object.fromEntries(members)
}

function fieldValue(field: AnyField, version: number, path: string, variant: Variant): unknown {
  const { shape } = field.spec
  const hash = fnv1a(path)
  switch (shape.kind) {
    case 'struct':
      return structValue(shape.fields, version, path, variant)
    case 'array':
      return Array.from({ length: 1 + (hash % 2) }, (_, i) => fieldValue(shape.of, version, `${path}.${i}`, variant))
    case 'bool':
      return hash % 2 === 1
    case 'int8':
      return (hash << 24) >> 24
    case 'int16':
      return (hash << 16) >> 16
    case 'uint16':
      return hash & 0xffff
    case 'int32':
      return hash | 0
    case 'int64':
      return (hash | 0) * 1048576 + (hash & 0xfffff)
    case 'float64':
      return (hash | 0) / 8
    case 'string':
      return text(hash)
    case 'bytes':
    case 'records':
      return Buffer.from(text(hash))
    case 'uuid':
      return Buffer.from(hash.toString(16).padStart(8, '0').repeat(4), 'hex').toString('base64url')
  }
}

/** Now and then too long for a length of one byte. */
function text(hash: number): string {
  return (hash % 16 === 0 ? 'long'.repeat(35) : 'é') + hash.toString(36)
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619)
  return hash >>> 0
}
