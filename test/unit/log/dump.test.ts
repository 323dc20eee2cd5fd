import { describe, expect, it } from 'vitest'
import { type DumpFilter, dumpLog } from '#log/dump.ts'
import { LogLab } from '#test/support/log-lab.ts'

const ALL: DumpFilter = {
  types: null,
  topic: null,
  group: null,
  partition: null,
  from: 0,
  to: Number.POSITIVE_INFINITY,
}

async function livedLab(): Promise<LogLab> {
  const lab = await LogLab.open({ walFileBytes: 4096 })
  await lab.topic('orders', 2)
  await lab.topic('audit')
  const producer = { id: 7, epoch: 1, sequence: 0 }
  await lab.append(lab.partition('orders', 1), { recordCount: 2, producer })
  await lab.append(lab.partition('audit'))
  await lab.propose({ kind: 'log-start-moved', ordinal: 1, offset: 1 })
  await lab.clock.run(lab.log.close())
  return lab
}

async function linesOf(lab: LogLab, filter: Partial<DumpFilter>): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const disk = lab.disk.copyAtRest()
  expect(await dumpLog({ disk, dataDir: '/data' }, { ...ALL, ...filter }, line => lines.push(line))).toBeNull()
  return lines
}

describe('the dump of a log', () => {
  it('has every record there is, in order, in words', async () => {
    const lines = await linesOf(await livedLab(), {})
    expect(lines).toMatchObject([
      { type: 'topic-created', topic: 'orders', id: 'id-of-orders', partitionCount: 2, configs: {} },
      { type: 'topic-created', topic: 'audit' },
      {
        type: 'produced',
        batches: [{ topic: 'orders', partition: 1, recordCount: 2, producerId: 7, baseSequence: 0 }],
      },
      { type: 'produced', batches: [{ topic: 'audit', partition: 0, ordinal: 2, recordCount: 1 }] },
      { type: 'log-start-moved', topic: 'orders', ordinal: 1, offset: 1 },
    ])
    expect(JSON.stringify(lines)).not.toContain('undefined')
  })

  it('is filtered by type, topic, partition and position', async () => {
    const lab = await livedLab()
    const all = await linesOf(lab, {})
    expect(await linesOf(lab, { types: ['produced'] })).toEqual(all.filter(({ type }) => type === 'produced'))
    expect((await linesOf(lab, { topic: 'audit' })).map(({ type }) => type)).toEqual(['topic-created', 'produced'])
    expect(await linesOf(lab, { topic: 'orders', partition: 1 })).toEqual([all[2]])
    const [from, to] = [all[1]!.position as number, all[3]!.position as number]
    expect(await linesOf(lab, { from, to })).toEqual(all.slice(1, 3))
  })

  it('names groups and the topics of their offsets, has bytes as base64, and is filtered by both', async () => {
    const lab = await LogLab.open()
    for (const topic of ['orders', 'audit']) await lab.topic(topic)
    const offset = { partition: 0, offset: 5, leaderEpoch: -1, metadata: '', expiresMs: -1 }
    const at = (name: string) => ({ topicId: `id-of-${name}`, partitions: [offset] })
    const member = {
      id: 'm',
      instanceId: null,
      clientId: 'c',
      clientHost: '/h',
      sessionTimeoutMs: 1,
      rebalanceTimeoutMs: 1,
    }
    const saved = {
      ...{ generation: 1, protocolType: 'consumer', protocol: 'range', leaderId: 'm' },
      members: [{ ...member, metadata: Buffer.from([0, 1]), assignment: Buffer.alloc(0) }],
    }
    await lab.propose({ kind: 'group-saved', groupId: 'billing', saved })
    await lab.propose({ kind: 'offsets-committed', groupId: 'billing', topics: [at('orders'), at('audit')] })
    await lab.propose({
      kind: 'offsets-removed',
      groupId: 'other',
      topics: [{ topicId: 'id-of-audit', partitions: [0] }],
    })
    const join = { transactionalId: 'x', producerId: 1, epoch: 0, ordinals: [], groupIds: ['billing'] }
    await lab.propose({ kind: 'transaction-joined', ...join })
    await lab.clock.run(lab.log.close())
    expect(await linesOf(lab, { group: 'billing' })).toMatchObject([
      { type: 'group-saved', groupId: 'billing', saved: { members: [{ id: 'm', metadata: 'AAE=', assignment: '' }] } },
      {
        type: 'offsets-committed',
        topics: [
          { topic: 'orders', topicId: 'id-of-orders', partitions: [{ partition: 0, offset: 5 }] },
          { topic: 'audit', topicId: 'id-of-audit' },
        ],
      },
      { type: 'transaction-joined', groupIds: ['billing'] },
    ])
    const about = await linesOf(lab, { topic: 'audit', types: ['offsets-committed', 'offsets-removed'] })
    expect(about).toMatchObject([{ topics: [{ topic: 'audit' }] }, { topics: [{ topic: 'audit' }] }])
    expect(about[0]?.topics).toHaveLength(1)
  })

  it('names the topics of records behind a checkpoint, and says where the log cannot be read', async () => {
    const lab = await LogLab.open({ walFileBytes: 4096 })
    const partition = (await lab.topic('orders')).partitions[0]!
    await lab.appendMany(partition, 40, { sizeBytes: 500 })
    await lab.clock.runFor(1000)
    const lines = await linesOf(lab, { types: ['produced'], topic: 'orders' })
    expect(lines).toHaveLength(40)
    const disk = lab.disk.copyAtRest()
    const path = '/data/wal/0000000000000002.wal'
    const bytes = disk.peek(path)
    bytes[500]! ^= 1
    disk.poke(path, bytes)
    const damage = await dumpLog({ disk, dataDir: '/data' }, ALL, () => {})
    expect(damage).toMatch(/cannot be read from position \d+ on/)
  })
})
