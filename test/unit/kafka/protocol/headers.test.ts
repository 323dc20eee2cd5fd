import { describe, expect, it } from 'vitest'
import { ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { HeartbeatRequest, HeartbeatResponse } from '#kafka/protocol/apis/12-heartbeat.ts'
import { SaslHandshakeRequest, SaslHandshakeResponse } from '#kafka/protocol/apis/17-sasl-handshake.ts'
import { ApiVersionsRequest, ApiVersionsResponse } from '#kafka/protocol/apis/18-api-versions.ts'
import {
  type RequestHeader,
  readResponseHeader,
  writeRequestHeader,
  writeResponseHeader,
} from '#kafka/protocol/headers.ts'
import { decodeRequestHeader, type Message, MessageWriter } from '#kafka/protocol/protocol.ts'

function requestHeader(message: Message, version: number, clientId: string | null): string {
  const writer = new MessageWriter()
  writeRequestHeader(writer, message, { apiVersion: version, correlationId: 258, clientId })
  return writer.written().toString('hex')
}

function responseHeader(message: Message, version: number): string {
  const writer = new MessageWriter()
  writeResponseHeader(writer, message, { apiVersion: version, correlationId: 258 })
  return writer.written().toString('hex')
}

function read(hex: string): RequestHeader & { readonly left: number } {
  const reader = new ByteReader(Buffer.from(hex, 'hex'))
  return { ...decodeRequestHeader(reader), left: reader.remaining }
}

describe('a request header', () => {
  it('has tags from the first flexible version on, and a client id that is never compact', () => {
    expect(requestHeader(HeartbeatRequest, 3, 'me')).toBe('000c' + '0003' + '00000102' + '00026d65')
    expect(requestHeader(HeartbeatRequest, 4, 'me')).toBe('000c' + '0004' + '00000102' + '00026d65' + '00')
    expect(requestHeader(ApiVersionsRequest, 3, null)).toBe('0012' + '0003' + '00000102' + 'ffff' + '00')
    expect(requestHeader(SaslHandshakeRequest, 1, null)).toBe('0011' + '0001' + '00000102' + 'ffff')
  })

  it('is read by the version that it carries', () => {
    const header = { apiKey: 12, correlationId: 258, clientId: 'me' }
    expect(read('000c' + '0003' + '00000102' + '00026d65' + 'ab')).toEqual({ ...header, apiVersion: 3, left: 1 })
    expect(read('000c' + '0004' + '00000102' + '00026d65' + '00ab')).toEqual({ ...header, apiVersion: 4, left: 1 })
    expect(read('000c' + '0004' + '00000102' + '00026d65' + '010102ffff')).toEqual({
      ...header,
      apiVersion: 4,
      left: 0,
    })
  })

  it('without a client id has an empty one', () => {
    expect(read('0012' + '0000' + '00000102' + 'ffff')).toMatchObject({ clientId: '' })
  })

  it('of a version that no schema has yet is read as the newest form', () => {
    expect(read('0012' + '0063' + '00000102' + 'ffff' + '00' + 'ab')).toMatchObject({ apiVersion: 99, left: 1 })
  })

  it('of an unknown api is read without tags', () => {
    expect(read('03e7' + '0009' + '00000102' + '0000' + '00')).toMatchObject({ apiKey: 999, left: 1 })
  })

  it('that ends early is malformed', () => {
    for (const hex of [
      '',
      '000c',
      '000c0004000001',
      '000c0004000001020005',
      '000c00040000010200026d65',
      '000c0004000001020000010105',
    ]) {
      expect(() => read(hex)).toThrow(MalformedBytes)
    }
  })
})

describe('a response header', () => {
  it('has tags from the first flexible version on', () => {
    expect(responseHeader(HeartbeatResponse, 3)).toBe('00000102')
    expect(responseHeader(HeartbeatResponse, 4)).toBe('00000102' + '00')
    expect(responseHeader(SaslHandshakeResponse, 1)).toBe('00000102')
  })

  it('of ApiVersions never has tags', () => {
    for (let version = 0; version <= 5; version++) expect(responseHeader(ApiVersionsResponse, version)).toBe('00000102')
  })

  it('is read as it was written', () => {
    const reader = new ByteReader(Buffer.from('00000102' + '01aa02bbbb' + 'cc', 'hex'))
    expect(() => readResponseHeader(reader, HeartbeatResponse, 4)).toThrow(MalformedBytes)
    const tagged = new ByteReader(Buffer.from('00000102' + '010502bbbb' + 'cc', 'hex'))
    expect(readResponseHeader(tagged, HeartbeatResponse, 4)).toBe(258)
    expect(tagged.remaining).toBe(1)
  })
})
