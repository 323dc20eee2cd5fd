// Google Cloud Storage as an emulator of it speaks it.

import { spawn } from 'node:child_process'
import { afterAll } from 'vitest'
import { type GcsOptions, openGcsStore } from '#object-store/gcs-store.ts'
import { systemRandom } from '#system/random.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { startFaultProxy } from '#test/support/fault-proxy.ts'
import { goTool } from '#test/support/go-tool.ts'
import { describeMissing, freeNeighbours, prepare, startProcess } from '#test/support/peer-server.ts'
import { scaled } from '#test/support/scale.ts'
import { describeBadConnection } from './bad-connection.ts'
import { describeBrokerOn } from './real-broker.ts'
import { describeRealStore } from './real-store.ts'

const FAKE_GCS_SERVER = 'github.com/fsouza/fake-gcs-server@v1.56.1'
const BUCKET = 'contract'

async function startFakeGcsServer() {
  const bin = await goTool('fake-gcs-server', FAKE_GCS_SERVER)
  const port = await freeNeighbours(1)
  const address = ['-scheme', 'http', '-host', '127.0.0.1', '-port', `${port}`, '-public-host', `127.0.0.1:${port}`]
  const server = await startProcess('fake-gcs-server', `http://127.0.0.1:${port}`, () =>
    spawn(bin, [...address, '-backend', 'memory'], { stdio: ['ignore', 'pipe', 'pipe'] }),
  )
  await fetch(`${server.endpoint}/storage/v1/b`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: BUCKET }),
  })
  return server
}

const found = await prepare(startFakeGcsServer)
if ('missing' in found) {
  describeMissing('fake-gcs-server', found.missing)
} else {
  const { server } = found
  afterAll(() => server.close())
  let stores = 0
  const open = (changes: Partial<GcsOptions> = {}) =>
    openGcsStore({
      ...{ bucket: BUCKET, prefix: `store/${stores++}`, endpoint: server.endpoint, credentialsFile: null },
      random: systemRandom,
      ...changes,
    })
  describeObjectStore('fake-gcs-server', async () => open())
  describeRealStore('fake-gcs-server', {
    open,
    openWithoutBucket: () => open({ bucket: 'no-such-bucket' }),
    openDenied: null,
  })
  describeBrokerOn('fake-gcs-server', {
    ...{ STORAGE_BACKEND: 'gcs', GCS_BUCKET: BUCKET, GCS_PREFIX: 'broker', GCS_ENDPOINT: server.endpoint },
  })
  describeBadConnection('fake-gcs-server', scaled(60_000), async () => {
    const proxy = await startFaultProxy(server.endpoint)
    return { proxy, store: open({ endpoint: proxy.endpoint }) }
  })
}
