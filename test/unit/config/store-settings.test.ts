import { describe, expect, it } from 'vitest'
import { renderConfigDocs } from '#config/config-docs.ts'
import { loadSettings } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { settingsHelp } from '#config/settings-help.ts'

function load(env: Record<string, string>, argv: string[] = []) {
  return loadSettings({ argv, env, readFile: () => '' })
}

function settingsOf(env: Record<string, string>): Settings {
  const loaded = load(env)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded.settings
}

function errorsOf(env: Record<string, string>): string[] {
  const loaded = load(env)
  return loaded.ok ? [] : loaded.errors
}

describe('the settings of the object store', () => {
  it('are a local directory, unless they say otherwise', () => {
    expect(settingsOf({})).toMatchObject({ storageBackend: 'local', localStoragePath: null })
    expect(settingsOf({ STORAGE_BACKEND: 'embedded', LOCAL_STORAGE_PATH: '/mnt/store' })).toMatchObject({
      storageBackend: 'local',
      localStoragePath: '/mnt/store',
    })
  })

  it('have the names that other tools use', () => {
    const credentials = { AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'SK', AWS_SESSION_TOKEN: 'ST' }
    const s3 = {
      S3_BUCKET: 'b',
      S3_REGION: 'r',
      S3_ENDPOINT: 'http://h:9000/',
      S3_PREFIX: '/p/q/',
      S3_PATH_STYLE: 'false',
    }
    expect(settingsOf({ OBJECT_STORE_BACKEND: 'S3', ...s3, ...credentials })).toMatchObject({
      storageBackend: 's3',
      ...{ s3Bucket: 'b', s3Region: 'r', s3Endpoint: 'http://h:9000', s3Prefix: 'p/q', s3PathStyle: false },
      ...{ s3AccessKeyId: 'AK', s3SecretAccessKey: 'SK', s3SessionToken: 'ST' },
    })
    const gcs = {
      GCS_BUCKET: 'b',
      STORAGE_EMULATOR_HOST: 'localhost:4443',
      GOOGLE_APPLICATION_CREDENTIALS: '/key.json',
    }
    expect(settingsOf({ OBJECT_STORE_TYPE: 'gcs', ...gcs })).toMatchObject({
      storageBackend: 'gcs',
      ...{ gcsBucket: 'b', gcsEndpoint: 'http://localhost:4443', gcsCredentials: '/key.json', gcsPrefix: '' },
    })
    const azure = {
      AZURE_CONTAINER: 'c',
      AZURE_STORAGE_ACCOUNT: 'a',
      AZURE_STORAGE_KEY: 'k',
      AZURE_ENDPOINT: 'https://h/a',
    }
    expect(settingsOf({ CHRONIK_STORAGE_BACKEND: 'azure', ...azure })).toMatchObject({
      storageBackend: 'azure',
      ...{ azureContainer: 'c', azureStorageAccount: 'a', azureStorageKey: 'k', azureEndpoint: 'https://h/a' },
    })
  })

  it.each([
    [{ STORAGE_BACKEND: 's3' }, ['storage-backend is s3 and there is no s3-bucket: set S3_BUCKET']],
    [{ STORAGE_BACKEND: 'gcs' }, ['storage-backend is gcs and there is no gcs-bucket: set GCS_BUCKET']],
    [
      { STORAGE_BACKEND: 'azure', AZURE_STORAGE_ACCOUNT: 'a' },
      [
        'storage-backend is azure and there is no azure-container: set AZURE_CONTAINER',
        expect.stringContaining('set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or AZURE_STORAGE_CONNECTION_STRING'),
      ],
    ],
    [
      { STORAGE_BACKEND: 's3', S3_BUCKET: 'b', AWS_ACCESS_KEY_ID: 'a' },
      [expect.stringMatching(/^s3-access-key-id is set and s3-secret-access-key is not/)],
    ],
    [
      { STORAGE_BACKEND: 's3', S3_BUCKET: 'b', AWS_SECRET_ACCESS_KEY: 'a' },
      [expect.stringMatching(/^s3-secret-access-key is set and s3-access-key-id is not/)],
    ],
    [
      { STORAGE_BACKEND: 's3', S3_BUCKET: 'b', AWS_SESSION_TOKEN: 'a' },
      [expect.stringMatching(/^s3-session-token is set without/)],
    ],
  ])('are refused when something is missing: %j', (env, errors) => {
    expect(errorsOf(env)).toEqual(errors)
  })

  it('need nothing of a store that is not chosen', () => {
    expect(load({ AWS_ACCESS_KEY_ID: 'a', AWS_SESSION_TOKEN: 'b' })).toMatchObject({ ok: true, warnings: [] })
    const azure = { STORAGE_BACKEND: 'azure', AZURE_CONTAINER: 'c', AZURE_STORAGE_CONNECTION_STRING: 'x' }
    expect(errorsOf(azure)).toEqual([])
  })

  it('warn who names a bucket and does not choose it', () => {
    const warnings = ['s3 is not used for b: storage-backend is local; set STORAGE_BACKEND=s3 to use it']
    expect(load({ S3_BUCKET: 'b' })).toMatchObject({ ok: true, warnings })
  })

  it.each([
    ['STORAGE_BACKEND', 'ftp', 'must be one of local, s3, gcs, azure'],
    ['S3_BUCKET', 's3://bucket/prefix', 'takes a name alone'],
    ['S3_BUCKET', 'bucket/prefix', 'must be the name of a bucket'],
    ['S3_ENDPOINT', 'http://', 'must be an HTTP URL'],
    ['S3_ENDPOINT', 'http://me:secret@h', 'takes no user'],
    ['S3_ENDPOINT', 'http://h/?a', 'takes no ?'],
    ['S3_PREFIX', 'a b', 'letters, digits'],
    ['S3_PREFIX', 'a//b', 'letters, digits'],
    ['S3_PREFIX', 'a/../b', 'letters, digits'],
    ['S3_PREFIX', 'x'.repeat(121), 'up to 120'],
  ])('refuse a bad value: %s=%s', (variable, value, problem) => {
    expect(errorsOf({ [variable]: value })).toEqual([expect.stringContaining(problem)])
  })

  it('never show a secret, not even a bad one', () => {
    const secrets = ['s3SecretAccessKey', 's3SessionToken', 'azureStorageKey', 'azureConnectionString'] as const
    const variables: Record<(typeof secrets)[number], string> = {
      s3SecretAccessKey: 'AWS_SECRET_ACCESS_KEY',
      s3SessionToken: 'AWS_SESSION_TOKEN',
      azureStorageKey: 'AZURE_STORAGE_KEY',
      azureConnectionString: 'AZURE_STORAGE_CONNECTION_STRING',
    }
    for (const name of secrets) {
      const own = `CHRONIK_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
      const twice = load({ [own]: 'hush-one', [variables[name]]: 'hush-two' })
      expect(twice).toMatchObject({ ok: true, warnings: [`${variables[name]}: ignored, since ${own} is set as well`] })
      const bad = load({ [variables[name]]: 'hush\u0007' })
      expect(bad).toMatchObject({ ok: false, errors: [`${variables[name]}: must be printable ASCII`] })
      expect(JSON.stringify([{ ...twice, settings: null }, bad])).not.toContain('hush')
    }
    expect(settingsHelp() + renderConfigDocs()).toContain('s3-secret-access-key')
  })
})
