import { ChronikError } from '#base/errors.ts'
import { type ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { compileStructRead, type Read } from './decoder.ts'
import { compileStructWrite, type Write } from './encoder.ts'
import type { MessageWriter } from './message-writer.ts'
import { type Decoded, type Encodable, includes, type Message } from './schema.ts'

interface Codec {
  readonly read: Read
  readonly write: Write
}

// By message and version; compiled when first used.
const codecs = new WeakMap<Message, Map<number, Codec>>()

function codecOf(message: Message, version: number): Codec {
  return codecs.get(message)?.get(version) ?? compile(message, version)
}

function compile(message: Message, version: number): Codec {
  if (!includes(message.versions, version)) {
    throw new ChronikError('UNSUPPORTED_VERSION', 'invalid', `${message.name} has no version ${version}`)
  }
  const flexible = version >= message.flexibleFrom
  const codec: Codec = {
    read: compileStructRead(message.fields, version, flexible),
    write: compileStructWrite(message.fields, version, flexible),
  }
  const versions = codecs.get(message) ?? new Map<number, Codec>()
  codecs.set(message, versions.set(version, codec))
  return codec
}

/**
 * Reads a message, of at most so many array elements together. Bytes behind it stay unread, as in Kafka: there are clients that
 * send some (librdkafka behind a Metadata request for all topics).
 */
export function decodeMessage<M extends Message>(
  message: M,
  version: number,
  reader: ByteReader,
  maxElements = Number.POSITIVE_INFINITY,
): Decoded<M> {
  const { read } = codecOf(message, version)
  try {
    return read(reader, { elementsLeft: maxElements }) as Decoded<M>
  } catch (error) {
    if (error instanceof MalformedBytes) throw new MalformedBytes(`${message.name} v${version}: ${error.message}`)
    throw error
  }
}

export function encodeMessage<M extends Message>(
  message: M,
  version: number,
  value: Encodable<M>,
  writer: MessageWriter,
): void {
  codecOf(message, version).write(writer, value)
}
