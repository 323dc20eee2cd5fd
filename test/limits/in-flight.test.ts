// How much a broker takes in that it has not answered, while its disk does not get on.

import { describe, expect, it, onTestFinished } from 'vitest'
import type { Disk, DiskFile } from '#base/ports.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { createLogger } from '#observe/log.ts'
import { startServer } from '#server/server.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { systemRandom } from '#system/random.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const HOST = '127.0.0.1'
const TOPIC = 'orders'
const VALUE_BYTES = 10_000
const REQUEST_BYTES = 10_300
const REQUESTS = 60
/** Requests and batches that fit into the limits. */
const SMALL = { maxRequestBytes: 100_000, maxMessageBytes: 100_000 }
/** Slow enough that the log syncs off the broker's thread from now on. */
const SLOW_SYNC_MS = 20

/** The system's disk, whose syncs can be held up. */
class SlowDisk {
  writtenBytes = 0
  #held: PromiseWithResolvers<void> | null = null
  #waiting = 0

  get isWaiting(): boolean {
    return this.#waiting > 0
  }

  hold(): void {
    this.#held = Promise.withResolvers()
  }

  /** Lets those go that wait now. */
  step(): void {
    const held = this.#held
    this.hold()
    this.#waiting = 0
    held?.resolve()
  }

  letGo(): void {
    this.#held?.resolve()
    this.#held = null
    this.#waiting = 0
  }

  readonly disk: Disk = {
    ...systemDisk,
    open: async (path, mode) => this.#slow(await systemDisk.open(path, mode)),
  }

  #count(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) this.writtenBytes += piece.length
  }

  #slow(file: DiskFile): DiskFile {
    return {
      path: file.path,
      sizeBytes: () => file.sizeBytes(),
      read: (...args) => file.read(...args),
      write: (...args) => file.write(...args),
      writePieces: (pieces, position) => {
        this.#count(pieces)
        return file.writePieces(pieces, position)
      },
      writePiecesSync: (pieces, position) => {
        this.#count(pieces)
        file.writePiecesSync(pieces, position)
      },
      sync: async () => {
        if (this.#held !== null) {
          this.#waiting++
          await this.#held.promise
        }
        await file.sync()
      },
      syncSync: () => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_SYNC_MS)
        file.syncSync()
      },
      truncate: sizeBytes => file.truncate(sizeBytes),
      close: () => file.close(),
    }
  }
}

async function start(limits: Partial<Settings>) {
  const slow = new SlowDisk()
  const own = { bindAddr: HOST, kafkaPort: 0, walFileBytes: 16 << 20, dataDir: await temporaryDirectory() }
  const loaded = settingsFrom({ ...own, ...limits })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const server = await startServer({
    settings: loaded.settings,
    sources: loaded.sources,
    disk: slow.disk,
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ level: 'silent', pretty: false, output: { write() {}, flush: async () => {} } }),
    operations: false,
    failed: error => {
      throw error
    },
  })
  onTestFinished(() => server.close())
  const connect = async () => {
    const client = await WireClient.connect({ host: HOST, port: server.kafka.port })
    onTestFinished(() => client.close())
    return client
  }
  const first = await connect()
  await first.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  await first.send('Produce', 9, produceBody(VALUE_BYTES))
  return { slow, connect }
}

function produceBody(valueBytes: number) {
  const records = buildBatch([{ value: Buffer.alloc(valueBytes) }])
  return { acks: -1, timeoutMs: 1000, topicData: [{ name: TOPIC, partitionData: [{ index: 0, records }] }] }
}

/** While the disk waits, many more requests come than there is room for. Returns how much of them the log takes at once. */
async function takenAtOnce({ slow, connect }: Awaited<ReturnType<typeof start>>, connections: number): Promise<number> {
  const [first, other, ...clients] = await Promise.all(Array.from({ length: connections + 2 }, connect))
  slow.hold()
  const answers = [first!.send('Produce', 9, produceBody(1))]
  await until('a sync that waits', () => slow.isWaiting)
  for (const client of clients) {
    for (let i = 0; i < REQUESTS; i++) answers.push(client.send('Produce', 9, produceBody(VALUE_BYTES)))
  }
  // What has come of the others is read before this is answered twice.
  for (let i = 0; i < 2; i++) await other!.send('ApiVersions', 0, {})
  slow.writtenBytes = 0
  slow.step()
  await until('the next sync that waits', () => slow.isWaiting)
  const takenBytes = slow.writtenBytes
  slow.letGo()
  for (const { responses } of await Promise.all(answers)) expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(0)
  return takenBytes
}

describe('unanswered requests', () => {
  it('of one connection are taken up to max-inflight-bytes-per-connection', async () => {
    const limitBytes = 100_000
    const broker = await start({ maxInflightBytesPerConnection: limitBytes })
    const takenBytes = await takenAtOnce(broker, 1)
    expect(takenBytes).toBeGreaterThan(limitBytes - REQUEST_BYTES)
    expect(takenBytes).toBeLessThan(limitBytes + REQUEST_BYTES)
  })

  it('of all connections are taken up to max-inflight-bytes, and one of each that has none', async () => {
    const limitBytes = 200_000
    const connections = 6
    const broker = await start({ ...SMALL, maxInflightBytesPerConnection: 150_000, maxInflightBytes: limitBytes })
    const takenBytes = await takenAtOnce(broker, connections)
    expect(takenBytes).toBeGreaterThan(limitBytes - connections * REQUEST_BYTES)
    expect(takenBytes).toBeLessThan(limitBytes + connections * REQUEST_BYTES)
  })

  it('are all taken where there is room', async () => {
    expect(await takenAtOnce(await start({}), 3)).toBeGreaterThan(3 * (REQUESTS - 1) * VALUE_BYTES)
  })
})
