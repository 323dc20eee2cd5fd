import dns from 'node:dns'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { ObjectStore } from '#object-store/object-store.ts'
import { openS3Store, type S3Options } from '#object-store/s3-store.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { type ProxyFault, startFaultProxy } from '#test/support/fault-proxy.ts'
import { type SmallS3, startSmallS3 } from '#test/support/small-s3.ts'
import { until } from '#test/support/until.ts'

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)
const PART_BYTES = 100_000
type Found = (error: null, address: string | dns.LookupAddress[], family?: number) => void

async function server(): Promise<SmallS3> {
  const s3 = await startSmallS3()
  onTestFinished(() => s3.close())
  return s3
}

function optionsFor(s3: SmallS3, changes: Partial<S3Options> = {}): S3Options {
  const { bucket, endpoint, credentials } = s3
  return { bucket, prefix: '', region: null, endpoint, pathStyle: true, credentials, ...changes }
}

function open(s3: SmallS3, changes: Partial<S3Options> = {}): ObjectStore {
  const store = openS3Store(optionsFor(s3, changes))
  onTestFinished(() => store.close())
  return store
}

/** With something in between that chooses faults for requests, one after the other. */
async function behindProxy(changes: Partial<S3Options> = {}) {
  const s3 = await server()
  const proxy = await startFaultProxy(s3.endpoint)
  onTestFinished(() => proxy.close())
  const faults: (ProxyFault | null)[] = []
  proxy.onRequest = () => faults.shift() ?? null
  return { s3, proxy, faults, store: open(s3, { endpoint: proxy.endpoint, ...changes }) }
}

describeObjectStore('S3', async () => open(await server()))

describeObjectStore('S3 with a prefix, large objects in parts,', async () =>
  open(await server(), { prefix: 'some/where', partBytes: PART_BYTES }),
)

describe('S3', () => {
  it('keeps objects below its prefix and sees no others', async () => {
    const s3 = await server()
    const [one, other] = [open(s3, { prefix: 'one' }), open(s3, { prefix: 'one-more' })]
    await one.put('a', [text('1')], patient)
    await other.put('a', [text('2')], patient)
    s3.objects.set('one/a folder/', { bytes: text(''), modifiedMs: 0 })
    expect([...s3.objects.keys()]).toEqual(['one/a', 'one-more/a', 'one/a folder/'])
    const found: string[] = []
    for await (const { key } of one.list('', '', patient)) found.push(key)
    expect(found).toEqual(['a'])
    expect([one.place, other.place]).toEqual([`s3://${s3.bucket}/one`, `s3://${s3.bucket}/one-more`])
    expect(open(s3).place).toBe(`s3://${s3.bucket}`)
  })

  it('sends a large object in parts, and a smaller one whole', async () => {
    const s3 = await server()
    const store = open(s3, { partBytes: PART_BYTES })
    await store.put('small', [new Uint8Array(PART_BYTES)], patient)
    expect(s3.requests).toEqual(['PUT small x-id'])
    s3.requests.length = 0
    await store.put('large', [new Uint8Array(PART_BYTES), new Uint8Array(PART_BYTES * 3 + 1)], patient)
    expect(s3.requests.filter(request => request.startsWith('PUT'))).toHaveLength(5)
    expect(s3.requests.filter(request => request.startsWith('POST'))).toHaveLength(2)
    expect(s3.openUploads).toBe(0)
  })

  it('names the bucket in the host where that is wanted', async () => {
    const s3 = await server()
    const endpoint = s3.endpoint.replace('127.0.0.1', 's3.test')
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((_: string, options: object, found: Found) => {
      if ('all' in options && options.all) found(null, [{ address: '127.0.0.1', family: 4 }])
      else found(null, '127.0.0.1', 4)
    }) as typeof dns.lookup)
    onTestFinished(() => lookup.mockRestore())
    const store = open(s3, { endpoint, pathStyle: false })
    await store.put('a', [text('0123')], patient)
    expect(`${await store.getRange('a', 1, 2, patient)}`).toBe('12')
    for await (const { key } of store.list('', '', patient)) expect(key).toBe('a')
    expect(lookup.mock.calls[0]![0]).toBe(`${s3.bucket}.s3.test`)
    const inPath = open(s3, { endpoint, pathStyle: true })
    await expect(inPath.put('a', [text('1')], patient)).rejects.toMatchObject({ code: 'BUCKET_MISSING' })
  })

  it('sends the token of temporary keys, and signs it', async () => {
    const s3 = await server()
    s3.sessionToken = 'TOKEN'
    const store = open(s3, { credentials: { ...s3.credentials, sessionToken: 'TOKEN' } })
    await store.put('a', [text('1')], patient)
    expect(`${await store.getRange('a', 0, 1, patient)}`).toBe('1')
    const denied = { code: 'STORE_DENIED', message: expect.stringContaining('AWS_SESSION_TOKEN') }
    await expect(open(s3).put('a', [text('1')], patient)).rejects.toMatchObject(denied)
  })

  it('asks for a range in one request', async () => {
    const s3 = await server()
    const store = open(s3)
    await store.put('a', [text('0123456789')], patient)
    s3.requests.length = 0
    await store.getRange('a', 3, 100, patient)
    expect(s3.requests).toEqual(['GET a x-id'])
  })
})

