import { describe, expect, it } from 'vitest'
import { inTurn } from '#kafka/in-turn.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

describe('work in turn', () => {
  it('begins when the work before it is done', async () => {
    const { broker } = await BrokerFixture.start()
    const order: string[] = []
    let finishFirst = () => {}
    const first = inTurn(broker, async () => {
      order.push('first begins')
      await new Promise<void>(resolve => {
        finishFirst = resolve
      })
      order.push('first ends')
      return 1
    })
    const second = inTurn(broker, async () => order.push('second begins'))
    await Promise.resolve()
    expect(order).toEqual(['first begins'])
    finishFirst()
    expect(await first).toBe(1)
    await second
    expect(order).toEqual(['first begins', 'first ends', 'second begins'])
  })

  it('goes on behind work that fails, which only its owner hears of', async () => {
    const { broker } = await BrokerFixture.start()
    const failing = inTurn(broker, async () => {
      throw new Error('broken')
    })
    const next = inTurn(broker, async () => 'done')
    await expect(failing).rejects.toThrow('broken')
    expect(await next).toBe('done')
  })

  it('does not wait for the work of another broker', async () => {
    const [one, other] = [await BrokerFixture.start(), await BrokerFixture.start()]
    void inTurn(one.broker, () => new Promise(() => {}))
    expect(await inTurn(other.broker, async () => 'done')).toBe('done')
  })
})
