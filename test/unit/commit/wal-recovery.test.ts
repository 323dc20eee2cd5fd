import { beforeAll, describe, expect, it } from 'vitest'
import { walFileName } from '#commit/wal-files.ts'
import { decodeGroupHeader, FILE_HEADER_BYTES, GROUP_HEADER_BYTES, groupBytes } from '#commit/wal-format.ts'
import { DamagedLog } from '#commit/wal-recovery.ts'
import { type CommitLab, openCommitLab, WAL, walPaths } from '#test/support/commit-lab.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

// One log of three files whose groups are known; each test damages a copy of it.

const FILE_BYTES = 1200
/** Each is one flush; the long ones begin new files. */
const TEXTS = [
  'one',
  'two '.repeat(40),
  'three',
  'four '.repeat(60),
  'five',
  'six',
  'seven '.repeat(60),
  'eight',
  'nine',
]

interface Place {
  readonly text: string
  readonly path: string
  readonly filePosition: number
  readonly from: number
  readonly to: number
}

let original: SimDisk
let places: Place[]

beforeAll(async () => {
  const disk = new SimDisk()
  const lab = await openCommitLab(disk, { fileBytes: FILE_BYTES })
  for (const text of TEXTS) await lab.commit(text)
  // As it stands when the process is killed: whole files, zeros behind the last group.
  original = disk.copyAtRest()
  places = placesIn(original)
  expect(places.map(({ text }) => text)).toEqual(TEXTS)
  expect(new Set(places.map(({ path }) => path)).size).toBe(3)
})

function placesIn(disk: SimDisk): Place[] {
  const found: Place[] = []
  for (const path of walPaths(disk)) {
    const bytes = disk.peek(path)
    const sequence = Number(path.slice(-20, -4))
    const filePosition = Number(bytes.readBigInt64BE(24))
    for (let at = FILE_HEADER_BYTES; ; ) {
      const header = decodeGroupHeader(bytes, at, sequence)
      if (header === null) break
      const to = at + groupBytes(header)
      const text = bytes.toString('utf8', to - header.recordsBytes + 6, to)
      found.push({ text, path, filePosition, from: at, to })
      at = to
    }
  }
  return found
}

function changed(path: string, change: (bytes: Buffer) => Uint8Array): SimDisk {
  const disk = original.copyAtRest()
  disk.poke(path, change(disk.peek(path)))
  return disk
}

function flipped(path: string, at: number): SimDisk {
  return changed(path, bytes => {
    bytes[at]! ^= 0x10
    return bytes
  })
}

const open = (disk: SimDisk): Promise<CommitLab> => openCommitLab(disk, { fileBytes: FILE_BYTES })

const contentOf = (disk: SimDisk) => disk.paths.map(path => [path, disk.peek(path).toString('base64')])

async function refusalOf(disk: SimDisk): Promise<DamagedLog> {
  const before = contentOf(disk)
  const refusal = await open(disk).then(
    ({ found }) => expect.fail(`opened with ${found}`),
    (error: unknown) => error,
  )
  expect(refusal).toBeInstanceOf(DamagedLog)
  expect(contentOf(disk)).toEqual(before)
  return refusal as DamagedLog
}

describe('a log that is read back', () => {
  it('has everything, in order, and goes on in a new file', async () => {
    const { found, log, recovered } = await open(original.copyAtRest())
    expect(found).toEqual(TEXTS)
    expect(recovered.tornBytes).toBe(0)
    expect(log.files.active.sequence).toBe(4)
    expect(log.position).toBe(places.at(-1)!.filePosition + places.at(-1)!.to)
  })

  it('is empty where there is no file', async () => {
    expect((await open(new SimDisk())).found).toEqual([])
  })

  it('has what is added after each of many restarts', async () => {
    let disk = original.copyAtRest()
    const texts = [...TEXTS]
    for (let i = 0; i < 12; i++) {
      const lab = await open(disk)
      expect(lab.found).toEqual(texts)
      await lab.commit(`again ${i}`)
      texts.push(`again ${i}`)
      disk = i % 2 === 0 ? disk.crash() : disk.kill()
    }
  })

  it('is read from where a checkpoint says', async () => {
    const disk = new SimDisk()
    const lab = await openCommitLab(disk, { fileBytes: FILE_BYTES })
    for (const text of TEXTS) await lab.commit(text)
    const { resume } = lab.owner.rolls.at(-1)!
    const { found, log } = await openCommitLab(disk.kill(), { fileBytes: FILE_BYTES, resume })
    expect(found).toEqual(TEXTS.slice(TEXTS.indexOf('seven '.repeat(60))))
    expect(log.files.all.map(file => file.sequence)).toEqual([1, 2, 3, 4])
  })
})

