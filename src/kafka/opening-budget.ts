import { UNCOMPRESSED } from '#bytes/codecs.ts'
import { codecOf } from '#records/batch.ts'
import { MESSAGE_TOO_LARGE } from '#records/facts.ts'
import { inspectLarge } from '#records/validate.ts'

// How much of what producers compressed is open in memory at once, over all connections. A small batch can become a thousand
// times as large, and nothing that it says of itself can be trusted: so what it may become at most is reserved before it is
// opened, and it is not allowed to become more. Who finds no room waits its turn, its request held and its connection unread.

/** Nearly every batch opens to less than this many times its size; one that does not is opened a second time. */
const LIKELY_RATIO = 16

type Inspection = Parameters<typeof inspectLarge>

export class OpeningBudget {
  readonly #limitBytes: number
  #openBytes = 0
  readonly #waiting: { readonly sizeBytes: number; readonly begin: () => void }[] = []

  constructor(options: { limitBytes: number }) {
    this.#limitBytes = options.limitBytes
  }

  /** `inspectLarge` when there is room for what it opens. */
  async inspect(...[bytes, from, to, rules, context, checked]: Inspection): ReturnType<typeof inspectLarge> {
    if (codecOf(checked.attributes) === UNCOMPRESSED) return inspectLarge(bytes, from, to, rules, context, checked)
    const likelyBytes = (to - from) * LIKELY_RATIO
    if (likelyBytes < rules.decompressLimitBytes) {
      const likely = { ...rules, decompressLimitBytes: likelyBytes }
      const facts = await this.use(likelyBytes, () => inspectLarge(bytes, from, to, likely, context, checked))
      if (facts.errorCode !== MESSAGE_TOO_LARGE) return facts
    }
    const open = () => inspectLarge(bytes, from, to, rules, context, checked)
    return this.use(rules.decompressLimitBytes, open)
  }

  /** Does work that takes so much memory, in the order of the calls. What is larger than the whole budget is done alone. */
  async use<T>(sizeBytes: number, work: () => Promise<T>): Promise<T> {
    const reservedBytes = Math.min(sizeBytes, this.#limitBytes)
    if (this.#waiting.length > 0 || !this.#hasRoom(reservedBytes)) {
      await new Promise<void>(begin => {
        this.#waiting.push({ sizeBytes: reservedBytes, begin })
      })
    } else {
      this.#openBytes += reservedBytes
    }
    try {
      return await work()
    } finally {
      this.#openBytes -= reservedBytes
      this.#beginNext()
    }
  }

  #hasRoom(sizeBytes: number): boolean {
    return this.#openBytes + sizeBytes <= this.#limitBytes
  }

  #beginNext(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#hasRoom(next.sizeBytes); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#openBytes += next.sizeBytes
      next.begin()
    }
  }
}
