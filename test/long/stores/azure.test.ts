// Azure Blob Storage as its makers' emulator speaks it.

import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { afterAll } from 'vitest'
import { openAzureStore } from '#object-store/azure-store.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { runCommand } from '#test/support/commands.ts'
import { startFaultProxy } from '#test/support/fault-proxy.ts'
import { describeMissing, freeNeighbours, prepare, startProcess } from '#test/support/peer-server.ts'
import { scaled } from '#test/support/scale.ts'
import { cached } from '#test/support/tool-cache.ts'
import { describeBadConnection } from './bad-connection.ts'
import { describeBrokerOn } from './real-broker.ts'
import { describeRealStore } from './real-store.ts'

const VERSION = '3.37.0'
/** What it measures its users with is half a gibibyte in its newest versions, and not used here. */
const PACKAGE = { private: true, dependencies: { azurite: VERSION }, overrides: { applicationinsights: '2.9.8' } }
const CONTAINER = 'contract'
/** What every Azurite has. */
const ACCOUNT = 'devstoreaccount1'
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

async function startAzurite() {
  const directory = await cached(`azurite-${VERSION}`, [], async built => {
    await writeFile(join(built, 'package.json'), JSON.stringify(PACKAGE))
    await runCommand('npm', ['install', '--prefix', built, '--ignore-scripts'])
  })
  const port = await freeNeighbours(1)
  const program = join(directory, 'node_modules/azurite/dist/src/blob/main.js')
  const options = [
    '--blobHost',
    '127.0.0.1',
    '--blobPort',
    `${port}`,
    '--inMemoryPersistence',
    '--silent',
    '--disableTelemetry',
  ]
  const server = await startProcess('azurite', `http://127.0.0.1:${port}/${ACCOUNT}`, place =>
    spawn(process.execPath, [program, ...options, '--skipApiVersionCheck'], {
      cwd: place,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  const service = new BlobServiceClient(server.endpoint, new StorageSharedKeyCredential(ACCOUNT, KEY))
  await service.createContainer(CONTAINER)
  return server
}

const found = await prepare(startAzurite)
if ('missing' in found) {
  describeMissing('Azurite', found.missing)
} else {
  const { server } = found
  afterAll(() => server.close())
  let stores = 0
  const open = ({ container = CONTAINER, key = KEY, endpoint = server.endpoint } = {}) =>
    openAzureStore({
      container,
      prefix: `store/${stores++}`,
      access: { kind: 'key', account: ACCOUNT, key, endpoint },
    })
  describeObjectStore('Azurite', async () => open())
  describeRealStore('Azurite', {
    open,
    openWithoutBucket: () => open({ container: 'no-such-container' }),
    openDenied: () => open({ key: Buffer.from('not the key').toString('base64') }),
  })
  describeBrokerOn('Azurite', {
    ...{
      STORAGE_BACKEND: 'azure',
      AZURE_CONTAINER: CONTAINER,
      AZURE_PREFIX: 'broker',
      AZURE_ENDPOINT: server.endpoint,
    },
    ...{ AZURE_STORAGE_ACCOUNT: ACCOUNT, AZURE_STORAGE_KEY: KEY },
  })
  describeBadConnection('Azurite', scaled(60_000), async () => {
    const proxy = await startFaultProxy(new URL(server.endpoint).origin)
    return { proxy, store: open({ endpoint: `${proxy.endpoint}/${ACCOUNT}` }) }
  })
}
