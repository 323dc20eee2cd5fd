import { crc32c } from '@node-rs/crc32'
import { describe, expect, it } from 'vitest'
import type { Finding } from '#base/inspection.ts'
import { verifyLog } from '#log/verify-log.ts'
import { LogLab } from '#test/support/log-lab.ts'
import type { SimDisk } from '#test/support/sim/sim-disk.ts'

const WAL = '/data/wal/000000000000000'

/** Of a log that was closed: three files and more, all of them behind the checkpoint. `sizeBytes`: of its batches. */
async function closedDisk(timestampMs = 1000): Promise<SimDisk> {
  const lab = await LogLab.open({ walFileBytes: 4096 })
  const partition = (await lab.topic('topic', 2)).partitions[1]!
  await lab.appendMany(partition, 40, { sizeBytes: 200, timestampMs })
  await lab.clock.run(lab.log.close())
  return lab.disk.copyAtRest()
}

async function check(disk: SimDisk) {
  const findings: Finding[] = []
  const inspector = {
    signal: new AbortController().signal,
    found: (finding: Finding) => void findings.push(finding),
    begins() {},
    passed() {},
  }
  const log = await verifyLog({ disk, dataDir: '/data' }, inspector)
  return { findings, log }
}

/** Makes a damaged index one whose checksums are right. */
function sumUp(index: Buffer): void {
  const entriesAt = 36 + index.readUInt32BE(12) * 24 + Math.ceil(index.readUInt32BE(32) / 512) * 4
  index.writeUInt32BE(crc32c(index.subarray(entriesAt)), entriesAt - 4)
  index.writeUInt32BE(crc32c(index.subarray(8, entriesAt)), 4)
}

describe('a log that was closed', () => {
  it('is sound, up to its end', async () => {
    const disk = await closedDisk()
    const { findings, log } = await check(disk)
    expect(findings).toEqual([])
    expect(log.state?.topics.get('topic')?.partitions[1]?.nextOffset).toBe(40)
    expect(log.files).toBeGreaterThan(2)
  })

  it('is not, with a file of another log of the same form', async () => {
    const [disk, other] = [await closedDisk(), await closedDisk(2000)]
    for (const name of ['2.wal', '2.idx']) disk.poke(WAL + name, other.peek(WAL + name))
    const { findings } = await check(disk)
    expect(findings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/1\.wal is damaged at byte \d+ .*: what follows it was written behind another group/),
      expect.stringMatching(/2\.wal is damaged at byte \d+ .*: what follows it was written behind another group/),
    ])
  })

  it('is not, with an index that has other batches, or of another file', async () => {
    const disk = await closedDisk()
    const index = disk.peek(`${WAL}2.idx`)
    index.writeUInt32BE(index.readUInt32BE(index.length - 12) + 1, index.length - 12) // bytes of the last batch
    sumUp(index)
    const other = disk.copyAtRest()
    disk.poke(`${WAL}2.idx`, index)
    const [found, ...more] = (await check(disk)).findings
    expect(more).toEqual([])
    expect(found).toMatchObject({ kind: 'damage', affected: [{ topic: 'topic', partition: 1 }] })
    expect(found!.message).toMatch(/the index of .*2\.wal has \d+ bytes of batches where there are to be \d+/)
    other.poke(`${WAL}2.idx`, other.peek(`${WAL}3.idx`))
    const { findings } = await check(other)
    expect(findings[0]!.message).toMatch(/2\.idx is that of another file, at position \d+/)
  })

  it('needs only one of its checkpoints, and says so', async () => {
    const disk = await closedDisk()
    const [older, newest] = disk.paths.filter(path => path.endsWith('.ckpt'))
    disk.poke(newest!, disk.peek(newest!).subarray(1))
    const { findings, log } = await check(disk)
    expect(findings).toMatchObject([{ kind: 'damage', where: newest }])
    expect(log.state?.topics.get('topic')?.partitions[1]?.nextOffset).toBe(40)
    disk.poke(older!, Buffer.alloc(0))
    const all = await check(disk)
    // The log is there from its beginning: that is enough.
    expect(all.findings).toHaveLength(2)
    expect(all.log.state?.topics.get('topic')?.partitions[1]?.nextOffset).toBe(40)
    await disk.remove(`${WAL}1.wal`)
    const nothing = await check(disk)
    expect(nothing.log.state).toBeNull()
    expect(nothing.findings).toHaveLength(2)
  })

  it('may have files beside it that are none of it', async () => {
    const disk = await closedDisk()
    disk.poke('/data/wal/notes.txt', Buffer.from('?'))
    expect((await check(disk)).findings).toMatchObject([{ kind: 'notice', where: '/data/wal/notes.txt' }])
  })
})

describe('a log whose broker was killed', () => {
  it('is sound, but for a torn tail, which is no damage', async () => {
    const lab = await LogLab.open({ walFileBytes: 1 << 20 })
    const partition = (await lab.topic('topic')).partitions[0]!
    await lab.appendMany(partition, 20, { sizeBytes: 200 })
    const disk = lab.disk.copyAtRest()
    expect((await check(disk)).findings).toEqual([])
    const bytes = disk.peek(`${WAL}1.wal`)
    const last = bytes.lastIndexOf('CHGR')
    bytes[last + 48 + 61]! ^= 1
    disk.poke(`${WAL}1.wal`, bytes)
    const { findings } = await check(disk)
    expect(findings).toMatchObject([{ kind: 'notice', where: `${WAL}1.wal` }])
    expect(findings[0]!.message).toMatch(/ends with \d+ bytes that were never acknowledged/)
  })
})
