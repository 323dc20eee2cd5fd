// What other answers than those of a server that works mean; test/long/stores has a server.

import { describe, expect, it, onTestFinished } from 'vitest'
import { openAzureStore } from '#object-store/azure-store.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { type ChooseFault, startFaultProxy } from '#test/support/fault-proxy.ts'
import { until } from '#test/support/until.ts'

const patient = new AbortController().signal
const NOWHERE = 'http://127.0.0.1:9'
const KEY = Buffer.from('a secret').toString('base64')
const text = (bytes: string) => Buffer.from(bytes)

function open(endpoint: string): ObjectStore {
  const access = { kind: 'key', account: 'account', key: KEY, endpoint: `${endpoint}/account` } as const
  return openAzureStore({ container: 'container', prefix: '', access })
}

async function answering(choose: ChooseFault) {
  const proxy = await startFaultProxy(NOWHERE)
  proxy.onRequest = choose
  onTestFinished(() => proxy.close())
  return { proxy, store: open(proxy.endpoint) }
}

const everyVerb: Record<string, (store: ObjectStore, signal: AbortSignal) => Promise<unknown>> = {
  put: (store, signal) => store.put('a', [text('1')], signal),
  create: (store, signal) => store.putIfAbsent('a', [text('1')], signal),
  get: (store, signal) => store.getRange('a', 0, 1, signal),
  list: (store, signal) => store.list('', '', signal)[Symbol.asyncIterator]().next(),
  delete: (store, signal) => store.delete('a', signal),
}

const error = (code: string) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words\nmore</Message></Error>`

describe('Azure Blob Storage says what is wrong', () => {
  it.each([
    [403, 'AuthenticationFailed', 'STORE_DENIED', 'AZURE_STORAGE_KEY'],
    [403, 'AuthorizationFailure', 'STORE_DENIED', 'firewall'],
    [403, 'SomethingElse', 'STORE_DENIED', 'no right'],
    [404, 'ContainerNotFound', 'BUCKET_MISSING', 'AZURE_CONTAINER'],
    [409, 'BlobImmutableDueToPolicy', 'STORE_REFUSED', 'policy'],
    [503, 'ServerBusy', 'STORE_UNAVAILABLE', 'HTTP 503'],
    [500, 'InternalError', 'STORE_UNAVAILABLE', 'HTTP 500'],
    [400, 'InvalidInput', 'STORE_REFUSED', 'HTTP 400'],
  ])('when it answers %i %s', async (status, azureCode, code, words) => {
    const { store } = await answering(() => ({
      kind: 'answer',
      status,
      body: error(azureCode),
      type: 'application/xml',
    }))
    for (const [verb, call] of Object.entries(everyVerb)) {
      const failure = await call(store, patient).catch((thrown: unknown) => thrown)
      expect(failure, verb).toMatchObject({ code, message: expect.stringContaining(words) })
      expect((failure as Error).message).not.toContain('\n')
      expect(JSON.stringify(failure)).not.toContain(KEY)
    }
  })

  it('when nobody listens', async () => {
    const failure = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('nobody listens there') }
    for (const call of Object.values(everyVerb))
      await expect(call(open(NOWHERE), patient)).rejects.toMatchObject(failure)
  })

  it('lets go at once of what hangs when it is cancelled', async () => {
    const { proxy, store } = await answering(() => ({ kind: 'hang' }))
    const reason = new Error('nobody waits any more')
    for (const call of Object.values(everyVerb)) {
      const controller = new AbortController()
      const before = proxy.requests
      const called = call(store, controller.signal)
      await until('the request', () => proxy.requests > before)
      controller.abort(reason)
      await expect(called).rejects.toBe(reason)
    }
  })

  it('shows where it is', () => {
    expect(open(NOWHERE).place).toBe('azure://account/container')
  })
})
