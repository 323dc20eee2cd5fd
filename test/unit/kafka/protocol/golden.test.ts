import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import {
  apis,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  LONG_MAX,
  type Message,
  MessageWriter,
} from '#kafka/protocol/protocol.ts'
import type { Fields } from '#kafka/protocol/schema.ts'
import {
  CLIENT_ID,
  CORRELATION_ID,
  type GoldenLine,
  goldenValue,
  readGolden,
  readGoldenDefaults,
} from './golden-values.ts'

const goldenDefaults = readGoldenDefaults()
const golden = new Map(readGolden().map(line => [keyOf(line.name, line.version, line.variant), line]))

function keyOf(name: string, version: number, variant: string): string {
  return `${name} ${version} ${variant}`
}

function linesOf(message: Message): GoldenLine[] {
  const lines: GoldenLine[] = []
  for (let version = message.versions.min; version <= message.versions.max; version++) {
    for (const variant of ['full', 'nulls', 'defaults']) {
      const line = golden.get(keyOf(message.name, version, variant))
      if (line === undefined) throw new Error(`fixtures/wire/kafka.txt has no ${message.name} v${version} ${variant}`)
      lines.push(line)
    }
  }
  return lines
}

/** Paths and defaults of all fields; '' where a default is zero or empty. */
function defaultsIn(fields: Fields, path: string): [path: string, value: string][] {
  return Object.entries(fields).flatMap(([name, { spec }]) => {
    const own: [string, string] = [`${path}.${name}`, defaultText(spec.fallback)]
    const shape = spec.shape.kind === 'array' ? spec.shape.of.spec.shape : spec.shape
    return [own, ...(shape.kind === 'struct' ? defaultsIn(shape.fields, own[0]) : [])]
  })
}

function defaultText(value: unknown): string {
  if (value === LONG_MAX) return '9223372036854775807'
  const isPlain = value === null || typeof value !== 'object'
  return isPlain && value !== 0 && value !== false ? String(value) : ''
}

function written(write: (writer: MessageWriter) => void): string {
  const writer = new MessageWriter()
  write(writer)
  const frame = Buffer.concat(writer.takeChunks())
  expect(frame.readInt32BE(0)).toBe(frame.length - 4)
  return frame.toString('hex', 4)
}

describe.each([...apis.values()])('$name, in every version', ({ key, request, response }) => {
  it('has the defaults of Apache Kafka', () => {
    for (const { name, fields } of [request, response]) {
      const ours = defaultsIn(fields, name)
      expect(ours).toEqual(ours.map(([path]) => [path, goldenDefaults.get(path) ?? '']))
    }
  })

  it('writes a request as Apache Kafka does', () => {
    for (const { version, variant, hex } of linesOf(request)) {
      const header = { apiVersion: version, correlationId: CORRELATION_ID, clientId: CLIENT_ID }
      const value = goldenValue(request, version, variant)
      expect(written(writer => encodeRequest(request, header, value, writer))).toBe(hex)
    }
  })

  it('reads a request of Apache Kafka', () => {
    for (const { version, variant, hex } of linesOf(request)) {
      const reader = new ByteReader(Buffer.from(hex, 'hex'))
      const header = { apiKey: key, apiVersion: version, correlationId: CORRELATION_ID, clientId: CLIENT_ID }
      expect(decodeRequestHeader(reader)).toEqual(header)
      expect(decodeRequest(request, version, reader)).toEqual(goldenValue(request, version, variant))
    }
  })

  it('writes a response as Apache Kafka does', () => {
    for (const { version, variant, hex } of linesOf(response)) {
      const value = goldenValue(response, version, variant)
      const exchange = { apiVersion: version, correlationId: CORRELATION_ID }
      expect(written(writer => encodeResponse(response, exchange, value, writer))).toBe(hex)
    }
  })

  it('reads a response of Apache Kafka', () => {
    for (const { version, variant, hex } of linesOf(response)) {
      const value = goldenValue(response, version, variant)
      const reader = new ByteReader(Buffer.from(hex, 'hex'))
      expect(decodeResponse(response, version, reader)).toEqual({ correlationId: CORRELATION_ID, value })
    }
  })
})
