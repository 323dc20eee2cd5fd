import type { Generation } from '#core/groups.ts'
import type { State } from '#core/state.ts'
import type { Ledger } from './ledger.ts'

// A ledger and a state as lines of text: where they differ, something is wrong.

export function differenceBetween(ledger: Ledger, state: State): string | null {
  const [expected, found] = [linesOfLedger(ledger).sort(), linesOfState(state).sort()]
  for (let i = 0; i < Math.max(expected.length, found.length); i++) {
    if (expected[i] !== found[i]) return `${found[i]} is there, not ${expected[i]}`
  }
  return null
}

const text = (entries: Iterable<unknown>): string => JSON.stringify([...entries].sort())

function linesOfLedger({ topics, partitions, transactions, groups, nextProducerId }: Ledger): string[] {
  const lines = [`producer ids to ${nextProducerId}`, `partitions ${partitions.length}`]
  for (const [id, { name }] of topics) lines.push(`topic ${id} ${name}`)
  for (const partition of partitions) {
    if (partition === undefined) continue
    const { ordinal, logStart, nextOffset, stableOffset, producers, open, aborted } = partition
    const kept = [...producers].map(
      ([id, producer]) => `${id}/${producer.epoch} ${producer.kept.map(batch => [batch.first, batch.last])}`,
    )
    const runs = aborted.map(({ producerId, first, last }) => [producerId, first, last])
    lines.push(
      `partition ${ordinal}: ${logStart} ${stableOffset} ${nextOffset} ${text(kept)} ${text(open)} ${JSON.stringify(runs)}`,
    )
  }
  for (const [id, transaction] of transactions) {
    const { producerId, epoch, previous, phase } = transaction
    const where = `${text(transaction.partitions)} ${text(transaction.groups)}`
    lines.push(`transaction ${id}: ${producerId}/${epoch} ${previous} ${phase} ${where}`)
  }
  for (const [id, { saved, offsets, pending }] of groups) {
    const open = [...pending].map(([producerId, ofIt]) => `${producerId} ${text([...ofIt].map(pair))}`)
    lines.push(`group ${id}: ${savedText(saved)} ${text([...offsets].map(pair))} ${text(open)}`)
  }
  return lines
}

function pair([key, { offset }]: [string, { offset: number }]): string {
  return `${key} ${offset}`
}

function linesOfState(state: State): string[] {
  const lines = [`producer ids to ${state.nextProducerId}`, `partitions ${state.partitions.length}`]
  for (const { id, name } of state.topics.values()) lines.push(`topic ${id} ${name}`)
  for (const partition of state.partitions) {
    if (partition === undefined) continue
    const { ordinal, logStart, nextOffset, lastStableOffset, producers, openTransactions, aborted } = partition
    const kept = [...(producers ?? [])].map(
      ([id, producer]) =>
        `${id}/${producer.epoch} ${producer.batches.map(batch => [batch.firstSequence, batch.lastSequence])}`,
    )
    const rows = [...(aborted?.rows() ?? [])]
    const runs = Array.from({ length: rows.length / 4 }, (_, i) => rows.slice(4 * i, 4 * i + 3))
    const open = text(openTransactions ?? [])
    lines.push(
      `partition ${ordinal}: ${logStart} ${lastStableOffset} ${nextOffset} ${text(kept)} ${open} ${JSON.stringify(runs)}`,
    )
  }
  for (const [id, transaction] of state.transactions) {
    const { producerId, epoch, previousProducerId, previousEpoch, phase } = transaction
    const previous = previousEpoch < 0 ? '-1/-1' : `${previousProducerId}/${previousEpoch}`
    const where = `${text(transaction.partitions)} ${text(transaction.groups)}`
    lines.push(`transaction ${id}: ${producerId}/${epoch} ${previous} ${phase} ${where}`)
  }
  for (const [id, group] of state.groups) {
    const offsets = [...group.offsets].flatMap(([topicId, of]) => pairsOf(topicId, of))
    const open = [...group.pending].map(
      ([producerId, ofIt]) => `${producerId} ${text([...ofIt].flatMap(([topicId, of]) => pairsOf(topicId, of)))}`,
    )
    const saved = group.saved.generation === 0 ? null : group.saved
    lines.push(`group ${id}: ${savedText(saved)} ${text(offsets)} ${text(open)}`)
  }
  return lines
}

function pairsOf(topicId: string, offsets: ReadonlyMap<number, { offset: number }>): string[] {
  return [...offsets].map(([partition, { offset }]) => `${topicId}#${partition} ${offset}`)
}

function savedText(saved: Generation | null): string {
  if (saved === null) return 'never saved'
  const members = saved.members.map(({ id, assignment }) => `${id}=${assignment.toString('hex')}`)
  return `${saved.generation} ${saved.leaderId} ${members}`
}
