import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import { type Change, decodeChange, encodeChange, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { encodeState } from '#core/checkpoint.ts'
import { type Appended, LogLab, served } from '#test/support/log-lab.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

// What is stored today is what fixtures/formats has, byte for byte, and what it has is read. A format that changes gets a new
// folder of its own; those of released versions stay, and stay readable.

const folderOf = (version: string): string =>
  fileURLToPath(new URL(`../../fixtures/formats/${version}/`, import.meta.url))
const VERSIONS = ['v1', 'v2']
const FOLDER = folderOf(VERSIONS.at(-1)!)
const OPTIONS = { walFileBytes: 1200 }

/** A short life: everything there is to store, over two files of the log, killed in the end. */
async function live(): Promise<{ lab: LogLab; orders: Appended[]; audit: Appended[] }> {
  const lab = await LogLab.open(OPTIONS)
  await lab.propose({ kind: 'cluster-created', clusterId: 'MkU3OEVBNTcwNTJENDM2Qk' })
  await lab.topic('orders', 2, new Map([['retention.ms', '86400000']]))
  await lab.topic('audit')
  await lab.propose({ kind: 'producer-ids-allocated', count: 1000 })
  const orders: Appended[] = []
  const audit: Appended[] = []
  for (let i = 0; i < 3; i++) {
    const producer = { id: 7, epoch: 0, sequence: i * 3 }
    orders.push(await lab.append(lab.partition('orders', 1), { recordCount: 3, timestampMs: 5000 + i, producer }))
    audit.push(await lab.append(lab.partition('audit'), { sizeBytes: 90, recordCount: 2, timestampMs: -1 }))
    await lab.clock.runFor(10)
  }
  await lab.propose({ kind: 'log-start-moved', ordinal: lab.partition('audit').ordinal, offset: 3 })
  await lab.propose({ kind: 'topic-configs-set', id: 'id-of-audit', configs: new Map([['segment.bytes', '2000000']]) })
  await lab.clock.runFor(100)
  return { lab, orders, audit }
}

const hexOf = (bytes: Buffer): string => `${bytes.toString('hex').replace(/.{64}/g, '$&\n').trimEnd()}\n`
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll('\n', ''), 'hex')

const FILES = [
  'wal/0000000000000001.wal',
  'wal/0000000000000001.idx',
  'wal/0000000000000002.wal',
  'checkpoints/0000000000001093.ckpt',
]

const CHANGES: Change[] = [
  { kind: 'cluster-created', clusterId: 'MkU3OEVBNTcwNTJENDM2Qk' },
  {
    kind: 'topic-created',
    id: 'AQIDBAUGBwgJCgsMDQ4PEA',
    name: 'orders',
    partitionCount: 300,
    configs: new Map([['a', 'b']]),
  },
  { kind: 'topic-deleted', id: 'AQIDBAUGBwgJCgsMDQ4PEA' },
  { kind: 'partitions-added', id: 'AQIDBAUGBwgJCgsMDQ4PEA', partitionCount: 301 },
  { kind: 'topic-configs-set', id: 'AQIDBAUGBwgJCgsMDQ4PEA', configs: new Map([['retention.ms', '-1']]) },
  {
    kind: 'broker-configs-set',
    configs: new Map([
      ['log.retention.ms', '1000'],
      ['ü', ''],
    ]),
  },
  { kind: 'log-start-moved', ordinal: 4_000_000_000, offset: 2 ** 53 - 1 },
  { kind: 'producer-ids-allocated', count: 1000 },
  { kind: 'producers-expired', lastAppendBeforeMs: 1_800_000_000_000 },
]

describe('what is stored', () => {
  it.each(FILES)('in %s has the bytes of the newest version', async name => {
    const { lab } = await live()
    expect(lab.disk.paths).toContain(`/data/${name}`)
    await expect(hexOf(lab.disk.peek(`/data/${name}`))).toMatchFileSnapshot(`${FOLDER}${name.split('/')[1]}.hex`)
  })

  it('of changes has the bytes of the newest version', async () => {
    const lines = CHANGES.map(
      change =>
        `${change.kind} ${typeOfChange(change.kind)} ${hexOf(encodeChange(change, 1234.5)).replaceAll('\n', '')}\n`,
    )
    await expect(lines.join('')).toMatchFileSnapshot(`${FOLDER}changes.txt`)
  })
})

describe.each(VERSIONS)('what version %s has stored', stored => {
  it('is opened, read and written on', async () => {
    const clock = new SimClock()
    const disk = new SimDisk({ clock })
    for (const name of FILES)
      disk.poke(`/data/${name}`, bytesOf(await readFile(`${folderOf(stored)}${name.split('/')[1]}.hex`, 'utf8')))
    const found = await LogLab.on(disk, clock, OPTIONS)
    const { lab, orders, audit } = await live()
    expect(encodeState(found.log.state)).toEqual(encodeState(lab.log.state))
    expect(await found.readAll(found.partition('orders', 1))).toEqual(served(orders))
    // The log starts within a batch, which is read whole.
    expect(await found.readAll(found.partition('audit'))).toEqual(served(audit.slice(1)))
    expect((await found.append(found.partition('audit'))).baseOffset).toBe(6)
    const again = await found.crash()
    expect(again.partition('audit').nextOffset).toBe(7)
  })

  it('as changes is understood', async () => {
    const lines = (await readFile(`${folderOf(stored)}changes.txt`, 'utf8')).trimEnd().split('\n')
    const changes = lines.map(line => {
      const [, type, hex] = line.split(' ')
      return decodeChange(Number(type), RECORD_VERSION, new ByteReader(bytesOf(hex!)))
    })
    const known = CHANGES.slice(0, changes.length)
    expect(changes).toEqual(known.map(change => ({ timeMs: 1234.5, change })))
  })
})

describe('the page of a format', () => {
  it.each([
    ['wal.md', 'src/commit/wal-format.ts', /WAL_VERSION = (\d+)/],
    ['commit-record.md', 'src/core/change-records.ts', /RECORD_VERSION = (\d+)/],
    ['checkpoint.md', 'src/core/checkpoint.ts', /CHECKPOINT_VERSION = (\d+)/],
    ['checkpoint.md', 'src/commit/checkpoint-files.ts', /const VERSION = (\d+)/],
    ['index.md', 'src/log/index-file.ts', /const VERSION = (\d+)/],
  ])('%s speaks of the version that %s writes', async (page, source, version) => {
    const root = fileURLToPath(new URL('../../', import.meta.url))
    const [text, code] = await Promise.all([
      readFile(`${root}docs/formats/${page}`, 'utf8'),
      readFile(`${root}${source}`, 'utf8'),
    ])
    const written = version.exec(code)?.[1]
    expect(written).toBeDefined()
    // The first version that is named behind the file is the one that is written.
    const [, behind = ''] = text.split(`[${source}]`)
    expect(/\bversion (\d+)/.exec(behind)?.[1]).toBe(written)
  })
})
