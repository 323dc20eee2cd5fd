import { describe, expect, it } from 'vitest'
import { BrokerStartFailed, startBrokerProcess } from '#test/support/broker-process.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { SMALL_FILES, Workload } from './cycles.ts'

describe('SIGTERM under load', () => {
  it('ends the broker with code 0 within 5 s, and what was acknowledged is there at the next start', async () => {
    const dataDir = await temporaryDirectory()
    const load = new Workload(2)
    let broker = await startBrokerProcess({ dataDir, environment: SMALL_FILES })
    try {
      await load.begin(broker)
      const running = load.run(broker)
      await until('load', () => load.writers.every(writer => writer.acknowledgedRequests > 20))
      const beganAtMs = performance.now()
      await broker.stop()
      expect(performance.now() - beganAtMs).toBeLessThan(5_000)
      await running

      broker = await startBrokerProcess({ dataDir, environment: SMALL_FILES })
      expect(broker.output()).toMatch(/"readBytes":0,.*"log recovered"/)
      const retried = { recognised: 0, appended: 0 }
      await load.check(broker, retried)
    } finally {
      await broker.remove()
    }
  })
})

describe('a data directory that a broker works on', () => {
  it('is refused to a second one, which names the process that has it', async () => {
    const dataDir = await temporaryDirectory()
    const broker = await startBrokerProcess({ dataDir })
    try {
      const second = await startBrokerProcess({ dataDir }).catch((error: unknown) => error)
      expect(second).toBeInstanceOf(BrokerStartFailed)
      const { end, output } = second as BrokerStartFailed
      expect(end?.code).toBe(1)
      expect(output).toContain(`is in use by process ${broker.pid} on `)
    } finally {
      await broker.remove()
    }
  })

  it('is free again after kill -9', async () => {
    const dataDir = await temporaryDirectory()
    const broker = await startBrokerProcess({ dataDir })
    await broker.kill9()
    const next = await startBrokerProcess({ dataDir })
    await next.kill9()
  })
})
