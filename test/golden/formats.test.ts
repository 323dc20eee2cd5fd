import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import { type Change, decodeChange, encodeChange, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { encodeState } from '#core/checkpoint.ts'
import type { ConsumerChange } from '#core/consumer-groups.ts'
import type { CommittedTopic, Generation } from '#core/groups.ts'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import { type Appended, LogLab, served } from '#test/support/log-lab.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'

// What is stored today is what fixtures/formats has, byte for byte, and what it has is read. A format that changes gets a new
// folder of its own; those of released versions stay, and stay readable.

const folderOf = (version: string): string =>
  fileURLToPath(new URL(`../../fixtures/formats/${version}/`, import.meta.url))
const VERSIONS = ['v1', 'v2', 'v3'] as const
type Version = (typeof VERSIONS)[number]
const NEWEST = 'v3'
/** So that the first file ends in the middle. */
const OPTIONS = { v1: { walFileBytes: 1200 }, v2: { walFileBytes: 3300 }, v3: { walFileBytes: 4300 } }

/** A short life: everything that a version can store, over two files of the log, killed in the end. */
async function live(version: Version): Promise<{ lab: LogLab; orders: Appended[]; audit: Appended[] }> {
  const lab = await LogLab.open(OPTIONS[version])
  await lab.propose({ kind: 'cluster-created', clusterId: 'MkU3OEVBNTcwNTJENDM2Qk' })
  await lab.topic('orders', 2, new Map([['retention.ms', '86400000']]))
  await lab.topic('audit')
  await lab.propose({ kind: 'producer-ids-allocated', count: 1000 })
  if (version !== 'v1') await coordinate(lab)
  if (version === 'v3') await archive(lab)
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

/** A group with a member and an offset; one transaction is aborted, the other is open in a partition and in the group. */
async function coordinate(lab: LogLab): Promise<void> {
  const ledger = await lab.topic('ledger')
  const topics = [{ ...COMMITTED, topicId: ledger.id }]
  await lab.propose({ kind: 'group-saved', groupId: 'readers', saved: GENERATION })
  await lab.propose({ kind: 'offsets-committed', groupId: 'readers', topics })
  for (const [i, transactionalId] of ['aborter', 'copier'].entries()) {
    const producer = { id: i, epoch: 0, sequence: 0, isTransactional: true }
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId, timeoutMs: 60_000, ...from, producerId: i, epoch: 0 }
    await lab.propose({ kind: 'transactional-id-claimed', ...claim })
    await lab.append(ledger.partitions[0]!, { recordCount: 2, producer })
  }
  const commit = { groupId: 'readers', producerId: 1, epoch: 0, joins: true, topics }
  await lab.propose({ kind: 'transaction-offsets-committed', ...commit })
  await lab.endTransaction('aborter', false)
  await lab.propose({ kind: 'consumer-group-changed', groupId: 'followers', changes: CONSUMER_CHANGES })
  await lab.propose({ kind: 'group-configs-set', groupId: 'followers', configs: new Map([['a', 'b']]) })
}

/** Two segments of a partition, one of them in a shared object; the other one was replaced. */
async function archive(lab: LogLab): Promise<void> {
  const { ordinal } = (await lab.topic('archive')).partitions[0]!
  await lab.propose({ kind: 'generation-begun', generation: 1, ownerId: 'GhIJKLMnOpQrStUvWxYz0A' })
  for (let i = 0; i < 3; i++) await lab.append(lab.partition('archive'), { sizeBytes: 100, recordCount: 2 })
  const shared = { ...SEGMENT, baseOffset: 2, nextOffset: 4, sharedAt: 1234, hash: 4_000_000_000 }
  await lab.propose({ kind: 'segments-committed', parts: [{ ordinal, segment: SEGMENT }] })
  await lab.propose({ kind: 'segments-committed', parts: [{ ordinal, segment: shared }] })
  const by = [{ ...SEGMENT, revision: 1_800_000_000_000 }]
  await lab.propose({ kind: 'segments-replaced', ordinal, replaced: [SEGMENT], by, cleaned: null })
}

const SEGMENT: Segment = {
  baseOffset: 0,
  nextOffset: 2,
  sizeBytes: 100,
  maxTimestampMs: 5000,
  createdMs: 4000,
  place: 0,
  indexPlace: 124,
  indexBytes: 200,
  generation: 1,
  revision: 0,
  sharedAt: OWN_OBJECT,
  hash: 0,
}

const hexOf = (bytes: Buffer): string => `${bytes.toString('hex').replace(/.{64}/g, '$&\n').trimEnd()}\n`
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll('\n', ''), 'hex')

const WAL_FILES = ['wal/0000000000000001.wal', 'wal/0000000000000001.idx', 'wal/0000000000000002.wal']
const FILES = {
  v1: [...WAL_FILES, 'checkpoints/0000000000001093.ckpt'],
  v2: [...WAL_FILES, 'checkpoints/0000000000003186.ckpt'],
  v3: [...WAL_FILES, 'checkpoints/0000000000004084.ckpt'],
}

