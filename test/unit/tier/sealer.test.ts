import { describe, expect, it } from 'vitest'
import type { Partition } from '#core/state.ts'
import { served } from '#test/support/log-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type StoreCall } from '#test/support/sim/sim-object-store.ts'
import { TierLab, type TierLabOptions } from '#test/support/tier-lab.ts'

const MINUTE = 60_000
const SMALL_FILES = { walFileBytes: 1 << 14 }

interface InBucket {
  lab: TierLab
  bucket: SimBucket
  calls: (StoreCall & { atMs: number })[]
}

async function inBucket(
  options: TierLabOptions = SMALL_FILES,
  latencyMs: (call: StoreCall) => number = () => 20,
): Promise<InBucket> {
  const clock = new SimClock()
  const bucket = new SimBucket({ clock, prng: new Prng(3), latencyMs })
  const calls: InBucket['calls'] = []
  const lab = await TierLab.open({ clock, bucket, ...options })
  bucket.onCall = call => {
    calls.push({ ...call, atMs: clock.monotonicMs() })
    return null
  }
  return { lab, bucket, calls }
}

const isSealed = ({ walStart, nextOffset }: Partition) => walStart === nextOffset
const sealedOf = (lab: TierLab) => lab.log.state.partitions.map(partition => partition!.walStart)

describe('a partition is sealed', () => {
  it('when it has enough for a segment, and no sooner', async () => {
    const { lab } = await inBucket()
    lab.sealer({ segmentBytes: 10_000 })
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 9, { sizeBytes: 1000 })
    await lab.clock.runFor(1000)
    expect(partition.walStart).toBe(0)
    await lab.appendMany(partition, 6, { sizeBytes: 1000 })
    await lab.clock.runFor(1000)
    expect(partition.segments.at(0)).toMatchObject({ baseOffset: 0, nextOffset: 10, sizeBytes: 10_000 })
  })

  it('when its oldest record has waited long enough', async () => {
    const { lab } = await inBucket()
    lab.sealer()
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 1)
    await lab.clock.runFor(MINUTE - 1000)
    await lab.appendMany(partition, 1)
    expect(partition.walStart).toBe(0)
    await lab.clock.runFor(2000)
    expect(isSealed(partition)).toBe(true)
  })

  it('sooner if its topic has shorter segments', async () => {
    const { lab } = await inBucket()
    lab.sealer()
    const [long] = (await lab.lab.topic('long')).partitions
    const [short] = (await lab.lab.topic('short', 1, new Map([['segment.ms', '2000']]))).partitions
    await lab.appendMany(long!, 1)
    await lab.appendMany(short!, 1)
    await lab.clock.runFor(3000)
    expect([isSealed(long!), isSealed(short!)]).toEqual([false, true])
  })

  it.each(['segment.bytes', 'internal.segment.bytes'])(
    'into segments as small as %s, but not into objects',
    async name => {
      const { lab, calls } = await inBucket({ walFileBytes: 1 << 20 })
      lab.sealer()
      const configs = new Map([[name, '2000']])
      const { partitions } = await lab.lab.topic('topic', 2, configs)
      for (const partition of partitions) await lab.appendMany(partition, 50, { sizeBytes: 600 })
      await lab.appendMany(partitions[0]!, 50, { sizeBytes: 100_000 })
      await lab.clock.runFor(MINUTE - 1000)
      expect([partitions[0]!.walStart, partitions[1]!.walStart]).toEqual([92, 0])
      await lab.clock.runFor(5000)
      expect(partitions.map(isSealed)).toEqual([true, true])
      expect(calls.filter(({ verb }) => verb === 'put')).toHaveLength(2)
      for (const { segments } of partitions) {
        for (let i = 0; i < 50; i += 3) expect(segments.at(i / 3).baseOffset).toBe(i)
      }
      expect(partitions[0]!.segments.at(20)).toMatchObject({ sizeBytes: 100_000 })
    },
  )

  it('into a few objects at a time, with so many bytes in memory', async () => {
    const { lab, bucket } = await inBucket({ walFileBytes: 16 << 20 })
    lab.sealer({ segmentBytes: 24 << 20 })
    const { partitions } = await lab.lab.topic('topic', 5)
    const underWay = new Map<string, number>()
    let mostBytes = 0
    bucket.onCall = ({ verb, key, sizeBytes }) => {
      if (verb !== 'put') return null
      underWay.set(key, sizeBytes)
      for (const known of bucket.keys) underWay.delete(known)
      mostBytes = Math.max(
        mostBytes,
        [...underWay.values()].reduce((sum, bytes) => sum + bytes, 0),
      )
      return null
    }
    for (const partition of partitions) {
      const batch = lab.lab.batch(partition, { sizeBytes: 1 << 20 })
      for (let left = 25; left > 0; left--) void lab.lab.send(batch)
    }
    await lab.clock.runFor(5000)
    expect(sealedOf(lab)).toEqual([24, 24, 24, 24, 24])
    expect(mostBytes).toBeGreaterThan(47 << 20)
    expect(mostBytes).toBeLessThan(65 << 20)
  })

  it('when the log start has moved within it, as if it had not', async () => {
    const { lab } = await inBucket()
    lab.sealer()
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 50)
    for (let offset = 1; offset <= 12; offset++) {
      await lab.clock.runFor(5000)
      await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset })
    }
    await lab.clock.runFor(1000)
    expect(isSealed(partition)).toBe(true)
  })

  it('when the write-ahead log is half full, oldest first, though nothing else is due', async () => {
    const { lab } = await inBucket()
    lab.sealer({ segmentMs: 60 * MINUTE, walLimitBytes: 8 << 14 })
    const [old, busy] = (await lab.lab.topic('topic', 2)).partitions
    await lab.appendMany(old!, 2, { sizeBytes: 1000 })
    await lab.appendMany(busy!, 3, { sizeBytes: 10_000 })
    await lab.clock.runFor(1000)
    expect(sealedOf(lab)).toEqual([0, 0])
    await lab.appendMany(busy!, 3, { sizeBytes: 10_000 })
    await lab.clock.runFor(1000)
    expect(isSealed(old!)).toBe(true)
    await lab.appendMany(busy!, 40, { sizeBytes: 10_000 })
    await lab.clock.runFor(1000)
    expect(lab.log.commits.files.sizeBytes).toBeLessThanOrEqual(8 << 14)
  })

  it('not beyond an open transaction, and from there on when it has ended', async () => {
    const { lab } = await inBucket()
    lab.sealer()
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 10 * MINUTE, ...from, producerId: 1, epoch: 0 }
    await lab.lab.propose({ kind: 'transactional-id-claimed', ...claim })
    await lab.appendMany(partition, 2)
    await lab.lab.append(partition, { producer: { id: 1, epoch: 0, sequence: 0, isTransactional: true } })
    await lab.appendMany(partition, 2)
    await lab.clock.runFor(5 * MINUTE)
    expect(partition.walStart).toBe(2)
    await lab.lab.endTransaction('copier', false)
    await lab.clock.runFor(MINUTE + 10_000)
    expect(isSealed(partition)).toBe(true)
    expect(partition.segments.at(1)).toMatchObject({ baseOffset: 2, nextOffset: 6 })
  })
})

