import { assert } from '#base/assert.ts'
import type { ObjectReader } from '#object-store/object-store.ts'
import { damagedSegment } from '#segments/segment-format.ts'

const CHUNK_BYTES = 4 << 20

/** The bytes of an object from its begin, one behind the other: while some are looked at, the next are on their way. */
export class ObjectStream {
  readonly #store: ObjectReader
  readonly #key: string
  readonly #endPlace: number
  readonly #signal: AbortSignal
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  #asked = 0
  #next: Promise<Buffer> | null

  constructor(store: ObjectReader, key: string, endPlace: number, signal: AbortSignal) {
    this.#store = store
    this.#key = key
    this.#endPlace = endPlace
    this.#signal = signal
    this.#next = this.#ask()
  }

  #ask(): Promise<Buffer> | null {
    const from = this.#asked
    const length = Math.min(CHUNK_BYTES, this.#endPlace - from)
    if (length === 0) return null
    this.#asked += length
    const reading = this.#store.getRange(this.#key, from, length, this.#signal).then(bytes => {
      if (bytes.length === length) return bytes
      throw damagedSegment(this.#key, from + bytes.length, 'the object ends there')
    })
    reading.catch(() => {}) // who takes it meets the error, if anybody still does
    return reading
  }

  /** The next bytes, so many; good until it is asked again. */
  async take(count: number): Promise<Buffer> {
    const whole = this.#chunk.subarray(this.#at, this.#at + count)
    this.#at += whole.length
    if (whole.length === count) return whole
    const pieces: Buffer[] = [Buffer.from(whole)]
    for (let left = count - whole.length; left > 0; ) {
      await this.#turn()
      const piece = this.#chunk.subarray(0, left)
      this.#at = piece.length
      left -= piece.length
      pieces.push(piece)
    }
    return pieces.length === 2 && pieces[0]!.length === 0 ? pieces[1]! : Buffer.concat(pieces)
  }

  async #turn(): Promise<void> {
    assert(this.#next !== null, 'nothing behind the end is taken')
    this.#chunk = await this.#next
    this.#next = this.#ask()
  }
}
