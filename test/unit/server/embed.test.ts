// A broker inside another process, as users' own tests run it.

import { closeSync, existsSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ChronikOptions, startChronik } from '#server/embed.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { readBatches } from '#test/support/batch-reader.ts'
import { runToEnd } from '#test/support/command-line.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'

async function start(options?: ChronikOptions) {
  const chronik = await startChronik(options)
  onTestFinished(() => chronik.close())
  const client = await WireClient.connect(chronik.kafka)
  onTestFinished(() => client.close())
  return { chronik, client }
}

async function produce(client: WireClient, value: string) {
  await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  const partitionData = [{ index: 0, records: buildBatch([{ value }]) }]
  const body = { acks: -1, timeoutMs: 1000, topicData: [{ name: TOPIC, partitionData }] }
  expect((await client.send('Produce', 9, body)).responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
}

async function valuesOf(client: WireClient): Promise<string> {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }]
  const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 1_000_000, topics: [{ topic: TOPIC, partitions }] }
  const { responses } = await client.send('Fetch', 11, body)
  return readBatches(responses[0]?.partitions[0]?.records ?? null)
    .map(batch => batch.records.toString('latin1'))
    .join('|')
}

describe('startChronik', () => {
  it('takes free ports and a temporary directory that goes with it, and closes once however often it is asked', async () => {
    const { chronik, client } = await start()
    expect(chronik.kafka).toEqual({
      host: '127.0.0.1',
      port: expect.any(Number),
      address: `127.0.0.1:${chronik.kafka.port}`,
    })
    await produce(client, 'hello')
    expect(await valuesOf(client)).toContain('hello')
    const ready = await fetch(`http://${chronik.metrics.host}:${chronik.metrics.port}/health/ready`)
    expect(await ready.json()).toEqual({ status: 'ready' })
    expect(existsSync(chronik.dataDir)).toBe(true)
    await Promise.all([chronik.close(), chronik.close()])
    await chronik.close()
    expect(existsSync(chronik.dataDir)).toBe(false)
    await expect(WireClient.connect(chronik.kafka)).rejects.toThrow('ECONNREFUSED')
  })

  it('keeps what is in a directory of the caller, for the next one there', async () => {
    const dataDir = await temporaryDirectory()
    const first = await start({ dataDir })
    await produce(first.client, 'kept')
    await first.chronik.close()
    const second = await start({ dataDir })
    expect(await valuesOf(second.client)).toContain('kept')
    expect(second.chronik.dataDir).toBe(dataDir)
  })

  it('runs several at once, each with its own records', async () => {
    const [one, other] = await Promise.all([start(), start()])
    await produce(one.client, 'first')
    await produce(other.client, 'second')
    expect(await valuesOf(one.client)).not.toContain('second')
    expect(await valuesOf(other.client)).not.toContain('first')
  })

  it('refuses a directory that another one has, in the same process too, and the other goes on', async () => {
    const { chronik, client } = await start()
    await expect(startChronik({ dataDir: chronik.dataDir })).rejects.toMatchObject({ code: 'DATA_DIRECTORY_LOCKED' })
    await produce(client, 'still here')
  })
})

describe.skipIf(process.platform !== 'linux')('a broker whose disk fails', () => {
  it('says so to the program, and to each producer', async () => {
    const chronik = await startChronik()
    const client = await WireClient.connect(chronik.kafka)
    await produce(client, 'before')
    for (const descriptor of readdirSync('/proc/self/fd')) {
      if (!fileOf(descriptor).startsWith(`${chronik.dataDir}/wal/`)) continue
      closeSync(Number(descriptor))
      // What cannot be written to takes its number, before a socket does.
      while (openSync('/dev/null', 'r') < Number(descriptor));
    }
    // Nobody knows what became of it, so it gets no answer; what comes later is refused.
    await expect(produce(client, 'when it failed')).rejects.toThrow('closed')
    expect((await chronik.failure).message).toContain('could not write the log')
    const other = await WireClient.connect(chronik.kafka)
    await expect(produce(other, 'later')).rejects.toThrow('56')
    expect(await valuesOf(other)).toContain('before')
    other.close()
    await chronik.close()
    expect(existsSync(chronik.dataDir)).toBe(false)
  })

  function fileOf(descriptor: string): string {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return '' // it was the one that listed the directory
    }
  }
})

describe('options that are wrong', () => {
  const wrong = (options: Record<string, unknown>) => startChronik(options as ChronikOptions)

  it('are refused by name, with what they may be', async () => {
    const cases: [Record<string, unknown>, string][] = [
      [{ kafkaport: 9092 }, 'kafkaport: unknown setting; did you mean kafkaPort?'],
      [{ kafkaPort: 70_000 }, 'kafkaPort: must be a port, 0 to 65535 (given: "70000")'],
      [{ kafkaPort: { port: 1 } }, 'kafkaPort: must be a port, 0 to 65535 (given: "{\\"port\\":1}")'],
      [{ walSync: 'never' }, 'walSync: must be always, or an interval of 1ms to 1m (given: "never")'],
      [{ walSync: {} }, 'walSync: must be always, or an interval of 1ms to 1m'],
      [{ autoCreateTopics: 1.5 }, 'autoCreateTopics: must be true or false (given: "1.5")'],
      [{ dataDir: '' }, 'dataDir: must be a path (given: "")'],
      [{ produceProfile: 'fast', nodeId: -1 }, '\n'],
    ]
    for (const [options, message] of cases) {
      const thrown = await wrong(options).catch((error: unknown) => error)
      expect(thrown).toMatchObject({ name: 'ChronikError', code: 'INVALID_SETTINGS', kind: 'invalid' })
      expect((thrown as Error).message).toContain(message)
    }
  })

  it('leave nothing behind: no directory, no lock, no port', async () => {
    const server = createServer()
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as { port: number }
    const script = `
      import { readdir } from 'node:fs/promises'
      import { tmpdir } from 'node:os'
      import { startChronik } from '#server/embed.ts'
      for (const options of [{ kafkaPort: -1 }, { metricsPort: ${port} }]) {
        console.log(await startChronik(options).catch(error => error.code))
      }
      console.log((await readdir(tmpdir())).length)`
    const { stdout } = await runScript(script, { TMPDIR: await temporaryDirectory() })
    expect(stdout).toBe('INVALID_SETTINGS\nCANNOT_LISTEN\n0\n')
  })
})

describe('a program that has closed its broker', () => {
  it('ends by itself, at once, and what was logged is out', async () => {
    const dataDir = await temporaryDirectory()
    const { code, stdout, stderr } = await runScript(
      `
      import { startChronik } from '#server/embed.ts'
      const chronik = await startChronik({ dataDir: ${JSON.stringify(dataDir)}, logLevel: 'info' })
      await fetch('http://127.0.0.1:' + chronik.metrics.port + '/metrics').then(answer => answer.text())
      await chronik.close()
      process.on('beforeExit', () => console.error(process.getActiveResourcesInfo().filter(name => name !== 'PipeWrap').join()))`,
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '\n' })
    expect(stdout).toContain('"msg":"started"')
    expect((await readdir(dataDir)).sort()).toEqual(['checkpoints', 'lock', 'store', 'wal'])
  })
})

function runScript(source: string, environment: Record<string, string> = {}) {
  return runToEnd(process.execPath, ['--input-type=module', '--eval', source], {
    env: { ...process.env, ...environment },
  })
}