describe('a log that starts within a batch of an open transaction', () => {
  it('is sealed up to that batch, and nothing is put in vain until it has ended', async () => {
    const { lab, calls } = await inBucket()
    lab.sealer({ segmentMs: 1000 })
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 10 * MINUTE, ...from, producerId: 1, epoch: 0 }
    await lab.lab.propose({ kind: 'transactional-id-claimed', ...claim })
    const producer = { id: 1, epoch: 0, sequence: 0, isTransactional: true }
    await lab.appendMany(partition, 1)
    await lab.lab.append(partition, { producer, recordCount: 5 })
    await lab.appendMany(partition, 1)
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: 3 })
    await lab.clock.runFor(5 * MINUTE)
    const puts = () => calls.filter(({ verb }) => verb === 'put').length
    expect([partition.walStart, puts()]).toEqual([1, 1])
    await lab.lab.endTransaction('copier', true)
    await lab.clock.runFor(10_000)
    expect([isSealed(partition), puts()]).toEqual([true, 2])
  })
})

describe('small partitions', () => {
  it('share an object with those that have waited half as long', async () => {
    const { lab, bucket } = await inBucket()
    lab.sealer()
    const { partitions } = await lab.lab.topic('topic', 4)
    for (const [i, delayMs] of [0, 10_000, 25_000, 20_000].entries()) {
      await lab.appendMany(partitions[i]!, 1)
      await lab.clock.runFor(delayMs)
    }
    await lab.clock.runFor(6000)
    expect(sealedOf(lab)).toEqual([1, 1, 1, 0])
    expect(bucket.keys).toEqual([expect.stringMatching('^segments/shared/')])
    await lab.clock.runFor(MINUTE)
    expect(sealedOf(lab)).toEqual([1, 1, 1, 1])
  })

  it('are few objects, though ten thousand of them get a record now and then', async () => {
    const { lab, calls } = await inBucket({ walFileBytes: 1 << 20 })
    lab.sealer()
    const { partitions } = await lab.lab.topic('topic', 10_000)
    const prng = new Prng(9)
    const seconds = 100
    for (let second = 0; second < seconds; second++) {
      for (let i = 0; i < 300; i++) void lab.lab.send(lab.lab.batch(prng.pick(partitions), { sizeBytes: 80 }))
      await lab.clock.runFor(1000)
    }
    const puts = calls.filter(({ verb }) => verb === 'put')
    expect(puts.length).toBeGreaterThan(2)
    expect(puts.length).toBeLessThanOrEqual(2 * seconds)
    const perSecond = new Map<number, number>()
    for (const { atMs } of puts) {
      const second = Math.floor(atMs / 1000)
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
    }
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(4)
    const waitedMs = [...lab.log.unsealed.all].map(({ sinceMs }) => lab.clock.monotonicMs() - sinceMs)
    expect(Math.max(...waitedMs)).toBeLessThan(MINUTE + 1000)
  })
})

