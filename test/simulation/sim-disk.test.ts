import { describe, expect, it } from 'vitest'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { type DiskCall, ProcessDied, SimDisk } from '#test/support/sim/sim-disk.ts'

const SEEDS = Array.from({ length: 500 }, (_, seed) => seed)
const bytes = (value: number, sizeBytes: number) => new Uint8Array(sizeBytes).fill(value)

async function diskWith(path: string, content: Uint8Array, seed: number): Promise<SimDisk> {
  const disk = new SimDisk({ prng: new Prng(seed) })
  await disk.makeDirectory('/data')
  await disk.syncDirectory('')
  disk.poke(path, content)
  return disk
}

/** What was found over many seeds. */
async function outcomes(
  run: (disk: SimDisk) => Promise<SimDisk>,
  look: (found: SimDisk) => unknown,
): Promise<unknown[]> {
  const seen = new Set<unknown>()
  for (const seed of SEEDS) seen.add(look(await run(await diskWith('/data/a', bytes(1, 4), seed))))
  return [...seen].sort()
}

describe('the simulated disk after a power loss', () => {
  it('has what was synced', async () => {
    const write = async (disk: SimDisk) => {
      const file = await disk.open('/data/a', 'write')
      await file.write(bytes(2, 4), 0, 4, 0)
      await file.sync()
      return disk.crash()
    }
    expect(await outcomes(write, found => found.peek('/data/a').toString('hex'))).toEqual(['02020202'])
  })

  it('has what was not synced, or not, or any part of it', async () => {
    const write = async (disk: SimDisk) => {
      const file = await disk.open('/data/a', 'write')
      await file.write(bytes(2, 4), 0, 4, 0)
      return disk.crash()
    }
    const found = await outcomes(write, disk => disk.peek('/data/a').toString('hex'))
    expect(found).toEqual(expect.arrayContaining(['01010101', '02020202', '02010101', '01010102']))
  })

  it('may have a later write without an earlier one', async () => {
    const write = async (disk: SimDisk) => {
      const file = await disk.open('/data/a', 'write')
      await file.write(bytes(2, 1), 0, 1, 0)
      await file.write(bytes(2, 1), 0, 1, 1)
      return disk.crash()
    }
    expect(await outcomes(write, disk => disk.peek('/data/a').toString('hex'))).toContain('01020101')
  })

  it('loses whole sectors out of the middle', async () => {
    const found = await outcomes(
      async disk => {
        const file = await disk.open('/data/a', 'write')
        await file.write(bytes(2, 3 * 512), 0, 3 * 512, 0)
        return disk.crash()
      },
      disk => {
        const content = disk.peek('/data/a')
        return content.length === 3 * 512 ? [0, 512, 1024].map(at => content[at]).join() : 'short'
      },
    )
    expect(found).toContain('2,0,2')
  })

  it('does not have what a failed sync was for, even if the next sync succeeds', async () => {
    const write = async (disk: SimDisk) => {
      const file = await disk.open('/data/a', 'write')
      await file.write(bytes(2, 4), 0, 4, 0)
      disk.onCall = call => (call.kind === 'sync' ? 'EIO' : null)
      await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
      disk.onCall = () => null
      await file.sync()
      return disk.crash()
    }
    expect(await outcomes(write, disk => disk.peek('/data/a').toString('hex'))).toContain('01010101')
  })

  it('has what was written again and synced after a failed sync', async () => {
    const write = async (disk: SimDisk) => {
      const file = await disk.open('/data/a', 'write')
      await file.write(bytes(2, 4), 0, 4, 0)
      disk.onCall = call => (call.kind === 'sync' ? 'EIO' : null)
      await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
      disk.onCall = () => null
      await file.write(bytes(3, 4), 0, 4, 0)
      await file.sync()
      return disk.crash()
    }
    expect(await outcomes(write, disk => disk.peek('/data/a').toString('hex'))).toEqual(['03030303'])
  })

  it('has a new name, a rename or a removal for sure only when the directory was synced', async () => {
    const change = (synced: boolean) => async (disk: SimDisk) => {
      await (await disk.open('/data/new', 'create')).close()
      await disk.rename('/data/a', '/data/b')
      if (synced) await disk.syncDirectory('/data')
      return disk.crash()
    }
    const look = (disk: SimDisk) => disk.paths.join()
    expect(await outcomes(change(true), look)).toEqual(['/data/b,/data/new'])
    expect(await outcomes(change(false), look)).toEqual(
      ['/data/a', '/data/a,/data/new', '/data/b', '/data/b,/data/new'].sort(),
    )
  })

  it('has a file that moved between directories under both names, or none, until they are synced', async () => {
    const move = (synced: boolean) => async (disk: SimDisk) => {
      await disk.makeDirectory('/data/sub')
      await disk.syncDirectory('/data')
      await disk.rename('/data/a', '/data/sub/b')
      if (synced) await disk.syncDirectory('/data/sub')
      return disk.crash()
    }
    const look = (disk: SimDisk) => disk.paths.join()
    expect(await outcomes(move(true), look)).toEqual(['/data/a,/data/sub/b', '/data/sub/b'])
    expect(await outcomes(move(false), look)).toEqual(['', '/data/a', '/data/a,/data/sub/b', '/data/sub/b'])
  })

  it('may lose a directory with all that is in it, unless the one above was synced', async () => {
    const found = await outcomes(
      async disk => {
        await disk.makeDirectory('/data/sub')
        await (await disk.open('/data/sub/a', 'create')).close()
        await disk.syncDirectory('/data/sub')
        return disk.crash()
      },
      disk => disk.paths.join(),
    )
    expect(found).toEqual(['/data/a', '/data/a,/data/sub/a'])
  })

  it('syncs what was written before the sync began, not what came while it was under way', async () => {
    const found = await outcomes(
      async disk => {
        const file = await disk.open('/data/a', 'write')
        const synced = file.sync()
        await file.write(bytes(2, 4), 0, 4, 0)
        await synced
        return disk.crash()
      },
      disk => disk.peek('/data/a').toString('hex'),
    )
    expect(found).toContain('01010101')
  })
})

