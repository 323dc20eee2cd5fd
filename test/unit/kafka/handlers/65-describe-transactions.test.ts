import { describe, expect, it, vi } from 'vitest'
import { claimTransactionalId, joinTransaction } from '#core/apply-transactions.ts'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { countTurns } from '#test/support/turns.ts'

/** Transactions `t0`, `t1` and so on: each is in all partitions of the topics. */
async function brokerWith(options: { topics: string[]; partitions: number; transactions: number }) {
  const fixture = await BrokerFixture.start()
  for (const topic of options.topics) await fixture.createTopic(topic, { partitions: options.partitions })
  const ordinals = fixture.state.partitions.map(partition => partition!.ordinal)
  for (let producerId = 0; producerId < options.transactions; producerId++) {
    const who = { transactionalId: `t${producerId}`, producerId, epoch: 0 }
    const claim = { timeoutMs: 60_000, fromProducerId: -1, fromEpoch: -1, isNamed: false }
    claimTransactionalId(fixture.state, { kind: 'transactional-id-claimed', ...who, ...claim }, 0)
    joinTransaction(fixture.state, { kind: 'transaction-joined', ...who, ordinals, groupIds: [] }, 0)
  }
  const ask = async (transactionalIds: string[]) => {
    const { transactionStates } = await fixture.ask('DescribeTransactions', 0, { transactionalIds })
    return transactionStates
  }
  return { fixture, ask }
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `t${i}`)

describe('described transactions', () => {
  it('are told by topic, with all their partitions', async () => {
    const { ask } = await brokerWith({ topics: ['a', 'b'], partitions: 3, transactions: 1 })
    const [described] = await ask(['t0'])
    expect(described!.topics).toEqual([
      { topic: 'a', partitions: [0, 1, 2] },
      { topic: 'b', partitions: [0, 1, 2] },
    ])
  })

  it('are told as often as they are named, and looked at once', async () => {
    const { fixture, ask } = await brokerWith({ topics: ['a'], partitions: 10, transactions: 1 })
    const walks = vi.spyOn(fixture.state.transactions.get('t0')!.partitions, Symbol.iterator)
    const answers = await ask(['t0', 'none', 't0', 'none', 't0'])
    expect(walks).toHaveBeenCalledTimes(1)
    const [found, missing] = answers
    expect(errorName(missing!.errorCode)).toBe('TRANSACTIONAL_ID_NOT_FOUND')
    expect(answers).toEqual([found, missing, found, missing, found])
  })

  it('are looked at with breaks in which others have their turn', async () => {
    const { fixture, ask } = await brokerWith({ topics: ['a'], partitions: 100, transactions: 50 })
    const turns = countTurns(fixture.clock)
    expect(await ask(ids(50))).toHaveLength(50)
    expect(turns.count).toBe(10)
    await ask(Array(5000).fill('none'))
    expect(turns.count).toBe(20)
  })

  it('are left for the next request where an answer would be too long, but for the first', async () => {
    const { fixture, ask } = await brokerWith({ topics: ['a'], partitions: 400, transactions: 1 })
    const codes = (await ask([...Array(300).fill('t0'), 'none'])).map(({ errorCode }) => errorName(errorCode))
    expect(codes).toEqual([
      ...Array(250).fill('NONE'),
      ...Array(50).fill('COORDINATOR_LOAD_IN_PROGRESS'),
      'TRANSACTIONAL_ID_NOT_FOUND',
    ])
    const { partitions } = fixture.state.transactions.get('t0')!
    for (let ordinal = 400; ordinal <= 100_000; ordinal++) partitions.add(ordinal)
    expect((await ask(['t0', 't0'])).map(({ errorCode }) => errorName(errorCode))).toEqual([
      'NONE',
      'COORDINATOR_LOAD_IN_PROGRESS',
    ])
  })
})
