import type { ByteReader } from '#bytes/cursor.ts'
import type { MessageWriter } from './message-writer.ts'
import type { Message } from './schema.ts'

// The headers before the bodies. Request header v1: api key, api version, correlation id, client id; v2 adds tags.
// (v0, without client id, belonged to ControlledShutdown.) Response header v0: correlation id; v1 adds tags.

const API_VERSIONS_KEY = 18

/** What a request and its response have in common. */
export interface Exchange {
  readonly apiVersion: number
  readonly correlationId: number
}

export interface RequestHeader extends Exchange {
  readonly apiKey: number
  /** '' if the client gave none. */
  readonly clientId: string
}

/** `flexibleFrom` knows for an api key the first version with tags, Infinity for an unknown one. */
export function readRequestHeader(reader: ByteReader, flexibleFrom: (apiKey: number) => number): RequestHeader {
  const apiKey = reader.i16()
  const apiVersion = reader.i16()
  const correlationId = reader.i32()
  const clientIdLength = reader.i16()
  // The client id keeps its two-byte length in every version: the broker can read it before it knows the version.
  const clientId = clientIdLength < 0 ? '' : reader.utf8(clientIdLength)
  if (apiVersion >= flexibleFrom(apiKey)) skipTags(reader)
  return { apiKey, apiVersion, correlationId, clientId }
}

export function writeRequestHeader(
  writer: MessageWriter,
  message: Message,
  header: Exchange & { readonly clientId: string | null },
): void {
  const { apiVersion, correlationId, clientId } = header
  writer.i16(message.api.key)
  writer.i16(apiVersion)
  writer.i32(correlationId)
  if (clientId === null) {
    writer.i16(-1)
  } else {
    writer.i16(Buffer.byteLength(clientId))
    writer.utf8(clientId)
  }
  if (apiVersion >= message.flexibleFrom) writer.uvarint(0)
}

/** Returns the correlation id. */
export function readResponseHeader(reader: ByteReader, message: Message, version: number): number {
  const correlationId = reader.i32()
  if (responseHeaderHasTags(message, version)) skipTags(reader)
  return correlationId
}

export function writeResponseHeader(writer: MessageWriter, message: Message, exchange: Exchange): void {
  writer.i32(exchange.correlationId)
  if (responseHeaderHasTags(message, exchange.apiVersion)) writer.uvarint(0)
}

/** KIP-511: a client cannot know the version of an ApiVersions response before it has read the body. */
function responseHeaderHasTags(message: Message, version: number): boolean {
  return version >= message.flexibleFrom && message.api.key !== API_VERSIONS_KEY
}

function skipTags(reader: ByteReader): void {
  for (let left = reader.uvarint(); left > 0; left--) {
    reader.uvarint()
    reader.take(reader.uvarint())
  }
}
