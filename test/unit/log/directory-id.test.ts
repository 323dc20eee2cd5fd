import { expect, it } from 'vitest'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { readWholeFile } from '#commit/checkpoint-files.ts'
import { directoryId } from '#log/directory-id.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

const random = { bytes: (count: number) => Buffer.alloc(count, 7) }

async function write(disk: SimDisk, bytes: Buffer): Promise<void> {
  await disk.remove('/data/directory-id')
  const file = await disk.open('/data/directory-id', 'create')
  await file.write(bytes, 0, bytes.length, 0)
  await file.close()
}

it('the id of a data directory is made once, and refused with any bit altered', async () => {
  const disk = new SimDisk({ prng: new Prng(1) })
  await disk.makeDirectory('/data')
  const id = await directoryId({ disk, random }, '/data')
  expect(id).toBe('BwcHBwcHBwcHBwcHBwcHBw')
  const never = { bytes: () => expect.unreachable() }
  expect(await directoryId({ disk, random: never }, '/data')).toBe(id)
  const bytes = await readWholeFile(disk, '/data/directory-id')
  expect(bytes.toString()).toBe(`chronik-directory 1 ${id} f2b719b2\n`)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const altered = Buffer.from(bytes)
    altered[bit >> 3]! ^= 1 << (bit & 7)
    await write(disk, altered)
    await expect(directoryId({ disk, random: never }, '/data')).rejects.toThrow('/data/directory-id is damaged')
  }
})

it('the id of a data directory of a newer version is refused', async () => {
  const disk = new SimDisk({ prng: new Prng(1) })
  await disk.makeDirectory('/data')
  const checked = Buffer.from('chronik-directory 2 BwcHBwcHBwcHBwcHBwcHBw')
  const sum = crc32c(checked, 0, checked.length).toString(16).padStart(8, '0')
  await write(disk, Buffer.from(`${checked} ${sum}\n`))
  await expect(directoryId({ disk, random }, '/data')).rejects.toThrow(
    /newer version \(format 2, known is 1\): upgrade first/,
  )
})