describe('S3 says what is wrong', () => {
  async function failureOf(store: ObjectStore): Promise<unknown> {
    return store.getRange('a', 0, 1, patient).catch((error: unknown) => error)
  }

  it('with the bucket, whatever it is asked for', async () => {
    const s3 = await server()
    const store = open(s3, { bucket: 'no-such-bucket' })
    const missing = {
      code: 'BUCKET_MISSING',
      kind: 'invalid',
      message: `there is no bucket no-such-bucket at ${s3.endpoint}: create it, or check S3_BUCKET and S3_ENDPOINT`,
    }
    const list = async () => {
      for await (const { key } of store.list('', '', patient)) throw new Error(key)
    }
    await expect(store.put('a', [text('1')], patient)).rejects.toMatchObject(missing)
    await expect(store.putIfAbsent('a', [text('1')], patient)).rejects.toMatchObject(missing)
    await expect(store.getRange('a', 0, 1, patient)).rejects.toMatchObject(missing)
    await expect(store.head('a', patient)).rejects.toMatchObject(missing)
    await expect(store.delete('a', patient)).rejects.toMatchObject(missing)
    await expect(list()).rejects.toMatchObject(missing)
  })

  it('with the keys, and never shows them', async () => {
    const s3 = await server()
    const credentials = { accessKeyId: 'AKWRONG', secretAccessKey: 'very secret' }
    const failure = await failureOf(open(s3, { credentials }))
    expect(failure).toMatchObject({ code: 'STORE_DENIED', message: expect.stringContaining('AWS_ACCESS_KEY_ID') })
    const { cause, ...shown } = failure as { cause: unknown }
    expect(JSON.stringify([shown, cause, String(failure)])).not.toMatch(/very secret|AKWRONG/)
  })

  const error = (code: string, more = '') => `<Error><Code>${code}</Code>${more}</Error>`

  it.each([
    [403, error('SignatureDoesNotMatch'), 'STORE_DENIED', 'AWS_SECRET_ACCESS_KEY'],
    [403, error('AccessDenied'), 'STORE_DENIED', 'has no right'],
    [400, error('ExpiredToken'), 'STORE_DENIED', 'AWS_SESSION_TOKEN'],
    [403, error('SomethingElse'), 'STORE_DENIED', 'SomethingElse'],
    [403, error('RequestTimeTooSkewed'), 'STORE_UNAVAILABLE', 'clock'],
    [400, error('AuthorizationHeaderMalformed', '<Region>eu-west-3</Region>'), 'STORE_REFUSED', 'S3_REGION=eu-west-3'],
    [301, error('PermanentRedirect'), 'STORE_REFUSED', 'S3_REGION'],
    [405, error('MethodNotAllowed'), 'STORE_REFUSED', 'read-only'],
    [403, error('QuotaExceeded'), 'STORE_FULL', 'room'],
    [507, error('XMinioStorageFull'), 'STORE_FULL', 'room'],
    [503, error('SlowDown'), 'STORE_UNAVAILABLE', 'HTTP 503'],
    [500, error('InternalError'), 'STORE_UNAVAILABLE', 'HTTP 500'],
    [502, '<html>bad gateway</html>', 'STORE_UNAVAILABLE', 'HTTP 502'],
    [429, '', 'STORE_UNAVAILABLE', 'HTTP 429'],
    [409, error('ConditionalRequestConflict'), 'STORE_UNAVAILABLE', 'HTTP 409'],
    [501, error('NotImplemented'), 'STORE_REFUSED', 'does not know how'],
    [404, '<html>not found</html>', 'STORE_REFUSED', 'HTTP 404'],
    [200, '<html>hello</html>', 'STORE_REFUSED', 'does not speak S3'],
  ])('when it answers %i %s', async (status, body, code, words) => {
    const { faults, store } = await behindProxy()
    for (let i = 0; i < 3; i++) faults.push({ kind: 'answer', status, body })
    const failure = await failureOf(store)
    expect(failure).toMatchObject({ code, message: expect.stringContaining(words) })
    expect((failure as Error).message).not.toContain('\n')
    await expect(store.put('a', [text('1')], patient)).rejects.toMatchObject({ code })
    const list = store.list('', '', patient)[Symbol.asyncIterator]()
    await expect(list.next()).rejects.toMatchObject({ code })
  })

  it('when nobody listens', async () => {
    const s3 = await server()
    const store = open(s3)
    await s3.close()
    const failure = await failureOf(store)
    expect(failure).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('nobody listens there'),
    })
  })

  it('when nobody knows the host', async () => {
    const s3 = await server()
    const failure = await failureOf(open(s3, { endpoint: 'http://no-such-host.invalid' }))
    expect(failure).toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.stringContaining('S3_ENDPOINT') })
  })

  it('when what listens does not speak TLS', async () => {
    const s3 = await server()
    const failure = await failureOf(open(s3, { endpoint: s3.endpoint.replace('http:', 'https:') }))
    expect(failure).toMatchObject({ code: 'STORE_REFUSED', message: expect.stringContaining('TLS') })
  })
})

