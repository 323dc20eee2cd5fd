import { describe, expect, it } from 'vitest'
import { type Appended, served } from '#test/support/log-lab.ts'
import { TierLab, type TierLabOptions } from '#test/support/tier-lab.ts'

const BATCH_BYTES = 300
const RECORDS = 4
const SMALL_FILES = { walFileBytes: 4096 }
const LARGE_FILES = { walFileBytes: 1 << 22 }

interface Tiers {
  lab: TierLab
  appended: Appended[]
}

/** A partition whose records are in segments, in files of the log and in memory. */
async function overAllTiers(options: TierLabOptions = SMALL_FILES): Promise<Tiers> {
  const first = await TierLab.open(options)
  await first.lab.topic('topic', 2)
  const appended: Appended[] = []
  const append = async (lab: TierLab, count: number) => {
    for (let left = count; left > 0; left--) {
      appended.push(await lab.lab.append(lab.partition(), { sizeBytes: BATCH_BYTES, recordCount: RECORDS }))
      if (left % 3 === 0) await lab.lab.append(lab.partition('topic', 1), { sizeBytes: 500 })
    }
  }
  await append(first, 12)
  await first.sealAll(first.partition(), { maxBytes: 1000 })
  await append(first, 8)
  await first.seal([first.partition(), first.partition('topic', 1)])
  await append(first, 15)
  const lab = await first.closeAndOpen()
  await append(lab, 10)
  return { lab, appended }
}

/** What a read ought to give: it ends where the segments end, which the next one begins with. */
function expected({ lab, appended }: Tiers, offset: number, maxBytes: number, atLeastOne: boolean): Appended[] {
  const { walStart } = lab.partition()
  const wanted: Appended[] = []
  let leftBytes = maxBytes
  for (const batch of appended) {
    if (batch.baseOffset + batch.sent.entry.recordCount <= offset) continue
    if (offset < walStart && batch.baseOffset >= walStart) break
    leftBytes -= batch.sent.bytes.length
    if (leftBytes < 0 && !(atLeastOne && wanted.length === 0)) break
    wanted.push(batch)
  }
  return wanted
}

describe('a read of what is in segments, in files and in memory', () => {
  it('gives whole batches from the one that holds the offset on, whatever is asked for', async () => {
    const tiers = await overAllTiers()
    const { lab } = tiers
    const partition = lab.partition()
    expect(partition.segments.length).toBeGreaterThan(3)
    expect(partition.walStart).toBeLessThan(lab.log.tails[partition.ordinal]!.baseOffset(0))
    for (let offset = 0; offset < partition.nextOffset; offset++) {
      for (const maxBytes of [0, BATCH_BYTES - 1, BATCH_BYTES, 1000, 4000, 1 << 20]) {
        for (const atLeastOne of [true, false]) {
          const read = await lab.read(partition, offset, maxBytes, atLeastOne)
          const batches = expected(tiers, offset, maxBytes, atLeastOne)
          expect(read.bytes).toEqual(served(batches))
          expect(read.sizeBytes).toBe(read.bytes.length)
          const last = batches.at(-1)
          expect(read.nextOffset).toBe(last ? last.baseOffset + RECORDS : offset)
        }
      }
    }
  })

  it('gives all of it, however little is read at once', async () => {
    const { lab, appended } = await overAllTiers()
    for (const maxBytes of [1, 700, 5000, 1 << 20]) {
      expect(await lab.readAll(lab.partition(), 0, maxBytes)).toEqual(served(appended))
    }
  })

  it('stops where the reader may not see further', async () => {
    const { lab, appended } = await overAllTiers()
    const partition = lab.partition()
    for (const batch of appended.slice(1)) {
      const range = { offset: 0, endOffset: batch.baseOffset, maxBytes: 1 << 20, atLeastOne: true }
      const { walStart } = partition
      const read = await lab.readRange(partition, range)
      expect(read.nextOffset).toBe(Math.min(batch.baseOffset, walStart))
    }
  })

  it('gives the batch in which the log start lies, whole', async () => {
    const { lab, appended } = await overAllTiers()
    const partition = lab.partition()
    for (const offset of [RECORDS * 5 + 2, RECORDS * 17 + 1, RECORDS * 25 + 3]) {
      await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset })
      expect(await lab.readAll(partition)).toEqual(served(appended.slice(Math.floor(offset / RECORDS))))
    }
  })
})

