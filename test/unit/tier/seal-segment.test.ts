import { describe, expect, it } from 'vitest'
import { served } from '#test/support/log-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { STORE, TierLab, type TierLabOptions } from '#test/support/tier-lab.ts'

const FILES = { walFileBytes: 1 << 14 }

/** Two partitions with some batches. */
async function labWith(options: TierLabOptions = FILES) {
  const lab = await TierLab.open(options)
  const { partitions } = await lab.lab.topic('topic', 2)
  const appended = [
    await lab.appendMany(partitions[0]!, 8, { sizeBytes: 500, recordCount: 3 }),
    await lab.appendMany(partitions[1]!, 3, { sizeBytes: 100 }),
  ]
  return { lab, appended }
}

function objectsOf({ lab }: TierLab): Map<string, Buffer> {
  const paths = lab.disk.paths.filter(path => path.startsWith(`${STORE}/segments`))
  return new Map(paths.map(path => [path.slice(STORE.length + 1), lab.disk.peek(path)]))
}

const partitionsOf = (lab: TierLab) => [lab.partition(), lab.partition('topic', 1)]

describe('sealing a range', () => {
  it('gives an object that is named after it, and nothing of it is left in the write-ahead log', async () => {
    const { lab, appended } = await labWith()
    const partition = lab.partition()
    expect(await lab.seal([partition])).toMatchObject({ parts: 1 })
    const [[key, bytes]] = [...objectsOf(lab)] as [[string, Buffer]]
    expect(key).toMatch(/^segments\/id-of-topic\/topic\/0\/0{20}-0{18}24-g0-[0-9a-f]{8}\.log$/)
    expect(bytes.subarray(0, 4000)).toEqual(served(appended[0]!))
    expect([partition.walStart, partition.extents.length]).toEqual([24, 0])
  })

  it('again gives the same bytes under the same name, from memory and from files', async () => {
    const { lab } = await labWith()
    const fromMemory = await lab.copy()
    await fromMemory.seal([fromMemory.partition()])
    const fromFiles = await lab.closeAndOpen()
    await fromFiles.seal([fromFiles.partition()])
    expect(objectsOf(fromFiles)).toEqual(objectsOf(fromMemory))
    expect(objectsOf(fromFiles).size).toBe(1)
  })

  it('stops at a batch, at or before so many bytes, with one at least', async () => {
    const { lab } = await labWith()
    const partition = lab.partition()
    for (const [maxBytes, walStart] of [
      [1600, 9],
      [1, 12],
      [1 << 20, 24],
    ] as const) {
      await lab.seal([partition], { maxBytes })
      expect(partition.walStart).toBe(walStart)
    }
    expect(await lab.seal([partition])).toEqual({ sizeBytes: 0, parts: 0 })
  })

  it('that is deleted meanwhile says so, and commits nothing', async () => {
    const { lab } = await labWith()
    const cold = await lab.closeAndOpen()
    const sealing = cold.sealing(partitionsOf(cold))
    const deleting = cold.log.propose({ kind: 'topic-deleted', id: 'id-of-topic' })
    const [sealed] = await cold.clock.run(Promise.allSettled([sealing, deleting]))
    expect(sealed).toMatchObject({ status: 'fulfilled', value: { parts: 0 } })
    expect([cold.log.state.garbage.size, cold.log.state.sharedSegments.size]).toEqual([0, 0])
  })
})

describe('a machine that dies while it seals', () => {
  it.each([
    ['one partition', 1],
    ['two partitions into one object', 2],
  ])('%s loses nothing and seals nothing twice, whichever call of the disk it is', async (_, count) => {
    const { lab, appended } = await labWith()
    const end = await lab.crash()
    let calls = 0
    for (let diesAt = 1; ; diesAt++) {
      const dying = await end.copy()
      calls = 0
      dying.lab.disk.onCall = () => (++calls >= diesAt ? 'die' : null)
      let isDone = false
      const sealing = dying.sealing(partitionsOf(dying).slice(0, count)).then(() => {
        isDone = true
      })
      sealing.catch(() => {})
      await dying.clock.runUntil(() => isDone || dying.lab.disk.isDead)
      const again = await dying.crash()
      const before = partitionsOf(again).map(({ walStart }) => walStart)
      await again.seal(partitionsOf(again).slice(0, count))
      const last = await again.closeAndOpen()
      for (const [index, partition] of partitionsOf(last).entries()) {
        expect(await last.readAll(partition)).toEqual(served(appended[index]!))
        expect(partition.segments.length).toBe(index < count ? 1 : 0)
      }
      // What was committed before it died is not sealed again.
      if (isDone) expect(before).toEqual(count === 1 ? [24, 0] : [24, 3])
      if (isDone && diesAt > calls) break
    }
    expect(calls).toBeGreaterThan(10)
  })

  it('before its upload has arrived seals the same again, whenever that arrives', async () => {
    const clock = new SimClock()
    const bucket = new SimBucket({ clock: clock.outside(), prng: new Prng(4), latencyMs: () => 5 })
    const { lab, appended } = await labWith({ ...FILES, clock, bucket })
    bucket.onCall = ({ verb }) => (verb === 'put' ? 'late' : null)
    lab.sealing([lab.partition()]).catch(() => {})
    await clock.runFor(50)
    expect(bucket.keys).toEqual([])
    bucket.onCall = () => null
    const again = await lab.crash()
    await again.seal([again.partition()])
    const sealed = bucket.keys.map(key => Buffer.from(bucket.peek(key)))
    await clock.runFor(100_000)
    expect(bucket.keys.map(key => bucket.peek(key))).toEqual(sealed)
    const last = await again.closeAndOpen()
    expect(await last.readAll(last.partition())).toEqual(served(appended[0]!))
  })
})
