import { describe, expect, it } from 'vitest'
import {
  type Checkpoint,
  listCheckpoints,
  readNewestCheckpoint,
  removeOldCheckpoints,
  writeCheckpoint,
  writeWholeFile,
} from '#commit/checkpoint-files.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

const DIRECTORY = '/checkpoints'

async function diskWith(...positions: number[]): Promise<SimDisk> {
  const disk = new SimDisk({ prng: new Prng(1) })
  await disk.makeDirectory(DIRECTORY)
  await disk.syncDirectory('')
  for (const position of positions) await writeCheckpoint(disk, DIRECTORY, checkpointAt(position))
  return disk
}

function checkpointAt(position: number): Checkpoint {
  const state = Buffer.from(`the state at ${position}`)
  return { position, sequence: position / 1000, previousChecksum: 4_000_000_000, writtenMs: 1_800_000_000_000, state }
}

async function newest(disk: SimDisk): Promise<{ checkpoint: Checkpoint | null; damaged: string[] }> {
  const damaged: string[] = []
  const checkpoint = await readNewestCheckpoint(disk, DIRECTORY, path => damaged.push(path))
  return { checkpoint, damaged }
}

function damage(disk: SimDisk, path: string, at: number): void {
  const bytes = disk.peek(path)
  bytes[at]! ^= 1
  disk.poke(path, bytes)
}

describe('checkpoints', () => {
  it('are read as they were written, the newest one', async () => {
    expect(await newest(await diskWith())).toEqual({ checkpoint: null, damaged: [] })
    const { checkpoint, damaged } = await newest(await diskWith(1000, 3000, 2000))
    expect(checkpoint).toEqual(checkpointAt(3000))
    expect(damaged).toEqual([])
  })

  it('are passed over, not silently, if any byte of them is wrong or missing', async () => {
    const disk = await diskWith(1000, 2000)
    const path = disk.paths.at(-1)!
    const whole = disk.peek(path)
    for (let at = 0; at < whole.length; at++) {
      damage(disk, path, at)
      expect(await newest(disk)).toEqual({ checkpoint: checkpointAt(1000), damaged: [path] })
      disk.poke(path, whole.subarray(0, at))
      expect((await newest(disk)).damaged).toEqual([path])
      disk.poke(path, whole)
    }
    expect((await newest(disk)).damaged).toEqual([])
  })

  it('are nothing under the name of another position', async () => {
    const disk = await diskWith(1000, 2000)
    const [older, newer] = disk.paths
    disk.poke(newer!, disk.peek(older!))
    expect((await newest(disk)).damaged).toEqual([newer])
  })

  it('refuse the start if there are some and none can be read', async () => {
    const disk = await diskWith(1000, 2000)
    for (const path of disk.paths) damage(disk, path, 50)
    await expect(newest(disk)).rejects.toMatchObject({ code: 'CHECKPOINT_DAMAGED', kind: 'corrupt' })
  })

  it('are kept two at a time', async () => {
    const disk = await diskWith(1000, 2000, 3000, 4000)
    expect(await removeOldCheckpoints(disk, DIRECTORY)).toBe(3000)
    expect(await listCheckpoints(disk, DIRECTORY)).toEqual([3000, 4000])
    expect(await removeOldCheckpoints(await diskWith(1000), DIRECTORY)).toBe(1000)
  })
})

describe('a file that is written whole', () => {
  it('has its old content or its new one after a power loss in any of the calls', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      for (let calls = 0; calls < 9; calls++) {
        const disk = new SimDisk({ prng: new Prng(seed) })
        await disk.makeDirectory(DIRECTORY)
        await disk.syncDirectory('')
        disk.poke(`${DIRECTORY}/file`, Buffer.from('old'))
        let left = calls
        disk.onCall = () => (--left < 0 ? 'die' : null)
        void writeWholeFile(disk, DIRECTORY, 'file', Buffer.from('new content'))
        await new Promise(resolve => setImmediate(resolve))
        const found = disk.crash()
        seen.add(found.peek(`${DIRECTORY}/file`).toString())
      }
    }
    expect([...seen].sort()).toEqual(['new content', 'old'])
  })

  it('is not held up by what a dead process left', async () => {
    const disk = await diskWith()
    disk.poke(`${DIRECTORY}/file.new`, Buffer.from('half of some'))
    await writeWholeFile(disk, DIRECTORY, 'file', Buffer.from('whole'))
    expect(disk.paths).toEqual([`${DIRECTORY}/file`])
    expect(disk.peek(`${DIRECTORY}/file`).toString()).toBe('whole')
    expect(await listCheckpoints(disk, DIRECTORY)).toEqual([])
  })
})