describe('a read of segments', () => {
  it('goes on where compaction has left gaps', async () => {
    const { lab, appended } = await overAllTiers()
    const partition = lab.partition()
    const ranges: [number, number][] = [
      [0, 3],
      [1, 2],
      [1, 3],
    ]
    let left = appended
    for (const [at, range] of ranges.entries()) {
      const [from, to] = [partition.segments.at(range[0]).baseOffset, partition.segments.at(range[1] - 1).nextOffset]
      const within = left.filter(({ baseOffset }) => baseOffset >= from && baseOffset < to)
      // The first ones of one, the last ones of the next, and all of the last.
      const keeps = (n: number) => [n > 2 && n % 2 === 0, n === 0, false][at]!
      expect(await lab.rewrite(partition, range, keeps)).toBe('NONE')
      left = left.filter(batch => !within.includes(batch) || keeps(within.indexOf(batch)))
      for (const maxBytes of [1, 1000, 1 << 20]) {
        expect(await lab.readAll(partition, 0, maxBytes)).toEqual(served(left))
      }
      for (let offset = 0; offset < partition.nextOffset; offset++) {
        const next = left.filter(({ baseOffset }) => baseOffset + RECORDS > offset)
        expect((await lab.read(partition, offset, 1)).bytes).toEqual(served(next.slice(0, 1)))
      }
    }
  })

  it('gives batches that begin in one block of a segment and end in another', async () => {
    const lab = await TierLab.open(LARGE_FILES)
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    const appended: Appended[] = []
    // Headers of 61 bytes lie at, before and across the ends of blocks.
    const sizes = [(1 << 20) - 30, 100, (1 << 20) - 61 - 70, 61 + 9, 3_000_000, 70, 700_000, 800_000, 99]
    for (const sizeBytes of sizes) appended.push(await lab.lab.append(partition, { sizeBytes, recordCount: RECORDS }))
    await lab.seal([partition])
    const cold = await lab.closeAndOpen()
    for (let offset = 0; offset < partition.nextOffset; offset += 3) {
      for (const maxBytes of [1, 3_500_000]) {
        const batches = expected({ lab: cold, appended }, offset, maxBytes, true)
        expect((await cold.read(cold.partition(), offset, maxBytes)).bytes.equals(served(batches))).toBe(true)
      }
    }
  })

  it('gives a batch that is larger than what is read at once', async () => {
    const lab = await TierLab.open(LARGE_FILES)
    const partition = (await lab.lab.topic('topic')).partitions[0]!
    const appended: Appended[] = []
    for (const sizeBytes of [1000, 9_500_000, 1000]) appended.push(await lab.lab.append(partition, { sizeBytes }))
    await lab.seal([partition])
    const cold = await lab.closeAndOpen()
    for (const maxBytes of [1, 9_501_000, 1 << 25]) {
      expect((await cold.readAll(cold.partition(), 0, maxBytes)).equals(served(appended))).toBe(true)
    }
  })
})

describe('what is sealed while it is read', () => {
  /** All in files of the log; what lies between the batches is so much that they are read one by one. */
  async function unsealed(): Promise<Tiers> {
    let lab = await TierLab.open({ walFileBytes: 1 << 16 })
    await lab.lab.topic('topic', 2)
    const appended: Appended[] = []
    for (let i = 0; i < 20; i++) {
      appended.push(await lab.lab.append(lab.partition(), { sizeBytes: BATCH_BYTES, recordCount: RECORDS }))
      if (i % 2 === 0) await lab.lab.append(lab.partition('topic', 1), { sizeBytes: 17_000 })
    }
    // Until no checkpoint needs them any more.
    for (let restarts = 0; restarts < 3; restarts++) lab = await lab.closeAndOpen()
    return { lab, appended }
  }

  const both = (lab: TierLab) => lab.sealing([lab.partition(), lab.partition('topic', 1)])

  /** When the first file of the log goes, if sealing begins now. */
  async function firstTrimMs({ lab, clock }: { lab: TierLab; clock: TierLab['clock'] }): Promise<number> {
    const beganMs = clock.monotonicMs()
    const { files } = lab.log.commits
    const fileCount = files.all.length
    await Promise.all([both(lab), clock.runUntil(() => files.all.length < fileCount)])
    return clock.monotonicMs() - beganMs
  }

  it('is read all the same, from wherever it is when its turn comes', async () => {
    const tiers = await unsealed()
    const trimMs = await firstTrimMs({ lab: await tiers.lab.copy(), clock: tiers.lab.clock })
    let crossed = 0
    for (let delayMs = trimMs - 0.2; delayMs < trimMs + 0.1; delayMs += 0.01) {
      const lab = await tiers.lab.copy()
      const partition = lab.partition()
      const later = new Promise<void>(resolve => lab.clock.after(delayMs, resolve))
      const reading = later.then(() => lab.reading(partition, 0))
      const [read] = await lab.clock.run(Promise.all([reading, both(lab)]))
      const batches = tiers.appended.filter(({ baseOffset }) => baseOffset < read.nextOffset)
      expect(read.bytes).toEqual(served(batches))
      if (read.nextOffset > 0 && read.nextOffset < partition.nextOffset) crossed++
    }
    expect(crossed).toBeGreaterThan(0)
  })
})