describe('the simulated disk after a kill', () => {
  it('has all that was written, and a part of what was being written', async () => {
    const found = await outcomes(
      async disk => {
        const file = await disk.open('/data/a', 'write')
        await file.write(bytes(2, 2), 0, 2, 0)
        disk.onCall = call => (call.kind === 'write' ? 'die' : null)
        expect(() => file.writePiecesSync([bytes(3, 2)], 2)).toThrow(ProcessDied)
        expect(disk.isDead).toBe(true)
        return disk.kill()
      },
      disk => disk.peek('/data/a').toString('hex'),
    )
    expect(found).toEqual(['02020101', '02020301', '02020303'])
  })

  it('still loses what was not synced if the power goes later', async () => {
    const found = await outcomes(
      async disk => {
        const file = await disk.open('/data/a', 'write')
        await file.write(bytes(2, 4), 0, 4, 0)
        return disk.kill().crash()
      },
      disk => disk.peek('/data/a').toString('hex'),
    )
    expect(found).toContain('01010101')
  })
})

describe('the simulated disk', () => {
  it('is full at its capacity, and takes more when there is room again', async () => {
    const disk = new SimDisk({ capacityBytes: 10 })
    await disk.makeDirectory('/data')
    const file = await disk.open('/data/a', 'create')
    await expect(file.write(bytes(1, 12), 0, 12, 0)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await file.sizeBytes()).toBe(10)
    await file.write(bytes(2, 4), 0, 4, 2)
    await expect(disk.createFilled('/data/b', 1)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(disk.paths).toEqual(['/data/a'])
    disk.capacityBytes = 12
    await file.write(bytes(1, 12), 0, 12, 0)
    expect((await disk.space()).freeBytes).toBe(0)
  })

  it('takes time on the simulated clock, and blocks it for calls that block', async () => {
    const clock = new SimClock()
    const disk = new SimDisk({ clock, latencyMs: ({ kind }: DiskCall) => (kind === 'sync' ? 5 : 1) })
    await clock.run(disk.makeDirectory('/data'))
    const file = await clock.run(disk.open('/data/a', 'create'))
    const beganMs = clock.monotonicMs()
    file.writePiecesSync([bytes(1, 1)], 0)
    file.syncSync()
    expect(clock.monotonicMs() - beganMs).toBe(6)
    await clock.run(file.sync())
    expect(clock.monotonicMs() - beganMs).toBe(11)
  })

  it('tells when bytes change while they are being written', async () => {
    const clock = new SimClock()
    const disk = new SimDisk({ clock })
    const file = await clock.run(disk.makeDirectory('/data').then(() => disk.open('/data/a', 'create')))
    const content = bytes(1, 4)
    const written = file.write(content, 0, 4, 0)
    content[0] = 2
    await expect(clock.run(written)).rejects.toThrow('bytes stay as they are')
  })
})

describe('the simulated clock', () => {
  it('does what is due in the order of time, and what is due at once in the order of asking', async () => {
    const clock = new SimClock()
    const done: string[] = []
    clock.after(5, () => done.push('five'))
    clock.after(1, () => done.push('one'))
    clock.soon(() => done.push('soon'))
    clock.after(1, () => done.push('one again'))
    clock.after(2, () => done.push('never')).cancel()
    await clock.runFor(4)
    expect(done).toEqual(['soon', 'one', 'one again'])
    expect(clock.monotonicMs()).toBe(4)
    await clock.runFor(1)
    expect(done.at(-1)).toBe('five')
  })

  it('lets promises do all they have to do between two events', async () => {
    const clock = new SimClock()
    const done: string[] = []
    clock.soon(() => {
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve()
        done.push('promises')
      })()
    })
    clock.soon(() => done.push('next'))
    await clock.runFor(1)
    expect(done).toEqual(['promises', 'next'])
  })

  it('says so when what somebody waits for can never happen, or not in time', async () => {
    await expect(new SimClock().run(new Promise(() => {}))).rejects.toThrow('nothing will ever happen')
    const clock = new SimClock()
    const late = new Promise<void>(resolve => {
      clock.after(10, resolve)
    })
    await expect(clock.run(late, 5)).rejects.toThrow('did not happen within 5 ms')
  })
})
