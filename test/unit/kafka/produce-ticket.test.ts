import { describe, expect, it } from 'vitest'
import { asOrdinal } from '#base/numbers.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { Partition, Topic } from '#core/state.ts'
import type { KafkaConnection } from '#kafka/connection.ts'
import { type ProducedPart, type ProducedTopic, ProduceTicket } from '#kafka/produce-ticket.ts'
import { ProduceResponse } from '#kafka/protocol/apis/00-produce.ts'
import { decodeResponse } from '#kafka/protocol/protocol.ts'

const ID = 'AAAAAAAAAAAAAAAAAAAABQ'

function part(index: number, fields: Partial<ProducedPart>): ProducedPart {
  const partition = new Partition(asOrdinal(index), new Topic(ID, 'orders', new Map(), new Map()), index)
  partition.logStart = 7
  return {
    index,
    from: 0,
    to: 0,
    partition,
    errorCode: 0,
    baseOffset: -1,
    appendTimeMs: -1,
    message: null,
    recordErrors: null,
    ...fields,
  }
}

function answer(version: number, acks = -1): { ticket: ProduceTicket; bytes: Buffer; toldDecided: number } {
  const name = version >= 13 ? Buffer.from(ID, 'base64url') : Buffer.from('orders')
  const topics: ProducedTopic[] = [
    { name, partCount: 2 },
    { name, partCount: 1 },
  ]
  const parts = [part(0, {}), part(3, {}), part(1, {})]
  let toldDecided = 0
  const connection = { produceDecided: () => toldDecided++ } as unknown as KafkaConnection
  const options = {
    connection,
    version,
    correlationId: 42,
    transactionalId: null,
    acks,
    frameBytes: 100,
    beganMs: 0,
    topics,
    parts,
  }
  const ticket = new ProduceTicket(options)
  ticket.settled(0, 0, 12_345_678_901, 99)
  parts[1]!.recordErrors = [{ index: 5, message: 'no key' }]
  ticket.fail(parts[1]!, 87, 'one record is wrong')
  expect(ticket.isDecided).toBe(false)
  ticket.fail(parts[2]!, 3, null)
  const into = new ByteWriter(8)
  const isFine = ticket.writeAnswer(into)
  expect(isFine).toBe(acks !== 0)
  return { ticket, bytes: into.written(), toldDecided }
}

describe('the answer to a produce request', () => {
  it.each([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])('in version %i is what the codec reads', version => {
    const { bytes, toldDecided } = answer(version)
    expect(toldDecided).toBe(1)
    expect(bytes.readInt32BE(0)).toBe(bytes.length - 4)
    const { correlationId, value } = decodeResponse(ProduceResponse, version, new ByteReader(bytes, 4))
    expect(correlationId).toBe(42)
    expect(value.responses).toHaveLength(2)
    const [first, second] = value.responses
    if (version >= 13) expect(first?.topicId).toBe(ID)
    else expect(first?.name).toBe('orders')
    expect(first?.partitionResponses).toMatchObject([
      {
        index: 0,
        errorCode: 0,
        baseOffset: 12_345_678_901,
        logAppendTimeMs: 99,
        logStartOffset: version >= 5 ? 7 : -1,
      },
      { index: 3, errorCode: 87, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 },
    ])
    expect(second?.partitionResponses).toMatchObject([{ index: 1, errorCode: 3, errorMessage: null }])
    if (version < 8) return
    expect(first?.partitionResponses[1]).toMatchObject({
      recordErrors: [{ batchIndex: 5, batchIndexErrorMessage: 'no key' }],
      errorMessage: 'one record is wrong',
    })
  })

  it('in versions that are refused has their fields', () => {
    const answerBytes = [0, 1, 2].map(version => answer(version).bytes)
    // 14 bytes a partition; version 1 adds a throttle time, version 2 an append time a partition.
    const lengths = answerBytes.map(bytes => bytes.length)
    expect(lengths).toEqual([lengths[0], lengths[0]! + 4, lengths[0]! + 4 + 3 * 8])
    expect(answerBytes[0]?.toString('latin1')).toContain('orders')
    for (const bytes of answerBytes) expect(bytes.readInt32BE(0)).toBe(bytes.length - 4)
  })

  it('is nothing without acks, and says that something failed', () => {
    const { bytes, ticket } = answer(9, 0)
    expect(bytes).toHaveLength(0)
    expect(ticket.failed).toBe(true)
  })
})
