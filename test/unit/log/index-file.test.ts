import { describe, expect, it } from 'vitest'
import type { WalFile } from '#commit/wal-files.ts'
import { BatchTail } from '#log/batch-tail.ts'
import { IndexFiles, indexFileName, writeIndexFile } from '#log/index-file.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

const WAL = '/data/wal'
/** One read of an index brings so many at most. */
const AT_ONCE = 512

interface Batch {
  readonly ordinal: number
  readonly baseOffset: number
  readonly position: number
  readonly sizeBytes: number
  readonly maxTimestampMs: number
}

class Lab {
  readonly disk = new SimDisk({ prng: new Prng(2) })
  readonly clock = new SimClock()
  readonly tails: BatchTail[] = []
  readonly batches: Batch[] = []
  readonly files: WalFile[] = []
  #position = 0

  /** A WAL file with batches of random partitions, and its index. */
  async write(count: number, partitions: number, prng: Prng): Promise<WalFile> {
    const position = this.#position
    for (let i = 0; i < count; i++) this.#add(prng.between(0, partitions - 1), prng)
    const sequence = this.files.length + 1
    const file = { sequence, position, sizeBytes: this.#position - position, endPosition: this.#position }
    this.files.push(file)
    await this.clock.run(writeIndexFile({ disk: this.disk, clock: this.clock }, WAL, file, this.tails))
    return file
  }

  #add(ordinal: number, prng: Prng): void {
    this.tails[ordinal] ??= new BatchTail()
    const last = this.batches.findLast(batch => batch.ordinal === ordinal)
    const baseOffset = (last?.baseOffset ?? 2 ** 40) + prng.between(1, 30)
    const sizeBytes = prng.between(70, 5000)
    this.#position += prng.between(0, 200)
    const batch = {
      ordinal,
      baseOffset,
      position: this.#position,
      sizeBytes,
      maxTimestampMs: prng.between(-1, 2 ** 41),
    }
    this.#position += sizeBytes
    this.tails[ordinal].add(baseOffset, batch.position, sizeBytes, batch.maxTimestampMs)
    this.batches.push(batch)
  }

  of(file: WalFile, ordinal: number): Omit<Batch, 'ordinal'>[] {
    return this.batches
      .filter(
        batch => batch.ordinal === ordinal && batch.position >= file.position && batch.position < file.endPosition,
      )
      .map(({ ordinal: _, ...batch }) => batch)
  }

  open(): IndexFiles {
    return new IndexFiles(this.disk, WAL)
  }

  async make(): Promise<Lab> {
    await this.disk.makeDirectory(WAL)
    return this
  }
}

