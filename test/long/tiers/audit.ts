// Everything that was promised, against everything that there is.

import { BrokenPromise } from '#test/crash/history.ts'
import { Line } from '#test/crash/line.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { Administrator } from './administrator.ts'
import { type Ledger, type Loss, nameOf } from './ledger.ts'
import type { Offsets } from './offsets.ts'
import { PartitionReader } from './partition-reader.ts'
import type { Topic } from './topics.ts'

export interface Promised {
  readonly ledger: Ledger
  readonly offsets: Offsets
  readonly administrator: Administrator
  readonly topics: readonly Topic[]
}

export interface AuditWish {
  /** Which of what is missing may be. Offsets of groups and topics are not looked at if any may. */
  mayBeLost(loss: Loss): boolean
}

export interface AuditFigures {
  records: number
  storageErrors: number
  tookMs: number
}

/** In fair weather: of one partition. */
const READ_WITHIN_MS = 300_000
const READERS = 12

/** All is there and nothing else. */
export async function audit(
  address: { host: string; port: number },
  promised: Promised,
  wish: AuditWish | null,
): Promise<AuditFigures> {
  const { ledger, offsets, administrator } = promised
  const beganMs = performance.now()
  const figures = { records: 0, storageErrors: 0, tookMs: 0 }
  const places = promised.topics.flatMap(({ name, partitions, isCompacted }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition, isCompacted })),
  )
  const losses: Loss[] = []
  const work = async (line: Line): Promise<void> => {
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const reader = new PartitionReader(line, place, !place.isCompacted)
      const found = await reader.readAll(READ_WITHIN_MS)
      losses.push(
        ...ledger.check(
          nameOf(place),
          found.map(record => ({ ...record, key: `${record.key}` })),
        ),
      )
      figures.records += found.length
      figures.storageErrors += reader.storageErrors
    }
  }
  const lines = Array.from({ length: READERS }, () => new Line(address, new Prng(1)))
  try {
    await Promise.all(lines.map(work))
    if (wish === null) {
      for (const [group, committed] of offsets.groups) await checkGroup(lines[0]!, offsets, group, committed)
      await administrator.check(address)
    }
  } finally {
    for (const line of lines) line.stop()
  }
  const broken = losses.filter(loss => wish?.mayBeLost(loss) !== true)
  if (broken.length > 0) {
    const some = broken
      .slice(0, 20)
      .map(({ what, storedAtMs }) => `${what}, ${Math.round(performance.now() - storedAtMs)} ms ago`)
    throw new BrokenPromise(`${broken.length} records are lost:\n${some.join('\n')}`)
  }
  if (losses.length === 0) ledger.checkTransactions()
  figures.tookMs = Math.round(performance.now() - beganMs)
  return figures
}

async function checkGroup(
  line: Line,
  offsets: Offsets,
  groupId: string,
  committed: readonly { readonly place: { readonly topic: string; readonly partition: number } }[],
): Promise<void> {
  const byTopic = Map.groupBy(committed, ({ place }) => place.topic)
  const topics = [...byTopic].map(([name, of]) => ({ name, partitionIndexes: of.map(({ place }) => place.partition) }))
  const answer = await line.ask('OffsetFetch', 7, { groupId, topics, requireStable: true })
  for (const { name, partitions } of answer.topics) {
    for (const { partitionIndex, committedOffset, errorCode } of partitions) {
      if (errorCode !== 0) throw new BrokenPromise(`offsets of ${groupId}: error ${errorCode}`)
      offsets.check(groupId, { topic: name, partition: partitionIndex }, committedOffset)
    }
  }
}
