// Kafka Streams, exactly once: a word count with state and a repartition topic, killed in the middle of its work and started again.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Admin, type Consumer, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafkaClasspath, missingForKafka } from '#test/support/kafka-peer.ts'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'
import { until } from '#test/support/until.ts'
import { here } from './here.ts'

const missing = missingForKafka()
const TIMEOUT_MS = 10 * 60_000
const WORK_TIMEOUT_MS = 180_000
const PARTITIONS = 4
const WORDS = ['one', 'two', 'three', 'four', 'five', 'six', 'seven']
const LINES = 6_000
const WORDS_PER_LINE = 3
const KILLS = 2

describe.skipIf(missing !== null)(
  `Kafka Streams${missing === null ? '' : ` (skipped: ${missing} is not installed)`}`,
  () => {
    let target: Target
    let kafka: Kafka
    let admin: Admin
    let directory: string
    let classpath: string
    const running = new Set<ChildProcess>()

    beforeAll(async () => {
      classpath = await kafkaClasspath('streams')
      directory = await mkdtemp(join(tmpdir(), 'streams-'))
      target = await openTarget(['--group-initial-rebalance-delay-ms', '100'])
      kafka = new Kafka({ brokers: [target.address], logLevel: logLevel.NOTHING })
      admin = kafka.admin()
      await admin.connect()
    }, TIMEOUT_MS)

    afterAll(async () => {
      for (const child of running) child.kill('SIGKILL')
      await admin?.disconnect()
      await target?.close()
      await rm(directory, { recursive: true, force: true })
    })

    function start(args: readonly string[]) {
      const program = here('./java/StreamsWordCount.java')
      const child = spawn('java', ['-Xmx400m', '-cp', classpath, program, ...args])
      running.add(child)
      const printed: string[] = []
      for (const stream of [child.stdout, child.stderr]) stream.on('data', bytes => printed.push(String(bytes)))
      const ended = once(child, 'exit').then(() => running.delete(child))
      const end = async (signal: NodeJS.Signals) => {
        child.kill(signal)
        await ended
      }
      return { end, output: () => printed.join('').slice(-4_000) }
    }

    /** The counts of each word in the order in which they were written, as far as they are committed. */
    async function follow(
      topic: string,
    ): Promise<{ counts: Map<string, number[]>; total(): number; consumer: Consumer }> {
      const consumer = kafka.consumer({ groupId: uniqueTopic('reader'), readUncommitted: false, maxWaitTimeInMs: 100 })
      const counts = new Map(WORDS.map(word => [word, [] as number[]]))
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      await consumer.run({
        eachMessage: async ({ message }) => void counts.get(`${message.key}`)!.push(Number(`${message.value}`)),
      })
      const total = () => [...counts.values()].reduce((sum, { length }) => sum + length, 0)
      return { counts, total, consumer }
    }

    it(
      'counts each word once, though it is killed twice on the way',
      async () => {
        const [input, output] = [uniqueTopic('lines'), uniqueTopic('counts')]
        await admin.createTopics({ topics: [input, output].map(topic => ({ topic, numPartitions: PARTITIONS })) })
        const producer = kafka.producer()
        await producer.connect()
        const lines = Array.from({ length: LINES }, (_, i) =>
          Array.from({ length: WORDS_PER_LINE }, (__, at) => WORDS[(i + at * i) % WORDS.length]).join(' '),
        )
        await producer.send({ topic: input, messages: lines.map((value, i) => ({ value, partition: i % PARTITIONS })) })
        await producer.disconnect()

        const total = LINES * WORDS_PER_LINE
        const results = await follow(output)
        const args = [target.address, input, output, uniqueTopic('streams'), directory]
        let streams = start(args)
        for (let kill = 1; kill <= KILLS; kill++) {
          const enough = (total * kill) / (KILLS + 2)
          await until('a part of the work', () => results.total() >= enough, WORK_TIMEOUT_MS).catch(error => {
            throw new Error(streams.output(), { cause: error })
          })
          await streams.end('SIGKILL')
          expect(results.total()).toBeLessThan(total)
          streams = start(args)
        }
        await until('all words', () => results.total() >= total, WORK_TIMEOUT_MS).catch(error => {
          throw new Error(`${results.total()} of ${total}: ${streams.output()}`, { cause: error })
        })
        const inAll = new Map(
          WORDS.map(word => [
            word,
            lines
              .join(' ')
              .split(' ')
              .filter(one => one === word).length,
          ]),
        )
        for (const [word, counts] of results.counts) {
          expect(counts, word).toEqual(Array.from({ length: inAll.get(word)! }, (_, i) => i + 1))
        }
        await streams.end('SIGTERM')
        await results.consumer.disconnect()
      },
      TIMEOUT_MS,
    )
  },
)
