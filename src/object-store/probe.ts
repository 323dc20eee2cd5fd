// What a store must do is tried before anything relies on it: write, read a range, list in order, write over it, delete. Whether of
// several that create one object at once exactly one is told that it did is found out too: some services only pretend.

import { ChronikError, messageOf } from '#base/errors.ts'
import type { Clock, Random } from '#base/ports.ts'
import type { ObjectFacts, ObjectStore } from './object-store.ts'
import { StoreError } from './store-errors.ts'

export interface Probed {
  /** Whether `putIfAbsent` is what it says. */
  readonly honestCreate: boolean
  /** How far the clock of the store is before this machine's: to about a second, as stores show no more. */
  readonly clockSkewMs: number
}

export interface ProbeSurroundings {
  readonly clock: Clock
  readonly random: Random
}

/** Of objects that are gone a moment later: whether the store works, and how late it is there. */
export const PROBE_PREFIX = 'probe/'
const OBJECT_BYTES = 2000
const RACES = 3
const RACERS = 8
/** Who began one so long ago is gone. */
const LEFT_BEHIND_MS = 3_600_000

/** Fails with one line that says what is wrong and what to do. Nothing of it stays in the store. */
export async function probeStore(
  store: ObjectStore,
  { clock, random }: ProbeSurroundings,
  signal: AbortSignal,
): Promise<Probed> {
  const probe = new Probe(store, random, signal)
  try {
    const { facts, writtenMs } = await probe.checkObjects(clock)
    const honestCreate = await probe.checkCreates()
    await probe.checkDeletes(facts)
    return { honestCreate, clockSkewMs: facts.modifiedMs - writtenMs }
  } catch (error) {
    // Of a store that does not answer, a later probe removes what may be there.
    if (error instanceof ChronikError && error.kind !== 'unavailable') await probe.cleanUp()
    throw error
  }
}

class Probe {
  readonly #store: ObjectStore
  readonly #random: Random
  readonly #signal: AbortSignal
  readonly #prefix: string
  readonly #written = new Set<string>()

  constructor(store: ObjectStore, random: Random, signal: AbortSignal) {
    this.#store = store
    this.#random = random
    this.#signal = signal
    this.#prefix = `${PROBE_PREFIX}${random.bytes(8).toString('hex')}/`
  }

  async checkObjects(clock: Clock): Promise<{ facts: ObjectFacts; writtenMs: number }> {
    const key = this.#key('object')
    const [first, second] = [this.#random.bytes(OBJECT_BYTES), this.#random.bytes(OBJECT_BYTES / 2)]
    await this.#step('write to', () => this.#store.put(key, [first], this.#signal))
    const range = await this.#step('read from', () => this.#store.getRange(key, 500, 1000, this.#signal))
    if (!range.equals(first.subarray(500, 1500))) throw this.#wrong('what is read is not what was written')
    const listed = await this.#step('list', () => this.#list(this.#prefix))
    if (listed.length !== 1 || listed[0]!.key !== key || listed[0]!.sizeBytes !== first.length) {
      throw this.#wrong('an object that was written is not listed')
    }
    await this.#step('write over an object of', () => this.#store.put(key, [second], this.#signal))
    const writtenMs = clock.nowMs()
    const again = await this.#step('read from', () => this.#store.getRange(key, 0, OBJECT_BYTES, this.#signal))
    if (!again.equals(second)) throw this.#wrong('what is read is not what was written last')
    const facts = await this.#step('ask about an object of', () => this.#store.head(key, this.#signal))
    if (facts?.sizeBytes !== second.length) throw this.#wrong('what it says of an object is not so')
    return { facts, writtenMs }
  }

  async checkCreates(): Promise<boolean> {
    for (let race = 0; race < RACES; race++) {
      if (!(await this.#raceIsFair(this.#key(`race-${race}`)))) return false
    }
    return true
  }

  async #raceIsFair(key: string): Promise<boolean> {
    const contents = Array.from({ length: RACERS }, () => this.#random.bytes(32))
    const create = async (content: Uint8Array): Promise<boolean> => {
      try {
        return await this.#store.putIfAbsent(key, [content], this.#signal)
      } catch (error) {
        // It does not know such writes.
        if (error instanceof StoreError && error.code === 'STORE_REFUSED') return false
        throw error
      }
    }
    const won = await this.#step('create objects in', () => Promise.all(contents.map(create)))
    const winner = contents[won.indexOf(true)]
    if (winner === undefined || won.filter(Boolean).length !== 1) return false
    if (await this.#step('create objects in', () => create(this.#random.bytes(32)))) return false
    return (await this.#step('read from', () => this.#store.getRange(key, 0, 100, this.#signal))).equals(winner)
  }

  async checkDeletes({ key, modifiedMs }: ObjectFacts): Promise<void> {
    for (const written of this.#written) {
      await this.#step('delete from', () => this.#store.delete(written, this.#signal))
    }
    if ((await this.#step('ask about an object of', () => this.#store.head(key, this.#signal))) !== null) {
      throw this.#wrong('an object that was deleted is still there')
    }
    const listed = await this.#step('list', () => this.#list(PROBE_PREFIX))
    if (listed.some(facts => facts.key.startsWith(this.#prefix))) throw this.#wrong('a deleted object is still listed')
    for (const left of listed.filter(facts => facts.modifiedMs < modifiedMs - LEFT_BEHIND_MS)) {
      await this.#step('delete from', () => this.#store.delete(left.key, this.#signal))
    }
  }

  /** As far as it goes: what stays, a later probe deletes. */
  async cleanUp(): Promise<void> {
    for (const key of this.#written) {
      try {
        await this.#store.delete(key, this.#signal)
      } catch {
        return
      }
    }
  }

  #key(name: string): string {
    const key = this.#prefix + name
    this.#written.add(key)
    return key
  }

  async #list(prefix: string): Promise<ObjectFacts[]> {
    const found: ObjectFacts[] = []
    for await (const facts of this.#store.list(prefix, '', this.#signal)) found.push(facts)
    return found
  }

  async #step<T>(doing: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof ChronikError)) throw error
      const message = `cannot ${doing} the object store: ${messageOf(error)}`
      throw new ChronikError(error.code, error.kind, message.replaceAll(/\s*\n\s*/g, ' '), { cause: error })
    }
  }

  #wrong(what: string): ChronikError {
    const message = `the object store ${this.#store.place} cannot be used: ${what}; choose one that is consistent`
    return new ChronikError('STORE_INCONSISTENT', 'invalid', message)
  }
}
