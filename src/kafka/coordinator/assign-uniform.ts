import { assert } from '#base/assert.ts'
import type { Target } from '#core/consumer-groups.ts'
import type { Assignee, PartitionCounts, Targets } from './assignors.ts'

// The uniform assignor: members get as many partitions as each other, as far as their subscriptions allow, and keep what they
// were to have as far as that allows.
//
//   same subscriptions    everybody has its quota, which differ by one at most; only what is beyond a quota moves
//   others                free partitions go to who has least; then partitions move, one by one, from who has more to who has
//                         less, until no single move makes it more even. Each move lowers the sum of squares, so it ends.

export function assignUniform(members: readonly Assignee[], counts: PartitionCounts): Targets {
  const holdings = members.map(member => new Holding(member))
  const free = takeOver(holdings, counts)
  if (holdings.every(({ member }) => member.topicIds.size === counts.size)) fillQuotas(holdings, free)
  else {
    giveToLeast(holdings, free)
    evenOut(holdings, counts)
  }
  return new Map(holdings.map(holding => [holding.member.id, holding.target()]))
}

class Holding {
  readonly member: Assignee
  readonly topics = new Map<string, number[]>()
  size = 0

  constructor(member: Assignee) {
    this.member = member
  }

  mayHave(topicId: string): boolean {
    return this.member.topicIds.has(topicId)
  }

  has(topicId: string): boolean {
    return this.topics.has(topicId)
  }

  add(topicId: string, partition: number): void {
    const partitions = this.topics.get(topicId)
    if (partitions === undefined) this.topics.set(topicId, [partition])
    else partitions.push(partition)
    this.size++
  }

  /** The partition that came last: what a member was to have anyway stays longest. */
  takeLast(topicId: string): number {
    const partitions = this.topics.get(topicId)
    const last = partitions?.pop()
    assert(last !== undefined, 'it has a partition of the topic')
    if (partitions?.length === 0) this.topics.delete(topicId)
    this.size--
    return last
  }

  /** In one order for all. */
  topicIds(): string[] {
    return [...this.topics.keys()].sort()
  }

  target(): Map<string, number[]> {
    return new Map(this.topicIds().map(topicId => [topicId, this.topics.get(topicId)!.sort((a, b) => a - b)]))
  }
}

interface Free {
  readonly topicId: string
  readonly partition: number
}

/** Members begin with what they were to have and may still have; returns what nobody has. */
function takeOver(holdings: readonly Holding[], counts: PartitionCounts): Free[] {
  const taken = new Map<string, Set<number>>([...counts.keys()].map(topicId => [topicId, new Set()]))
  for (const holding of holdings) {
    for (const [topicId, partition] of eachOf(holding.member.target)) {
      const isOurs = holding.mayHave(topicId) && partition < (counts.get(topicId) ?? 0)
      if (!isOurs || taken.get(topicId)!.has(partition)) continue
      taken.get(topicId)!.add(partition)
      holding.add(topicId, partition)
    }
  }
  const free: Free[] = []
  for (const [topicId, count] of counts) {
    for (let partition = 0; partition < count; partition++) {
      if (!taken.get(topicId)!.has(partition)) free.push({ topicId, partition })
    }
  }
  return free
}

function* eachOf(target: Target): Generator<[topicId: string, partition: number]> {
  for (const [topicId, partitions] of target) for (const partition of partitions) yield [topicId, partition]
}

// ---- everybody wants the same

function fillQuotas(holdings: readonly Holding[], free: Free[]): void {
  const total = free.length + holdings.reduce((sum, { size }) => sum + size, 0)
  const least = Math.floor(total / holdings.length)
  const larger = total % holdings.length
  // Who has most gets the larger quota: so fewest move. Who came first goes before others that have as much.
  const bySize = [...holdings].sort((a, b) => b.size - a.size)
  const quotas = new Map(bySize.map((holding, i) => [holding, least + (i < larger ? 1 : 0)]))
  for (const [holding, quota] of quotas) {
    for (const topicId of holding.topicIds().reverse()) {
      while (holding.size > quota && holding.has(topicId)) free.push({ topicId, partition: holding.takeLast(topicId) })
    }
  }
  // In turn, so that the partitions of a topic are spread.
  let open = holdings.filter(holding => holding.size < quotas.get(holding)!)
  let next = 0
  for (const { topicId, partition } of free) {
    if (next >= open.length) {
      open = open.filter(holding => holding.size < quotas.get(holding)!)
      next = 0
    }
    open[next++]!.add(topicId, partition)
  }
}

// ---- members want different things

function giveToLeast(holdings: readonly Holding[], free: readonly Free[]): void {
  const candidates = new Map<string, Holding[]>()
  for (const { topicId } of free) {
    if (!candidates.has(topicId)) candidates.set(topicId, subscribersOf(holdings, topicId))
  }
  // Topics that few may have go first: they leave least choice.
  const inOrder = [...free].sort((a, b) => candidates.get(a.topicId)!.length - candidates.get(b.topicId)!.length)
  for (const { topicId, partition } of inOrder) leastOf(candidates.get(topicId)!)?.add(topicId, partition)
}

function evenOut(holdings: readonly Holding[], counts: PartitionCounts): void {
  const subscribers = [...counts.keys()].map(topicId => [topicId, subscribersOf(holdings, topicId)] as const)
  for (let moved = true; moved; ) {
    moved = false
    for (const [topicId, candidates] of subscribers) while (moveOne(topicId, candidates)) moved = true
  }
}

/** From the one with most that has some of the topic to the one with least, if that makes it more even. */
function moveOne(topicId: string, candidates: readonly Holding[]): boolean {
  let from: Holding | undefined
  for (const holding of candidates) {
    if (holding.has(topicId) && (from === undefined || holding.size > from.size)) from = holding
  }
  const to = leastOf(candidates)
  if (from === undefined || to === undefined || from.size <= to.size + 1) return false
  to.add(topicId, from.takeLast(topicId))
  return true
}

function subscribersOf(holdings: readonly Holding[], topicId: string): Holding[] {
  return holdings.filter(holding => holding.mayHave(topicId))
}

function leastOf(candidates: readonly Holding[]): Holding | undefined {
  let least: Holding | undefined
  for (const holding of candidates) if (least === undefined || holding.size < least.size) least = holding
  return least
}
