import { describe, expect, it } from 'vitest'
import { holdObject } from '#core/garbage.ts'
import { OWN_OBJECT, Segments, TAIL_REVISION } from '#core/segments.ts'
import { State } from '#core/state.ts'
import { segmentKey } from '#segments/segment-names.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type StoreCall } from '#test/support/sim/sim-object-store.ts'
import { countTurns } from '#test/support/turns.ts'
import {
  checkpointKey,
  generationKey,
  metalogKey,
  parseCheckpointKey,
  parseMetalogKey,
} from '#tier/recovery/archive-names.ts'
import { Catalogue } from '#tier/recovery/catalogue.ts'

const LATENCY_MS = 15
const { signal } = new AbortController()

/** A store with a piece of the log a second, the first so many of them before the last three checkpoints. */
class Archived {
  readonly state = new State()
  readonly clock = new SimClock()
  readonly bucket = new SimBucket({ clock: this.clock, latencyMs: () => LATENCY_MS })
  readonly calls: StoreCall[] = []
  isTakenOver = false
  readonly catalogue: Catalogue

  constructor(pieces: number, checkpoints: readonly number[], generation = 1) {
    this.catalogue = new Catalogue({
      store: this.bucket.connect(),
      clock: this.clock,
      windowMs: 0,
      generation,
      state: this.state,
      confirm: async () => {
        if (this.isTakenOver) throw new Error('another one owns the store')
      },
    })
    this.bucket.poke(generationKey(generation), Buffer.from('{}'))
    for (let to = 1; to <= pieces; to++) {
      this.bucket.poke(metalogKey({ generation, from: to - 1, to }), Buffer.alloc(1))
    }
    for (const position of checkpoints) this.bucket.poke(checkpointKey({ generation, position }), Buffer.alloc(1))
    this.catalogue.addedCheckpoint({ generation, position: checkpoints.at(-1)!, beginsChain: false })
    this.bucket.onCall = call => {
      this.calls.push(call)
      return null
    }
  }

  get pieces(): number[] {
    return this.bucket.keys.flatMap(key => parseMetalogKey(key)?.to ?? [])
  }

  get deletes(): number {
    return this.calls.filter(({ verb }) => verb === 'delete').length
  }

  prune(): Promise<void> {
    return this.clock.run(this.catalogue.prune(signal))
  }
}