describe('sealing that fails', () => {
  it.each(['unavailable', 'lost', 'full'] as const)(
    'because the store is %s is tried again, ever more rarely',
    async fault => {
      const { lab, bucket, calls } = await inBucket()
      const sealer = lab.sealer({ segmentMs: 1000 })
      const partition = (await lab.lab.topic('topic')).partitions[0]!
      const appended = await lab.appendMany(partition, 5)
      bucket.onCall = call => {
        calls.push({ ...call, atMs: lab.clock.monotonicMs() })
        return fault
      }
      await lab.clock.runFor(5 * MINUTE)
      expect([partition.walStart, sealer.failingSinceMs === null]).toEqual([0, false])
      expect(calls.length).toBeLessThan(20)
      expect(calls.at(-1)!.atMs - calls.at(-2)!.atMs).toBeLessThan(31_000)
      expect(lab.sealed.reports).toEqual([expect.stringMatching('warn: sealing failed')])
      bucket.onCall = () => null
      await lab.clock.runFor(40_000)
      expect([isSealed(partition), sealer.failingSinceMs]).toEqual([true, null])
      expect(lab.sealed.reports.at(-1)).toBe('info: sealing works again')
      expect(bucket.keys).toHaveLength(1)
      expect(await lab.readAll(partition)).toEqual(served(appended))
    },
  )

  it.each([1, 3])('is tried again as it was, of %i partitions, whatever comes meanwhile', async count => {
    const { lab, bucket } = await inBucket()
    lab.sealer({ segmentMs: 1000 })
    const { partitions } = await lab.lab.topic('topic', count)
    for (const partition of partitions) await lab.appendMany(partition, 5)
    bucket.onCall = () => 'lost'
    for (let i = 0; i < 4; i++) {
      await lab.clock.runFor(5000)
      for (const partition of partitions) await lab.appendMany(partition, 2)
    }
    expect(bucket.keys).toHaveLength(1)
    bucket.onCall = () => null
    await lab.clock.runFor(40_000)
    expect(partitions.every(isSealed)).toBe(true)
    expect(bucket.keys).toHaveLength(2)
  })

  it('because the store does not answer is given up and tried again', async () => {
    const { lab, bucket } = await inBucket()
    lab.sealer({ segmentMs: 1000 })
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 5)
    bucket.onCall = () => 'hanging'
    await lab.clock.runFor(10_000)
    bucket.onCall = () => null
    await lab.clock.runFor(5 * MINUTE)
    expect(isSealed(partition)).toBe(true)
    expect(lab.sealed.reports[0]).toMatch('did not take an object within 120 s')
  })

  it.each(['topic', 'records'])('fails no more when nothing is left to seal: the %s went meanwhile', async gone => {
    const { lab, bucket } = await inBucket()
    const sealer = lab.sealer({ segmentMs: 1000 })
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 5)
    bucket.onCall = () => 'unavailable'
    await lab.clock.runFor(MINUTE)
    expect(sealer.failingSinceMs).not.toBeNull()
    const { ordinal, nextOffset, topic } = partition
    if (gone === 'topic') await lab.lab.propose({ kind: 'topic-deleted', id: topic.id })
    else await lab.lab.propose({ kind: 'log-start-moved', ordinal, offset: nextOffset })
    await lab.clock.runFor(MINUTE)
    expect(sealer.failingSinceMs).toBeNull()
    expect(lab.sealed).toMatchObject({ segments: 0, reports: [expect.stringMatching('warn: sealing failed')] })
  })

  it('because a partition cannot be read keeps nobody else waiting', async () => {
    const first = await TierLab.open({ walFileBytes: 1 << 16 })
    await first.lab.topic('topic', 3)
    const [damaged] = await first.appendMany(first.partition(), 2)
    for (const index of [1, 2]) await first.appendMany(first.partition('topic', index), 2)
    await first.clock.run(first.log.close())
    const path = first.lab.disk.paths.find(name => name.endsWith('.wal'))!
    const bytes = first.lab.disk.peek(path)
    const at = bytes.indexOf(damaged!.sent.bytes.subarray(20, 90)) + 60
    bytes[at] = bytes[at]! ^ 1
    first.lab.disk.poke(path, bytes)
    const lab = await first.copy()
    lab.sealer({ segmentMs: 1000 })
    await lab.clock.runFor(2000)
    for (let left = 20; left > 0; left--) {
      await lab.appendMany(lab.partition('topic', 2), 2)
      await lab.clock.runFor(5000)
    }
    expect(lab.log.state.partitions.map(partition => isSealed(partition!))).toEqual([false, true, true])
    expect(lab.sealed.reports.length).toBeLessThan(8)
    expect(lab.sealed.reports[0]).toMatch(`topic-0 cannot be sealed: the log is damaged in ${path}`)
    bytes[at] = bytes[at]! ^ 1
    lab.lab.disk.poke(path, bytes)
    await lab.clock.runFor(40_000)
    expect(isSealed(lab.partition())).toBe(false) // it still reads the file that it has open
    const mended = await lab.copy()
    mended.sealer({ segmentMs: 1000 })
    await mended.clock.runFor(2000)
    expect(isSealed(mended.partition())).toBe(true)
  })

  it('ends with the log', async () => {
    const { lab, calls } = await inBucket()
    lab.sealer({ segmentMs: 1000 })
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 1)
    lab.lab.disk.onCall = ({ kind }) => (kind === 'sync' ? 'EIO' : null)
    await lab.clock.runFor(10 * MINUTE)
    expect(lab.lab.failures).toHaveLength(1)
    expect(calls.length).toBeLessThan(3)
  })
})

