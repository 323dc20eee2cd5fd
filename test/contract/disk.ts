// What every Disk must do, run against each of them.

import { describe, expect, it } from 'vitest'
import type { Disk } from '#base/ports.ts'
import { PIECE_BYTES, PiecePool } from '#bytes/piece-pool.ts'

/** `place` gives a disk and a new, existing directory on it. */
export function describeDisk(name: string, place: () => Promise<{ disk: Disk; directory: string }>): void {
  describe(`${name} keeps the contract of Disk`, () => {
    describeFiles(place)
    describeDirectories(place)
  })
}

type Place = () => Promise<{ disk: Disk; directory: string }>

const bytesOf = (...values: number[]) => Uint8Array.from(values)

function describeFiles(place: Place): void {
  it('creates a file only where there is none', async () => {
    const { disk, directory } = await place()
    const file = await disk.open(`${directory}/a`, 'create')
    expect(file.path).toBe(`${directory}/a`)
    expect(await file.sizeBytes()).toBe(0)
    await file.close()
    await expect(disk.open(`${directory}/a`, 'create')).rejects.toMatchObject({ code: 'EEXIST' })
  })

  it('opens for reading and writing only what exists', async () => {
    const { disk, directory } = await place()
    await expect(disk.open(`${directory}/none`, 'write')).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(disk.open(`${directory}/none`, 'read')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('reads back what was written, at any position, in both ways of writing', async () => {
    const { disk, directory } = await place()
    const file = await disk.open(`${directory}/a`, 'create')
    await file.write(bytesOf(0, 1, 2, 3, 0), 1, 3, 0)
    file.writePiecesSync([bytesOf(9), bytesOf(8)], 5)
    await file.writePieces([bytesOf(6), bytesOf(), bytesOf(5, 4)], 9)
    await file.writePieces([bytesOf(), bytesOf()], 12)
    file.writePiecesSync([], 12)
    await file.sync()
    file.syncSync()
    const into = new Uint8Array(14)
    expect(await file.read(into, 1, 12, 0)).toBe(12)
    expect([...into]).toEqual([0, 1, 2, 3, 0, 0, 9, 8, 0, 0, 6, 5, 4, 0])
    await file.close()
  })

  it('reads fewer bytes only at the end of the file, and leaves the rest of the buffer alone', async () => {
    const { disk, directory } = await place()
    const file = await disk.open(`${directory}/a`, 'create')
    await file.write(bytesOf(1, 2, 3), 0, 3, 0)
    const into = bytesOf(7, 7, 7, 7, 7)
    expect(await file.read(into, 0, 5, 1)).toBe(2)
    expect([...into]).toEqual([2, 3, 7, 7, 7])
    expect(await file.read(into, 0, 5, 3)).toBe(0)
    expect(await file.read(into, 0, 5, 1000)).toBe(0)
    await file.close()
  })

  it('truncates to what it is told, longer or shorter', async () => {
    const { disk, directory } = await place()
    const file = await disk.open(`${directory}/a`, 'create')
    await file.write(bytesOf(1, 2, 3), 0, 3, 0)
    await file.truncate(2)
    await file.truncate(4)
    const into = bytesOf(9, 9, 9, 9)
    expect(await file.read(into, 0, 4, 0)).toBe(4)
    expect([...into]).toEqual([1, 2, 0, 0])
    expect(await file.sizeBytes()).toBe(4)
    await file.close()
  })

  it('shows one descriptor what another one wrote', async () => {
    const { disk, directory } = await place()
    const writer = await disk.open(`${directory}/a`, 'create')
    const reader = await disk.open(`${directory}/a`, 'read')
    await writer.write(bytesOf(5), 0, 1, 0)
    const into = new Uint8Array(1)
    expect(await reader.read(into, 0, 1, 0)).toBe(1)
    expect(into[0]).toBe(5)
    await writer.close()
    await reader.close()
  })

  it('fills a new file with zeros to the byte', async () => {
    const { disk, directory } = await place()
    const sizeBytes = 2 ** 20 + 3
    await disk.createFilled(`${directory}/a`, sizeBytes)
    const file = await disk.open(`${directory}/a`, 'write')
    expect(await file.sizeBytes()).toBe(sizeBytes)
    const into = new Uint8Array(sizeBytes).fill(1)
    expect(await file.read(into, 0, sizeBytes, 0)).toBe(sizeBytes)
    expect(into.every(byte => byte === 0)).toBe(true)
    await file.close()
    await expect(disk.createFilled(`${directory}/a`, 1)).rejects.toMatchObject({ code: 'EEXIST' })
  })

  it('makes a new file of pieces of any size and memory, to the byte', async () => {
    const { disk, directory } = await place()
    const pool = new PiecePool(4 * PIECE_BYTES)
    const [one, two, three] = [pool.take().fill(1), pool.take().fill(2), pool.take().fill(3)]
    const plain = Buffer.alloc(PIECE_BYTES + 1, 4)
    const contents = [
      [],
      [bytesOf(1, 2, 3)],
      [one, two],
      [one, two.subarray(0, 4096), three.subarray(0, 100), bytesOf(9)],
      [one.subarray(1), two, three],
      [one.subarray(0, 5000), two, plain, three.subarray(4096)],
      [plain, one, plain.subarray(7), bytesOf(), two.subarray(8192)],
    ]
    for (const [i, pieces] of contents.entries()) {
      await disk.createFrom(`${directory}/${i}`, pieces)
      const file = await disk.open(`${directory}/${i}`, 'read')
      const into = Buffer.alloc(await file.sizeBytes())
      await file.read(into, 0, into.length, 0)
      expect(into.equals(Buffer.concat(pieces)), `content ${i}`).toBe(true)
      await file.close()
    }
    await expect(disk.createFrom(`${directory}/1`, [])).rejects.toMatchObject({ code: 'EEXIST' })
  })

  it('writes nothing through a descriptor for reading', async () => {
    const { disk, directory } = await place()
    await (await disk.open(`${directory}/a`, 'create')).close()
    const file = await disk.open(`${directory}/a`, 'read')
    await expect(file.write(bytesOf(1), 0, 1, 0)).rejects.toMatchObject({ code: 'EBADF' })
    expect(() => file.writePiecesSync([bytesOf(1)], 0)).toThrow(expect.objectContaining({ code: 'EBADF' }))
    expect(await file.sizeBytes()).toBe(0)
    await file.close()
  })

  it('keeps what an open descriptor reads when its name goes to another file', async () => {
    const { disk, directory } = await place()
    for (const [name, value] of [['a', 1] as const, ['b', 2] as const]) {
      const file = await disk.open(`${directory}/${name}`, 'create')
      await file.write(bytesOf(value), 0, 1, 0)
      await file.close()
    }
    const reader = await disk.open(`${directory}/b`, 'read')
    await disk.rename(`${directory}/a`, `${directory}/b`)
    await disk.remove(`${directory}/b`)
    const into = new Uint8Array(1)
    await reader.read(into, 0, 1, 0)
    expect(into[0]).toBe(2)
    await reader.close()
  })

  it('takes no call on a closed file', async () => {
    const { disk, directory } = await place()
    const file = await disk.open(`${directory}/a`, 'create')
    await file.close()
    await expect((async () => file.sync())()).rejects.toThrow()
    expect(() => file.syncSync()).toThrow()
  })
}

function describeDirectories(place: Place): void {
  it('lists names in order, and nothing where there is no directory', async () => {
    const { disk, directory } = await place()
    for (const name of ['b', 'a', 'c']) await (await disk.open(`${directory}/${name}`, 'create')).close()
    expect(await disk.list(directory)).toEqual(['a', 'b', 'c'])
    expect(await disk.list(`${directory}/none`)).toEqual([])
    expect(await disk.list(`${directory}/a`)).toEqual([])
  })

  it('makes a directory with those above it, once or again', async () => {
    const { disk, directory } = await place()
    await disk.makeDirectory(`${directory}/x/y`)
    await disk.makeDirectory(`${directory}/x/y`)
    await (await disk.open(`${directory}/x/y/a`, 'create')).close()
    expect(await disk.list(`${directory}/x/y`)).toEqual(['a'])
  })

  it('renames over what was there and removes a file, if it is there', async () => {
    const { disk, directory } = await place()
    const file = await disk.open(`${directory}/a`, 'create')
    await file.write(bytesOf(1, 2), 0, 2, 0)
    await file.close()
    await (await disk.open(`${directory}/b`, 'create')).close()
    await disk.rename(`${directory}/a`, `${directory}/b`)
    expect(await disk.list(directory)).toEqual(['b'])
    const moved = await disk.open(`${directory}/b`, 'read')
    expect(await moved.sizeBytes()).toBe(2)
    await moved.close()
    await disk.remove(`${directory}/b`)
    await disk.syncDirectory(directory)
    expect(await disk.list(directory)).toEqual([])
    await disk.remove(`${directory}/b`)
  })

  it('moves a file into another directory', async () => {
    const { disk, directory } = await place()
    await disk.makeDirectory(`${directory}/x`)
    await create(disk, `${directory}/a`, 1)
    await disk.rename(`${directory}/a`, `${directory}/x/b`)
    expect([await disk.list(directory), await disk.list(`${directory}/x`)]).toEqual([['x'], ['b']])
    await expect(disk.rename(`${directory}/x/b`, `${directory}/none/b`)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await disk.list(`${directory}/x`)).toEqual(['b'])
  })

  it('gives a file a second name only where nothing has it', async () => {
    const { disk, directory } = await place()
    await disk.makeDirectory(`${directory}/x`)
    await create(disk, `${directory}/a`, 1)
    await create(disk, `${directory}/b`, 2)
    await disk.link(`${directory}/a`, `${directory}/x/c`)
    await expect(disk.link(`${directory}/b`, `${directory}/x/c`)).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(disk.link(`${directory}/none`, `${directory}/d`)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(disk.link(`${directory}/a`, `${directory}/none/d`)).rejects.toMatchObject({ code: 'ENOENT' })
    await disk.remove(`${directory}/a`)
    expect((await disk.facts(`${directory}/x/c`))?.sizeBytes).toBe(1)
    expect(await disk.list(directory)).toEqual(['b', 'x'])
  })

  it('removes a directory only when nothing is in it', async () => {
    const { disk, directory } = await place()
    await disk.makeDirectory(`${directory}/x/y`)
    expect(await disk.removeDirectory(`${directory}/x`)).toBe(false)
    await create(disk, `${directory}/x/y/a`, 1)
    expect(await disk.removeDirectory(`${directory}/x/y`)).toBe(false)
    await disk.remove(`${directory}/x/y/a`)
    expect(await disk.removeDirectory(`${directory}/x/y`)).toBe(true)
    expect(await disk.removeDirectory(`${directory}/x/y`)).toBe(true)
    expect(await disk.list(`${directory}/x`)).toEqual([])
    await expect(disk.open(`${directory}/x/y/a`, 'create')).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('knows what a name stands for', async () => {
    const { disk, directory } = await place()
    await create(disk, `${directory}/a`, 3)
    expect(await disk.facts(`${directory}/a`)).toMatchObject({ isDirectory: false, sizeBytes: 3 })
    expect(await disk.facts(directory)).toMatchObject({ isDirectory: true })
    expect(await disk.facts(`${directory}/none`)).toBeNull()
    expect(await disk.facts(`${directory}/none/a`)).toBeNull()
    expect(await disk.facts(`${directory}/a/b`)).toBeNull()
  })

  it('knows the space of its file system', async () => {
    const { disk, directory } = await place()
    const { totalBytes, freeBytes } = await disk.space(directory)
    expect(totalBytes).toBeGreaterThan(0)
    expect(freeBytes).toBeGreaterThan(0)
    expect(freeBytes).toBeLessThanOrEqual(totalBytes)
  })
}

async function create(disk: Disk, path: string, sizeBytes: number): Promise<void> {
  const file = await disk.open(path, 'create')
  await file.write(new Uint8Array(sizeBytes), 0, sizeBytes, 0)
  await file.close()
}