describe('the catalogue of the archive', () => {
  it('deletes the pieces of an hour in seconds', async () => {
    const archived = new Archived(3700, [1000, 3602, 3650, 3700])
    const beganMs = archived.clock.monotonicMs()
    await archived.prune()
    expect(archived.pieces).toEqual(Array.from({ length: 98 }, (_, i) => 3603 + i))
    expect(archived.clock.monotonicMs() - beganMs).toBeLessThan(20_000)
  })

  it('deletes what is left by a failure the next time, and only that', async () => {
    const archived = new Archived(500, [400, 450, 500])
    archived.bucket.onCall = call => {
      archived.calls.push(call)
      return archived.deletes === 300 && call.verb === 'delete' ? 'unavailable' : null
    }
    await expect(archived.prune()).rejects.toThrow(/no answer/)
    archived.catalogue.addedCheckpoint({ generation: 1, position: 500, beginsChain: false })
    await archived.prune()
    expect(archived.pieces[0]).toBe(401)
    expect(archived.deletes).toBe(401)
  })

  it('keeps every checkpoint of the window that no piece ends at: it begins a chain', async () => {
    const clock = new SimClock()
    const bucket = new SimBucket({ clock })
    for (let position = 10; position <= 70; position += 10) {
      bucket.poke(checkpointKey({ generation: 1, position }), Buffer.alloc(1))
      // A process began at 30: the one before had died before its last records were archived.
      const to = position === 30 ? 29 : position
      bucket.poke(metalogKey({ generation: 1, from: position - 10, to }), Buffer.alloc(1))
    }
    const state = new State()
    const options = {
      store: bucket.connect(),
      clock,
      windowMs: 3_600_000,
      generation: 1,
      state,
      confirm: async () => {},
    }
    const catalogue = new Catalogue(options)
    catalogue.addedCheckpoint({ generation: 1, position: 70, beginsChain: false })
    await clock.run(catalogue.prune(signal))
    expect(bucket.keys.flatMap(key => parseCheckpointKey(key)?.position ?? [])).toEqual([10, 30, 50, 60, 70])
    // One that this process begins a chain with is kept, too.
    for (const position of [80, 90, 100, 110, 120]) {
      bucket.poke(checkpointKey({ generation: 1, position }), Buffer.alloc(1))
      catalogue.addedCheckpoint({ generation: 1, position, beginsChain: position === 80 })
    }
    await clock.run(catalogue.prune(signal))
    const left = bucket.keys.flatMap(key => parseCheckpointKey(key)?.position ?? [])
    expect(left).toEqual([10, 30, 80, 100, 110, 120])
  })

  it('deletes copies of earlier owners that are neither held nor known garbage', async () => {
    const archived = new Archived(10, [5, 8, 10], 2)
    const of = { baseOffset: 0, nextOffset: 1, sizeBytes: 1, maxTimestampMs: 1, createdMs: 1 }
    const place = { place: 0, indexPlace: 0, indexBytes: 0 }
    const copies = [1, 2, 3, 4].map(hash => {
      const name = { generation: hash === 4 ? 2 : 1, revision: TAIL_REVISION, sharedAt: 9, hash }
      const segment = { ...of, ...place, ...name }
      const key = segmentKey({ ...segment, topicId: '', topicName: '', partition: 0 })
      archived.bucket.poke(key, Buffer.alloc(1))
      return { key, segment }
    })
    const [held, garbage, superfluous, own] = copies
    holdObject(archived.state, held!.segment)
    const segments = new Segments()
    segments.add(garbage!.segment)
    archived.state.garbage.set(0, { id: 0, sinceMs: 0, topicId: 'id', topicName: 'topic', partition: 0, segments })
    await archived.prune()
    expect(archived.bucket.keys).toEqual(expect.arrayContaining([held!.key, garbage!.key, own!.key]))
    expect(archived.bucket.keys).not.toContain(superfluous!.key)
  })

  it('does not look through garbage without need, and then in turns that leave the thread to others', async () => {
    const archived = new Archived(10, [5, 8, 10], 2)
    const segments = new Segments()
    const of = { sizeBytes: 1, maxTimestampMs: 1, createdMs: 1, place: 0, indexPlace: 0, indexBytes: 0 }
    const named = { generation: 1, revision: 0, sharedAt: OWN_OBJECT }
    for (let i = 0; i < 3000; i++) segments.add({ ...of, ...named, baseOffset: i, nextOffset: i + 1, hash: i })
    archived.state.garbage.set(0, { id: 0, sinceMs: 0, topicId: 'id', topicName: 'topic', partition: 0, segments })
    const turns = countTurns(archived.clock)
    await archived.prune()
    expect(turns.count).toBe(0)
    archived.bucket.poke('tail/g1/00000000000000000009-00000001.log', Buffer.alloc(1))
    archived.catalogue.addedCheckpoint({ generation: 2, position: 10, beginsChain: false })
    await archived.prune()
    expect(turns.count).toBe(6)
  })

  it('deletes nothing of a store that another one owns by now', async () => {
    const archived = new Archived(10, [4, 6, 8, 10])
    archived.isTakenOver = true
    await expect(archived.prune()).rejects.toThrow(/another one/)
    expect(archived.deletes).toBe(0)
  })

  it('has what is written while it looks', async () => {
    const archived = new Archived(10, [5, 8, 10])
    let isAdded = false
    archived.bucket.onCall = ({ verb, key }) => {
      if (verb !== 'list' || key !== 'metalog/' || isAdded) return null
      isAdded = true
      archived.bucket.poke(metalogKey({ generation: 1, from: 10, to: 11 }), Buffer.alloc(1))
      archived.catalogue.addedPiece({ generation: 1, from: 10, to: 11 })
      return null
    }
    await archived.prune()
    for (const position of [12, 13, 14]) {
      archived.bucket.poke(checkpointKey({ generation: 1, position }), Buffer.alloc(1))
      archived.catalogue.addedCheckpoint({ generation: 1, position, beginsChain: false })
    }
    await archived.prune()
    expect(archived.pieces).toEqual([])
  })
})
