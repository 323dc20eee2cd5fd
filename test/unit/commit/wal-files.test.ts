import { describe, expect, it } from 'vitest'
import { sequenceOf, type WalFile, WalFiles, walFileName } from '#commit/wal-files.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

const DIRECTORY = '/wal'
const FILE_BYTES = 1000
const pathOf = (sequence: number) => `${DIRECTORY}/${walFileName(sequence)}`

class Lab {
  readonly clock: SimClock
  readonly disk: SimDisk
  readonly files: WalFiles

  private constructor(clock: SimClock, disk: SimDisk) {
    this.clock = clock
    this.disk = disk
    this.files = new WalFiles({ disk, directory: DIRECTORY, fileBytes: FILE_BYTES, files: [], sequence: 1 })
  }

  static async make(): Promise<Lab> {
    const clock = new SimClock()
    const disk = new SimDisk({ clock, prng: new Prng(1) })
    await clock.run(disk.makeDirectory(DIRECTORY))
    return new Lab(clock, disk)
  }

  /** Begins the next file, `usedBytes` behind the begin of the active one, and writes its number all over it. */
  async roll(usedBytes = FILE_BYTES): Promise<WalFile> {
    const { files, clock } = this
    const file = files.roll(files.all.length === 0 ? 0 : files.active.position + usedBytes)
    const disk = await clock.run(files.make(file))
    await clock.run(disk.write(Buffer.alloc(FILE_BYTES, file.sequence), 0, FILE_BYTES, 0))
    files.started(file)
    return file
  }

  async read(position: number): Promise<number> {
    const into = Buffer.alloc(1)
    await this.clock.run(this.files.read(position, 1, into, 0))
    return into[0]!
  }
}

describe('the name of a WAL file', () => {
  it('has its number in 16 digits, and nothing else is one', () => {
    expect(walFileName(42)).toBe('0000000000000042.wal')
    expect(sequenceOf(walFileName(42))).toBe(42)
    for (const name of [
      '42.wal',
      'spare',
      '0000000000000042.idx',
      'x0000000000000042.wal',
      '0000000000000042.wal.new',
    ]) {
      expect(sequenceOf(name)).toBe(0)
    }
  })
})

