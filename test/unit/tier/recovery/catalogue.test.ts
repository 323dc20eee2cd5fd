import { describe, expect, it } from 'vitest'
import { State } from '#core/state.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type StoreCall } from '#test/support/sim/sim-object-store.ts'
import { checkpointKey, generationKey, metalogKey, parseMetalogKey } from '#tier/recovery/archive-names.ts'
import { Catalogue } from '#tier/recovery/catalogue.ts'

const LATENCY_MS = 15
const { signal } = new AbortController()

/** A store with a piece of the log a second, the first so many of them before the last three checkpoints. */
class Archived {
  readonly clock = new SimClock()
  readonly bucket = new SimBucket({ clock: this.clock, latencyMs: () => LATENCY_MS })
  readonly calls: StoreCall[] = []
  isTakenOver = false
  readonly catalogue = new Catalogue({
    store: this.bucket.connect(),
    clock: this.clock,
    windowMs: 0,
    generation: 1,
    state: new State(),
    confirm: async () => {
      if (this.isTakenOver) throw new Error('another one owns the store')
    },
  })

  constructor(pieces: number, checkpoints: readonly number[]) {
    this.bucket.poke(generationKey(1), Buffer.from('{}'))
    for (let to = 1; to <= pieces; to++) {
      this.bucket.poke(metalogKey({ generation: 1, from: to - 1, to }), Buffer.alloc(1))
    }
    for (const position of checkpoints) this.bucket.poke(checkpointKey({ generation: 1, position }), Buffer.alloc(1))
    this.catalogue.addedCheckpoint({ generation: 1, position: checkpoints.at(-1)! })
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
    archived.catalogue.addedCheckpoint({ generation: 1, position: 500 })
    await archived.prune()
    expect(archived.pieces[0]).toBe(401)
    expect(archived.deletes).toBe(401)
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
      archived.catalogue.addedCheckpoint({ generation: 1, position })
    }
    await archived.prune()
    expect(archived.pieces).toEqual([])
  })
})
