import { assert } from '#base/assert.ts'
import { ChaskeySecret, chaskey } from '#bytes/chaskey.kernel.ts'

// Kernel: the newest offset of every key, in memory of a fixed size whatever the keys are (Kafka: SkimpyOffsetMap). Open
// addressing with linear probing. Budget: 80 ns for a key of 16 bytes among a million (bench/kernel/compaction.bench.ts).
//
// A key is known by 128 bits of it. Were those of two keys the same, a record that somebody needs would be taken for an older one
// of another key and be lost, so it must not happen by chance, nor because somebody looks for such keys. The bits are therefore
// made with a secret that every pass has anew and nobody ever sees, nor anything computed with it: whoever sends keys cannot know
// which would be the same. By chance it happens among 2^32 keys with a probability of 2^-65.
//
//   a slot: i32 x 4 the bits, f64 offset + 1, or 0 in a slot that is free

const WORDS_PER_SLOT = 6
const DOUBLES_PER_SLOT = 3
const OFFSET_AT = 2
/** Bytes of memory that a key takes at least: more, for the slots that stay free. */
export const SLOT_BYTES = 24
/** Behind it searches become long: for a key that is not there 8.5 slots on average at 3/4, and 50 at Kafka's 9/10. */
const MAX_LOAD = 3 / 4
const TWO_32 = 4294967296

/** Keys that can be noted together. */
export const NOTED_KEYS = 64

export class OffsetMap {
  /** So many keys have room. */
  readonly capacity: number
  readonly #slots: number
  readonly #words: Int32Array
  readonly #offsets: Float64Array
  #size = 0
  #secret: ChaskeySecret
  // The bits of the noted keys, and the slots where searches for them begin.
  readonly #noted = new Int32Array(4 * NOTED_KEYS)
  readonly #slotOf = new Float64Array(NOTED_KEYS)
  /** Kept, or the compiler would find the loads useless and leave them out. */
  fetched = 0

  /** `secret`: SECRET_BYTES that nobody can guess. */
  constructor(memoryBytes: number, secret: Buffer) {
    this.#slots = Math.floor(memoryBytes / SLOT_BYTES)
    this.capacity = Math.floor(this.#slots * MAX_LOAD)
    assert(this.capacity > 0, 'an offset map has room for a key')
    const memory = new ArrayBuffer(this.#slots * SLOT_BYTES)
    this.#words = new Int32Array(memory)
    this.#offsets = new Float64Array(memory)
    this.#secret = new ChaskeySecret(secret)
  }

  /** Keys that are in it. */
  get size(): number {
    return this.#size
  }

  /** Forgets all keys; `secret` is another one. */
  clear(secret: Buffer): void {
    this.#offsets.fill(0)
    this.#size = 0
    this.#secret = new ChaskeySecret(secret)
  }

  /** The key `bytes[from, to)` is the one that is meant by `index` from now on. */
  note(index: number, bytes: Uint8Array, from: number, to: number): void {
    chaskey(this.#secret, bytes, from, to, this.#noted, 4 * index)
    this.#slotOf[index] = Math.floor(((this.#noted[4 * index]! >>> 0) / TWO_32) * this.#slots)
  }

  /**
   * Brings the slots of the first `count` noted keys into the cache. Most are not there, and the processor waits for several at
   * once, as it could not if each were searched to the end before the next.
   */
  fetch(count: number): void {
    let sum = 0
    for (let i = 0; i < count; i++) sum += this.#words[this.#slotOf[i]! * WORDS_PER_SLOT]!
    this.fetched = sum
  }

  /** Says that a noted key has a record at `offset`, newer than what was said before; false: there is no room. */
  put(index: number, offset: number): boolean {
    const slot = this.#find(index)
    const offsetAt = slot * DOUBLES_PER_SLOT + OFFSET_AT
    if (this.#offsets[offsetAt] === 0) {
      if (this.#size === this.capacity) return false
      this.#size++
      const at = slot * WORDS_PER_SLOT
      for (let i = 0; i < 4; i++) this.#words[at + i] = this.#noted[4 * index + i]!
    }
    this.#offsets[offsetAt] = offset + 1
    return true
  }

  /** The newest offset of a noted key, -1 if it has none. */
  get(index: number): number {
    return this.#offsets[this.#find(index) * DOUBLES_PER_SLOT + OFFSET_AT]! - 1
  }

  /** The slot that has the key, or the free one that it would get. */
  #find(index: number): number {
    const words = this.#words
    const noted = this.#noted
    const bits0 = noted[4 * index]!
    const bits1 = noted[4 * index + 1]!
    const bits2 = noted[4 * index + 2]!
    const bits3 = noted[4 * index + 3]!
    let slot = this.#slotOf[index]!
    for (;;) {
      const at = slot * WORDS_PER_SLOT
      if (words[at] === bits0 && words[at + 1] === bits1 && words[at + 2] === bits2 && words[at + 3] === bits3)
        return slot
      if (this.#offsets[slot * DOUBLES_PER_SLOT + OFFSET_AT] === 0) return slot
      slot++
      if (slot === this.#slots) slot = 0
    }
  }
}
