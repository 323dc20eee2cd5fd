import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadSettings } from '#config/load-settings.ts'
import { openObjectStore } from '#object-store/object-store.ts'
import { createStoreMetrics } from '#observe/store-metrics.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { systemRandom } from '#system/random.ts'
import { startFaultProxy } from '#test/support/fault-proxy.ts'
import { type SmallS3, startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)

async function openWith(env: Record<string, string>) {
  const loaded = loadSettings({ argv: [], env, readFile: () => '' })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const metrics = createStoreMetrics()
  const ports = { disk: systemDisk, clock: systemClock, random: systemRandom }
  const opened = await openObjectStore(loaded.settings, { ...ports, metrics, report: () => {} })
  onTestFinished(() => opened.store.close())
  return { ...opened, metrics }
}

async function smallS3(): Promise<SmallS3> {
  const s3 = await startSmallS3()
  onTestFinished(() => s3.close())
  return s3
}

describe('the store that the settings choose', () => {
  it('is a directory inside the data directory, or another one', async () => {
    const dataDir = await temporaryDirectory()
    const { store, isRemote } = await openWith({ CHRONIK_DATA_DIR: dataDir })
    await store.put('a/b', [text('1')], patient)
    expect(await systemDisk.list(`${dataDir}/store/a`)).toEqual(['b'])
    expect([store.place, isRemote]).toEqual([`file://${dataDir}/store`, false])
    const elsewhere = await openWith({ LOCAL_STORAGE_PATH: `${dataDir}/elsewhere` })
    expect(elsewhere.store.place).toBe(`file://${dataDir}/elsewhere`)
  })

  it('is a bucket, asked again when it does not answer, and observed', async () => {
    const s3 = await smallS3()
    const proxy = await startFaultProxy(s3.endpoint)
    onTestFinished(() => proxy.close())
    const { accessKeyId, secretAccessKey } = s3.credentials
    const { store, isRemote, metrics, failingSinceMs } = await openWith({
      ...{ STORAGE_BACKEND: 's3', S3_BUCKET: s3.bucket, S3_ENDPOINT: proxy.endpoint, S3_PREFIX: 'p' },
      ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    })
    expect([store.place, isRemote]).toEqual([`s3://${s3.bucket}/p`, true])
    let failures = 2
    proxy.onRequest = () => (failures-- > 0 ? { kind: 'lose' } : null)
    // The first attempt has created it.
    expect(await store.putIfAbsent('a', [text('1')], patient)).toBe(true)
    expect([...s3.objects.keys()]).toEqual(['p/a'])
    expect(metrics.storeRequests.of(1).value).toBe(3)
    expect(metrics.storeErrors.samples()).toMatchObject([
      { labels: { kind: 'create', code: 'STORE_UNAVAILABLE' }, value: 2 },
    ])
    expect(failingSinceMs()).toBeNull()
  })

  it.each([
    ['S3_ENDPOINT', 'S3_REGION'],
    ['AWS_ENDPOINT_URL_S3', 'AWS_REGION'],
    ['AWS_ENDPOINT_URL', 'AWS_DEFAULT_REGION'],
  ])('is where %s says, signed for %s, with the token that belongs to the keys', async (endpoint, region) => {
    const s3 = await smallS3()
    s3.sessionToken = 'TOKEN'
    const { accessKeyId, secretAccessKey } = s3.credentials
    const { store } = await openWith({
      ...{ STORAGE_BACKEND: 's3', S3_BUCKET: s3.bucket, [endpoint]: s3.endpoint, [region]: 'here-1' },
      ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: 'TOKEN' },
    })
    await store.put('a', [text('1')], patient)
    expect([s3.objects.size, s3.region]).toEqual([1, 'here-1'])
  })

  it('finds its keys as the AWS tools do, or says that there are none', async () => {
    const s3 = await smallS3()
    const { accessKeyId, secretAccessKey } = s3.credentials
    const directory = await temporaryDirectory()
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`
    await writeFile(
      `${directory}/credentials`,
      `[default]\naws_access_key_id = X\naws_secret_access_key = Y\n[mine]\n${keys}`,
    )
    const put = async (environment: Record<string, string>) => {
      for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) vi.stubEnv(name, undefined)
      vi.stubEnv('AWS_CONFIG_FILE', `${directory}/none`)
      vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
      for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
      const env = { STORAGE_BACKEND: 's3', S3_BUCKET: s3.bucket, S3_ENDPOINT: s3.endpoint }
      await (await openWith(env)).store.put('a', [text('1')], patient).finally(() => vi.unstubAllEnvs())
    }
    const none = { AWS_SHARED_CREDENTIALS_FILE: `${directory}/none` }
    await expect(put(none)).rejects.toMatchObject({
      code: 'STORE_DENIED',
      message: expect.stringContaining('no credentials'),
    })
    expect(s3.requests).toEqual([])
    await put({ ...none, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey })
    await put({ AWS_SHARED_CREDENTIALS_FILE: `${directory}/credentials`, AWS_PROFILE: 'mine' })
    expect(s3.requests.length).toBe(2)
    const another = put({ AWS_SHARED_CREDENTIALS_FILE: `${directory}/credentials` })
    await expect(another).rejects.toMatchObject({ code: 'STORE_DENIED' })
  })

  it.each([
    [{ STORAGE_BACKEND: 's3', S3_BUCKET: 'b' }, 's3://b'],
    [{ STORAGE_BACKEND: 'gcs', GCS_BUCKET: 'b', GCS_PREFIX: 'p' }, 'gs://b/p'],
    [
      { STORAGE_BACKEND: 'azure', AZURE_CONTAINER: 'c', AZURE_STORAGE_ACCOUNT: 'a', AZURE_STORAGE_KEY: 'aGk=' },
      'azure://a/c',
    ],
    [
      {
        ...{ STORAGE_BACKEND: 'azure', AZURE_CONTAINER: 'c', AZURE_PREFIX: 'p' },
        AZURE_STORAGE_CONNECTION_STRING:
          'AccountName=a;AccountKey=aGk=;DefaultEndpointsProtocol=https;EndpointSuffix=core.windows.net',
      },
      'azure://a/c/p',
    ],
  ])('is the one of %j', async (env, place) => {
    expect((await openWith(env)).store.place).toBe(place)
  })

  it('is none of a connection string that is none', async () => {
    const env = { STORAGE_BACKEND: 'azure', AZURE_CONTAINER: 'c', AZURE_STORAGE_CONNECTION_STRING: 'hush' }
    const failure = await openWith(env).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'STORE_DENIED',
      message: expect.stringContaining('AZURE_STORAGE_CONNECTION_STRING'),
    })
    expect(String(failure)).not.toContain('hush')
  })

  it('loads nothing of the services for a directory', async () => {
    const directory = await temporaryDirectory()
    const script = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context) } })
      const { openObjectStore } = await import('#object-store/object-store.ts')
      const { systemDisk: disk } = await import('#system/disk.ts')
      const { systemRandom: random } = await import('#system/random.ts')
      await openObjectStore({ storageBackend: 'local', localStoragePath: '${directory}' }, { disk, random }, 'write')
      console.log(loaded.filter(url => /aws|azure|google|smithy/.test(url)).length, loaded.length > 5)`
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval', script]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    expect(stdout).toBe('0 true\n')
  })
})
