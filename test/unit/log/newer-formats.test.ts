import { crc32c } from '@node-rs/crc32'
import { describe, expect, it } from 'vitest'
import { checksum, FILE_HEADER_BYTES } from '#commit/wal-format.ts'
import { dumpLog } from '#log/dump.ts'
import { repairLog } from '#log/repair.ts'
import { verifyLog } from '#log/verify-log.ts'
import { LogLab } from '#test/support/log-lab.ts'
import type { SimDisk } from '#test/support/sim/sim-disk.ts'

// What a newer version has left on the disk is whole: nobody calls it damaged, mends it, or goes on without it.

/** Three files and more, and checkpoints. */
async function closedLab(): Promise<LogLab> {
  const lab = await LogLab.open({ walFileBytes: 4096 })
  const partition = (await lab.topic('topic')).partitions[0]!
  await lab.appendMany(partition, 40, { sizeBytes: 200 })
  await lab.clock.run(lab.log.close())
  return lab
}

type Change = (bytes: Buffer, path: string) => void

function raiseVersion(bytes: Buffer, at: number): void {
  bytes.writeUInt16BE(bytes.readUInt16BE(at) + 1, at)
}

const walHeader: Change = (bytes, path) => {
  raiseVersion(bytes, 8)
  const sequence = Number(/(\d+)\.wal$/.exec(path)![1])
  bytes.writeUInt32BE(checksum(bytes, 8, FILE_HEADER_BYTES, sequence), 4)
}

const index: Change = bytes => {
  raiseVersion(bytes, 8)
  const entriesAt = 36 + bytes.readUInt32BE(12) * 24 + Math.ceil(bytes.readUInt32BE(32) / 512) * 4
  bytes.writeUInt32BE(crc32c(bytes.subarray(8, entriesAt)), 4)
}

const checkpointWith =
  (versionAt: number): Change =>
  bytes => {
    raiseVersion(bytes, versionAt)
    bytes.writeUInt32BE(crc32c(bytes.subarray(8)), 4)
  }

const inspector = { signal: new AbortController().signal, found() {}, begins() {}, passed() {} }
const NO_FILTER = { types: null, topic: null, partition: null, group: null, from: 0, to: Number.POSITIVE_INFINITY }

const COMMANDS: Record<string, (lab: LogLab, disk: SimDisk) => Promise<unknown>> = {
  start: (lab, disk) => LogLab.on(disk, lab.clock),
  repair: (_, disk) => repairLog({ disk, dataDir: '/data' }, null),
  verify: (_, disk) => verifyLog({ disk, dataDir: '/data' }, inspector),
  dump: (_, disk) => dumpLog({ disk, dataDir: '/data' }, NO_FILTER, () => {}),
}

async function changedLab(ending: string, change: Change, which = -1): Promise<{ lab: LogLab; disk: SimDisk }> {
  const lab = await closedLab()
  const disk = lab.disk.copyAtRest()
  const path = disk.paths.filter(name => name.endsWith(ending)).at(which)!
  const bytes = disk.peek(path)
  change(bytes, path)
  disk.poke(path, bytes)
  return { lab, disk }
}

const contentOf = (disk: SimDisk): Map<string, Buffer> => new Map(disk.paths.map(path => [path, disk.peek(path)]))

describe('a newer version', () => {
  it.each([
    ['the newest file of the log', '.wal', walHeader, -1, 'WAL_TOO_NEW'],
    ['an older file of the log', '.wal', walHeader, 0, 'WAL_TOO_NEW'],
    ['the newest checkpoint', '.ckpt', checkpointWith(8), -1, 'CHECKPOINT_TOO_NEW'],
    ['the state in the newest checkpoint', '.ckpt', checkpointWith(40), -1, 'CHECKPOINT_TOO_NEW'],
  ] as const)(
    'of %s stops everybody who would read it, and nothing is changed',
    async (_, ending, change, which, code) => {
      const { lab, disk } = await changedLab(ending, change, which)
      const before = contentOf(disk)
      for (const command of Object.values(COMMANDS)) {
        const refusal = { code, kind: 'invalid', message: expect.stringMatching(/newer version.*upgrade first/) }
        await expect(command(lab, disk)).rejects.toMatchObject(refusal)
        expect(contentOf(disk)).toEqual(before)
      }
    },
  )

  it('of an index stops a check, and reads of what it has', async () => {
    const { lab, disk } = await changedLab('.idx', index, 0)
    const refusal = {
      code: 'INDEX_TOO_NEW',
      kind: 'invalid',
      message: expect.stringMatching(/\.idx was .*newer version/),
    }
    await expect(COMMANDS.verify!(lab, disk)).rejects.toMatchObject(refusal)
    const opened = await LogLab.on(disk, lab.clock)
    await expect(opened.read(opened.partition(), 0)).rejects.toMatchObject(refusal)
  })
})
