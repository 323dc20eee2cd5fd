import { contentOf } from '#test/support/range-cache-lab.ts'
import type { Prng } from '#test/support/sim/prng.ts'

// What objects there were when: which bytes a reader may be given.

interface Incarnation {
  readonly bytes: Buffer
  readonly fromMs: number
  toMs: number
}

export class CachedObjects {
  readonly #incarnations = new Map<string, Incarnation[]>()
  /** Gone, and perhaps not forgotten. */
  readonly leaving = new Set<string>()
  #made = 0

  /** How many were made so far. */
  get made(): number {
    return this.#made
  }

  /** Bytes like no others. */
  make(key: string, place: string, sizeBytes: number, nowMs: number): Buffer {
    const bytes = contentOf(`${place}/${key}/${this.#made++}`, sizeBytes)
    const known = this.#incarnations.get(key) ?? []
    known.push({ bytes, fromMs: nowMs, toMs: Number.POSITIVE_INFINITY })
    this.#incarnations.set(key, known)
    return bytes
  }

  gone(key: string, nowMs: number): void {
    const last = this.#incarnations.get(key)?.at(-1)
    if (last !== undefined) last.toMs = Math.min(last.toMs, nowMs)
  }

  /** Of those there are now. */
  pick(prng: Prng): { key: string; bytes: Buffer } | null {
    const keys = this.keys
    if (keys.length === 0) return null
    const key = prng.pick(keys)
    return { key, bytes: this.bytesOf(key) }
  }

  get keys(): string[] {
    return [...this.#incarnations].flatMap(([key, known]) => (isThere(known.at(-1)!) ? [key] : []))
  }

  bytesOf(key: string): Buffer {
    return this.#incarnations.get(key)!.at(-1)!.bytes
  }

  /** What the object was at some time between; `wasGone`: at some time it was not. */
  between(key: string, fromMs: number, toMs: number): { versions: Buffer[]; wasGone: boolean } {
    const known = this.#incarnations.get(key) ?? []
    const versions = known.filter(version => version.fromMs <= toMs && version.toMs >= fromMs)
    const isWhole = versions.some(version => version.fromMs <= fromMs && version.toMs > toMs)
    return { versions: versions.map(version => version.bytes), wasGone: !isWhole }
  }
}

function isThere(incarnation: Incarnation): boolean {
  return incarnation.toMs === Number.POSITIVE_INFINITY
}
