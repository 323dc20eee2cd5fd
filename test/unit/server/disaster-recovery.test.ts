import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { drainMs, restoreWindowMs, tailUploadMs } from '#server/disaster-recovery.ts'
import { startChronik } from '#server/embed.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'
import { peekArchived } from '#tier/recovery/archive-format.ts'

const HOUR_MS = 3_600_000

function settingsOf(given: Partial<Settings>): Settings {
  const loaded = settingsFrom(given)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded.settings
}

describe('what is done for disaster recovery', () => {
  it('is a day of history, a copy a second over the network, and half a minute for what is left, unless it is said', () => {
    const facts = (settings: Partial<Settings>) => {
      const all = settingsOf({ dataDir: '/data', ...settings })
      return [restoreWindowMs(all), tailUploadMs(all), drainMs(all)]
    }
    const outside = { localStoragePath: '/mnt/store' }
    expect(facts({})).toEqual([0, 0, 0])
    expect(facts(outside)).toEqual([24 * HOUR_MS, 0, 30_000])
    expect(facts({ storageBackend: 'gcs', gcsBucket: 'bucket' })).toEqual([24 * HOUR_MS, 1000, 30_000])
    const said = { restoreWindowHours: 2, tailUploadMs: 300, drainMs: 400 }
    expect(facts({ ...outside, ...said })).toEqual([2 * HOUR_MS, 300, 400])
  })
})

describe('the archive of a broker', () => {
  /** With its store in a directory of its own. */
  async function start(settings: Partial<Settings>) {
    const root = await temporaryDirectory()
    const store = join(root, 'store')
    const broker = await startChronik({ dataDir: join(root, 'data'), localStoragePath: store, ...settings })
    onTestFinished(() => broker.close())
    const filesIn = (folder: string) => readdir(join(store, folder)).catch(() => [])
    return { broker, store, filesIn }
  }

  it.each([
    ['gzip', 1],
    ['zstd', 2],
  ] as const)('is compressed as it is said: %s', async (snapshotCompression, codec) => {
    const { broker, store, filesIn } = await start({ snapshotCompression })
    await broker.close()
    const [name] = await filesIn('checkpoints/g1')
    const bytes = await readFile(join(store, 'checkpoints/g1', name!))
    expect(peekArchived(name!, bytes).kind).toBe('checkpoint')
    expect(bytes[11]).toBe(codec)
  })

  it('has a checkpoint when so many seconds have passed and something has changed', async () => {
    const { broker, filesIn } = await start({ snapshotTimeThresholdSecs: 1 })
    const client = await WireClient.connect(broker.kafka)
    onTestFinished(() => client.close())
    const before = (await filesIn('checkpoints/g1')).length
    let topics = 0
    await until('another one', async () => {
      await client.send('Metadata', 9, { topics: [{ name: `topic-${topics++}` }] })
      return (await filesIn('checkpoints/g1')).length > before
    })
  })

  it('is not there where it is not wanted', async () => {
    const { broker, filesIn } = await start({ snapshotEnabled: false })
    await broker.close()
    expect((await filesIn('')).filter(name => !name.startsWith('.')).sort()).toEqual(['generations', 'owner.json'])
  })
})
