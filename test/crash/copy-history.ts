// What transactional copiers did and were told, kept outside of the broker.

import type { GroupFacts } from './membership.ts'

export const INPUT = 'input'
export const OUTPUT = 'output'
export const INPUT_PARTITIONS = 4
export const OUTPUT_PARTITIONS = 3

/** How a client goes about its transactions: before KIP-890, and since. */
export interface Generation {
  readonly name: string
  readonly produce: number
  readonly commitOffsets: number
  readonly endTxn: number
  /** Partitions and groups are added before they are used. */
  readonly adds: boolean
}

export const BEFORE_KIP_890: Generation = { name: 'v1', produce: 11, commitOffsets: 3, endTxn: 3, adds: true }
export const SINCE_KIP_890: Generation = { name: 'v2', produce: 12, commitOffsets: 5, endTxn: 5, adds: false }

/** A batch of a transaction that was acknowledged. */
export interface CopiedBatch {
  readonly partition: number
  readonly baseOffset: number
  readonly values: readonly string[]
}

export interface TransactionHistory {
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
  readonly generation: Generation
  readonly batches: CopiedBatch[]
  /** Null: nobody was told. */
  end: 'commit' | 'abort' | null
}

export interface CopyFigures {
  commits: number
  aborts: number
  zombies: number
  fenced: number
  timedOut: number
  leftOpen: number
}

export class CopyHistory {
  readonly facts: GroupFacts = {
    groupId: 'copiers',
    partitionCount: INPUT_PARTITIONS,
    syncedGeneration: 0,
    rebalances: 0,
  }
  readonly transactions: TransactionHistory[] = []
  readonly figures: CopyFigures = { commits: 0, aborts: 0, zombies: 0, fenced: 0, timedOut: 0, leftOpen: 0 }
  /** By partition of the input: so many records were acknowledged. A record's value says which one it is. */
  readonly written: number[] = Array.from({ length: INPUT_PARTITIONS }, () => 0)
  /** By partition of the input: offsets that a transaction committed that was acknowledged. */
  readonly committed: number[] = Array.from({ length: INPUT_PARTITIONS }, () => 0)

  begin(of: Omit<TransactionHistory, 'batches' | 'end'>): TransactionHistory {
    const transaction: TransactionHistory = { ...of, batches: [], end: null }
    this.transactions.push(transaction)
    return transaction
  }

  ended(transaction: TransactionHistory, end: 'commit' | 'abort', offsets: ReadonlyMap<number, number>): void {
    transaction.end = end
    this.figures[end === 'commit' ? 'commits' : 'aborts']++
    if (end === 'abort') return
    for (const [partition, offset] of offsets) {
      this.committed[partition] = Math.max(this.committed[partition]!, offset)
    }
  }
}

/** Which record of the input it is, in words: what copies are recognised by. */
export function inputValue(partition: number, offset: number): string {
  return `${partition}:${offset}`
}

/** Records of one partition of the input go to all of the output, each always to the same. */
export function outputOf(partition: number, offset: number): number {
  return (partition + offset) % OUTPUT_PARTITIONS
}