const GENERATION: Generation = {
  generation: 3,
  protocolType: 'consumer',
  protocol: 'range',
  leaderId: 'a-1',
  members: [
    {
      id: 'a-1',
      instanceId: null,
      clientId: 'a',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 45_000,
      rebalanceTimeoutMs: 300_000,
      metadata: Buffer.from('wants'),
      assignment: Buffer.from('has'),
    },
  ],
}
const COMMITTED: CommittedTopic = {
  topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
  partitions: [{ partition: 300, offset: 2 ** 40, leaderEpoch: 0, metadata: 'ü', expiresMs: -1 }],
}
const CONSUMER_CHANGES: ConsumerChange[] = [
  {
    kind: 'member',
    member: {
      id: 'm-2',
      instanceId: 'i-2',
      rackId: 'r',
      clientId: 'client',
      clientHost: '/10.0.0.2',
      rebalanceTimeoutMs: 300_000,
      topicNames: ['orders'],
      topicRegex: 'or.*',
      assignor: 'range',
      classic: null,
    },
  },
  {
    kind: 'member',
    member: {
      id: 'm-3',
      instanceId: null,
      rackId: null,
      clientId: 'old',
      clientHost: '/10.0.0.3',
      rebalanceTimeoutMs: 60_000,
      topicNames: [],
      topicRegex: '',
      assignor: null,
      classic: { sessionTimeoutMs: 10_000, protocols: [{ name: 'range', metadata: Buffer.of(0, 1) }] },
    },
  },
  { kind: 'epoch', epoch: 300, topicsHash: 2 ** 52 + 1 },
  { kind: 'target', memberId: 'm-2', target: new Map([['id-of-orders', [0, 1]]]) },
  { kind: 'target-epoch', epoch: 300 },
  {
    kind: 'progress',
    memberId: 'm-2',
    progress: {
      epoch: 300,
      previousEpoch: -2,
      state: 'unrevoked',
      assigned: new Map([['id-of-orders', new Map([[0, 299]])]]),
      revoking: new Map([['id-of-audit', new Map([[0, 7]])]]),
    },
  },
]
const COPIER = { producerId: 1000, epoch: 0 }

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
  { kind: 'group-saved', groupId: 'readers', saved: GENERATION },
  { kind: 'offsets-committed', groupId: 'readers', topics: [COMMITTED] },
  {
    kind: 'offsets-removed',
    groupId: 'readers',
    topics: [{ topicId: 'AQIDBAUGBwgJCgsMDQ4PEA', partitions: [0, 300] }],
  },
  { kind: 'group-removed', groupId: 'readers' },
  {
    kind: 'transactional-id-claimed',
    transactionalId: 'copier',
    timeoutMs: 60_000,
    fromProducerId: -1,
    fromEpoch: -1,
    producerId: 1000,
    epoch: 0,
    isNamed: true,
  },
  { kind: 'transaction-joined', ...COPIER, transactionalId: 'copier', ordinals: [1, 2], groupIds: ['readers'] },
  { kind: 'transaction-offsets-committed', ...COPIER, groupId: 'readers', joins: true, topics: [COMMITTED] },
  {
    kind: 'transaction-ended',
    ...COPIER,
    transactionalId: 'copier',
    isCommit: true,
    fences: true,
    markerEpoch: 1,
    nextProducerId: 1000,
    nextEpoch: 1,
    file: 5,
    payloadPosition: 60,
    markers: [{ ordinal: 1, place: 100, sizeBytes: 78, crc: 4_000_000_000 }],
  },
  { kind: 'transactional-id-removed', transactionalId: 'copier', ...COPIER },
  {
    kind: 'consumer-group-changed',
    groupId: 'followers',
    changes: [...CONSUMER_CHANGES, { kind: 'member-gone', memberId: 'm-3' }],
  },
  {
    kind: 'offsets-expired',
    groupId: 'readers',
    foundAt: 2 ** 40,
    topics: [{ topicId: 'AQIDBAUGBwgJCgsMDQ4PEA', partitions: [0, 300] }],
    removesGroup: true,
  },
  { kind: 'group-configs-set', groupId: 'followers', configs: new Map([['consumer.session.timeout.ms', '50000']]) },
  { kind: 'segments-committed', parts: [{ ordinal: 300, segment: SEGMENT }] },
  {
    kind: 'segments-replaced',
    ordinal: 300,
    replaced: [{ baseOffset: 0, nextOffset: 2, revision: 0 }],
    by: [{ ...SEGMENT, revision: 1_800_000_000_000 }],
    cleaned: { toOffset: 2, horizonMs: 1_800_086_400_000 },
  },
  { kind: 'garbage-removed', ids: [0, 2 ** 40] },
  { kind: 'generation-begun', generation: 7, ownerId: 'GhIJKLMnOpQrStUvWxYz0A' },
]

describe('what is stored', () => {
  it.each(FILES[NEWEST])('in %s has the bytes of the newest version', async name => {
    const { lab } = await live(NEWEST)
    expect(lab.disk.paths.map(path => path.slice(6))).toContain(name)
    await expect(hexOf(lab.disk.peek(`/data/${name}`))).toMatchFileSnapshot(
      `${folderOf(NEWEST)}${name.split('/')[1]}.hex`,
    )
  })

  it('of changes has the bytes of the newest version', async () => {
    const lines = CHANGES.map(
      change =>
        `${change.kind} ${typeOfChange(change.kind)} ${hexOf(encodeChange(change, 1234.5)).replaceAll('\n', '')}\n`,
    )
    await expect(lines.join('')).toMatchFileSnapshot(`${folderOf(NEWEST)}changes.txt`)
  })
})

describe.each(VERSIONS)('what version %s has stored', stored => {
  it('is opened, read and written on', async () => {
    const clock = new SimClock()
    const disk = new SimDisk({ clock })
    for (const name of FILES[stored])
      disk.poke(`/data/${name}`, bytesOf(await readFile(`${folderOf(stored)}${name.split('/')[1]}.hex`, 'utf8')))
    const found = await LogLab.on(disk, clock, OPTIONS[stored])
    const { lab, orders, audit } = await live(stored)
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
    ['cache-slab.md', 'src/object-store/cache-slab.ts', /const VERSION = (\d+)/],
    ['index.md', 'src/log/index-file.ts', /const VERSION = (\d+)/],
    ['segment.md', 'src/segments/segment-format.ts', /SEGMENT_VERSION = (\d+)/],
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
