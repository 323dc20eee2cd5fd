// Objects in a bucket of S3, or of one of the many that speak like it. The client library signs, connects and parses; it tries
// nothing twice (retry.ts does) and sums up nothing: each write carries the CRC-32C that was computed here, in native code, and
// the signature covers that instead of the bytes.

import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { assert } from '#base/assert.ts'
import { abortedWith } from '#base/linked-abort.ts'
import { assertKey, isKey, LIST_PAGE_OBJECTS } from './keys.ts'
import type { ObjectFacts, ObjectStore } from './object-store.ts'
import { missingBucket, notS3, type S3Place, s3ErrorOf } from './s3-errors.ts'
import { objectMissing, StoreError } from './store-errors.ts'
import { bytesOf, checksumOf, collect, sliceOf, streamOf } from './transfer.ts'

export interface S3Options {
  readonly bucket: string
  /** Before every key; '' or without a slash at its ends. */
  readonly prefix: string
  /** Null: from the surroundings, as the AWS tools find it. */
  readonly region: string | null
  /** Null for AWS itself. */
  readonly endpoint: string | null
  /** The bucket in the path and not in the host. */
  readonly pathStyle: boolean
  /** Null: from the surroundings, as the AWS tools find them. */
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | null
  readonly partBytes?: number
}

/** Requests at once; further ones wait for a connection. */
const CONNECTIONS = 64
const CONNECT_MS = 5_000
/** A connection on which nothing moves for so long is given up. */
const IDLE_MS = 10_000
/** Larger objects are sent in parts of this size, several at once. */
const PART_BYTES = 32 * 2 ** 20
const PARTS_AT_ONCE = 4
/** Smaller bodies are sent at once, and signed. */
const STREAMED_FROM_BYTES = 64 * 1024
/** S3 takes no larger one in one request. */
const LARGEST_CREATE_BYTES = 5 * 2 ** 30

const agent = { keepAlive: true, maxSockets: CONNECTIONS }
const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }

export function openS3Store(options: S3Options): ObjectStore {
  return new S3Store(options)
}

class S3Store implements ObjectStore {
  readonly place: string
  readonly #bucket: string
  readonly #prefix: string
  readonly #partBytes: number
  readonly #where: S3Place
  readonly #client: S3Client
  /** Uploads that are being taken back. */
  readonly #cleanups = new Set<Promise<unknown>>()