describe('the files of the log', () => {
  it('are numbered one after the other, also where all older ones are gone', async () => {
    const { disk } = await Lab.make()
    const files = new WalFiles({ disk, directory: DIRECTORY, fileBytes: FILE_BYTES, files: [], sequence: 7 })
    expect([files.roll(500).sequence, files.roll(900).sequence]).toEqual([7, 8])
  })

  it('are found by position and read, in the one that holds it', async () => {
    const lab = await Lab.make()
    await lab.roll()
    await lab.roll(600)
    await lab.roll(300)
    expect(await Promise.all([0, 599].map(position => lab.read(position)))).toEqual([1, 1])
    expect(await Promise.all([600, 899].map(position => lab.read(position)))).toEqual([2, 2])
    expect(await lab.read(900)).toBe(3)
    expect(lab.files.find(899)!.sequence).toBe(2)
    await expect(lab.clock.run(lab.files.read(899, 2, Buffer.alloc(2), 0))).rejects.toMatchObject({
      code: 'LOG_TRIMMED',
    })
  })

  it('are prepared before they are needed, full of zeros and with a name that lasts', async () => {
    const lab = await Lab.make()
    await lab.roll()
    lab.files.prepareNext()
    await lab.clock.runFor(100)
    expect(lab.disk.crash().peek(pathOf(2))).toEqual(Buffer.alloc(FILE_BYTES))
  })

  it('come again as the next file when nobody needs them', async () => {
    const lab = await Lab.make()
    const first = await lab.roll()
    await lab.roll()
    expect(await lab.clock.run(lab.files.trim(first))).toBe(true)
    expect(lab.disk.paths).toEqual([pathOf(2), `${DIRECTORY}/spare`])
    lab.files.prepareNext()
    await lab.clock.runFor(100)
    expect(lab.disk.paths).toEqual([pathOf(2), pathOf(3)])
    // Not filled again: that is why nothing old in it may pass.
    expect(lab.disk.peek(pathOf(3))).toEqual(Buffer.alloc(FILE_BYTES, 1))
    await expect(lab.clock.run(lab.files.read(0, 1, Buffer.alloc(1), 0))).rejects.toMatchObject({ code: 'LOG_TRIMMED' })
  })

  it('are removed when one is kept to be used again already', async () => {
    const lab = await Lab.make()
    const [first, second] = [await lab.roll(), await lab.roll()]
    await lab.roll()
    await lab.clock.run(lab.files.trim(first))
    await lab.clock.run(lab.files.trim(second))
    expect(lab.disk.paths).toEqual([pathOf(3), `${DIRECTORY}/spare`])
    expect(lab.disk.peek(`${DIRECTORY}/spare`)[0]).toBe(1)
  })

  it('stay while somebody reads them, and while they are written', async () => {
    const lab = await Lab.make()
    const first = await lab.roll()
    const active = await lab.roll()
    const into = Buffer.alloc(1)
    const reading = lab.files.read(0, 1, into, 0)
    expect(await lab.clock.run(lab.files.trim(first))).toBe(false)
    expect(await lab.clock.run(lab.files.trim(active))).toBe(false)
    await lab.clock.run(reading)
    expect(into[0]).toBe(1)
    expect(await lab.clock.run(lab.files.trim(first))).toBe(true)
    expect(await lab.clock.run(lab.files.trim(first))).toBe(false)
  })

  it('stay known if they cannot be removed, so that it is tried again', async () => {
    const lab = await Lab.make()
    const first = await lab.roll()
    await lab.roll()
    lab.disk.onCall = ({ kind }) => (kind === 'rename' ? 'EIO' : null)
    await expect(lab.clock.run(lab.files.trim(first))).rejects.toMatchObject({ code: 'EIO' })
    expect(lab.files.all[0]).toBe(first)
    lab.disk.onCall = () => null
    expect(await lab.read(5)).toBe(1)
    expect(await lab.clock.run(lab.files.trim(first))).toBe(true)
  })

  it('are made again if they could not be made', async () => {
    const lab = await Lab.make()
    lab.disk.capacityBytes = FILE_BYTES - 1
    const file = lab.files.roll(0)
    await expect(lab.clock.run(lab.files.make(file))).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(lab.disk.paths).toEqual([])
    await expect(lab.clock.run(lab.files.make(file))).rejects.toMatchObject({ code: 'ENOSPC' })
    lab.disk.capacityBytes = FILE_BYTES
    await lab.clock.run(lab.files.make(file))
    expect(lab.disk.paths).toEqual([pathOf(1)])
  })

  it('are taken back to the one before, if the one that was begun could not be made', async () => {
    const lab = await Lab.make()
    const first = await lab.roll()
    lab.disk.capacityBytes = FILE_BYTES
    const second = lab.files.roll(800)
    lab.files.roll(1600)
    await expect(lab.clock.run(lab.files.make(second))).rejects.toMatchObject({ code: 'ENOSPC' })
    lab.files.takeBack(second)
    expect(lab.files.active).toBe(first)
    expect(first.endPosition).toBe(Number.POSITIVE_INFINITY)
    expect(lab.files.all).toEqual([first])
    expect(await lab.read(900)).toBe(1)
  })

  it('that are given up and begun again under the same name do not meet', async () => {
    const lab = await Lab.make()
    const first = await lab.roll()
    // The makings of 2 and 3 are under way when they are given up.
    const given = [lab.files.roll(800), lab.files.roll(900)]
    lab.files.takeBack(lab.files.all[0] as (typeof given)[0])
    expect(lab.files.active).toBe(first)
    const again = lab.files.roll(850)
    expect(again.sequence).toBe(2)
    const disk = await lab.clock.run(lab.files.make(again))
    await lab.clock.run(disk.write(Buffer.alloc(FILE_BYTES, 9), 0, FILE_BYTES, 0))
    await lab.clock.runFor(1000)
    expect(lab.disk.paths).toEqual([pathOf(1), pathOf(2)])
    expect(lab.disk.peek(pathOf(2))[0]).toBe(9)
  })

  it('are open for a limited number of readers, and closed one and all', async () => {
    const lab = await Lab.make()
    for (let i = 0; i < 80; i++) await lab.roll()
    for (let i = 0; i < 80; i++) expect(await lab.read(i * FILE_BYTES)).toBe(i + 1)
    expect(lab.disk.openPaths.length).toBeLessThanOrEqual(66)
    lab.files.prepareNext()
    await lab.clock.run(lab.files.close(79 * FILE_BYTES + 300))
    expect(lab.disk.openPaths).toEqual([])
    expect(lab.disk.peek(pathOf(80))).toHaveLength(300)
    expect(lab.disk.paths).not.toContain(pathOf(81))
    await expect(lab.files.read(0, 1, Buffer.alloc(1), 0)).rejects.toMatchObject({ code: 'LOG_CLOSED' })
  })

  it('that were begun and not used are removed at the end', async () => {
    const lab = await Lab.make()
    await lab.roll()
    lab.files.roll(700)
    await lab.clock.run(lab.files.close(700))
    expect(lab.disk.paths).toEqual([pathOf(1)])
    expect(lab.disk.openPaths).toEqual([])
    // What was written before is synced, whatever the interval.
    expect(lab.disk.crash().peek(pathOf(1))[0]).toBe(1)
  })
})
