import { describe, expect, it } from 'vitest'
import type { LogSlices } from '#log/read-log.ts'
import { NOTHING, readLog, release } from '#log/read-log.ts'
import { rangeFrom } from '#test/simulation/range.ts'
import { type Appended, LogLab, type LogLabOptions, served } from '#test/support/log-lab.ts'

const BATCH_BYTES = 300
const RECORDS = 4

/** A partition with some batches among those of another one. */
async function labWith(count: number, options: LogLabOptions = {}): Promise<{ lab: LogLab; appended: Appended[] }> {
  const lab = await LogLab.open({ walFileBytes: 4096, ...options })
  await lab.topic('topic', 2)
  const appended: Appended[] = []
  for (let i = 0; i < count; i++) {
    appended.push(await lab.append(lab.partition(), { sizeBytes: BATCH_BYTES, recordCount: RECORDS }))
    if (i % 3 === 0) await lab.append(lab.partition('topic', 1), { sizeBytes: 1000 })
  }
  await lab.clock.runFor(1000)
  return { lab, appended }
}

const bytesOf = (read: LogSlices) => Buffer.concat(read.slices)

describe.each([
  ['memory', async (lab: LogLab) => lab],
  ['files', (lab: LogLab) => lab.closeAndOpen()],
])('a read from %s', (place, reach) => {
  it('gives whole batches from the one that holds the offset on, up to the limit', async () => {
    const { lab: writer, appended } = await labWith(40)
    const lab = await reach(writer)
    const partition = lab.partition()
    for (let offset = 0; offset < partition.nextOffset; offset += 3) {
      const first = Math.floor(offset / RECORDS)
      for (const batches of [1, 2, 7]) {
        const read = await lab.read(partition, offset, batches * BATCH_BYTES + 50, false)
        const expected = appended.slice(first, first + batches)
        expect(bytesOf(read)).toEqual(served(expected))
        expect(read.sizeBytes).toBe(expected.length * BATCH_BYTES)
        expect(read.nextOffset).toBe((first + expected.length) * RECORDS)
        release(lab.log, read)
      }
    }
    expect(await lab.readAll(partition)).toEqual(served(appended))
  })

  it('gives the first batch whatever its size, if at least one is wanted', async () => {
    const { lab: writer, appended } = await labWith(3)
    const lab = await reach(writer)
    const one = await lab.read(lab.partition(), RECORDS, 1, true)
    expect(bytesOf(one)).toEqual(served(appended.slice(1, 2)))
    const none = await lab.read(lab.partition(), RECORDS, 1, false)
    expect([none.sizeBytes, none.slices.length]).toEqual([0, 0])
  })

  it('has nothing at the end, and refuses what is not an offset of the partition', async () => {
    const { lab: writer } = await labWith(3)
    const lab = await reach(writer)
    const partition = lab.partition()
    expect(readLog(lab.log, partition, rangeFrom(partition, 12, 1000))).toBe(NOTHING)
    expect(() => readLog(lab.log, partition, rangeFrom(partition, 13, 1000))).toThrow('the offset was checked')
  })

  it(`is answered ${place === 'memory' ? 'at once' : 'later'}`, async () => {
    const { lab: writer } = await labWith(3)
    const lab = await reach(writer)
    const read = readLog(lab.log, lab.partition(), rangeFrom(lab.partition(), 0, 1000))
    expect(read instanceof Promise).toBe(place === 'files')
    await lab.clock.run(Promise.resolve(read))
  })
})

