// Objects in a bucket of Google Cloud Storage, by its JSON API. Google's library finds the credentials and sends the requests;
// docs/decisions/google-cloud-storage.md says why it is not the library for this service.

import type { Readable } from 'node:stream'
import { type AuthClient, GoogleAuth, type gaxios, PassThroughClient } from 'google-auth-library'
import { assert } from '#base/assert.ts'
import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import type { Random } from '#base/ports.ts'
import { assertKey, isKey, LIST_PAGE_OBJECTS } from './keys.ts'
import type { ObjectFacts, ObjectStore } from './object-store.ts'
import { Slots } from './slots.ts'
import { objectMissing, StoreError, type StoreErrorCode } from './store-errors.ts'
import { bytesOf, checksumOf, collect, streamOf } from './transfer.ts'

export interface GcsOptions {
  readonly bucket: string
  /** Before every key; '' or without a slash at its ends. */
  readonly prefix: string
  /** Null for Google itself; an emulator is not given credentials. */
  readonly endpoint: string | null
  /** The file with them. Null: from the surroundings, as Google's tools find them. */
  readonly credentialsFile: string | null
  readonly random: Random
}

const GOOGLE = 'https://storage.googleapis.com'
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write'
/** Further requests wait. */
const REQUESTS_AT_ONCE = 64
/** Nothing is tried again, and nothing is compressed on its way. */
const PLAINLY: gaxios.GaxiosOptions & { compress: boolean } = { retry: false, compress: false }
const BOUNDARY_BYTES = 16

export function openGcsStore(options: GcsOptions): ObjectStore {
  return new GcsStore(options)
}

class GcsStore implements ObjectStore {
  readonly place: string
  readonly #bucket: string
  readonly #prefix: string
  readonly #endpoint: string
  readonly #random: Random
  readonly #slots = new Slots(REQUESTS_AT_ONCE)
  readonly #findClient: () => Promise<AuthClient>
  #client: Promise<AuthClient> | null = null

  constructor({ bucket, prefix, endpoint, credentialsFile, random }: GcsOptions) {
    this.place = prefix === '' ? `gs://${bucket}` : `gs://${bucket}/${prefix}`
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#endpoint = endpoint ?? GOOGLE
    this.#random = random
    const isEmulated = endpoint !== null && credentialsFile === null
    const found = credentialsFile === null ? {} : { keyFilename: credentialsFile }
    this.#findClient = async () =>
      isEmulated ? new PassThroughClient() : await new GoogleAuth({ scopes: SCOPE, ...found }).getClient()
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    await this.#upload(key, pieces, signal, {})
  }

