// Objects in a container of Azure Blob Storage. The client library tries nothing twice (retry.ts does).

import type { Readable } from 'node:stream'
import {
  BlobServiceClient,
  type BlockBlobClient,
  type ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { assert } from '#base/assert.ts'
import { ChronikError, messageOf } from '#base/errors.ts'
import { assertKey, isKey, LIST_PAGE_OBJECTS } from './keys.ts'
import type { ObjectFacts, ObjectStore } from './object-store.ts'
import { Slots } from './slots.ts'
import { objectMissing, StoreError, type StoreErrorCode } from './store-errors.ts'
import { bytesOf, collect, streamOf } from './transfer.ts'

export interface AzureOptions {
  readonly container: string
  /** Before every key; '' or without a slash at its ends. */
  readonly prefix: string
  readonly access:
    | { readonly kind: 'key'; readonly account: string; readonly key: string; readonly endpoint: string | null }
    | { readonly kind: 'connection-string'; readonly text: string }
}

/** Further requests wait. */
const REQUESTS_AT_ONCE = 64

export function openAzureStore(options: AzureOptions): ObjectStore {
  return new AzureStore(options)
}

function connect({ access }: AzureOptions): BlobServiceClient {
  const once = { retryOptions: { maxTries: 1 } }
  if (access.kind === 'connection-string') {
    try {
      return BlobServiceClient.fromConnectionString(access.text, once)
    } catch (error) {
      const message = `this is no connection string: check AZURE_STORAGE_CONNECTION_STRING (${messageOf(error)})`
      throw new StoreError('STORE_DENIED', message)
    }
  }
  const { account, key, endpoint } = access
  const url = endpoint ?? `https://${account}.blob.core.windows.net`
  return new BlobServiceClient(url, new StorageSharedKeyCredential(account, key), once)
}

class AzureStore implements ObjectStore {
  readonly place: string
  readonly #prefix: string
  readonly #container: ContainerClient
  readonly #slots = new Slots(REQUESTS_AT_ONCE)

  constructor(options: AzureOptions) {
    const { container, prefix } = options
    const service = connect(options)
    this.place = ['azure:/', service.accountName, container, ...(prefix === '' ? [] : [prefix])].join('/')
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#container = service.getContainerClient(container)
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    await this.#upload(key, pieces, signal, {})
  }

  async putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    try {
      await this.#upload(key, pieces, signal, { conditions: { ifNoneMatch: '*' } })
      return true
    } catch (error) {
      // 412 where another write of it is under way.
      if (codeOf(error) === 'BlobAlreadyExists' || codeOf(error) === 'ConditionNotMet') return false
      throw error
    }
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    assert(length > 0 && from >= 0, 'a range has a byte at least')
    const blob = this.#blobOf(key)
    try {
      return await this.#named(signal, async () => {
        const answer = await blob.download(from, length, { abortSignal: signal, maxRetryRequests: 0 })
        const { contentRange = '', readableStreamBody } = answer
        return collect(readableStreamBody as Readable, this.#sizeOf(contentRange, from, length), key)
      })
    } catch (error) {
      // The range begins behind the end.
      if (codeOf(error) === 'InvalidRange') return Buffer.alloc(0)
      if (codeOf(error) === 'BlobNotFound') throw objectMissing(this.place, key, error)
      throw error
    }
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    const blob = this.#blobOf(key)
    try {
      const { contentLength, lastModified } = await this.#named(signal, () =>
        blob.getProperties({ abortSignal: signal }),
      )
      return this.#factsOf(key, contentLength, lastModified)
    } catch (error) {
      if (codeOf(error) === 'BlobNotFound') return null
      throw error
    }
  }

  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    const behind = after === '' ? {} : { startFrom: this.#prefix + after }
    const asked = { prefix: this.#prefix + prefix, abortSignal: signal, ...behind }
    const pages = this.#container.listBlobsFlat(asked).byPage({ maxPageSize: LIST_PAGE_OBJECTS })
    for (;;) {
      const next = await this.#named(signal, () => pages.next())
      if (next.done === true) return
      for (const { name, properties } of next.value.segment?.blobItems ?? this.#notAzure('no list came')) {
        const key = name.slice(this.#prefix.length)
        const { contentLength, lastModified } = properties
        // The list may begin before what was asked for; and what is no key of ours is not ours.
        if (isKey(key) && key > after) yield this.#factsOf(key, contentLength, lastModified)
        signal.throwIfAborted()
      }
    }
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const blob = this.#blobOf(key)
    try {
      await this.#named(signal, () => blob.delete({ abortSignal: signal, deleteSnapshots: 'include' }))
    } catch (error) {
      if (codeOf(error) !== 'BlobNotFound') throw error
    }
  }

  async close(): Promise<void> {}

  async #upload(key: string, pieces: readonly Uint8Array[], signal: AbortSignal, conditions: object): Promise<void> {
    const blob = this.#blobOf(key)
    const options = { abortSignal: signal, ...conditions }
    const { etag } = await this.#named(signal, () => blob.upload(() => streamOf(pieces), bytesOf(pieces), options))
    if (etag === undefined) this.#notAzure('a write has no result')
  }

  #blobOf(key: string): BlockBlobClient {
    assertKey(key)
    return this.#container.getBlockBlobClient(this.#prefix + key)
  }

  #sizeOf(contentRange: string, from: number, length: number): number {
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange) ?? []
    if (first === undefined) return this.#notAzure('it gives no ranges of objects')
    const wanted = Math.min(length, Number(total) - from)
    if (Number(first) === from && Number(last) - from + 1 === wanted) return wanted
    throw new StoreError('STORE_UNAVAILABLE', `${this.place} gave ${contentRange} for ${length} bytes from ${from} on`)
  }

  #factsOf(key: string, sizeBytes: number | undefined, modified: Date | undefined): ObjectFacts {
    if (sizeBytes === undefined || modified === undefined) return this.#notAzure(`no facts about ${key}`)
    return { key, sizeBytes, modifiedMs: modified.getTime() }
  }

  async #named<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    try {
      return await this.#slots.use(signal, act)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error instanceof ChronikError) throw error
      const { containerName } = this.#container
      if (codeOf(error) === 'ContainerNotFound') {
        const message = `there is no container ${containerName} in ${this.place}: create it, or check AZURE_CONTAINER`
        throw new StoreError('BUCKET_MISSING', message, withoutRequest(error))
      }
      const [code, advice] = verdictOf(error)
      throw new StoreError(code, `${this.place}: ${advice} (${wordsOf(error)})`, withoutRequest(error))
    }
  }

  #notAzure(reason: string): never {
    const message = `${this.place}: what answers there is not Azure Blob Storage (${reason}): check AZURE_ENDPOINT`
    throw new StoreError('STORE_REFUSED', message)
  }
}