describe('over a bad connection S3', () => {
  const bytes = Buffer.alloc(3 * 2 ** 20, 'what is to be kept ')

  it.each([0, 1, 100_000, 3 * 2 ** 20 - 1])('takes %i bytes of an answer for no object', async afterBytes => {
    const { s3, faults, store } = await behindProxy()
    s3.objects.set('a', { bytes, modifiedMs: 0 })
    faults.push({ kind: 'cut', afterBytes })
    await expect(store.getRange('a', 0, bytes.length, patient)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await store.getRange('a', 0, bytes.length, patient)).equals(bytes)).toBe(true)
  })

  it('takes a list that was cut for no list', async () => {
    const { faults, store } = await behindProxy()
    for (let i = 0; i < 20; i++) await store.put(`a/${i}`, [text('1')], patient)
    for (const afterBytes of [0, 30, 500]) {
      faults.push({ kind: 'cut', afterBytes })
      const list = store.list('', '', patient)[Symbol.asyncIterator]()
      await expect(list.next()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    }
  })

  it('takes a list that does not say how to go on for no list', async () => {
    const { faults, store } = await behindProxy()
    const page = '<ListBucketResult><IsTruncated>true</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>'
    faults.push({ kind: 'answer', status: 200, body: page, type: 'application/xml' })
    const listing = store.list('', '', patient)[Symbol.asyncIterator]()
    await expect(listing.next()).rejects.toThrow('a list came with no way to the rest of it')
  })

  it('says that it does not know what became of a write without an answer', async () => {
    const { s3, faults, store } = await behindProxy()
    faults.push({ kind: 'lose' }, { kind: 'reset' })
    await expect(store.put('a', [bytes], patient)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(store.put('b', [bytes], patient)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect([...s3.objects.keys()]).toEqual(['a'])
  })

  it('lets go at once of what hangs when it is cancelled', async () => {
    const { s3, proxy, faults, store } = await behindProxy({ partBytes: 2 ** 20 })
    s3.objects.set('a', { bytes, modifiedMs: 0 })
    const reason = new Error('nobody waits any more')
    const cancelled = async (fault: ProxyFault, call: (signal: AbortSignal) => Promise<unknown>) => {
      const controller = new AbortController()
      const before = proxy.requests
      faults.push(fault)
      const called = call(controller.signal)
      await until('the request', () => proxy.requests > before)
      controller.abort(reason)
      await expect(called).rejects.toBe(reason)
    }
    await cancelled({ kind: 'hang' }, signal => store.put('b', [text('1')], signal))
    await cancelled({ kind: 'hang' }, signal => store.put('b', [bytes], signal))
    await cancelled({ kind: 'hang' }, signal => store.getRange('a', 0, 1, signal))
    await cancelled({ kind: 'stall', afterBytes: 1000 }, signal => store.getRange('a', 0, bytes.length, signal))
    await cancelled({ kind: 'hang' }, signal => store.list('', '', signal)[Symbol.asyncIterator]().next())
    expect((await store.getRange('a', 0, bytes.length, patient)).equals(bytes)).toBe(true)
  })

  it('notices bytes that were altered on their way', async () => {
    const s3 = await server()
    const store = open(s3)
    const given = Buffer.from(bytes)
    const written = store.put('a', [given], patient)
    given[given.length - 1]! ^= 1
    await expect(written).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(s3.objects.size).toBe(0)
  })

  it('takes an upload back of which a part failed', async () => {
    const { s3, proxy, store } = await behindProxy({ partBytes: 2 ** 20 })
    proxy.onRequest = ({ method, path }) =>
      method === 'PUT' && path.includes('partNumber=2') ? { kind: 'answer', status: 503 } : null
    await expect(store.put('a', [bytes], patient)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await store.close()
    expect([s3.openUploads, s3.objects.size]).toEqual([0, 0])
  })

  it('waits for no other part when one has failed', async () => {
    const { proxy, store } = await behindProxy({ partBytes: 2 ** 20 })
    let hanging = 0
    proxy.onRequest = ({ path }) => {
      if (path.includes('partNumber=1')) hanging++
      if (path.includes('partNumber=1')) return { kind: 'hang' }
      return path.includes('partNumber=2') ? { kind: 'answer', status: 403 } : null
    }
    const beganMs = performance.now()
    await expect(store.put('a', [bytes], patient)).rejects.toMatchObject({ code: 'STORE_DENIED' })
    // A connection that hangs is given up after ten seconds.
    expect(performance.now() - beganMs).toBeLessThan(9_000)
    expect(hanging).toBe(1)
  })

  it('takes an upload back that was cancelled', async () => {
    const { s3, proxy, store } = await behindProxy({ partBytes: 2 ** 20 })
    const controller = new AbortController()
    const reason = new Error('nobody waits any more')
    proxy.onRequest = ({ path }) => {
      if (path.includes('partNumber=3')) controller.abort(reason)
      return null
    }
    await expect(store.put('a', [bytes], controller.signal)).rejects.toBe(reason)
    await store.close()
    expect([s3.openUploads, s3.objects.size]).toEqual([0, 0])
  })
})