  async putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    try {
      await this.#upload(key, pieces, signal, { ifGenerationMatch: 0 })
      return true
    } catch (error) {
      if (statusOf(error) === 412) return false
      throw error
    }
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    assert(length > 0 && from >= 0, 'a range has a byte at least')
    const url = this.#objectUrl(key)
    const headers = { range: `bytes=${from}-${from + length - 1}` }
    try {
      return await this.#named(signal, async () => {
        const request = { url, headers, params: { alt: 'media' }, responseType: 'stream', signal } as const
        const answer = await this.#send<Readable>(request)
        const range = answer.headers.get('content-range') ?? ''
        return collect(answer.data, this.#sizeOf(range, from, length), key)
      })
    } catch (error) {
      // The range begins behind the end.
      if (statusOf(error) === 416) return Buffer.alloc(0)
      if (statusOf(error) !== 404) throw error
      await this.#mustBeThere(signal)
      throw objectMissing(this.place, key, error)
    }
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    const url = this.#objectUrl(key)
    try {
      const request = { url, params: { fields: 'name,size,updated' }, responseType: 'json', signal } as const
      return this.#factsOf(await this.#named(signal, async () => (await this.#send<GcsObject>(request)).data))
    } catch (error) {
      if (statusOf(error) !== 404) throw error
      await this.#mustBeThere(signal)
      return null
    }
  }

  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    let pageToken = ''
    do {
      const page = await this.#page(prefix, { after, pageToken, maxResults: LIST_PAGE_OBJECTS }, signal)
      for (const object of page.items ?? []) {
        const facts = this.#factsOf(object)
        // The list begins with what it is to come behind; and what is no key of ours is not ours.
        if (isKey(facts.key) && facts.key > after) yield facts
        signal.throwIfAborted()
      }
      pageToken = page.nextPageToken ?? ''
    } while (pageToken !== '')
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const url = this.#objectUrl(key)
    try {
      await this.#named(signal, () => this.#send({ url, method: 'DELETE', signal }))
    } catch (error) {
      if (statusOf(error) !== 404) throw error
      await this.#mustBeThere(signal)
    }
  }

  async close(): Promise<void> {}

  // ---- requests

  /** What the object is, and behind it its bytes, in one body. */
  async #upload(key: string, pieces: readonly Uint8Array[], signal: AbortSignal, conditions: object): Promise<void> {
    assertKey(key)
    const type = 'application/octet-stream'
    const facts = JSON.stringify({ name: this.#prefix + key, contentType: type, crc32c: checksumOf(pieces) })
    // Nobody can know it who writes records.
    const boundary = Buffer.from(this.#random.bytes(BOUNDARY_BYTES)).toString('hex')
    const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${facts}\r\n--${boundary}\r\ncontent-type: ${type}\r\n\r\n`
    const body = [Buffer.from(head), ...pieces, Buffer.from(`\r\n--${boundary}--`)]
    await this.#ofBucket(signal, async () => {
      const answer = await this.#send<GcsObject>({
        url: `${this.#endpoint}/upload/storage/v1/b/${this.#bucket}/o`,
        method: 'POST',
        params: { uploadType: 'multipart', fields: 'name', ...conditions },
        headers: {
          'content-type': `multipart/related; boundary=${boundary}`,
          'content-length': String(bytesOf(body)),
        },
        data: streamOf(body),
        responseType: 'json',
        signal,
      })
      if (answer.data.name === undefined) throw this.#notGcs('a write has no result')
    })
  }

  async #page(prefix: string, asked: Asked, signal: AbortSignal): Promise<GcsPage> {
    const { after, pageToken, maxResults } = asked
    const params = {
      maxResults,
      prefix: this.#prefix + prefix,
      fields: 'kind,items(name,size,updated),nextPageToken',
      ...(after === '' ? {} : { startOffset: this.#prefix + after }),
      ...(pageToken === '' ? {} : { pageToken }),
    }
    const url = `${this.#endpoint}/storage/v1/b/${this.#bucket}/o`
    return this.#ofBucket(signal, async () => {
      const { data } = await this.#send<GcsPage>({ url, params, responseType: 'json', signal })
      if (data.kind === undefined) throw this.#notGcs('no list came')
      return data
    })
  }

  /** An answer that an object is missing is also given where the bucket is. */
  async #mustBeThere(signal: AbortSignal): Promise<void> {
    await this.#page('', { after: '', pageToken: '', maxResults: 1 }, signal)
  }

  #send<T>(request: gaxios.GaxiosOptions & { signal: AbortSignal }) {
    return this.#slots.use(request.signal, async () => {
      const client = await this.#authorized()
      return client.request<T>({ ...request, ...PLAINLY })
    })
  }

  /** With a token that is still valid for a while. */
  async #authorized(): Promise<AuthClient> {
    this.#client ??= this.#findClient()
    try {
      const client = await this.#client
      await client.getRequestHeaders()
      return client
    } catch (error) {
      this.#client = null
      const status = answeredStatusOf(error)
      if (status >= 500 || isSystemCode(systemCodeOf(error))) throw error
      throw this.#withoutCredentials(error)
    }
  }

  // ---- answers

  #sizeOf(contentRange: string, from: number, length: number): number {
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange) ?? []
    if (first === undefined) throw this.#notGcs('it gives no ranges of objects')
    const wanted = Math.min(length, Number(total) - from)
    if (Number(first) === from && Number(last) - from + 1 === wanted) return wanted
    throw new StoreError('STORE_UNAVAILABLE', `${this.place} gave ${contentRange} for ${length} bytes from ${from} on`)
  }

  #factsOf({ name = '', size, updated = '' }: GcsObject): ObjectFacts {
    const key = name.slice(this.#prefix.length)
    const modifiedMs = Date.parse(updated)
    if (size === undefined || Number.isNaN(modifiedMs)) throw this.#notGcs(`no facts about ${key}`)
    return { key, sizeBytes: Number(size), modifiedMs }
  }

  #objectUrl(key: string): string {
    assertKey(key)
    return `${this.#endpoint}/storage/v1/b/${this.#bucket}/o/${encodeURIComponent(this.#prefix + key)}`
  }

  // ---- errors

  async #named<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    try {
      return await act()
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error instanceof ChronikError) throw error
      const [code, advice] = verdictOf(error)
      throw new StoreError(
        code,
        `${this.place} at ${this.#endpoint}: ${advice} (${wordsOf(error)})`,
        withoutRequest(error),
      )
    }
  }

  /** Of a request for which nothing but the bucket can be missing. */
  async #ofBucket<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    try {
      return await this.#named(signal, act)
    } catch (error) {
      throw statusOf(error) === 404 ? this.#missingBucket(error) : error
    }
  }

  #missingBucket(cause: unknown): StoreError {
    const message = `there is no bucket ${this.#bucket} at ${this.#endpoint}: create it, or check GCS_BUCKET`
    return new StoreError('BUCKET_MISSING', message, cause)
  }

  #withoutCredentials(error: unknown): StoreError {
    const advice = 'set GOOGLE_APPLICATION_CREDENTIALS to a file with them, or give this machine a service account'
    const message = `${this.place}: there are no valid credentials, or the clock of this machine is wrong: ${advice}`
    return new StoreError('STORE_DENIED', `${message} (${wordsOf(error)})`, withoutRequest(error))
  }

  #notGcs(reason: string): StoreError {
    const message = `${this.place} at ${this.#endpoint}: what answers there is not Google Cloud Storage (${reason})`
    return new StoreError('STORE_REFUSED', `${message}: check GCS_ENDPOINT`)
  }
}

