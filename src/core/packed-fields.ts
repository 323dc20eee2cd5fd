import { assert } from '#base/assert.ts'
import { type ByteReader, type ByteWriter, MalformedBytes } from '#bytes/cursor.ts'
import { viewOf } from './fields.ts'
import type { Producer } from './producers.ts'

// Fields of partitions that there may be much of, in checkpoints and in segments: rows of numbers as they lie in memory, and
// producers through one view.

const PRODUCER_BYTES = 19
const KEPT_BATCH_BYTES = 24
const TWO_32 = 4294967296
export const NO_NUMBERS = new Float64Array(0)
/** Numbers are stored little-endian, as nearly every machine has them in memory. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

export function writeNumbers(into: ByteWriter, numbers: Float64Array): void {
  into.u32(numbers.length)
  into.raw(littleEndian(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength)))
}

export function readNumbers(from: ByteReader): Float64Array {
  const sizeBytes = from.u32() * Float64Array.BYTES_PER_ELEMENT
  const packed = from.view(sizeBytes)
  const bytes = new Uint8Array(sizeBytes)
  bytes.set(littleEndian(packed))
  return new Float64Array(bytes.buffer)
}

/** Numbers of 64 bits on their way from memory to what is stored, or back; the argument may be the answer. */
function littleEndian(bytes: Uint8Array): Uint8Array {
  return IS_LITTLE_ENDIAN ? bytes : Buffer.from(bytes).swap64()
}

export function producersSizeBytes(producers: ReadonlyMap<number, Producer>): number {
  let sizeBytes = producers.size * PRODUCER_BYTES
  for (const producer of producers.values()) sizeBytes += producer.batches.length * KEPT_BATCH_BYTES
  return sizeBytes
}

/** Their count is not among the bytes. */
export function writeProducers(into: ByteWriter, producers: ReadonlyMap<number, Producer>): void {
  let at = into.reserve(producersSizeBytes(producers))
  const view = viewOf(into.bytes)
  for (const [id, producer] of producers) {
    setI64(view, at, id)
    view.setInt16(at + 8, producer.epoch)
    view.setFloat64(at + 10, producer.lastAppendMs)
    view.setUint8(at + 18, producer.batches.length)
    at += PRODUCER_BYTES
    for (const batch of producer.batches) {
      view.setInt32(at, batch.firstSequence)
      view.setInt32(at + 4, batch.lastSequence)
      setI64(view, at + 8, batch.baseOffset)
      view.setFloat64(at + 16, batch.timestampMs)
      at += KEPT_BATCH_BYTES
    }
  }
  assert(at === into.offset, 'producers take the bytes that were counted for them')
}

export function readProducers(from: ByteReader, count: number): Map<number, Producer> {
  const view = viewOf(from.bytes)
  const producers = new Map<number, Producer>()
  for (let left = count; left > 0; left--) {
    let at = from.take(PRODUCER_BYTES)
    const id = getI64(view, at)
    const producer: Producer = { epoch: view.getInt16(at + 8), lastAppendMs: view.getFloat64(at + 10), batches: [] }
    const batchCount = view.getUint8(at + 18)
    at = from.take(batchCount * KEPT_BATCH_BYTES)
    for (const end = at + batchCount * KEPT_BATCH_BYTES; at < end; at += KEPT_BATCH_BYTES) {
      producer.batches.push({
        firstSequence: view.getInt32(at),
        lastSequence: view.getInt32(at + 4),
        baseOffset: getI64(view, at + 8),
        timestampMs: view.getFloat64(at + 16),
      })
    }
    producers.set(id, producer)
  }
  return producers
}

function setI64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  view.setInt32(at, high)
  view.setUint32(at + 4, value - high * TWO_32)
}

function getI64(view: DataView, at: number): number {
  const value = view.getInt32(at) * TWO_32 + view.getUint32(at + 4)
  if (!Number.isSafeInteger(value)) throw new MalformedBytes('a 64-bit number is larger than 2^53')
  return value
}
