import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { attributesOf, codecOf } from '#records/batch.ts'
import { type LogEvent, START_MS, someEvent, WrittenLog } from '#test/support/compaction-log.ts'
import { plainBatches } from '#test/support/compaction-model.ts'
import { compactLog, splitBatches } from '#test/support/compaction-pass.ts'
import { kafkaClasspath, missingForKafka } from '#test/support/kafka-peer.ts'
import { scaled } from '#test/support/scale.ts'

// The same partitions through Kafka's own cleaner and through ours, pass after pass: what stays must be the same, byte for byte
// where nothing is compressed anew.

const PARTITIONS = scaled(5000)
const SEED = 20261122
const MAX_OUTPUT_BYTES = 1 << 30
const DAY_MS = 86_400_000
const SLOTS = 10_000

interface Round {
  readonly events: readonly LogEvent[]
  /** Events before which a segment ends. */
  readonly rolls: readonly boolean[]
  readonly passesMs: number
  readonly deleteRetentionMs: number
  readonly forgets: boolean
}

const someRound: fc.Arbitrary<Round> = fc.record({
  events: fc.array(someEvent, { minLength: 1, maxLength: 14 }),
  rolls: fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }),
  passesMs: fc.constantFrom(1000, 20 * 60_000, DAY_MS, 3 * DAY_MS),
  deleteRetentionMs: fc.constantFrom(0, 3_600_000, DAY_MS),
  forgets: fc.nat(3).map(number => number === 0),
})

interface Pass {
  readonly batches: Buffer[]
  /** "producer:first:last" of what the index of aborted transactions holds. */
  readonly aborted: string[]
}

/** Writes down what Kafka is told, and does the same with ours. */
async function compact(rounds: readonly Round[], lines: string[]): Promise<Pass[]> {
  const log = new WrittenLog()
  const passes: Pass[] = []
  let [from, nowMs] = [0, START_MS]
  lines.push('open')
  for (const round of rounds) {
    for (const [i, event] of round.events.entries()) {
      if (round.rolls[i] && log.nextOffset > from) lines.push('roll')
      write(log, event, lines)
    }
    const told = log.bytes.length
    log.endAll()
    for (const bytes of log.bytes.slice(told)) lines.push(`append ${bytes.toString('hex')}`)
    if (round.forgets) {
      log.producers.clear()
      lines.push('forget')
    }
    nowMs += round.passesMs
    lines.push('roll', `pass ${nowMs} ${round.deleteRetentionMs}`)
    const { deleteRetentionMs } = round
    const options = { from, to: log.nextOffset, nowMs, deleteRetentionMs, producers: log.producers }
    const result = await compactLog(log, { ...options, batchesInChunk: 3, slots: SLOTS, seed: nowMs })
    const retained = result.cleaner.transactions.takeRetained()
    const aborted = retained.map(
      ({ producerId, firstOffset, lastOffset }) => `${producerId}:${firstOffset}:${lastOffset}`,
    )
    passes.push({ batches: result.bytes, aborted })
    log.bytes = [...result.bytes]
    // The plain batches are not looked at here, but say which bytes are where.
    log.batches = plainBatches(Buffer.concat(result.bytes)).map(batch => ({ ...batch, transaction: null }))
    from = log.nextOffset
  }
  return passes
}

function write(log: WrittenLog, event: LogEvent, lines: string[]): void {
  log.write(event)
  lines.push(`append ${log.bytes.at(-1)!.toString('hex')}`)
}

function askKafka(classpath: string, lines: readonly string[]): Pass[] {
  const program = new URL('./KafkaCleaner.java', import.meta.url).pathname
  const inMemory = existsSync('/dev/shm') ? ['-Djava.io.tmpdir=/dev/shm'] : []
  const java = spawnSync('java', [...inMemory, '-cp', classpath, program], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
    maxBuffer: MAX_OUTPUT_BYTES,
  })
  expect(java.status, java.stderr.slice(-2000)).toBe(0)
  return java.stdout
    .trimEnd()
    .split('\n')
    .map(line => {
      const [bytes, aborted] = line.split('|') as [string, string]
      return { batches: splitBatches(Buffer.from(bytes, 'hex')), aborted: aborted.split(',').filter(Boolean) }
    })
}

it.skipIf(missingForKafka() !== null)('what stays of a partition is what stays of it in Kafka', async () => {
  const partitions = fc.sample(fc.array(someRound, { minLength: 1, maxLength: 4 }), { seed: SEED, numRuns: PARTITIONS })
  const lines: string[] = []
  const ours: { pass: Pass; about: string }[] = []
  for (const [partition, rounds] of partitions.entries()) {
    for (const [i, pass] of (await compact(rounds, lines)).entries()) ours.push({ pass, about: `${partition}, ${i}` })
  }
  const kafka = askKafka(await kafkaClasspath(), lines)
  expect(kafka).toHaveLength(ours.length)
  let sameBytes = 0
  for (const [i, { pass, about }] of ours.entries()) {
    const theirs = kafka[i]!
    expect(plainBatches(Buffer.concat(pass.batches)), about).toEqual(plainBatches(Buffer.concat(theirs.batches)))
    for (const [j, batch] of pass.batches.entries()) {
      if (codecOf(attributesOf(batch, 0)) !== 0) continue
      expect(batch.toString('hex'), about).toBe(theirs.batches[j]!.toString('hex'))
      sameBytes++
    }
    expect(pass.aborted.toSorted(), about).toEqual(theirs.aborted.toSorted())
  }
  expect(sameBytes).toBeGreaterThan(PARTITIONS)
})