interface Asked {
  readonly after: string
  readonly pageToken: string
  readonly maxResults: number
}

interface GcsObject {
  readonly name?: string
  readonly size?: string
  readonly updated?: string
}

interface GcsPage {
  readonly kind?: string
  readonly items?: readonly GcsObject[]
  readonly nextPageToken?: string
}

/** Of the answer, also where it has become an error of the store. */
function statusOf(thrown: unknown): number {
  const { cause = thrown } = thrown as { cause?: { status?: number } }
  return (cause as { status?: number }).status ?? 0
}

/** The library's errors hold the request, and with it the token. */
function withoutRequest(error: unknown): unknown {
  return Object.assign(new Error(messageOf(error)), { status: answeredStatusOf(error), code: systemCodeOf(error) })
}

function answeredStatusOf(error: unknown): number {
  return (error as { response?: { status?: number } }).response?.status ?? 0
}

function isSystemCode(code: string): boolean {
  return /^E[A-Z]+$/.test(code) && code !== 'ENOENT'
}

function wordsOf(error: unknown): string {
  const status = answeredStatusOf(error)
  const words = messageOf(error).split('\n', 1)[0]!.slice(0, 300)
  return status === 0 ? words : `HTTP ${status} ${words}`
}

function verdictOf(error: unknown): readonly [StoreErrorCode, string] {
  const status = answeredStatusOf(error)
  const systemCode = systemCodeOf(error) || systemCodeOf((error as { cause?: unknown }).cause)
  if (status === 401) return ['STORE_DENIED', 'the credentials are not valid: check GOOGLE_APPLICATION_CREDENTIALS']
  if (status === 403)
    return ['STORE_DENIED', 'these credentials have no right to do that: let them read, write, list and delete']
  if (status === 408 || status === 429 || (status >= 500 && status !== 501))
    return ['STORE_UNAVAILABLE', 'it cannot answer now']
  if (status >= 300) return ['STORE_REFUSED', 'it does not accept the request']
  if (systemCode === 'ENOTFOUND') return ['STORE_UNAVAILABLE', 'nobody knows that host: check GCS_ENDPOINT']
  if (systemCode === 'ECONNREFUSED') return ['STORE_UNAVAILABLE', 'nobody listens there: check GCS_ENDPOINT']
  return ['STORE_UNAVAILABLE', 'it did not answer']
}