  constructor({ bucket, prefix, region, endpoint, pathStyle, credentials, partBytes = PART_BYTES }: S3Options) {
    this.place = prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#partBytes = partBytes
    this.#where = { place: this.place, bucket, endpoint: endpoint ?? 'AWS' }
    const anyRegion = region ?? (endpoint === null ? null : 'us-east-1')
    this.#client = new S3Client({
      ...(anyRegion === null ? {} : { region: anyRegion }),
      ...(endpoint === null ? {} : { endpoint }),
      ...(credentials === null ? {} : { credentials }),
      forcePathStyle: pathStyle,
      maxAttempts: 1,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // It would open a new connection for each large object.
      expectContinueHeader: false,
      requestHandler: {
        httpAgent: agent,
        httpsAgent: agent,
        connectionTimeout: CONNECT_MS,
        socketTimeout: IDLE_MS,
        logger: quiet,
      },
      logger: quiet,
    })
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const sizeBytes = bytesOf(pieces)
    if (sizeBytes > this.#partBytes) await this.#putInParts(this.#keyOf(key), pieces, signal)
    else await this.#putWhole(this.#keyOf(key), pieces, signal)
  }

  async putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    assert(bytesOf(pieces) <= LARGEST_CREATE_BYTES, 'an object is created in one request')
    try {
      await this.#putWhole(this.#keyOf(key), pieces, signal, '*')
      return true
    } catch (error) {
      if (statusOf(error) === 412) return false
      throw error
    }
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    assert(length > 0 && from >= 0, 'a range has a byte at least')
    const Key = this.#keyOf(key)
    const Range = `bytes=${from}-${from + length - 1}`
    return this.#named(signal, async () => {
      let answer: GetObjectCommandOutput
      try {
        answer = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key, Range }), {
          abortSignal: signal,
        })
      } catch (error) {
        if (nameOf(error) === 'NoSuchKey') throw objectMissing(this.place, key, error)
        // The range begins behind the end.
        if (nameOf(error) === 'InvalidRange') return Buffer.alloc(0)
        throw error
      }
      return collect(answer.Body as Readable, this.#sizeOf(answer, from, length), key)
    })
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    const Key = this.#keyOf(key)
    return this.#named(signal, async () => {
      try {
        const answer = await this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key }), {
          abortSignal: signal,
        })
        return this.#factsOf(key, answer.ContentLength, answer.LastModified)
      } catch (error) {
        if (statusOf(error) !== 404) throw error
        // An answer without a body does not say what is missing.
        await this.#mustBeThere(signal)
        return null
      }
    })
  }

  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    let token: string | undefined
    do {
      const page: ListObjectsV2CommandOutput = await this.#named(signal, () => {
        const where = token === undefined ? { StartAfter: after && this.#prefix + after } : { ContinuationToken: token }
        const asked = { Bucket: this.#bucket, Prefix: this.#prefix + prefix, MaxKeys: LIST_PAGE_OBJECTS, ...where }
        return this.#client.send(new ListObjectsV2Command(asked), { abortSignal: signal })
      })
      if (page.IsTruncated === undefined) throw notS3(this.#where, 'no list came')
      for (const { Key = '', Size, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#prefix.length)
        // What is no key of ours is not ours.
        if (isKey(key)) yield this.#factsOf(key, Size, LastModified)
        signal.throwIfAborted()
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined
      // What is not listed would count as not there.
      if (page.IsTruncated && token === undefined) throw notS3(this.#where, 'a list came with no way to the rest of it')
    } while (token !== undefined)
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const Key = this.#keyOf(key)
    await this.#named(signal, async () => {
      await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key }), { abortSignal: signal })
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.#cleanups)
    this.#client.destroy()
  }

  // ---- writing

  async #putWhole(Key: string, pieces: readonly Uint8Array[], signal: AbortSignal, absent?: '*'): Promise<void> {
    await this.#named(signal, async () => {
      const answer = await this.#client.send(
        new PutObjectCommand({
          Bucket: this.#bucket,
          Key,
          ...contentOf(pieces),
          ...(absent === undefined ? {} : { IfNoneMatch: absent }),
        }),
        { abortSignal: signal },
      )
      if (answer.ETag === undefined) throw notS3(this.#where, 'a write has no result')
    })
  }

  /** Nothing is there before the last step, and of what failed nothing stays. */
  async #putInParts(Key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const of = { Bucket: this.#bucket, Key }
    const { UploadId } = await this.#named(signal, () =>
      this.#client.send(new CreateMultipartUploadCommand({ ...of, ChecksumAlgorithm: 'CRC32C' }), {
        abortSignal: signal,
      }),
    )
    if (UploadId === undefined) throw notS3(this.#where, 'an upload has no id')
    try {
      const Parts = await this.#sendParts({ ...of, UploadId }, pieces, signal)
      const done = new CompleteMultipartUploadCommand({ ...of, UploadId, MultipartUpload: { Parts } })
      await this.#named(signal, () => this.#client.send(done, { abortSignal: signal }))
    } catch (error) {
      this.#takeBack({ ...of, UploadId })
      throw error
    }
  }

  async #sendParts(upload: Upload, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<SentPart[]> {
    const count = Math.ceil(bytesOf(pieces) / this.#partBytes)
    const sent: SentPart[] = []
    const either = abortedWith(signal)
    let next = 0
    const send = async () => {
      while (next < count) {
        const at = next++
        sent[at] = await this.#sendPart(
          upload,
          at + 1,
          sliceOf(pieces, at * this.#partBytes, (at + 1) * this.#partBytes),
          either.signal,
        )
      }
    }
    const senders = Array.from({ length: Math.min(PARTS_AT_ONCE, count) }, send)
    try {
      await Promise.all(senders)
    } catch (error) {
      either.abort(error)
      await Promise.allSettled(senders)
      throw error
    } finally {
      either.letGo()
    }
    return sent
  }

  async #sendPart(
    upload: Upload,
    PartNumber: number,
    slice: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<SentPart> {
    const content = contentOf(slice)
    const { ETag } = await this.#named(signal, () =>
      this.#client.send(new UploadPartCommand({ ...upload, PartNumber, ...content }), { abortSignal: signal }),
    )
    if (ETag === undefined) throw notS3(this.#where, 'a part has no result')
    return { PartNumber, ETag, ChecksumCRC32C: content.ChecksumCRC32C }
  }

  /** What cannot be taken back stays until a rule of the bucket for unfinished uploads removes it. */
  #takeBack(upload: Upload): void {
    const done = this.#client
      .send(new AbortMultipartUploadCommand(upload))
      .catch(() => {})
      .finally(() => this.#cleanups.delete(done))
    this.#cleanups.add(done)
  }

  // ---- reading

  /** How many bytes come, which must be all that were asked for but for the end of the object. */
  #sizeOf({ ContentRange = '', ContentLength }: GetObjectCommandOutput, from: number, length: number): number {
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange) ?? []
    if (first === undefined) throw notS3(this.#where, 'it gives no ranges of objects')
    const wanted = Math.min(length, Number(total) - from)
    const came = Number(last) - Number(first) + 1
    if (Number(first) === from && came === wanted && (ContentLength === undefined || ContentLength === wanted))
      return wanted
    throw new StoreError('STORE_UNAVAILABLE', `${this.place} gave ${ContentRange} for ${length} bytes from ${from} on`)
  }

  #factsOf(key: string, sizeBytes: number | undefined, modified: Date | undefined): ObjectFacts {
    if (sizeBytes === undefined || modified === undefined) throw notS3(this.#where, `no facts about ${key}`)
    // Some lists say it more exactly than the objects themselves.
    return { key, sizeBytes, modifiedMs: Math.floor(modified.getTime() / 1000) * 1000 }
  }

  async #mustBeThere(signal: AbortSignal): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }), { abortSignal: signal })
    } catch (error) {
      throw statusOf(error) === 404 ? missingBucket(this.#where, error) : error
    }
  }

  #keyOf(key: string): string {
    assertKey(key)
    return this.#prefix + key
  }

  async #named<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    try {
      return await act()
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw s3ErrorOf(error, this.#where)
    }
  }
}

interface Upload {
  readonly Bucket: string
  readonly Key: string
  readonly UploadId: string
}

interface SentPart {
  readonly PartNumber: number
  readonly ETag: string
  readonly ChecksumCRC32C: string
}

function contentOf(pieces: readonly Uint8Array[]) {
  const ContentLength = bytesOf(pieces)
  const Body = ContentLength < STREAMED_FROM_BYTES ? Buffer.concat(pieces) : streamOf(pieces)
  return { Body, ContentLength, ChecksumCRC32C: checksumOf(pieces) }
}

function nameOf(thrown: unknown): string {
  return (thrown as { name?: string }).name ?? ''
}

/** Of the answer, also where it has become an error of the store. */
function statusOf(thrown: unknown): number {
  const { cause = thrown } = thrown as { cause?: unknown }
  return (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0
}
