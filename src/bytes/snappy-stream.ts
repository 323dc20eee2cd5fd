import { InvalidCompression, OutputTooLarge } from './errors.ts'

// Snappy as Kafka's clients write it: one raw block (librdkafka, Go), or the stream of snappy-java (Java, Python):
//
//   82 'SNAPPY' 00   i32 version 1   i32 oldest reader 1   chunks: i32 size, a raw block of that size
//
// A raw block begins with the size of what comes out of it, unsigned, seven bits a byte.

const STREAM_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const STREAM_HEADER_BYTES = 16
const STREAM_VERSION = 1
// The element of a raw block that stands for most: 3 bytes for a copy of 64.
const MAX_RATIO = 64 / 3

/** The raw blocks in `input` as one, out of which at most `maxOutputBytes` come. */
export function snappyBlockOf(input: Buffer, maxOutputBytes: number): Buffer {
  if (!isStream(input)) {
    const start = readSize(input, 0, input.length)
    checkSizes(blockSizeBytes, input.length - start, maxOutputBytes)
    return input
  }
  const chunks: Buffer[] = []
  let outputBytes = 0
  let inputBytes = 0
  for (let at = STREAM_HEADER_BYTES; at < input.length; ) {
    if (at + 4 > input.length) throw new InvalidCompression('the snappy stream ends too early')
    const end = at + 4 + input.readInt32BE(at)
    if (end <= at + 4 || end > input.length) throw new InvalidCompression('size of a snappy chunk')
    const start = readSize(input, at + 4, end)
    outputBytes += blockSizeBytes
    inputBytes += end - start
    checkSizes(outputBytes, inputBytes, maxOutputBytes)
    chunks.push(input.subarray(start, end))
    at = end
  }
  // Behind its size a raw block is a list of elements that know nothing of it, and copies reach back from where they are: one
  // size before the elements of all chunks is a raw block again, and one call decompresses it. (It would let a chunk reach back
  // into the one before; no compressor does.)
  return Buffer.concat([sizeField(outputBytes), ...chunks])
}

/** A raw block as a stream of one chunk. */
export function snappyStreamOf(block: Buffer): Buffer {
  const stream = Buffer.allocUnsafe(STREAM_HEADER_BYTES + 4 + block.length)
  STREAM_MAGIC.copy(stream)
  stream.writeInt32BE(STREAM_VERSION, 8)
  stream.writeInt32BE(STREAM_VERSION, 12)
  stream.writeInt32BE(block.length, STREAM_HEADER_BYTES)
  block.copy(stream, STREAM_HEADER_BYTES + 4)
  return stream
}

function isStream(input: Buffer): boolean {
  return input.length >= STREAM_HEADER_BYTES && STREAM_MAGIC.compare(input, 0, STREAM_MAGIC.length) === 0
}

let blockSizeBytes = 0

/** Reads the size of what comes out of a raw block into `blockSizeBytes`; returns where its elements begin. */
function readSize(input: Buffer, from: number, to: number): number {
  blockSizeBytes = 0
  let scale = 1
  for (let at = from; at < Math.min(to, from + 5); at++) {
    const byte = input[at]!
    blockSizeBytes += (byte & 127) * scale
    scale *= 128
    if (byte < 128) return at + 1
  }
  throw new InvalidCompression('size of a snappy block')
}

function checkSizes(outputBytes: number, inputBytes: number, maxOutputBytes: number): void {
  if (outputBytes > inputBytes * MAX_RATIO) throw new InvalidCompression('a snappy block cannot be that large')
  if (outputBytes > maxOutputBytes) throw new OutputTooLarge(maxOutputBytes)
}

function sizeField(sizeBytes: number): Buffer {
  const field: number[] = []
  let rest = sizeBytes
  for (; rest > 127; rest = Math.floor(rest / 128)) field.push((rest % 128) | 128)
  field.push(rest)
  return Buffer.from(field)
}