describe('the index of a WAL file', () => {
  it.each([1, 2, 3])(
    'has what the tails had in memory, for every partition, offset and position (seed %i)',
    async seed => {
      const prng = new Prng(seed)
      const lab = await new Lab().make()
      for (const count of [40, 1, 2500, 300]) await lab.write(count, 7, prng)
      const indexes = lab.open()
      for (const file of lab.files) {
        for (let ordinal = 0; ordinal < 8; ordinal++) {
          const batches = lab.of(file, ordinal)
          const first = batches[0]?.baseOffset ?? 0
          expect(await indexes.batchesFrom(file.sequence, ordinal, first - 5)).toEqual(batches.slice(0, AT_ONCE))
          for (const [i, batch] of batches.entries()) {
            if (i % 7 > 0) continue
            const wanted = batches.slice(i, i + AT_ONCE)
            expect(await indexes.batchesFrom(file.sequence, ordinal, batch.baseOffset)).toEqual(wanted)
            const { sequence } = file
            expect(await indexes.baseOffsetAt(sequence, ordinal, batch.position)).toBe(batch.baseOffset)
            expect(await indexes.baseOffsetAt(sequence, ordinal, batch.position + 1)).toBeNull()
          }
        }
      }
      await indexes.close()
      expect(lab.disk.openPaths).toEqual([])
    },
  )

  it('may be of a file without any batch', async () => {
    const lab = await new Lab().make()
    await lab.write(0, 1, new Prng(1))
    expect(await lab.open().batchesFrom(1, 0, 0)).toEqual([])
  })

  it('leaves the thread to others while it is made', async () => {
    const lab = await new Lab().make()
    await lab.write(1, 1, new Prng(1))
    let turns = 0
    const count = (): void => {
      turns++
      lab.clock.soon(count)
    }
    count()
    await lab.write(60_000, 3, new Prng(1))
    expect(turns).toBeGreaterThanOrEqual(4)
  })

  it('is refused, whatever byte of it is wrong or missing', async () => {
    const lab = await new Lab().make()
    const file = await lab.write(60, 2, new Prng(4))
    const path = `${WAL}/${indexFileName(1)}`
    const whole = lab.disk.peek(path)
    const damaged = expect.objectContaining({
      code: 'INDEX_DAMAGED',
      kind: 'corrupt',
      message: expect.stringContaining(path),
    })
    const look = async () => {
      const indexes = lab.open()
      try {
        await indexes.batchesFrom(1, 0, 0)
        await indexes.batchesFrom(1, 1, 0)
      } finally {
        await indexes.close()
        expect(lab.disk.openPaths).toEqual([])
      }
    }
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 4
      lab.disk.poke(path, bytes)
      await expect(look()).rejects.toEqual(damaged)
      lab.disk.poke(path, whole.subarray(0, at))
      await expect(look()).rejects.toEqual(damaged)
    }
    lab.disk.poke(path, whole)
    await look()
    expect(await lab.open().batchesFrom(1, 0, 0)).toEqual(lab.of(file, 0))
  })

  it('is open with a limited number of others, whoever reads how many', async () => {
    const lab = await new Lab().make()
    for (let i = 0; i < 90; i++) await lab.write(3, 1, new Prng(i))
    const indexes = lab.open()
    const reads = lab.files.flatMap(file => [0, 1].map(() => indexes.batchesFrom(file.sequence, 0, 0)))
    const read = await Promise.all(reads)
    expect(read).toEqual(lab.files.flatMap(file => [lab.of(file, 0), lab.of(file, 0)]))
    expect(lab.disk.openPaths.length).toBeLessThanOrEqual(64)
    await indexes.remove(90)
    expect(lab.disk.paths).toHaveLength(89)
    await indexes.close()
    expect(lab.disk.openPaths).toEqual([])
  })
})

describe('the indexes after a start', () => {
  it('go with their files, but for those that are still needed', async () => {
    const lab = await new Lab().make()
    for (let i = 0; i < 4; i++) await lab.write(5, 1, new Prng(i))
    lab.disk.poke(`${WAL}/${indexFileName(3)}.new`, Buffer.from('left by a dead process'))
    lab.disk.poke(`${WAL}/something-else`, Buffer.from('not ours'))
    await lab.open().meet(
      lab.files.filter(({ sequence }) => sequence !== 2),
      5,
    )
    expect(lab.disk.paths.map(path => path.slice(WAL.length + 1))).toEqual([
      indexFileName(1),
      indexFileName(3),
      indexFileName(4),
      'something-else',
    ])
  })

  it('say where a file ends that none follows', async () => {
    const lab = await new Lab().make()
    for (let i = 0; i < 3; i++) await lab.write(5, 1, new Prng(i))
    const found = lab.files.filter(({ sequence }) => sequence !== 2).map(file => ({ ...file, endPosition: 10 ** 9 }))
    await lab.open().meet(found, 4)
    expect(found.map(file => file.endPosition)).toEqual([lab.files[0]!.endPosition, lab.files[2]!.endPosition])
  })

  it('are missed if a file has none that ought to have one', async () => {
    const lab = await new Lab().make()
    for (let i = 0; i < 3; i++) await lab.write(5, 1, new Prng(i))
    await lab.disk.remove(`${WAL}/${indexFileName(2)}`)
    await expect(lab.open().meet(lab.files, 4)).rejects.toMatchObject({ code: 'INDEX_MISSING', kind: 'corrupt' })
    // It is written anew for what was read back.
    await lab.open().meet(lab.files, 2)
  })
})
