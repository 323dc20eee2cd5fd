import { execFile } from 'node:child_process'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type BrokerProcess, BrokerStartFailed, startBrokerProcess } from '#test/support/broker-process.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { WireClient } from '#test/support/wire-client.ts'
import { CHRONIK, type DumpedRecord, dumpLog } from './dump.ts'
import { History, type PartitionHistory } from './history.ts'
import { checkPartitions, LATEST, listOffset } from './reading.ts'
import { produceOne } from './single-writer.ts'

// The log of the first start is one file, which begins at position 0: a position in it is a place in the file.
const WAL_FILE = '0000000000000001.wal'
const BATCHES = 20
const BATCH_BYTES = 500
const ENVIRONMENT = { CHRONIK_WAL_FILE_BYTES: '1MiB' }

interface Killed {
  readonly dataDir: string
  readonly history: History
  readonly partition: PartitionHistory
  /** A group of the log for each batch. */
  readonly produced: readonly DumpedRecord[]
}

/** A data directory with batches that were acknowledged one by one, each behind its own sync. */
async function killedBroker(): Promise<Killed> {
  const dataDir = await temporaryDirectory()
  const history = new History({ orders: 1 })
  const [partition] = history.partitions
  const broker = await startBrokerProcess({ dataDir, environment: ENVIRONMENT })
  try {
    const client = await WireClient.connect(broker.kafka)
    await client.send('Metadata', 9, { topics: [{ name: 'orders' }] })
    for (let i = 0; i < BATCHES; i++) expect(await produceOne(client, history, partition!, BATCH_BYTES)).toBe(0)
    client.close()
  } finally {
    await broker.kill9()
  }
  const produced = await dumpLog(dataDir, '--type', 'produced')
  expect(produced).toHaveLength(BATCHES)
  return { dataDir, history, partition: partition!, produced }
}

async function flipByte(dataDir: string, at: number): Promise<void> {
  const file = await open(join(dataDir, 'wal', WAL_FILE), 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    byte[0]! ^= 0x10
    await file.write(byte, 0, 1, at)
  } finally {
    await file.close()
  }
}

/** In the middle of what a producer sent. */
function insideOf(record: DumpedRecord): number {
  return record.position + BATCH_BYTES / 2
}

function chronik(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [CHRONIK, ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    )
  })
}

async function latest(broker: BrokerProcess, partition: PartitionHistory): Promise<number> {
  const client = await WireClient.connect(broker.kafka)
  const offset = await listOffset(client, partition, LATEST)
  client.close()
  return offset
}

describe('a byte that changed before a synced position', () => {
  it('stops the start with the file and the position, and nothing is changed', async () => {
    const { dataDir, produced } = await killedBroker()
    const { position } = produced[7]!
    await flipByte(dataDir, insideOf(produced[7]!))
    for (let i = 0; i < 2; i++) {
      const failed = await startBrokerProcess({ dataDir, environment: ENVIRONMENT }).catch((error: unknown) => error)
      expect(failed).toBeInstanceOf(BrokerStartFailed)
      const { end, output } = failed as BrokerStartFailed
      expect(end?.code).toBe(1)
      expect(output).toContain(join(dataDir, 'wal', WAL_FILE))
      expect(output).toContain(`(position ${position})`)
    }
  })

  it('is explained by repair, which gives up what is behind it when it is told to', async () => {
    const { dataDir, history, partition, produced } = await killedBroker()
    const { position } = produced[7]!
    await flipByte(dataDir, insideOf(produced[7]!))
    const look = await chronik('repair', '--data-dir', dataDir)
    expect(look.code).toBe(1)
    expect(look.output).toContain(`--cut-at ${position}`)

    const wrong = await chronik('repair', '--data-dir', dataDir, '--cut-at', `${position - 1}`)
    expect(wrong.code).toBe(1)
    const cut = await chronik('repair', '--data-dir', dataDir, '--cut-at', `${position}`)
    expect(cut).toMatchObject({ code: 0 })
    expect(await readdir(join(dataDir, `repaired-${position}`))).toContain(WAL_FILE)

    const broker = await startBrokerProcess({ dataDir, environment: ENVIRONMENT })
    try {
      expect(await latest(broker, partition)).toBe(7)
      for (const batch of partition.batches.values()) if (batch.baseOffset! >= 7) partition.batches.delete(batch.id)
      partition.watermark = 7
      const client = await WireClient.connect(broker.kafka)
      await checkPartitions(client, history)
      expect(await produceOne(client, history, partition, BATCH_BYTES)).toBe(0)
      await checkPartitions(client, history)
      client.close()
    } finally {
      await broker.remove()
    }
    expect(await chronik('repair', '--data-dir', dataDir)).toMatchObject({ code: 0 })
  })
})

describe('a torn tail', () => {
  it('is cut at the start, with one line that says how many bytes', async () => {
    const { dataDir, history, partition, produced } = await killedBroker()
    const last = produced.at(-1)!
    await flipByte(dataDir, insideOf(last))
    const torn = [...partition.batches.values()].at(-1)!
    partition.batches.delete(torn.id)
    partition.watermark = BATCHES - 1
    const broker = await startBrokerProcess({ dataDir, environment: ENVIRONMENT })
    try {
      const lines = broker.output().match(/cut a torn tail of \d+ bytes/g)
      const groupBytes = last.position - produced.at(-2)!.position
      expect(lines).toEqual([`cut a torn tail of ${groupBytes} bytes`])
      const client = await WireClient.connect(broker.kafka)
      await checkPartitions(client, history)
      client.close()
    } finally {
      await broker.remove()
    }
  })
})

describe('log dump', () => {
  it('filters by type, topic, partition and position', async () => {
    const { dataDir, produced } = await killedBroker()
    const all = await dumpLog(dataDir)
    expect([...new Set(all.map(record => record.type))]).toEqual(['cluster-created', 'topic-created', 'produced'])
    expect(all.slice(2)).toEqual(produced)
    const [from, to] = [produced[3]!.position, produced[6]!.position]
    const orders = await dumpLog(dataDir, '--topic', 'orders', '--to', `${to}`)
    expect(orders).toEqual([all[1], ...produced.slice(0, 6)])
    const ofPartition = await dumpLog(dataDir, '--topic', 'orders', '--partition', '0', '--from', `${from}`)
    expect(ofPartition).toEqual(produced.slice(3))
    expect(await dumpLog(dataDir, '--topic', 'others')).toEqual([])
    expect(await dumpLog(dataDir, '--partition', '1')).toEqual([])
    expect((await chronik('log', 'dump', '--data-dir', dataDir, '--from', 'here')).code).toBe(2)
  })
})
