import { describe, expect, it } from 'vitest'
import { repairLog } from '#log/repair.ts'
import { LogLab, served } from '#test/support/log-lab.ts'
import type { SimDisk } from '#test/support/sim/sim-disk.ts'

async function killedLab(): Promise<{
  lab: LogLab
  disk: SimDisk
  appended: Awaited<ReturnType<LogLab['appendMany']>>
}> {
  const lab = await LogLab.open({ walFileBytes: 1 << 20 })
  const partition = (await lab.topic('topic')).partitions[0]!
  const appended = await lab.appendMany(partition, 20, { sizeBytes: 200 })
  return { lab, disk: lab.disk.copyAtRest(), appended }
}

const PATH = '/data/wal/0000000000000001.wal'

/** Changes a byte within the records of a batch. */
function damage(disk: SimDisk, sent: { bytes: Buffer }): void {
  const bytes = disk.peek(PATH)
  const at = bytes.indexOf(sent.bytes.subarray(61))
  bytes[at + 10]! ^= 1
  disk.poke(PATH, bytes)
}

describe('the repair of a log', () => {
  it('finds nothing to do where all is well, and changes nothing', async () => {
    const { disk } = await killedLab()
    const before = disk.peek(PATH)
    const report = await repairLog({ disk, dataDir: '/data' }, null)
    expect(report).toMatchObject({ isSound: true, lines: [expect.stringContaining('The log is sound')] })
    expect(disk.peek(PATH)).toEqual(before)
  })

  it('says where the damage is and what the way out costs, and changes nothing until it is told to', async () => {
    const { lab, disk, appended } = await killedLab()
    damage(disk, appended[12]!.sent)
    const before = disk.peek(PATH)
    const report = await repairLog({ disk, dataDir: '/data' }, null)
    expect(report.isSound).toBe(false)
    const text = report.lines.join('\n')
    const cutAt = Number(/--cut-at (\d+)/.exec(text)?.[1])
    expect(text).toContain(PATH)
    expect(disk.peek(PATH)).toEqual(before)
    await expect(LogLab.on(disk.copyAtRest(), lab.clock)).rejects.toMatchObject({ code: 'WAL_DAMAGED' })
    expect((await repairLog({ disk, dataDir: '/data' }, cutAt + 1)).isSound).toBe(false)
    expect(disk.peek(PATH)).toEqual(before)

    expect((await repairLog({ disk, dataDir: '/data' }, cutAt)).isSound).toBe(true)
    expect(disk.peek(`/data/repaired-${cutAt}/0000000000000001.wal`)).toEqual(before)
    lab.clock.forgetAll()
    const opened = await LogLab.on(disk, lab.clock)
    expect(await opened.readAll(opened.partition())).toEqual(served(appended.slice(0, 12)))
    expect((await opened.append(opened.partition())).baseOffset).toBe(12)
  })

  it('tells of a file that is missing, of damaged checkpoints, and of a torn tail', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('topic')).partitions[0]!
    const appended = await lab.appendMany(partition, 40, { sizeBytes: 500 })
    await lab.clock.runFor(1000)
    const linesAfter = async (change: (disk: SimDisk) => unknown): Promise<string> => {
      const disk = lab.disk.copyAtRest()
      await change(disk)
      return (await repairLog({ disk, dataDir: '/data' }, null)).lines.join('\n')
    }
    expect(await linesAfter(disk => disk.remove(PATH))).toContain('begins at position 0 is missing')
    const checkpoints = lab.disk.paths.filter(path => path.endsWith('.ckpt'))
    const spoil = (disk: SimDisk, paths: string[]) => paths.map(path => disk.poke(path, Buffer.from('spoilt')))
    expect(await linesAfter(disk => spoil(disk, checkpoints.slice(-1)))).toContain(`${checkpoints.at(-1)} is damaged`)
    expect(await linesAfter(disk => spoil(disk, checkpoints))).toContain('reaches back to its beginning')
    const torn = await linesAfter(disk => {
      const last = appended.at(-1)!.sent.bytes.subarray(61)
      const path = disk.paths.find(name => name.endsWith('.wal') && disk.peek(name).includes(last))!
      const bytes = disk.peek(path)
      bytes[bytes.indexOf(last) + 10]! ^= 1
      disk.poke(path, bytes)
    })
    expect(torn).toMatch(/torn tail of \d+ bytes/)
  })
})
