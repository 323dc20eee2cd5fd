import { InvalidCompression, OutputTooLarge } from './errors.ts'

// What the header and the blocks of an LZ4 frame say, read before anything is decompressed: whether the bytes are exactly one
// frame, as Java's consumer can read it (it stops behind the first frame, and refuses blocks that depend on each other), and
// how much comes out of it at most.
//
//   u32 LE magic   u8 flags   u8 block size   [u64 content size]   u8 header checksum
//   blocks: u32 LE size, highest bit for "not compressed", the bytes, [u32 block checksum]
//   u32 0   [u32 content checksum]

const MAGIC = 0x184d2204
const VERSION_MASK = 0xc0
const VERSION = 0x40
const INDEPENDENT_BLOCKS_BIT = 0x20
const BLOCK_CHECKSUM_BIT = 0x10
const CONTENT_SIZE_BIT = 0x08
const CONTENT_CHECKSUM_BIT = 0x04
const DICTIONARY_BIT = 0x01
const UNCOMPRESSED_BIT = 0x80000000
const MIN_HEADER_BYTES = 7
// No byte of a compressed block stands for more than this many.
const MAX_RATIO = 255
// A match is this long without any byte that says so.
const MIN_MATCH = 4

/** Throws unless `input` is one whole frame of which at most `maxOutputBytes` come out. */
export function checkLz4Frame(input: Buffer, maxOutputBytes: number): void {
  // A bound is at hand; only if it is too large for the limit the blocks are counted out.
  if (frameOutputBytes(input, boundOfBlock) <= maxOutputBytes) return
  if (frameOutputBytes(input, blockOutputBytes) > maxOutputBytes) throw new OutputTooLarge(maxOutputBytes)
}

type BlockOutput = (input: Buffer, at: number, end: number, maxBlockBytes: number) => number

function frameOutputBytes(input: Buffer, outputOf: BlockOutput): number {
  if (input.length < MIN_HEADER_BYTES || input.readUInt32LE(0) !== MAGIC) throw new InvalidCompression('no LZ4 frame')
  const flags = input[4]!
  const blockSizeCode = (input[5]! >> 4) & 7
  if ((flags & VERSION_MASK) !== VERSION || blockSizeCode < 4) throw new InvalidCompression('LZ4 frame header')
  if ((flags & INDEPENDENT_BLOCKS_BIT) === 0) throw new InvalidCompression('LZ4 blocks that depend on each other')
  if ((flags & DICTIONARY_BIT) !== 0) throw new InvalidCompression('LZ4 frame with a dictionary')
  const maxBlockBytes = 1 << (8 + 2 * blockSizeCode)
  const blockChecksumBytes = (flags & BLOCK_CHECKSUM_BIT) !== 0 ? 4 : 0
  const endBytes = (flags & CONTENT_CHECKSUM_BIT) !== 0 ? 4 : 0
  let at = MIN_HEADER_BYTES + ((flags & CONTENT_SIZE_BIT) !== 0 ? 8 : 0)
  let outputBytes = 0
  while (at + 4 <= input.length) {
    const field = input.readUInt32LE(at)
    at += 4
    if (field === 0) {
      if (at + endBytes !== input.length) throw new InvalidCompression('not one LZ4 frame from end to end')
      return outputBytes
    }
    const end = at + (field % UNCOMPRESSED_BIT)
    if (end > input.length) break
    outputBytes += field >= UNCOMPRESSED_BIT ? end - at : outputOf(input, at, end, maxBlockBytes)
    at = end + blockChecksumBytes
  }
  throw new InvalidCompression('the LZ4 frame ends too early')
}

function boundOfBlock(_input: Buffer, at: number, end: number, maxBlockBytes: number): number {
  return Math.min(maxBlockBytes, (end - at) * MAX_RATIO)
}

/** What comes out of the compressed block `input[at, end)`, counted without decompressing it. */
function blockOutputBytes(input: Buffer, at: number, end: number): number {
  let outputBytes = 0
  while (at < end) {
    const token = input[at++]!
    let literals = token >> 4
    if (literals === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = input[at++]!
        literals += more
      }
    }
    outputBytes += literals
    at += literals + 2
    if (at > end) break
    let match = token & 15
    if (match === 15) {
      let more = 255
      while (more === 255 && at < end) {
        more = input[at++]!
        match += more
      }
    }
    outputBytes += match + MIN_MATCH
  }
  return outputBytes
}
