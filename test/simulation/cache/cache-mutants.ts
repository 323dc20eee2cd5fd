import { type Mutant, one } from '#test/simulation/mutants.ts'

// Bugs that a cache of this kind is known to have had, or nearly had. The simulation must find every one.

const CACHE = 'src/object-store/range-cache.ts'
const BLOCKS = 'src/object-store/block-store.ts'
const SLOTS = 'src/object-store/cache-slots.ts'
const FILES = 'src/object-store/cache-files.ts'
const FLIGHTS = 'src/object-store/flights.ts'
const FETCHES = 'src/object-store/fetch-queue.ts'

const found: readonly Mutant[] = [
  one('blocks are not verified', 100, BLOCKS, 'return isThere && this.#isIntact(slot, from, into)', 'return isThere'),
  one(
    'a block makes room while somebody reads it',
    500,
    SLOTS,
    'if (this.#readers[slot] === 0) return slot',
    'if (slot >= 0) return slot',
  ),
  one(
    'a slot is free while somebody reads it',
    1000,
    SLOTS,
    'if (this.#readers[slot]! > 0) {\n      this.#states[slot] = LEAVING',
    'if (this.#readers[slot]! < 0) {\n      this.#states[slot] = LEAVING',
  ),
  one(
    'what is forgotten comes back with what was on its way',
    500,
    BLOCKS,
    'if (owner.isForgotten) await this.#clear(slot)\n      else ',
    '',
  ),
  one(
    'what is forgotten stays on the disk',
    200,
    BLOCKS,
    'if (!this.#isClosed) await this.#files.clear(slot).catch(() => {})',
    '',
  ),
  one('blocks of another store are used', 200, FILES, 'header.place !== this.#place', 'header.place === null'),
  one(
    'the limit does not count what is there',
    50,
    FILES,
    'return Math.min(this.#slabSlots, slotsWithin(limitBytes - this.#sizeBytes, blockBytes))',
    'return Math.min(this.#slabSlots, slotsWithin(limitBytes, blockBytes))',
  ),
  one(
    'who leaves waits for the store',
    20,
    'src/object-store/or-aborted.ts',
    "signal.addEventListener('abort', abort, { once: true })",
    '',
  ),
  one(
    'memory has no limit',
    200,
    FETCHES,
    'return this.#memoryBytes === 0 || this.#memoryBytes + length <= limits.memoryBytes',
    'return true',
  ),
  one('requests have no limit', 50, FETCHES, 'if (this.#running.size >= limits.fetches) return false', ''),
  one(
    'a store that does not answer is waited for',
    50,
    FETCHES,
    'clock.after(limits.fetchMs, () => ',
    'clock.after(1e12, () => ',
  ),
  one('what is on the disk counts as memory', 50, FLIGHTS, 'this.#fetches.done(flight.sizeBytes, flight.isAhead)', ''),
  one('each asks for itself', 50, FLIGHTS, 'if (known !== undefined) {', 'if (known?.hasLanded === true) {'),
  one(
    'memory is used again while its reader looks at it',
    50,
    CACHE,
    'metrics.cacheServedBytes.value += servedBytes',
    'buffers.give(memory)',
  ),
  one(
    'an answer that was cut off is believed for ever',
    200,
    CACHE,
    'this.#distrustEnd(object, block, ',
    'void ((_: unknown, __: unknown, ___: unknown) => {})(object, block, ',
  ),
  one('a request that was given up is joined', 500, FETCHES, 'next.wanting.abandoned()', ''),
  one('nobody tries again when there was no room', 1000, FETCHES, 'this.#tryLater()\n        break', 'break'),
  one(
    'what came for somebody else meanwhile is asked for again',
    3000,
    CACHE,
    'part.slot = object.slots.get(block) ?? -1',
    'part.slot = -1',
  ),
  one('a block that is in two slots is in both', 500, BLOCKS, 'if (older !== undefined) {', 'if (older === -1) {'),
]

export const CACHE_MUTANTS = found.map((mutant): Mutant => ({ ...mutant, of: 'cache' }))
