// A producer that begins a transaction and is never heard of again: nobody but the broker ends it.

import { errorName } from '#kafka/protocol/protocol.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { BEFORE_KIP_890, type CopyHistory, OUTPUT, OUTPUT_PARTITIONS, SINCE_KIP_890 } from './copy-history.ts'
import { BrokenPromise } from './history.ts'
import { type Line, Stopped } from './line.ts'

const LEAST_TIMEOUT_MS = 1
const MOST_TIMEOUT_MS = 1500

export async function leaveOpen(line: Line, history: CopyHistory, prng: Prng): Promise<void> {
  try {
    const generation = prng.pick([BEFORE_KIP_890, SINCE_KIP_890])
    const transactionalId = `forgetful-${history.figures.leftOpen++}`
    const transactionTimeoutMs = prng.pick([LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS])
    const body = { transactionalId, transactionTimeoutMs }
    const { producerId, producerEpoch } = await line.askOnce('InitProducerId', 4, body)
    const partition = prng.between(0, OUTPUT_PARTITIONS - 1)
    if (generation.adds) {
      await line.ask('AddPartitionsToTxn', 3, {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
        v3AndBelowTopics: [{ name: OUTPUT, partitions: [partition] }],
      })
    }
    const value = 'never to be seen'
    const fields = { isTransactional: true, producerId, producerEpoch, baseSequence: 0, baseTimestampMs: Date.now() }
    const records = buildBatch([{ value }], fields)
    const { responses } = await line.ask('Produce', generation.produce, {
      transactionalId,
      acks: -1,
      timeoutMs: 10_000,
      topicData: [{ name: OUTPUT, partitionData: [{ index: partition, records }] }],
    })
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!
    if (errorName(errorCode) === 'INVALID_PRODUCER_EPOCH') return // the broker was faster
    if (errorCode !== 0) throw new BrokenPromise(`${transactionalId}: ${errorName(errorCode)}`)
    history.begin({ transactionalId, producerId, epoch: producerEpoch, generation }).batches.push({
      partition,
      baseOffset,
      values: [value],
    })
  } catch (thrown) {
    if (!(thrown instanceof Stopped)) throw thrown
  }
}
