import type { ByteReader } from '#bytes/cursor.ts'
import type { Broker, RequestContext } from './broker.ts'
import type { Frame, KafkaConnection, Requests } from './connection.ts'
import type { Handler } from './handler.ts'
import { PRODUCE_KEY, PRODUCE_VERSIONS, produce } from './produce.ts'
import { ApiVersionsResponse } from './protocol/apis/18-api-versions.ts'
import {
  type Decoded,
  decodeRequest,
  decodeRequestHeader,
  type Encodable,
  encodeResponse,
  errorCode,
  type Message,
  MessageWriter,
  type RequestHeader,
} from './protocol/protocol.ts'

// From a request's header to its handler and back. What is not served, in a version that is not, or cannot be read, closes
// the connection, as in Kafka; only ApiVersions answers a version it does not know.

const API_VERSIONS_KEY = 18
const UNSUPPORTED_VERSION = errorCode('UNSUPPORTED_VERSION')

export class Dispatch implements Requests {
  readonly #broker: Broker
  readonly #handlers: ReadonlyMap<number, Handler>

  constructor(broker: Broker, handlers: ReadonlyMap<number, Handler>) {
    this.#broker = broker
    this.#handlers = handlers
  }

  begin(
    reader: ByteReader,
    connection: KafkaConnection,
  ): { header: RequestHeader; handler: Handler | 'produce' } | null {
    const { bytes, offset } = reader
    const apiKey = reader.remaining >= 4 ? bytes.readInt16BE(offset) : -1
    const versions = apiKey === PRODUCE_KEY ? PRODUCE_VERSIONS : this.#handlers.get(apiKey)?.versions
    const version = apiKey < 0 ? -1 : bytes.readInt16BE(offset + 2)
    if (versions === undefined || version < versions.min || version > versions.max) {
      this.#unsupported(reader, connection, apiKey, version)
      return null
    }
    const header = decodeRequestHeader(reader)
    this.#broker.metrics.requests.of(apiKey).value++
    return { header, handler: this.#handlers.get(apiKey) ?? 'produce' }
  }

  #unsupported(reader: ByteReader, connection: KafkaConnection, apiKey: number, version: number): void {
    const apiVersions = this.#handlers.get(API_VERSIONS_KEY)
    if (apiKey !== API_VERSIONS_KEY || apiVersions === undefined || reader.remaining < 8) {
      connection.close(`api key ${apiKey} in version ${version} is not served`)
      return
    }
    // KIP-511: in version 0, with nothing but the versions of this API.
    const { min, max } = apiVersions.versions
    const apiKeys = [{ apiKey: API_VERSIONS_KEY, minVersion: min, maxVersion: max }]
    const writer = new MessageWriter()
    const correlationId = reader.bytes.readInt32BE(reader.offset + 4)
    encodeResponse(
      ApiVersionsResponse,
      { apiVersion: 0, correlationId },
      { errorCode: UNSUPPORTED_VERSION, apiKeys },
      writer,
    )
    connection.socket.write(writer.takeChunks())
  }

  produce(connection: KafkaConnection, frame: Frame, header: RequestHeader, reader: ByteReader): Promise<void> | null {
    return produce(connection, frame, header, reader)
  }

  answer(
    handler: Handler,
    header: RequestHeader,
    reader: ByteReader,
    context: RequestContext,
  ): Promise<MessageWriter> | MessageWriter {
    const { clock, settings } = this.#broker
    const beganMs = clock.monotonicMs()
    const request = decodeRequest(handler.request, header.apiVersion, reader, settings.maxRequestElements)
    const handle = handler.handle as (request: Decoded<Message>, context: RequestContext) => unknown
    const response = handle(request, context)
    const encode = (value: unknown): MessageWriter =>
      this.#encode(handler, header, value as Encodable<Message>, beganMs)
    return response instanceof Promise ? response.then(encode) : encode(response)
  }

  #encode(handler: Handler, header: RequestHeader, value: Encodable<Message>, beganMs: number): MessageWriter {
    const { metrics, clock } = this.#broker
    const writer = new MessageWriter()
    encodeResponse(handler.response, header, value, writer)
    metrics.requestLatency.of(header.apiKey).observe((clock.monotonicMs() - beganMs) / 1000)
    if (writer.tellsError) metrics.requestErrors.of(header.apiKey).value++
    return writer
  }
}
