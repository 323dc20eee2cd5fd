import { describe, expect, it } from 'vitest'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const request = { transactionalId: null, transactionTimeoutMs: 1000 }

describe('InitProducerId', () => {
  it('gives every producer an id that none has had, with epoch 0, in all versions', async () => {
    const fixture = await BrokerFixture.start()
    for (let version = 0; version <= 5; version++) {
      const answer = await fixture.ask('InitProducerId', version, request)
      expect(answer).toMatchObject({ errorCode: 0, producerId: version, producerEpoch: 0 })
    }
  })

  it('never gives an id again, over a restart either', async () => {
    const before = await BrokerFixture.start()
    const { producerId } = await before.ask('InitProducerId', 4, request)
    const after = await before.restart()
    expect((await after.ask('InitProducerId', 4, request)).producerId).toBeGreaterThan(producerId)
  })

  it('gives producers that ask at the same time different ids', async () => {
    const fixture = await BrokerFixture.start()
    const asked = Array.from({ length: 1500 }, () => fixture.begin('InitProducerId', 4, request))
    const ids = (await fixture.clock.run(Promise.all(asked))).map(answer => answer.producerId)
    expect(new Set(ids).size).toBe(1500)
  })

  it('gives a new id to a producer that has one', async () => {
    const fixture = await BrokerFixture.start()
    const answer = await fixture.ask('InitProducerId', 4, { ...request, producerId: 77, producerEpoch: 3 })
    expect(answer).toMatchObject({ errorCode: 0, producerId: 0, producerEpoch: 0 })
  })

  it('refuses an id without an epoch, and the other way round', async () => {
    const fixture = await BrokerFixture.start()
    const INVALID_REQUEST = errorCode('INVALID_REQUEST')
    for (const given of [{ producerId: 5 }, { producerEpoch: 5 }, { transactionalId: '' }]) {
      const answer = await fixture.ask('InitProducerId', 4, { ...request, ...given })
      expect(answer).toMatchObject({ errorCode: INVALID_REQUEST, producerId: -1, producerEpoch: -1 })
    }
  })

  it('gives the next epoch of its id to each producer that begins with a transactional id', async () => {
    const fixture = await BrokerFixture.start()
    for (const producerEpoch of [0, 1, 2]) {
      const answer = await fixture.ask('InitProducerId', 4, { ...request, transactionalId: 'payments' })
      expect(answer).toMatchObject({ errorCode: 0, producerId: 0, producerEpoch })
    }
    expect(fixture.state.transactions.get('payments')?.epoch).toBe(2)
  })

  it.each([0, -1, 900_001])('refuses a transaction timeout of %i ms', async transactionTimeoutMs => {
    const fixture = await BrokerFixture.start()
    const answer = await fixture.ask('InitProducerId', 4, { transactionalId: 'payments', transactionTimeoutMs })
    expect(answer).toMatchObject({ errorCode: errorCode('INVALID_TRANSACTION_TIMEOUT'), producerId: -1 })
    expect(fixture.state.transactions.size).toBe(0)
  })

  it('says that the storage failed when the disk is full', async () => {
    const fixture = await BrokerFixture.start()
    fixture.fillDisk()
    const answer = await fixture.ask('InitProducerId', 4, request)
    expect(answer).toMatchObject({ errorCode: errorCode('KAFKA_STORAGE_ERROR'), producerId: -1 })
  })
})
