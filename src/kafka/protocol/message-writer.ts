import { ByteWriter } from '#bytes/cursor.ts'

const SPLICE_MIN_BYTES = 32 * 1024
const INITIAL_CAPACITY_BYTES = 256
const NO_BYTES = Buffer.alloc(0)

interface Splice {
  /** Where in `bytes` the spliced bytes belong. */
  readonly at: number
  readonly bytes: Buffer
}

/**
 * Builds frames one behind the other, to be sent as a list of chunks. Large slices of records are not copied but
 * become chunks of their own: whoever spliced them keeps them unchanged until they are sent.
 */
export class MessageWriter extends ByteWriter {
  /** Whether some part of what was written tells of an error. */
  tellsError = false
  #splices: Splice[] = []
  #splicedBytes = 0

  constructor(capacityBytes = INITIAL_CAPACITY_BYTES) {
    super(capacityBytes)
  }

  get byteLength(): number {
    return this.offset + this.#splicedBytes
  }

  /** Appends bytes: small ones are copied, large ones spliced. */
  splice(bytes: Buffer): void {
    if (bytes.length < SPLICE_MIN_BYTES) {
      this.raw(bytes)
      return
    }
    this.#splices.push({ at: this.offset, bytes })
    this.#splicedBytes += bytes.length
  }

  /** Appends a size prefix and what `write` writes. */
  frame(write: () => void): void {
    const prefixAt = this.reserve(4)
    const start = this.byteLength
    write()
    this.bytes.writeInt32BE(this.byteLength - start, prefixAt)
  }

  /** All that was written, in order; the writer is empty afterwards. */
  takeChunks(): Buffer[] {
    const chunks: Buffer[] = []
    let from = 0
    for (const { at, bytes } of this.#splices) {
      if (at > from) chunks.push(this.bytes.subarray(from, at))
      chunks.push(bytes)
      from = at
    }
    if (this.offset > from) chunks.push(this.bytes.subarray(from, this.offset))
    this.bytes = NO_BYTES
    this.offset = 0
    this.#splices = []
    this.#splicedBytes = 0
    return chunks
  }
}
