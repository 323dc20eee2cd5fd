// As much of S3 as our client asks for, in memory, for tests that must be quick: real servers are in test/long/stores. It checks
// that the bytes are those of the checksum, and believes every signature of keys that it knows.

import { once } from 'node:events'
import * as http from 'node:http'
import { crc32c } from '@node-rs/crc32'

const HOST = '127.0.0.1'

interface StoredObject {
  readonly bytes: Buffer
  readonly modifiedMs: number
}

export interface SmallS3 {
  readonly endpoint: string
  readonly bucket: string
  /** Whether there is one. */
  hasBucket: boolean
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Which those keys must come with; null: they are not temporary. */
  sessionToken: string | null
  /** The last request was signed for. */
  readonly region: string
  readonly objects: Map<string, StoredObject>
  /** Uploads in parts that were begun and neither completed nor aborted. */
  readonly openUploads: number
  /** `PUT a/b`, `GET a/b`, ... with the words of the query. */
  readonly requests: string[]
  close(): Promise<void>
}

export async function startSmallS3(): Promise<SmallS3> {
  const server = new Server()
  await server.listen()
  return server
}

class Refusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(code)
    this.status = status
    this.code = code
  }
}

interface Request {
  readonly method: string
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

/** The bucket and the parts of the key: it stands in the path, or in the host if that is a name. */
function placeOf(path: string, host: string): string[] {
  const parts = path.split('/').slice(1)
  return host.startsWith(HOST) ? parts : [host.split('.')[0]!, ...parts]
}

class Server implements SmallS3 {
  readonly bucket = 'small-bucket'
  hasBucket = true
  readonly credentials = { accessKeyId: 'AKSMALL', secretAccessKey: 'SKSMALL' }
  sessionToken: string | null = null
  region = ''
  readonly objects = new Map<string, StoredObject>()
  readonly requests: string[] = []
  readonly #uploads = new Map<string, Map<number, Buffer>>()
  readonly #server = http.createServer((request, response) => void this.#handle(request, response))
  #ids = 0

  get endpoint(): string {
    return `http://${HOST}:${(this.#server.address() as { port: number }).port}`
  }

  get openUploads(): number {
    return this.#uploads.size
  }

  async listen(): Promise<void> {
    this.#server.listen(0, HOST)
    await once(this.#server, 'listening')
  }

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #handle(incoming: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      const url = new URL(incoming.url ?? '', this.endpoint)
      const [bucket, ...rest] = placeOf(url.pathname, incoming.headers.host ?? '')
      const request = {
        method: incoming.method ?? '',
        key: decodeURIComponent(rest.join('/')),
        query: url.searchParams,
        headers: incoming.headers,
        body: Buffer.concat(chunks),
      }
      this.requests.push([request.method, request.key, ...[...url.searchParams.keys()].sort()].join(' '))
      this.#check(request, bucket ?? '')
      this.#answer(request, response)
    } catch (error) {
      if (!(error instanceof Refusal)) {
        response.destroy()
        return
      }
      const body = incoming.method === 'HEAD' ? '' : `<Error><Code>${error.code}</Code></Error>`
      response.writeHead(error.status, { 'content-type': 'application/xml' }).end(body)
    }
  }

