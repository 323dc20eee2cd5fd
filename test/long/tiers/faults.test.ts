import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { freePorts } from '#test/support/broker-process.ts'
import { describeMissing, prepare } from '#test/support/peer-server.ts'
import { createBucket, type S3Server, startRadosgw } from '#test/support/s3-server.ts'
import { scaled } from '#test/support/scale.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import type { Loss } from './ledger.ts'
import { Soak } from './soak.ts'

const MINUTE_MS = 60_000
const DURATION_MS = scaled(20 * MINUTE_MS)
/** What is lost with a disk is what the broker says, and what comes from the telling to the kill, on a machine that is busy. */
const MARGIN_MS = 3000

/** Much sealing, little memory, so that each tier is read. */
const HASTY = {
  CHRONIK_SEAL_MAX_MS: '5000',
  CHRONIK_SEAL_MAX_BYTES: '4194304',
  CHRONIK_WAL_FILE_BYTES: '4194304',
  CHRONIK_WAL_LIMIT_BYTES: '134217728',
  CHRONIK_LOG_CACHE_BYTES: '1048576',
  CHRONIK_CACHE_BYTES: '67108864',
  CHRONIK_RESTORE_WINDOW_HOURS: '0',
  CHRONIK_SNAPSHOT_LOG_THRESHOLD: '2000',
  CHRONIK_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
}

const prepared = await prepare(startRadosgw)
if ('missing' in prepared) describeMissing('a store behind a bad connection', prepared.missing)
else describeFaults(prepared.server)

function describeFaults(server: S3Server): void {
  afterAll(() => server.close())

  async function begin(bucket: string, environment: Record<string, string>): Promise<Soak> {
    await createBucket(server, bucket)
    const [kafkaPort] = await freePorts(1)
    const beganMs = performance.now()
    const soak = await Soak.begin({
      seed: 1,
      dataDir: join(await temporaryDirectory(), 'data'),
      kafkaPort: kafkaPort!,
      endpoint: server.endpoint,
      environment: endpoint => ({
        ...HASTY,
        ...environment,
        STORAGE_BACKEND: 's3',
        S3_BUCKET: bucket,
        S3_ENDPOINT: endpoint,
        AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      }),
      note: text => process.stderr.write(`${Math.round((performance.now() - beganMs) / 1000)} s: ${text}\n`),
    })
    onTestFinished(() => soak.close())
    return soak
  }

  async function told(soak: Soak, test: () => Promise<void>): Promise<void> {
    try {
      await test()
    } catch (thrown) {
      // At once: the others may take half an hour.
      process.stderr.write(`failed: ${thrown}\n`)
      throw new Error(`in ${soak.weather.now}: ${JSON.stringify(soak.figures)}\n${soak.supervisor.printed}`, {
        cause: thrown,
      })
    }
  }

  describe('a broker whose store is behind a bad connection, killed every half minute', () => {
    it('loses nothing, and is the same again without its disk when it was stopped', async () => {
      const soak = await begin('stopped', {})
      await told(soak, async () => {
        await soak.endure(DURATION_MS)
        await soak.settle()
        await soak.audit('where it is')
        await soak.untilSealed()
        await soak.supervisor.kill()
        await soak.supervisor.wipeCache()
        await soak.supervisor.start()
        expect(await soak.tiers()).toMatchObject({ wal: 0 })
        await soak.audit('from the store alone')

        soak.goOn()
        await soak.run(5000)
        await soak.supervisor.stop()
        await soak.supervisor.wipe()
        await soak.supervisor.start()
        await soak.settle()
        await soak.audit('after a restore')
        process.stderr.write(`${JSON.stringify(soak.figures)}\n`)
      })
    })

    it('loses a moment with its disk, no more', async () => {
      const soak = await begin('lost', {})
      await told(soak, async () => {
        await soak.endure(DURATION_MS / 5)
        await soak.run(5000)
        await soak.dismiss()
        await soak.untilCaughtUp()
        const sinceMs = performance.now() - (await soak.uploadLagMs()) - MARGIN_MS
        const killedMs = performance.now()
        soak.ledger.forgetPlaces()
        await soak.lose()
        await soak.settle()
        let oldestMs = 0
        const mayBeLost = ({ storedAtMs }: Loss) => {
          oldestMs = Math.max(oldestMs, killedMs - storedAtMs)
          return storedAtMs > sinceMs
        }
        await soak.audit('after a restore', { mayBeLost })
        process.stderr.write(`${JSON.stringify({ ...soak.figures, recoveryPointMs: Math.round(oldestMs) })}\n`)
      })
    })

    it('loses nothing with its disk either if it acknowledges what is in the bucket', async () => {
      const soak = await begin('bucket', { CHRONIK_DURABILITY: 'bucket' })
      await told(soak, async () => {
        await soak.endure(DURATION_MS / 2)
        // Consumers read on: what they have seen is there again, whether its producer was told of it or not.
        await soak.dismissAdministrator()
        await soak.lose()
        await soak.settle()
        await soak.audit('after a restore')
        await soak.untilSealed()
        await soak.audit('from the store alone')
        process.stderr.write(`${JSON.stringify(soak.figures)}\n`)
      })
    })
  })
}
