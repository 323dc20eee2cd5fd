// Who reads an object from one place on to the next, and how far ahead of that reader to fetch. Pure. A reader is known by what
// it reads: who goes on in or right behind the range that was read last is the same one; who begins where that began is another,
// or begins again.

/** Objects that somebody goes through, and how many do in one. */
const OBJECTS = 512
const READERS_PER_OBJECT = 8
/** For who begins with an object: it will probably be gone through. */
const FIRST_WINDOW_BLOCKS = 4
/** What a step to another block makes of the window. */
const GROWTH = 4

/** One reader of an object. */
export interface Trail {
  /** The range that was read last. */
  from: number
  to: number
  /** How many blocks behind `to` are to be there before they are asked for; more with each step to another block. */
  windowBlocks: number
  /** Up to this block they were fetched. */
  aheadTo: number
}

export interface AheadLimits {
  readonly blockBytes: number
  readonly windowBlocks: number
  /** Of one request. */
  readonly fetchBlocks: number
}

export interface Blocks {
  readonly first: number
  readonly end: number
}

export class ReadAhead<Owner> {
  readonly #limits: AheadLimits
  /** In the order of use. */
  readonly #trails = new Map<Owner, Trail[]>()

  constructor(limits: AheadLimits) {
    this.#limits = limits
  }

  /** Notes that a range is read; tells from which block on the reader has not just read them, and how to go on. */
  note(owner: Owner, from: number, to: number): { newFrom: number; trail: Trail } {
    const { blockBytes, windowBlocks } = this.#limits
    const trails = this.#trailsOf(owner)
    const known = trails.find(trail => trail.from < from && from <= trail.to + blockBytes)
    if (known === undefined) {
      const trail = { from, to, windowBlocks: from === 0 ? FIRST_WINDOW_BLOCKS : 0, aheadTo: 0 }
      trails.push(trail)
      if (trails.length > READERS_PER_OBJECT) trails.shift()
      return { newFrom: Math.floor(from / blockBytes), trail }
    }
    const newFrom = Math.ceil(known.to / blockBytes)
    known.from = from
    known.to = Math.max(known.to, to)
    if (Math.ceil(to / blockBytes) > newFrom) {
      known.windowBlocks = Math.min(windowBlocks, Math.max(FIRST_WINDOW_BLOCKS, known.windowBlocks * GROWTH))
    }
    return { newFrom, trail: known }
  }

  #trailsOf(owner: Owner): Trail[] {
    const trails = this.#trails.get(owner) ?? []
    this.#trails.delete(owner)
    this.#trails.set(owner, trails)
    for (const [oldest] of this.#trails) {
      if (this.#trails.size <= OBJECTS) break
      this.#trails.delete(oldest)
    }
    return trails
  }

  /** What to fetch for a reader now, of an object that ends before block `endBlock`; null if it has enough before it. */
  wanted(trail: Trail, endBlock: number): Blocks | null {
    const { blockBytes, fetchBlocks } = this.#limits
    const behind = Math.ceil(trail.to / blockBytes)
    const first = Math.max(trail.aheadTo, behind)
    const end = Math.min(behind + trail.windowBlocks, endBlock)
    const count = end - first
    const worthIt = Math.min(fetchBlocks, Math.ceil(trail.windowBlocks / 2))
    if (count <= 0 || (count < worthIt && end !== endBlock)) return null
    return { first, end: count > fetchBlocks ? end - (count % fetchBlocks) : end }
  }

  forget(owner: Owner): void {
    this.#trails.delete(owner)
  }
}