describe('a torn tail', () => {
  it('is cut, whichever byte of the last group is the last one there', async () => {
    const last = places.at(-1)!
    for (let at = last.from; at < last.to; at++) {
      const short = changed(last.path, bytes => bytes.subarray(0, at))
      expect((await open(short)).found).toEqual(TEXTS.slice(0, -1))
      const zeros = changed(last.path, bytes => bytes.fill(0, at))
      expect((await open(zeros)).found).toEqual(TEXTS.slice(0, -1))
    }
  })

  it('is cut, whichever byte of the last group is wrong', async () => {
    const last = places.at(-1)!
    for (let at = last.from; at < last.to; at++) {
      expect((await open(flipped(last.path, at))).found).toEqual(TEXTS.slice(0, -1))
    }
  })

  it('is gone for good: what follows takes its place', async () => {
    const last = places.at(-1)!
    const disk = flipped(last.path, last.from + 60)
    const lab = await open(disk)
    expect(lab.recovered.tornBytes).toBe(last.to - last.from)
    await lab.commit('instead')
    const again = await open(disk.crash())
    expect(again.found).toEqual([...TEXTS.slice(0, -1), 'instead'])
    expect(again.recovered.tornBytes).toBe(0)
  })

  it('may be the only group of a file, header and all', async () => {
    const disk = new SimDisk()
    const lab = await open(disk)
    await lab.commit('kept')
    await lab.commit('four '.repeat(130))
    const path = walPaths(disk)[1]!
    for (let at = 0; at < FILE_HEADER_BYTES + 100; at += 7) {
      const damaged = disk.copyAtRest()
      const bytes = damaged.peek(path)
      bytes[at]! ^= 1
      damaged.poke(path, bytes)
      expect((await open(damaged)).found).toEqual(['kept'])
    }
  })

  it('does not come back when the process dies while it is cut', async () => {
    const last = places.at(-1)!
    for (let calls = 1; ; calls++) {
      const disk = flipped(last.path, last.from + 20)
      let left = calls
      disk.onCall = () => (--left < 0 ? 'die' : null)
      void open(disk).catch(() => {})
      await new Promise(resolve => setImmediate(resolve))
      const isWhole = !disk.isDead
      expect((await open(disk.crash())).found).toEqual(TEXTS.slice(0, -1))
      if (isWhole) return
    }
  })
})

describe('damage before what was synced', () => {
  it('is refused with its file and position, whichever byte of whichever group it is, and nothing is changed', async () => {
    for (const place of places.slice(0, -1)) {
      // All of the header, and here and there in what follows.
      for (let at = place.from; at < place.to; at += at < place.from + GROUP_HEADER_BYTES ? 1 : 17) {
        const refusal = await refusalOf(flipped(place.path, at))
        expect(refusal).toMatchObject({ code: 'WAL_DAMAGED', kind: 'corrupt', path: place.path })
        expect(refusal.position).toBe(place.filePosition + place.from)
        expect(refusal.message).toContain(`${place.path} at byte ${place.from}`)
      }
    }
  })

  it('is refused when the header of a file in the middle is damaged', async () => {
    const path = walPaths(original)[1]!
    for (let at = 0; at < FILE_HEADER_BYTES; at++) {
      expect(await refusalOf(flipped(path, at))).toMatchObject({ path })
    }
  })

  it('is refused when a file in the middle, or the first one, is missing', async () => {
    for (const path of walPaths(original).slice(0, 2)) {
      const disk = original.copyAtRest()
      await disk.remove(path)
      expect(await refusalOf(disk)).toMatchObject({ path })
    }
  })

  it('is refused when the end of a file in the middle is missing', async () => {
    const place = places.findLast(({ path }) => path === walPaths(original)[1])!
    const refusal = await refusalOf(changed(place.path, bytes => bytes.subarray(0, place.to - 1)))
    expect(refusal).toMatchObject({ path: place.path, position: place.filePosition + place.from })
  })
})

describe('leftovers', () => {
  it('of an earlier life of a file never pass, wherever its new life ends', async () => {
    const [first] = walPaths(original)
    const last = places.at(-1)!
    const old = original.peek(first!)
    const disk = changed(last.path, bytes => Buffer.concat([bytes.subarray(0, last.to), old.subarray(last.to)]))
    // And the next file is prepared from it, whole.
    disk.poke(`${WAL}/${walFileName(4)}`, old)
    const { found, recovered } = await open(disk)
    expect(found).toEqual(TEXTS)
    expect(recovered.tornBytes).toBe(0)
  })

  it('of a write that was given up do not follow what was written over its begin', async () => {
    const written = async (...texts: string[]): Promise<SimDisk> => {
      const disk = new SimDisk()
      const lab = await openCommitLab(disk, { fileBytes: FILE_BYTES })
      for (const text of texts) await lab.commit(text)
      return disk.copyAtRest()
    }
    const givenUp = await written('same', 'given', 'up')
    const taken = await written('same', 'taken')
    const [path] = walPaths(taken)
    const end = placesIn(taken).at(-1)!.to
    expect(placesIn(givenUp)[2]!.from).toBe(end)
    taken.poke(path!, Buffer.concat([taken.peek(path!).subarray(0, end), givenUp.peek(path!).subarray(end)]))
    expect((await open(taken)).found).toEqual(['same', 'taken'])
  })

  it('behind the end are removed, with the file that was kept to be used again', async () => {
    const disk = original.copyAtRest()
    disk.poke(`${WAL}/${walFileName(4)}`, Buffer.alloc(FILE_BYTES))
    disk.poke(`${WAL}/spare`, Buffer.alloc(FILE_BYTES))
    const lab = await open(disk)
    await lab.clock.run(lab.log.close())
    expect(disk.paths).toEqual([1, 2, 3].map(sequence => `${WAL}/${walFileName(sequence)}`))
  })
})

describe('what was read back', () => {
  it('is written again, in case a sync of it failed in the last life', async () => {
    const disk = new SimDisk()
    const lab = await open(disk)
    await lab.commit('durable')
    disk.onCall = ({ kind }) => (kind === 'sync' ? 'EIO' : null)
    lab.stage('lost')
    await lab.clock.runFor(10)
    expect(lab.owner.failure).not.toBeNull()
    const killed = disk.kill()
    const again = await open(killed)
    expect(again.found).toEqual(['durable', 'lost'])
    await again.commit('more')
    expect((await open(killed.crash())).found).toEqual(['durable', 'lost', 'more'])
  })
})
