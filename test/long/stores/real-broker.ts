// A broker whose bucket is on a real server: what it takes is sealed there, read from there, and made anew from there.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { expect, it, onTestFinished } from 'vitest'
import {
  type BrokerProcess,
  COMMAND_PATH,
  environmentWithoutSettings,
  startBrokerProcess,
} from '#test/support/broker-process.ts'
import { runToEnd } from '#test/support/command-line.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'

const TOPIC = 'orders'
const VALUES = Array.from({ length: 2000 }, (_, i) => `value-${i}`.padEnd(1000, '.'))
const HASTY = { CHRONIK_SEAL_MAX_MS: '200', CHRONIK_LOG_CACHE_BYTES: '0', CHRONIK_TAKEOVER_AFTER_MS: '2000' }

export function describeBrokerOn(name: string, bucket: Readonly<Record<string, string>>): void {
  it(`a broker on ${name} has its records there, and back when its disk is lost`, async () => {
    const dataDir = join(await temporaryDirectory(), 'data')
    const environment = { ...HASTY, ...bucket }
    const first = await start({ dataDir, environment })
    await produce(first)
    await until('all is there', async () => {
      const page = await pageOf(first)
      return page.get('chronik_unsealed_bytes') === 0 && page.get('chronik_upload_lag_bytes') === 0
    })
    await first.kill9()
    await rm(dataDir, { recursive: true })

    const second = await start({ dataDir, environment, flags: ['--take-over'] })
    const readBefore = (await pageOf(second)).get('chronik_store_read_bytes_total')!
    expect(await consume(second)).toEqual(VALUES)
    expect((await pageOf(second)).get('chronik_store_read_bytes_total')! - readBefore).toBeGreaterThan(1_000_000)
    await second.stop()
    const env = { ...environmentWithoutSettings(), ...bucket }
    const verified = await runToEnd(process.execPath, [COMMAND_PATH, 'verify', '--data-dir', dataDir], { env })
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('\nall is well') })
  })
}

async function start(options: Parameters<typeof startBrokerProcess>[0]): Promise<BrokerProcess> {
  const broker = await startBrokerProcess(options)
  onTestFinished(() => broker.remove())
  return broker
}

const pageOf = ({ kafka, metricsPort }: BrokerProcess) => scrape({ host: kafka.host, port: metricsPort })

function clientOf({ kafka }: BrokerProcess): Kafka {
  return new Kafka({ brokers: [kafka.address], logLevel: logLevel.NOTHING })
}

async function produce(broker: BrokerProcess): Promise<void> {
  const producer = clientOf(broker).producer()
  await producer.connect()
  for (let from = 0; from < VALUES.length; from += 100) {
    await producer.send({ topic: TOPIC, messages: VALUES.slice(from, from + 100).map(value => ({ value })) })
  }
  await producer.disconnect()
}

async function consume(broker: BrokerProcess): Promise<string[]> {
  const consumer = clientOf(broker).consumer({ groupId: 'readers' })
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  const values: string[] = []
  await consumer.run({ eachMessage: async ({ message }) => void values.push(`${message.value}`) })
  await until('all records', () => values.length >= VALUES.length)
  await consumer.disconnect()
  return values
}
