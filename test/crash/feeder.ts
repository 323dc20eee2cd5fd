// Fills the input, each record once: an idempotent producer with one request under way, which it sends until it is answered.

import { errorName } from '#kafka/protocol/protocol.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { type CopyHistory, INPUT, INPUT_PARTITIONS, inputValue } from './copy-history.ts'
import { BrokenPromise } from './history.ts'
import { type Line, Stopped, sleep } from './line.ts'

const MOST_RECORDS = 20
const REST_MS = 10

/** Until it is told to end: what is under way is finished first. */
export async function feed(line: Line, history: CopyHistory, prng: Prng, isOver: () => boolean): Promise<void> {
  try {
    const { producerId } = await line.askOnce('InitProducerId', 4, {
      transactionalId: null,
      transactionTimeoutMs: 1000,
    })
    while (!isOver()) {
      await writeSome(line, history, { producerId, partition: prng.between(0, INPUT_PARTITIONS - 1), prng })
      await sleep(prng.between(0, REST_MS))
    }
  } catch (thrown) {
    if (!(thrown instanceof Stopped)) throw thrown
  }
}

async function writeSome(
  line: Line,
  { written }: CopyHistory,
  { producerId, partition, prng }: { producerId: number; partition: number; prng: Prng },
): Promise<void> {
  const from = written[partition]!
  const values = Array.from({ length: prng.between(1, MOST_RECORDS) }, (_, i) => inputValue(partition, from + i))
  const records = buildBatch(
    values.map(value => ({ value })),
    { producerId, producerEpoch: 0, baseSequence: from, baseTimestampMs: Date.now() },
  )
  // What is on its way may be stored, and copied, before it is answered; and it is sent until it is.
  written[partition] = from + values.length
  const { responses } = await line.ask('Produce', 9, {
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ name: INPUT, partitionData: [{ index: partition, records }] }],
  })
  const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!
  if (errorCode !== 0 || baseOffset !== from) {
    throw new BrokenPromise(`input-${partition}: ${errorName(errorCode)} at ${baseOffset}, not at ${from}`)
  }
}
