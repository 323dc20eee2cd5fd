import type { ByteReader } from '#bytes/cursor.ts'
import { apis } from './apis.ts'
import { decodeMessage, encodeMessage } from './codec.ts'
import {
  type Exchange,
  type RequestHeader,
  readRequestHeader,
  readResponseHeader,
  writeRequestHeader,
  writeResponseHeader,
} from './headers.ts'
import { MessageWriter } from './message-writer.ts'
import type { Decoded, Encodable, Message } from './schema.ts'

export { type Api, apis } from './apis.ts'
export { errorCode, errorName, type KafkaErrorName, kafkaErrors } from './error-codes.ts'
export type { Exchange, RequestHeader } from './headers.ts'
export { MessageWriter } from './message-writer.ts'
export { type Decoded, type Encodable, LONG_MAX, LONG_MIN, type Message, type RecordSlices } from './schema.ts'

// The wire protocol of Kafka. A frame is a size (int32), a header and a body. The broker reads the header, then the
// body by the API's request schema, and writes a whole frame by its response schema; tools and tests go the other
// way. Readers stand behind the size.

export function decodeRequestHeader(reader: ByteReader): RequestHeader {
  return readRequestHeader(reader, key => apis.get(key)?.flexibleFrom ?? Infinity)
}

/** Throws MalformedBytes if the bytes do not begin with a body, or hold more array elements, of all levels together. */
export function decodeRequest<M extends Message>(
  request: M,
  version: number,
  reader: ByteReader,
  maxElements = Number.POSITIVE_INFINITY,
): Decoded<M> {
  return decodeMessage(request, version, reader, maxElements)
}

/** Appends the frame of a response. */
export function encodeResponse<M extends Message>(
  response: M,
  exchange: Exchange,
  value: Encodable<M>,
  writer: MessageWriter,
): void {
  writer.frame(() => {
    writeResponseHeader(writer, response, exchange)
    encodeMessage(response, exchange.apiVersion, value, writer)
  })
}

/** The frame of a response as chunks to send one behind the other; large records among them are not copied. */
export function encodeResponseChunks<M extends Message>(
  response: M,
  exchange: Exchange,
  value: Encodable<M>,
): Buffer[] {
  const writer = new MessageWriter()
  encodeResponse(response, exchange, value, writer)
  return writer.takeChunks()
}

/** Appends the frame of a request. */
export function encodeRequest<M extends Message>(
  request: M,
  header: Exchange & { readonly clientId: string | null },
  value: Encodable<M>,
  writer: MessageWriter,
): void {
  writer.frame(() => {
    writeRequestHeader(writer, request, header)
    encodeMessage(request, header.apiVersion, value, writer)
  })
}

export function decodeResponse<M extends Message>(
  response: M,
  version: number,
  reader: ByteReader,
): { correlationId: number; value: Decoded<M> } {
  const correlationId = readResponseHeader(reader, response, version)
  return { correlationId, value: decodeMessage(response, version, reader) }
}
