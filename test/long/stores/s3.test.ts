// S3 as its servers speak it.

import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { type ObjectStore, probeStore } from '#object-store/object-store.ts'
import { REMOTE_POLICY, retrying } from '#object-store/retry.ts'
import { openS3Store, type S3Options } from '#object-store/s3-store.ts'
import { systemClock } from '#system/clock.ts'
import { systemRandom } from '#system/random.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { startFaultProxy } from '#test/support/fault-proxy.ts'
import { describeMissing, prepare } from '#test/support/peer-server.ts'
import { createBucket, type S3Server, startMinio, startRadosgw } from '#test/support/s3-server.ts'
import { scaled } from '#test/support/scale.ts'
import { describeBadConnection } from './bad-connection.ts'
import { describeRealStore } from './real-store.ts'

const BUCKET = 'contract'
const BAD_CONNECTION_MS = scaled(120_000)
const patient = new AbortController().signal
const ports = { clock: systemClock, random: systemRandom }

for (const [name, start] of [['radosgw', startRadosgw] as const, ['minio', startMinio] as const]) {
  const found = await prepare(start)
  if ('missing' in found) describeMissing(name, found.missing)
  else await describeServer(found.server)
}

async function describeServer(server: S3Server): Promise<void> {
  const { name, endpoint, credentials } = server
  await createBucket(server, BUCKET)
  afterAll(() => server.close())
  let stores = 0
  const open = (changes: Partial<S3Options> = {}): ObjectStore =>
    openS3Store({
      ...{ bucket: BUCKET, prefix: `store/${stores++}`, region: null, endpoint, pathStyle: true, credentials },
      ...changes,
    })
  describeObjectStore(name, async () => open())
  describeObjectStore(`${name}, large objects in parts,`, async () => open({ partBytes: 5 * 2 ** 20 }))
  describeRealStore(name, {
    open,
    openWithoutBucket: () => open({ bucket: 'no-such-bucket' }),
    openDenied: () => open({ credentials: { ...credentials, secretAccessKey: 'not the secret' } }),
  })
  describeRights(server, open)
  describeBadConnection(name, BAD_CONNECTION_MS, async () => {
    const proxy = await startFaultProxy(endpoint)
    return { proxy, store: open({ endpoint: proxy.endpoint, partBytes: 5 * 2 ** 20 }) }
  })
}

function describeRights(server: S3Server, open: (changes?: Partial<S3Options>) => ObjectStore): void {
  describe(server.name, () => {
    it('says that the access key is not known', async () => {
      const store = open({ credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'nothing' } })
      await expect(probeStore(store, ports, patient)).rejects.toMatchObject({
        code: 'STORE_DENIED',
        message: expect.stringContaining('AWS_ACCESS_KEY_ID'),
      })
    })

    // Its first user is above all policies.
    it.skipIf(server.name === 'minio')('says that the bucket is read-only', async () => {
      const bucket = 'read-only'
      await createBucket(server, bucket)
      await forbidWriting(server, bucket)
      await expect(probeStore(open({ bucket }), ports, patient)).rejects.toMatchObject({
        code: 'STORE_DENIED',
        message: expect.stringMatching(
          /^cannot write to the object store: .* let it read, write, list and delete there/,
        ),
      })
    })

    it('is used all the same by a machine whose clock is wrong, which the probe finds out', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 })
      try {
        const store = retrying(open(), { ...ports, policy: REMOTE_POLICY })
        const { clockSkewMs } = await probeStore(store, ports, patient)
        expect(Math.abs(clockSkewMs + 3_600_000)).toBeLessThan(60_000)
      } finally {
        vi.useRealTimers()
      }
    })
  })
}

async function forbidWriting({ endpoint, credentials }: S3Server, bucket: string): Promise<void> {
  const client = new S3Client({ region: 'us-east-1', endpoint, credentials, forcePathStyle: true })
  const Statement = [
    { Effect: 'Deny', Principal: '*', Action: ['s3:PutObject'], Resource: [`arn:aws:s3:::${bucket}/*`] },
  ]
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }))
  client.destroy()
}