describe('a read', () => {
  it('goes over from files to memory', async () => {
    const { lab: writer, appended } = await labWith(20)
    const lab = await writer.crash()
    for (let i = 0; i < 20; i++) {
      appended.push(await lab.append(lab.partition(), { sizeBytes: BATCH_BYTES, recordCount: RECORDS }))
    }
    for (const maxBytes of [1, 700, 5000, 1 << 20]) {
      expect(await lab.readAll(lab.partition(), 0, maxBytes)).toEqual(served(appended))
    }
  })

  it('gives the same from memory that is kept and from files, whatever size the cache has', async () => {
    const large = { walFileBytes: 1 << 19, cacheBytes: 0 }
    const lab = await LogLab.open(large)
    const partition = (await lab.topic('topic')).partitions[0]!
    const appended = await lab.appendMany(partition, 60, { sizeBytes: 60_000 })
    await lab.clock.runFor(1000)
    expect(lab.log.commits.image.from).toBeGreaterThan(0)
    expect(await lab.readAll(partition, 0, 100_000)).toEqual(served(appended))
  })

  it('keeps the memory of a chunk from being used again until it is released', async () => {
    const lab = await LogLab.open({ walFileBytes: 1 << 22, cacheBytes: 0 })
    const partition = (await lab.topic('topic')).partitions[0]!
    const held = await lab.append(partition, { sizeBytes: 50_000 })
    const read = await lab.read(partition, 0)
    expect(read.pinned).toHaveLength(1)
    await lab.appendMany(partition, 60, { sizeBytes: 60_000 })
    expect(bytesOf(read)).toEqual(served([held]))
    const [chunk] = read.pinned
    release(lab.log, read)
    expect(chunk!.pins).toBe(0)
    release(lab.log, read)
    expect(chunk!.pins).toBe(0)
  })

  it('finds what was committed together with the end of a transaction before it', async () => {
    const lab = await LogLab.open()
    const partition = (await lab.topic('topic')).partitions[0]!
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 1000, ...from, producerId: 1, epoch: 0 }
    await lab.propose({ kind: 'transactional-id-claimed', ...claim })
    const sequenced = { id: 1, epoch: 0, sequence: 0, isTransactional: true }
    const before = await lab.append(partition, { producer: sequenced })
    const ended = lab.endTransaction('copier', true)
    const [, behind] = await lab.clock.run(Promise.all([ended, lab.send(lab.batch(partition))]))
    expect(behind.baseOffset).toBe(2)
    const reader = await lab.closeAndOpen()
    const read = await reader.read(reader.partition(), 0)
    const bytes = bytesOf(read)
    const [first, last] = [served([before]), served([behind])]
    expect(bytes.subarray(0, first.length)).toEqual(first)
    expect(bytes.subarray(-last.length)).toEqual(last)
    expect(read.nextOffset).toBe(3)
  })

  it('that loses its records to retention while it is under way says so', async () => {
    const { lab: writer } = await labWith(40)
    const lab = await writer.closeAndOpen()
    const partition = lab.partition()
    const reading = readLog(lab.log, partition, rangeFrom(partition, 0))
    const moved = lab.log.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: partition.nextOffset })
    const gone = { code: 'LOG_TRIMMED', kind: 'retry', message: expect.stringContaining('topic-0') }
    await expect(lab.clock.run(Promise.all([reading, moved]))).rejects.toMatchObject(gone)
  })

  it('that loses its topic while it is under way says so', async () => {
    const { lab: writer } = await labWith(40)
    const lab = await writer.closeAndOpen()
    const partition = lab.partition()
    const reading = readLog(lab.log, partition, rangeFrom(partition, 0))
    const deleted = lab.log.propose({ kind: 'topic-deleted', id: partition.topic.id })
    await expect(lab.clock.run(Promise.all([reading, deleted]))).rejects.toMatchObject({ code: 'LOG_TRIMMED' })
  })

  it('names the file and the place if no batch stands where one should', async () => {
    const { lab: writer, appended } = await labWith(5)
    await writer.clock.run(writer.log.close())
    const path = '/data/wal/0000000000000001.wal'
    const bytes = writer.disk.peek(path)
    const at = bytes.indexOf(appended[2]!.sent.bytes.subarray(61, 100)) - 61
    bytes.writeInt32BE(17, at + 8)
    writer.disk.poke(path, bytes)
    const lab = await writer.crash()
    const damaged = { code: 'WAL_DAMAGED', kind: 'corrupt', message: expect.stringContaining(`${path} at byte ${at}`) }
    await expect(lab.read(lab.partition(), 0)).rejects.toMatchObject(damaged)
  })
})
