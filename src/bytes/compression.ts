import { promisify } from 'node:util'
import zlib from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import type { CodecName } from './codecs.ts'
import { InvalidCompression, OutputTooLarge } from './errors.ts'
import { checkLz4Frame } from './lz4-frame.ts'
import { snappyBlockOf, snappyStreamOf } from './snappy-stream.ts'

// The codecs of Kafka in the forms that its Java client writes and reads. Each on the calling thread and, `OffThread`, on one
// of libuv's pool, until which is done the bytes must not change. What decompresses is told how much may come out, and refuses
// more before it takes the memory (OutputTooLarge); what is not exactly one stream of the codec, from the first byte to the
// last, is refused too (InvalidCompression): a reader that stops early would lose records silently.

// About 0.3 ms of decompression and walk (bench/kernel/compression.bench.ts): more is done off thread.
export const INLINE_INPUT_BYTES = 16 * 1024
export const INLINE_OUTPUT_BYTES = 256 * 1024
// About 0.3 ms of compression.
export const INLINE_COMPRESSION_BYTES = 32 * 1024

interface Codec {
  decompress(input: Buffer, maxOutputBytes: number): Buffer
  decompressOffThread(input: Buffer, maxOutputBytes: number): Promise<Buffer>
  compress(input: Buffer, level: number | undefined): Buffer
  compressOffThread(input: Buffer, level: number | undefined): Promise<Buffer>
}

/** Decompresses `bytes[from, to)`. */
export function decompress(codec: CodecName, bytes: Buffer, from: number, to: number, maxOutputBytes: number): Buffer {
  try {
    return CODECS[codec].decompress(bytes.subarray(from, to), maxOutputBytes)
  } catch (thrown) {
    throw decompressionError(thrown, maxOutputBytes)
  }
}

export async function decompressOffThread(
  codec: CodecName,
  bytes: Buffer,
  from: number,
  to: number,
  maxOutputBytes: number,
): Promise<Buffer> {
  try {
    return await CODECS[codec].decompressOffThread(bytes.subarray(from, to), maxOutputBytes)
  } catch (thrown) {
    throw decompressionError(thrown, maxOutputBytes)
  }
}

/** `level` is that of Kafka's `compression.<codec>.level`, by default the codec's own; snappy and our LZ4 have no levels. */
export function compress(codec: CodecName, bytes: Buffer, level?: number): Buffer {
  return CODECS[codec].compress(bytes, level)
}

export function compressOffThread(codec: CodecName, bytes: Buffer, level?: number): Promise<Buffer> {
  return CODECS[codec].compressOffThread(bytes, level)
}

function decompressionError(thrown: unknown, maxOutputBytes: number): ChronikError {
  if (thrown instanceof ChronikError) return thrown
  if (systemCodeOf(thrown) === 'ERR_BUFFER_TOO_LARGE') return new OutputTooLarge(maxOutputBytes)
  return new InvalidCompression(messageOf(thrown), { cause: thrown })
}

const uncompressed: Codec = {
  decompress(input, maxOutputBytes) {
    if (input.length > maxOutputBytes) throw new OutputTooLarge(maxOutputBytes)
    return input
  },
  decompressOffThread: async (input, maxOutputBytes) => uncompressed.decompress(input, maxOutputBytes),
  compress: input => input,
  compressOffThread: async input => input,
}

const MIN_CHUNK_BYTES = 16 * 1024
const MAX_CHUNK_BYTES = 1024 * 1024
const LIKELY_RATIO = 8

/** zlib hands out its output in chunks, off thread with a turn of the loop for each: so they should be few, and not wasteful. */
function decompressionOptions(input: Buffer, maxOutputBytes: number) {
  const chunkSize = Math.min(Math.max(input.length * LIKELY_RATIO, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES)
  return { maxOutputLength: maxOutputBytes, chunkSize, info: true }
}

function compressionChunkBytes(input: Buffer): number {
  return Math.min(Math.max(input.length, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES)
}

// What zlib answers if asked for `info`; its types do not say so.
interface ZlibInfo {
  buffer: Buffer
  /** It counts the bytes that went into the engine: what is left behind a stream does not. */
  engine: { bytesWritten: number }
}

function wholeOutput(answer: Buffer, input: Buffer): Buffer {
  const { buffer, engine } = answer as unknown as ZlibInfo
  if (engine.bytesWritten !== input.length)
    throw new InvalidCompression('something is left behind the end of the stream')
  return buffer
}

const gunzipOffThread = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const gzipOffThread = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.gzip)
const zstdDecompressOffThread = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)
const zstdCompressOffThread = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)

function gzipOptions(input: Buffer, level: number | undefined): zlib.ZlibOptions {
  return { level: level ?? zlib.constants.Z_DEFAULT_COMPRESSION, chunkSize: compressionChunkBytes(input) }
}

const gzip: Codec = {
  decompress: (input, max) => wholeOutput(zlib.gunzipSync(input, decompressionOptions(input, max)), input),
  decompressOffThread: async (input, max) =>
    wholeOutput(await gunzipOffThread(input, decompressionOptions(input, max)), input),
  compress: (input, level) => zlib.gzipSync(input, gzipOptions(input, level)),
  compressOffThread: (input, level) => gzipOffThread(input, gzipOptions(input, level)),
}

function zstdOptions(input: Buffer, level: number | undefined): zlib.ZstdOptions {
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: level ?? zlib.constants.ZSTD_CLEVEL_DEFAULT }
  return { params, pledgedSrcSize: input.length, chunkSize: compressionChunkBytes(input) }
}

// The window that a frame asks for is bounded by the library: 128 MiB, more than any level uses.
const zstd: Codec = {
  decompress: (input, max) => wholeOutput(zlib.zstdDecompressSync(input, decompressionOptions(input, max)), input),
  decompressOffThread: async (input, max) =>
    wholeOutput(await zstdDecompressOffThread(input, decompressionOptions(input, max)), input),
  compress: (input, level) => zlib.zstdCompressSync(input, zstdOptions(input, level)),
  compressOffThread: (input, level) => zstdCompressOffThread(input, zstdOptions(input, level)),
}

const snappyCodec: Codec = {
  decompress: (input, max) => snappy.uncompressSync(snappyBlockOf(input, max)) as Buffer,
  decompressOffThread: async (input, max) => (await snappy.uncompress(snappyBlockOf(input, max))) as Buffer,
  compress: input => snappyStreamOf(snappy.compressSync(input)),
  compressOffThread: async input => snappyStreamOf(await snappy.compress(input)),
}

// The library writes independent blocks, the only ones that Java reads.
const lz4Codec: Codec = {
  decompress(input, max) {
    checkLz4Frame(input, max)
    return lz4.decompressFrameSync(input)
  },
  async decompressOffThread(input, max) {
    checkLz4Frame(input, max)
    return lz4.decompressFrame(input)
  },
  compress: input => lz4.compressFrameSync(input),
  compressOffThread: input => lz4.compressFrame(input),
}

const CODECS: Record<CodecName, Codec> = { uncompressed, gzip, snappy: snappyCodec, lz4: lz4Codec, zstd }
