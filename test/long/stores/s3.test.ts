// S3 as its servers speak it.

import { afterAll } from 'vitest'
import { openS3Store, type S3Options } from '#object-store/s3-store.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { describeMissing, prepare } from '#test/support/peer-server.ts'
import { createBucket, type S3Server, startMinio, startRadosgw } from '#test/support/s3-server.ts'

for (const [name, start] of [['radosgw', startRadosgw] as const, ['minio', startMinio] as const]) {
  const found = await prepare(start)
  if ('missing' in found) {
    describeMissing(name, found.missing)
    continue
  }
  await describeServer(found.server)
}

async function describeServer(server: S3Server): Promise<void> {
  const bucket = 'contract'
  await createBucket(server, bucket)
  afterAll(() => server.close())
  let stores = 0
  const options = (): S3Options => ({
    ...{ bucket, prefix: `store/${stores++}`, region: null, endpoint: server.endpoint, pathStyle: true },
    credentials: server.credentials,
  })
  describeObjectStore(server.name, async () => openS3Store(options()))
  describeObjectStore(`${server.name}, large objects in parts,`, async () =>
    openS3Store({ ...options(), partBytes: 5 * 2 ** 20 }),
  )
}
