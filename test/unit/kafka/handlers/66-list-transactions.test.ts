import { describe, expect, it } from 'vitest'
import { claimTransactionalId, joinTransaction } from '#core/apply-transactions.ts'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { countTurns } from '#test/support/turns.ts'

async function brokerWith(transactionalIds: readonly string[]) {
  const fixture = await BrokerFixture.start()
  for (const [producerId, transactionalId] of transactionalIds.entries()) {
    const claim = { transactionalId, producerId, epoch: 0, timeoutMs: 60_000 }
    const first = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    claimTransactionalId(fixture.state, { kind: 'transactional-id-claimed', ...claim, ...first }, 0)
  }
  const list = async (filters: { stateFilters?: string[]; transactionalIdPattern?: string }) => {
    const wanted = { stateFilters: [], producerIdFilters: [], ...filters }
    const { errorCode, transactionStates } = await fixture.ask('ListTransactions', 2, wanted)
    return errorCode === 0 ? transactionStates.map(({ transactionalId }) => transactionalId) : errorName(errorCode)
  }
  return { fixture, list }
}

const ids = (count: number) => Array.from({ length: count }, (_, i) => `payments-${i}`)

describe('the transactions that an expression matches', () => {
  it('are looked for in slices, between which others have their turn', async () => {
    const { fixture, list } = await brokerWith(ids(100))
    fixture.clock.msPerLook = 1
    const turns = countTurns(fixture.clock)
    expect(await list({ transactionalIdPattern: 'payments-.?7' })).toEqual(
      ['7', '17', '27', '37', '47', '57', '67', '77', '87', '97'].map(n => `payments-${n}`),
    )
    expect(turns.count).toBeGreaterThan(40)
  })

  it('are given up if they take too long, and the expression is refused', async () => {
    const { fixture, list } = await brokerWith(ids(100))
    fixture.clock.msPerLook = 20
    const turns = countTurns(fixture.clock)
    expect(await list({ transactionalIdPattern: '(.?){100}!' })).toBe('INVALID_REGULAR_EXPRESSION')
    expect(turns.count).toBeLessThan(60)
  })

  it('are found though the thread stands still meanwhile', async () => {
    const { fixture, list } = await brokerWith(ids(20))
    fixture.clock.msPerLook = 2_000
    expect(await list({ transactionalIdPattern: '.*' })).toHaveLength(20)
  })

  it('are looked for only among those that the other filters leave', async () => {
    const { fixture, list } = await brokerWith(ids(100))
    const open = { transactionalId: 'payments-42', producerId: 42, epoch: 0 }
    joinTransaction(fixture.state, { kind: 'transaction-joined', ...open, ordinals: [], groupIds: ['g'] }, 0)
    fixture.clock.msPerLook = 300
    expect(await list({ stateFilters: ['Ongoing'], transactionalIdPattern: '.*' })).toEqual(['payments-42'])
  })

  it('are not looked for where a single one would take too long', async () => {
    const { list } = await brokerWith(['short', 'x'.repeat(30_000)])
    expect(await list({ transactionalIdPattern: '.*' })).toHaveLength(2)
    expect(await list({ transactionalIdPattern: '(.?){100}!' })).toBe('INVALID_REGULAR_EXPRESSION')
  })
})

describe('all transactions', () => {
  it('are listed with breaks in which others have their turn', async () => {
    const { fixture, list } = await brokerWith(ids(5000))
    const turns = countTurns(fixture.clock)
    expect(await list({})).toHaveLength(5000)
    expect(turns.count).toBe(10)
  })
})
