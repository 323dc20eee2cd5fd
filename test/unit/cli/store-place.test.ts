import { describe, expect, it } from 'vitest'
import { flagsOfPlace } from '#cli/store-place.ts'
import { loadSettings } from '#config/load-settings.ts'

/** Of brokers that have another store. */
const env = {
  STORAGE_BACKEND: 's3',
  S3_BUCKET: 'other',
  S3_PREFIX: 'elsewhere',
  S3_ENDPOINT: 'http://127.0.0.1:9000',
  GCS_PREFIX: 'elsewhere',
  AZURE_PREFIX: 'elsewhere',
  AZURE_STORAGE_ACCOUNT: 'account',
  AZURE_STORAGE_KEY: 'a2V5',
}

function settingsOf(from: string) {
  const loaded = loadSettings({ argv: flagsOfPlace(from), env, readFile: () => '' })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded.settings
}

describe('the place of a store', () => {
  it('is a directory', () => {
    for (const from of ['/mnt/store', 'file:///mnt/store']) {
      expect(settingsOf(from)).toMatchObject({ storageBackend: 'local', localStoragePath: '/mnt/store' })
    }
  })

  it('is a bucket, and a prefix in it, which is reached as the other settings say', () => {
    const reached = { storageBackend: 's3', s3Bucket: 'b', s3Endpoint: 'http://127.0.0.1:9000' }
    expect(settingsOf('s3://b')).toMatchObject({ ...reached, s3Prefix: '' })
    expect(settingsOf('s3://b/')).toMatchObject({ ...reached, s3Prefix: '' })
    expect(settingsOf('s3://b/p/q/')).toMatchObject({ ...reached, s3Prefix: 'p/q' })
    expect(settingsOf('gs://b/p')).toMatchObject({ storageBackend: 'gcs', gcsBucket: 'b', gcsPrefix: 'p' })
    expect(settingsOf('gs://b')).toMatchObject({ storageBackend: 'gcs', gcsBucket: 'b', gcsPrefix: '' })
    const azure = { storageBackend: 'azure', azureContainer: 'c', azureStorageAccount: 'account' }
    expect(settingsOf('azure://c/p')).toMatchObject({ ...azure, azurePrefix: 'p' })
    expect(settingsOf('azure://c')).toMatchObject({ ...azure, azurePrefix: '' })
  })

  it('is refused if it is neither', () => {
    for (const from of ['http://host/bucket', 's3://', 'gs:///prefix', 'S3://bucket']) {
      expect(() => flagsOfPlace(from)).toThrow(`--from takes a directory, s3://bucket`)
    }
    expect(() => settingsOf('s3://b/../p')).toThrow('--s3-prefix')
    expect(() => settingsOf('')).toThrow('--local-storage-path: needs a value')
  })
})