  #check({ headers, body }: Request, bucket: string): void {
    const signed = /Credential=([^/]*)\/\d+\/([^/]*)\/s3\/.*SignedHeaders=([^,]*)/
    const [, accessKey, region = '', names = ''] = signed.exec(headers.authorization ?? '') ?? []
    this.region = region
    if (accessKey !== this.credentials.accessKeyId) throw new Refusal(403, 'InvalidAccessKeyId')
    const token = names.includes('x-amz-security-token') ? headers['x-amz-security-token'] : null
    if (token !== this.sessionToken) throw new Refusal(400, 'InvalidToken')
    if (bucket !== this.bucket || !this.hasBucket) throw new Refusal(404, 'NoSuchBucket')
    const given = headers['x-amz-checksum-crc32c']
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32c(body))
    if (given !== undefined && given !== sum.toString('base64')) throw new Refusal(400, 'BadDigest')
    if (body.length !== Number(headers['content-length'] ?? 0)) throw new Refusal(400, 'IncompleteBody')
  }

  #answer(request: Request, response: http.ServerResponse): void {
    const { method, key, query } = request
    if (query.has('uploads')) this.#beginUpload(response)
    else if (query.has('uploadId')) this.#continueUpload(request, response)
    else if (method === 'PUT') this.#put(request, response)
    else if (method === 'DELETE') {
      this.objects.delete(key)
      response.writeHead(204).end()
    } else if (key === '' && method === 'HEAD') response.writeHead(200).end()
    else if (key === '') this.#list(query, response)
    else this.#get(request, response)
  }

  #put({ key, headers, body }: Request, response: http.ServerResponse): void {
    if (headers['x-amz-checksum-crc32c'] === undefined) throw new Refusal(400, 'ChecksumMissing')
    if (headers['if-none-match'] === '*' && this.objects.has(key)) throw new Refusal(412, 'PreconditionFailed')
    this.objects.set(key, { bytes: body, modifiedMs: Date.now() })
    response.writeHead(200, { etag: '"1"' }).end()
  }

  #get({ method, key, headers }: Request, response: http.ServerResponse): void {
    const stored = this.objects.get(key)
    if (stored === undefined) throw new Refusal(404, 'NoSuchKey')
    const { bytes, modifiedMs } = stored
    const facts = { 'last-modified': new Date(modifiedMs).toUTCString(), etag: '"1"' }
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []
    if (first === undefined) {
      response.writeHead(200, { ...facts, 'content-length': bytes.length })
      response.end(method === 'HEAD' ? '' : bytes)
      return
    }
    if (Number(first) >= bytes.length) throw new Refusal(416, 'InvalidRange')
    const range = bytes.subarray(Number(first), Number(last) + 1)
    const contentRange = `bytes ${first}-${Number(first) + range.length - 1}/${bytes.length}`
    response.writeHead(206, { ...facts, 'content-length': range.length, 'content-range': contentRange }).end(range)
  }

  #list(query: URLSearchParams, response: http.ServerResponse): void {
    const prefix = query.get('prefix') ?? ''
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const keys = [...this.objects.keys()].filter(key => key.startsWith(prefix) && key > after).sort()
    const page = keys.slice(0, Number(query.get('max-keys') ?? 1000))
    const isTruncated = page.length < keys.length
    const contents = page.map(key => {
      const { bytes, modifiedMs } = this.objects.get(key)!
      const modified = new Date(modifiedMs).toISOString()
      return `<Contents><Key>${key}</Key><Size>${bytes.length}</Size><LastModified>${modified}</LastModified></Contents>`
    })
    const next = isTruncated ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
    const body = `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`
    response.writeHead(200, { 'content-type': 'application/xml' }).end(body)
  }

  #beginUpload(response: http.ServerResponse): void {
    const id = `upload-${++this.#ids}`
    this.#uploads.set(id, new Map())
    const result = `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`
    response.writeHead(200, { 'content-type': 'application/xml' }).end(result)
  }

  #continueUpload({ method, key, query, body }: Request, response: http.ServerResponse): void {
    const id = query.get('uploadId')!
    const parts = this.#uploads.get(id)
    if (parts === undefined) throw new Refusal(404, 'NoSuchUpload')
    if (method === 'PUT') {
      parts.set(Number(query.get('partNumber')), body)
      response.writeHead(200, { etag: '"1"' }).end()
      return
    }
    this.#uploads.delete(id)
    if (method === 'DELETE') {
      response.writeHead(204).end()
      return
    }
    const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(match => Number(match[1]))
    this.objects.set(key, { bytes: Buffer.concat(numbers.map(number => parts.get(number)!)), modifiedMs: Date.now() })
    const result = '<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'
    response.writeHead(200, { 'content-type': 'application/xml' }).end(result)
  }
}
