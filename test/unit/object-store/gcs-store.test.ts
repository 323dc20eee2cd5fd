// What other answers than those of a server that works mean; test/long/stores has a server.

import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import * as http from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type GcsOptions, openGcsStore } from '#object-store/gcs-store.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { systemRandom } from '#system/random.ts'
import { type ChooseFault, startFaultProxy } from '#test/support/fault-proxy.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'

const patient = new AbortController().signal
const NOWHERE = 'http://127.0.0.1:9'
const text = (bytes: string) => Buffer.from(bytes)
const LIST = JSON.stringify({ kind: 'storage#objects' })

async function answering(choose: ChooseFault, changes: Partial<GcsOptions> = {}) {
  const proxy = await startFaultProxy(NOWHERE)
  proxy.onRequest = choose
  onTestFinished(() => proxy.close())
  const { endpoint } = proxy
  const store = openGcsStore({
    bucket: 'bucket',
    prefix: '',
    endpoint,
    credentialsFile: null,
    random: systemRandom,
    ...changes,
  })
  return { proxy, store }
}

/** What takes uploads, and finds in them what is between the boundaries that they name. */
async function receiving() {
  const received: { boundary: string; content: string }[] = []
  const server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('latin1')) body += chunk
    const [, boundary = ''] = /boundary=(.+)$/.exec(request.headers['content-type'] ?? '') ?? []
    const media = `\r\n${body}`.split(`\r\n--${boundary}`)[2]!
    received.push({ boundary, content: media.slice(media.indexOf('\r\n\r\n') + 4) })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"name": "a"}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return { received, endpoint }
}

const everyVerb: Record<string, (store: ObjectStore, signal: AbortSignal) => Promise<unknown>> = {
  put: (store, signal) => store.put('a', [text('1')], signal),
  create: (store, signal) => store.putIfAbsent('a', [text('1')], signal),
  get: (store, signal) => store.getRange('a', 0, 1, signal),
  head: (store, signal) => store.head('a', signal),
  list: (store, signal) => store.list('', '', signal)[Symbol.asyncIterator]().next(),
  delete: (store, signal) => store.delete('a', signal),
}

describe('Google Cloud Storage says what is wrong', () => {
  it.each([
    [401, 'STORE_DENIED', 'GOOGLE_APPLICATION_CREDENTIALS'],
    [403, 'STORE_DENIED', 'no right'],
    [429, 'STORE_UNAVAILABLE', 'HTTP 429'],
    [500, 'STORE_UNAVAILABLE', 'HTTP 500'],
    [503, 'STORE_UNAVAILABLE', 'HTTP 503'],
    [400, 'STORE_REFUSED', 'HTTP 400'],
    [501, 'STORE_REFUSED', 'HTTP 501'],
    [404, 'BUCKET_MISSING', 'create it'],
    [200, 'STORE_REFUSED', 'is not Google Cloud Storage'],
  ])('when it answers %i', async (status, code, words) => {
    const { store } = await answering(() => ({ kind: 'answer', status, body: '<html>\nwords</html>' }))
    for (const [verb, call] of Object.entries(everyVerb)) {
      // Nothing needs to be there to be deleted.
      if (status === 200 && verb === 'delete') continue
      const failure = await call(store, patient).catch((error: unknown) => error)
      expect(failure, verb).toMatchObject({ code, message: expect.stringContaining(words) })
      expect((failure as Error).message).not.toContain('\n')
    }
  })

  it('when the object is missing and the bucket is there', async () => {
    const { store } = await answering(({ path }) =>
      path.includes('/o?') ? { kind: 'answer', status: 200, body: LIST } : { kind: 'answer', status: 404 },
    )
    await expect(store.getRange('a', 0, 1, patient)).rejects.toMatchObject({ code: 'OBJECT_MISSING' })
    expect(await store.head('a', patient)).toBeNull()
    await store.delete('a', patient)
  })

  it('when nobody listens', async () => {
    const { store } = await answering(() => null, { endpoint: NOWHERE })
    const failure = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('nobody listens there') }
    for (const call of Object.values(everyVerb)) await expect(call(store, patient)).rejects.toMatchObject(failure)
  })

  it('when the file with the credentials is not there, or holds none', async () => {
    const directory = await temporaryDirectory()
    const denied = { code: 'STORE_DENIED', message: expect.stringContaining('GOOGLE_APPLICATION_CREDENTIALS') }
    const missing = await answering(() => null, { credentialsFile: `${directory}/none.json` })
    await expect(missing.store.head('a', patient)).rejects.toMatchObject(denied)
    await writeFile(`${directory}/bad.json`, '{"type": "none"}')
    const bad = await answering(() => null, { credentialsFile: `${directory}/bad.json` })
    await expect(bad.store.head('a', patient)).rejects.toMatchObject(denied)
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

  it('keeps the address of the bucket apart from the key', async () => {
    const paths: string[] = []
    const choose: ChooseFault = ({ path }) => {
      paths.push(path)
      return { kind: 'answer', status: 503 }
    }
    const { store } = await answering(choose, { prefix: 'some/where' })
    await expect(store.head('a/b', patient)).rejects.toThrow()
    expect(paths).toEqual(['/storage/v1/b/bucket/o/some%2Fwhere%2Fa%2Fb?fields=name%2Csize%2Cupdated'])
    expect(store.place).toBe('gs://bucket/some/where')
  })
})

describe('an upload to Google Cloud Storage', () => {
  it('holds all of an object, even if there is in it what ended another upload', async () => {
    const { received, endpoint } = await receiving()
    const { store } = await answering(() => null, { endpoint })
    await store.put('a', [text('first')], patient)
    const content = `before\r\n--${received[0]!.boundary}--\r\nbehind`
    await store.put('a', [text(content.slice(0, 20)), text(content.slice(20))], patient)
    expect(received.map(upload => upload.content)).toEqual(['first', content])
  })
})