describe('a slow connection to the store', () => {
  it('gets the time that it takes for a large object', async () => {
    const bytesPerMs = (300 << 10) / 1000
    const onItsWayMs = ({ sizeBytes }: StoreCall) => 20 + sizeBytes / bytesPerMs / 2
    const { lab, bucket } = await inBucket({ walFileBytes: 16 << 20 }, onItsWayMs)
    lab.sealer({ segmentBytes: 40 << 20 })
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    const batch = lab.lab.batch(partition, { sizeBytes: 1 << 20 })
    for (let left = 40; left > 0; left--) void lab.lab.send(batch)
    await lab.clock.runFor(5 * MINUTE)
    expect(partition.walStart).toBe(40)
    expect(lab.sealed).toMatchObject({ failures: 0, reports: [] })
    expect(bucket.keys).toHaveLength(1)
  })
})

describe('draining', () => {
  it('seals all there is, though nothing is due', async () => {
    const { lab } = await inBucket()
    const sealer = lab.sealer()
    const { partitions } = await lab.lab.topic('topic', 5)
    for (const partition of partitions) await lab.appendMany(partition, 3)
    await lab.appendMany(partitions[0]!, 20, { sizeBytes: 100_000 })
    expect(await lab.clock.run(sealer.drain(30_000))).toBe(0)
    await lab.clock.run(sealer.close())
    expect(sealedOf(lab)).toEqual([23, 3, 3, 3, 3])
  })

  it('tries again what fails, until its time is over, and says how much is left', async () => {
    const { lab, bucket } = await inBucket()
    const sealer = lab.sealer()
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 3, { sizeBytes: 100 })
    let failures = 3
    bucket.onCall = () => (failures-- > 0 ? 'unavailable' : null)
    expect(await lab.clock.run(sealer.drain(30_000))).toBe(0)
    expect(isSealed(partition)).toBe(true)

    const other = await inBucket()
    const another = other.lab.sealer()
    await other.lab.appendMany((await other.lab.lab.topic('topic')).partitions[0]!, 3, { sizeBytes: 100 })
    other.bucket.onCall = () => 'hanging'
    const beganMs = other.lab.clock.monotonicMs()
    expect(await other.lab.clock.run(another.drain(30_000))).toBe(300)
    await other.lab.clock.run(another.close())
    expect(other.lab.clock.monotonicMs() - beganMs).toBeCloseTo(30_000, -2)
  })

  it('ends at once if nothing is left', async () => {
    const { lab } = await inBucket()
    expect(await lab.clock.run(lab.sealer().drain(30_000))).toBe(0)
    expect(lab.clock.monotonicMs()).toBeLessThan(100)
  })
})
