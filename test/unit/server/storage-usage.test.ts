import { describe, expect, it } from 'vitest'
import type { Disk } from '#base/ports.ts'
import { StorageUsage } from '#server/storage-usage.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

async function fixture(files: Record<string, number>) {
  const clock = new SimClock()
  const sim = new SimDisk({ clock })
  const opened: string[] = []
  const disk: Disk = {
    open: (path, mode) => {
      opened.push(path)
      return sim.open(path, mode)
    },
    createFilled: sim.createFilled.bind(sim),
    createFrom: sim.createFrom.bind(sim),
    list: sim.list.bind(sim),
    facts: sim.facts.bind(sim),
    makeDirectory: sim.makeDirectory.bind(sim),
    removeDirectory: sim.removeDirectory.bind(sim),
    rename: sim.rename.bind(sim),
    link: sim.link.bind(sim),
    remove: sim.remove.bind(sim),
    syncDirectory: sim.syncDirectory.bind(sim),
    space: sim.space.bind(sim),
  }
  await clock.run(sim.makeDirectory('/d/wal'))
  for (const [name, sizeBytes] of Object.entries(files)) await clock.run(sim.createFilled(`/d/wal/${name}`, sizeBytes))
  const usage = new StorageUsage(disk, ['/d/wal', '/d/checkpoints'])
  const measure = async () => {
    opened.length = 0
    await clock.run(usage.measure())
    return usage.sizeBytes
  }
  return { sim, clock, measure, opened }
}

describe('storage usage', () => {
  it('is the sum of all files; a directory that is not there holds none', async () => {
    const { measure } = await fixture({ '1.wal': 4096, '1.idx': 100, spare: 50 })
    expect(await measure()).toBe(4246)
  })

  it('asks those that can change again, and the others once', async () => {
    const { sim, clock, measure, opened } = await fixture({ '1.wal': 4096, '1.idx': 100, '2.wal': 4096, '3.wal': 1000 })
    await measure()
    expect(opened.length).toBe(4)
    const file = await clock.run(sim.open('/d/wal/3.wal', 'write'))
    await clock.run(file.write(Buffer.alloc(24), 0, 24, 1000))
    await clock.run(file.close())
    expect(await measure()).toBe(4096 + 100 + 4096 + 1024)
    expect(opened).toEqual(['/d/wal/2.wal', '/d/wal/3.wal'])
  })

  it('forgets what is gone', async () => {
    const { sim, clock, measure } = await fixture({ '1.wal': 4096, '2.wal': 10, '3.wal': 10 })
    expect(await measure()).toBe(4116)
    await clock.run(sim.remove('/d/wal/1.wal'))
    expect(await measure()).toBe(20)
  })
})
