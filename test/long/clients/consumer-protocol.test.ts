import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { kafkaClasspath, missingForKafka } from '#test/support/kafka-peer.ts'
import { here } from './here.ts'

// The Java consumer with group.protocol=consumer. Its program asks for the broker to be killed in the middle of a case.

const CASES = {
  shares: 'shares partitions, gives them up and takes them over, and reads each record once',
  range: 'has topics co-partitioned by the range assignor',
  regex: 'follows a regular expression to topics that come and go',
  grows: 'gets partitions that are added',
  static: 'comes back as a static member to what it had, and nobody else notices',
  kill: 'goes on with its epoch after kill -9 of the broker, without a rebalance',
  migrates: 'joins a group of classic members and leaves it to them again, with all of them reading on',
  refused: 'is told that an assignor or an expression is not known',
  configs: 'sets and shows configs of groups',
}

const FLAGS = ['--group-consumer-heartbeat-interval-ms', '300ms', '--group-initial-rebalance-delay-ms', '0']
const PROGRAM_TIMEOUT_MS = 9 * 60_000

interface Report {
  readonly case: string
  readonly ok: boolean
  readonly detail: string
}

const missing = missingForKafka()
const title = 'the Java consumer with group.protocol=consumer'
describe.skipIf(missing !== null)(missing === null ? title : `${title} (skipped: ${missing} is not installed)`, () => {
  const reports = new Map<string, Report>()
  let directory: string
  let broker: BrokerProcess
  let errors = ''

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'chronik-consumer-protocol-'))
    broker = await startBrokerProcess({ dataDir: directory, flags: FLAGS })
    const args = ['-cp', await kafkaClasspath(), here('./java/ConsumerProtocolCases.java'), broker.kafka.address]
    const program = spawn('java', args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: PROGRAM_TIMEOUT_MS })
    program.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-8_000)
    })
    for await (const line of createInterface({ input: program.stdout })) {
      if (line === '{"please":"kill"}') {
        const { port } = broker.kafka
        await broker.kill9()
        broker = await startBrokerProcess({ dataDir: directory, kafkaPort: port, flags: FLAGS })
        program.stdin.write('restarted\n')
      } else if (line.startsWith('{')) {
        const report = JSON.parse(line) as Report
        reports.set(report.case, report)
      }
    }
  }, PROGRAM_TIMEOUT_MS + 60_000)

  afterAll(async () => {
    await broker?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  it.each(Object.entries(CASES))('%s: it %s', name => {
    const report = reports.get(name)
    expect(report, `the program said nothing of ${name}:\n${errors}`).toBeDefined()
    expect(report!.ok, `${report!.detail}\n${broker.output()}`).toBe(true)
  })
})