interface AzureFailure {
  readonly code?: string
  readonly statusCode?: number
  /** Of an answer without a body. */
  readonly details?: { readonly errorCode?: string }
}

/** Of the answer, also where it has become an error of the store. */
function codeOf(thrown: unknown): string {
  const { cause = thrown } = thrown as { cause?: unknown }
  const { code, details } = cause as AzureFailure
  return code ?? details?.errorCode ?? ''
}

/** The library's errors hold the request, and with it the signature. */
function withoutRequest(error: unknown): unknown {
  const { statusCode } = error as AzureFailure
  return Object.assign(new Error(messageOf(error)), { code: codeOf(error), statusCode })
}

function wordsOf(error: unknown): string {
  const { statusCode } = error as AzureFailure
  const said = [
    statusCode === undefined ? '' : `HTTP ${statusCode}`,
    codeOf(error),
    messageOf(error).split('\n', 1)[0]!.slice(0, 300),
  ]
  return said.filter(part => part !== '').join(' ')
}

const WRONG_KEY =
  'the key does not belong to the account, or the clock of this machine is wrong: check AZURE_STORAGE_KEY'

const BY_CODE: Readonly<Record<string, readonly [StoreErrorCode, string]>> = {
  AuthenticationFailed: ['STORE_DENIED', WRONG_KEY],
  AuthorizationFailure: ['STORE_DENIED', 'this account does not let this machine in: check its firewall and its keys'],
  AuthorizationPermissionMismatch: ['STORE_DENIED', 'these credentials have no right to do that'],
  AccountIsDisabled: ['STORE_DENIED', 'the account is disabled'],
  BlobImmutableDueToPolicy: [
    'STORE_REFUSED',
    'a policy of the container keeps its objects as they are: use one without',
  ],
  ServerBusy: ['STORE_UNAVAILABLE', 'it cannot answer now'],
  ENOTFOUND: ['STORE_UNAVAILABLE', 'nobody knows that host: check AZURE_STORAGE_ACCOUNT and AZURE_ENDPOINT'],
  ECONNREFUSED: ['STORE_UNAVAILABLE', 'nobody listens there: check AZURE_ENDPOINT'],
}

function verdictOf(error: unknown): readonly [StoreErrorCode, string] {
  const { statusCode: status = 0 } = error as AzureFailure
  const known = BY_CODE[codeOf(error)]
  if (known !== undefined) return known
  if (status === 401 || status === 403) return ['STORE_DENIED', 'these credentials have no right to do that']
  if (status === 0) return ['STORE_UNAVAILABLE', 'it did not answer']
  if (status === 408 || status === 429 || (status >= 500 && status !== 501))
    return ['STORE_UNAVAILABLE', 'it cannot answer now']
  return ['STORE_REFUSED', 'it does not accept the request']
}
