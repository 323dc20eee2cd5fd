// `chronik log dump` of a directory, compared with what a broker had acknowledged there.

import { fileURLToPath } from 'node:url'
import { runCommand } from '#test/support/commands.ts'
import { BrokenPromise, type History, type PartitionHistory } from './history.ts'

export const CHRONIK = fileURLToPath(new URL('../../src/cli/chronik.ts', import.meta.url))

export interface DumpedBatch {
  readonly topic: string | null
  readonly partition: number | null
  readonly sizeBytes: number
  readonly recordCount: number
  readonly maxTimestampMs: number
  readonly producerId?: number
}

export interface DumpedRecord {
  readonly position: number
  readonly type: string
  readonly topic?: string
  readonly batches?: readonly DumpedBatch[]
}

export async function dumpLog(dataDir: string, ...filters: string[]): Promise<DumpedRecord[]> {
  const text = await runCommand(process.execPath, [CHRONIK, 'log', 'dump', '--data-dir', dataDir, ...filters])
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as DumpedRecord)
}

/** Every batch that is known to be stored is in the dump, as it was sent; new ones come in the order of their offsets. */
export function checkDump(dump: readonly DumpedRecord[], history: History): void {
  for (const partition of history.partitions) {
    const dumped = new Map<number, DumpedBatch>()
    for (const batch of batchesOf(dump, partition)) {
      const id = batch.maxTimestampMs - history.firstTimeMs
      if (!dumped.has(id)) dumped.set(id, batch)
      else if (batch.producerId === undefined) throw new BrokenPromise(`${partition.name}: ${id} was dumped twice`)
    }
    checkBatches(partition, dumped)
  }
}

function checkBatches(partition: PartitionHistory, dumped: ReadonlyMap<number, DumpedBatch>): void {
  const places = new Map([...dumped.keys()].map((id, place) => [id, place]))
  const stored = [...partition.batches.values()].filter(({ baseOffset }) => baseOffset !== null)
  stored.sort((a, b) => a.baseOffset! - b.baseOffset!)
  let lastPlace = -1
  for (const { id, sizeBytes, recordCount, baseOffset } of stored) {
    const found = dumped.get(id)
    if (found?.sizeBytes !== sizeBytes || found.recordCount !== recordCount) {
      throw new BrokenPromise(`${partition.name}: batch ${id} at ${baseOffset} is ${JSON.stringify(found)} in the dump`)
    }
    const place = places.get(id)!
    if (place <= lastPlace) throw new BrokenPromise(`${partition.name}: batch ${id} is out of order in the dump`)
    lastPlace = place
  }
}

function batchesOf(dump: readonly DumpedRecord[], of: { topic: string; index: number }): DumpedBatch[] {
  return dump
    .flatMap(({ batches }) => batches ?? [])
    .filter(({ topic, partition }) => topic === of.topic && partition === of.index)
}
