// The settings of the object store, part of the one table in settings.ts. The variables are those that other tools have for the
// same things.

import { relative, resolve } from 'node:path'
import { setting } from './setting.ts'
import { boolean, bytes, endpoint, keyPrefix, optional, path, secret, storageBackend, word } from './setting-types.ts'

const bucket = word('NAME', 'the name of a bucket')
const group = 'store'

const MIB = 2 ** 20
const GIB = 2 ** 30
const TIB = 2 ** 40

export const STORE_SETTINGS = {
  storageBackend: setting({
    group,
    type: storageBackend,
    default: 'local',
    alsoEnv: ['STORAGE_BACKEND', 'OBJECT_STORE_BACKEND', 'OBJECT_STORE_TYPE'],
    about:
      'Where sealed segments are kept, and copies of what is needed to begin again: a directory of this machine, or a bucket.',
  }),
  localStoragePath: setting({
    group,
    type: optional(path),
    default: null,
    alsoEnv: ['LOCAL_STORAGE_PATH'],
    about: 'The directory of the local store. Unset: `store` inside the data directory.',
  }),
  cacheBytes: setting({
    group,
    type: bytes(64 * MIB, TIB),
    default: 10 * GIB,
    about:
      'Disk space, at most, for what was read from a bucket or just written to it. Enough is what consumers read again and ' +
      'again, and what those read that are just behind the log. It is taken as it is needed; 2 GiB of the file system, or 5 % ' +
      'if that is less, are left free. A local store needs none.',
  }),

  s3Bucket: setting({
    group,
    type: optional(bucket),
    default: null,
    alsoEnv: ['S3_BUCKET'],
    about: 'Bucket of S3, or of a service that speaks like it. It must exist.',
  }),
  s3Region: setting({
    group,
    type: optional(word('REGION', 'the name of a region')),
    default: null,
    alsoEnv: ['S3_REGION', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
    about: 'Region of the bucket. Unset: as the AWS tools find it, or us-east-1 where an endpoint is given.',
  }),
  s3Endpoint: setting({
    group,
    type: optional(endpoint),
    default: null,
    alsoEnv: ['S3_ENDPOINT', 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    about: 'Address of the service. Unset: AWS.',
  }),
  s3Prefix: setting({
    group,
    type: keyPrefix,
    default: '',
    alsoEnv: ['S3_PREFIX'],
    about: 'What all names in the bucket begin with, so that several systems can share it.',
  }),
  s3PathStyle: setting({
    group,
    type: optional(boolean),
    default: null,
    alsoEnv: ['S3_PATH_STYLE'],
    about: 'Whether requests name the bucket in the path, and not in the host. Unset: where an endpoint is given.',
  }),
  s3AccessKeyId: setting({
    group,
    type: optional(word('KEY', 'the id of an access key')),
    default: null,
    alsoEnv: ['AWS_ACCESS_KEY_ID'],
    about: 'Access key. Unset: as the AWS tools find it (profile, role of the machine or of the pod).',
  }),
  s3SecretAccessKey: setting({
    group,
    type: optional(secret),
    default: null,
    alsoEnv: ['AWS_SECRET_ACCESS_KEY'],
    about: 'Its secret. Better a variable than a flag, which every user of the machine can see.',
  }),
  s3SessionToken: setting({
    group,
    type: optional(secret),
    default: null,
    alsoEnv: ['AWS_SESSION_TOKEN'],
    about: 'The token of a temporary access key.',
  }),

  gcsBucket: setting({
    group,
    type: optional(bucket),
    default: null,
    alsoEnv: ['GCS_BUCKET'],
    about: 'Bucket of Google Cloud Storage. It must exist.',
  }),
  gcsPrefix: setting({
    group,
    type: keyPrefix,
    default: '',
    alsoEnv: ['GCS_PREFIX'],
    about: 'What all names in the bucket begin with.',
  }),
  gcsCredentials: setting({
    group,
    type: optional(path),
    default: null,
    alsoEnv: ['GOOGLE_APPLICATION_CREDENTIALS'],
    about: 'File with the credentials. Unset: as the Google tools find them (login, service account of the machine).',
  }),
  gcsEndpoint: setting({
    group,
    type: optional(endpoint),
    default: null,
    alsoEnv: ['GCS_ENDPOINT', 'STORAGE_EMULATOR_HOST'],
    about: 'Address of an emulator, which is given no credentials unless a file with them is named. Unset: Google.',
  }),

  azureContainer: setting({
    group,
    type: optional(word('NAME', 'the name of a container')),
    default: null,
    alsoEnv: ['AZURE_CONTAINER'],
    about: 'Container of Azure Blob Storage. It must exist.',
  }),
  azurePrefix: setting({
    group,
    type: keyPrefix,
    default: '',
    alsoEnv: ['AZURE_PREFIX'],
    about: 'What all names in the container begin with.',
  }),
  azureStorageAccount: setting({
    group,
    type: optional(word('NAME', 'the name of a storage account')),
    default: null,
    alsoEnv: ['AZURE_STORAGE_ACCOUNT'],
    about: 'Storage account, together with its key.',
  }),
  azureStorageKey: setting({
    group,
    type: optional(secret),
    default: null,
    alsoEnv: ['AZURE_STORAGE_KEY'],
    about: 'Key of the storage account.',
  }),
  azureConnectionString: setting({
    group,
    type: optional(secret),
    default: null,
    alsoEnv: ['AZURE_STORAGE_CONNECTION_STRING'],
    about: 'Connection string, instead of account, key and endpoint.',
  }),
  azureEndpoint: setting({
    group,
    type: optional(endpoint),
    default: null,
    alsoEnv: ['AZURE_ENDPOINT'],
    about: 'Address of the service or of an emulator, with the account if that stands in the path. Unset: Azure.',
  }),
}

type StoreSettings = { readonly [Name in keyof typeof STORE_SETTINGS]: (typeof STORE_SETTINGS)[Name]['default'] }

/** Then it is lost with the data directory: there is nothing to recover from it, and nobody else to own it. */
export function isStoreInside({
  storageBackend,
  localStoragePath,
  dataDir,
}: StoreSettings & { dataDir: string }): boolean {
  if (storageBackend !== 'local') return false
  return localStoragePath === null || !relative(resolve(dataDir), resolve(localStoragePath)).startsWith('..')
}

/** What is missing for the store that is chosen, or does not fit together. */
export function storeConflictsOf(settings: StoreSettings): string[] {
  switch (settings.storageBackend) {
    case 'local':
      return []
    case 's3':
      return s3Conflicts(settings)
    case 'gcs':
      return settings.gcsBucket === null ? [missing('gcs', 'gcs-bucket', 'GCS_BUCKET')] : []
    case 'azure':
      return azureConflicts(settings)
  }
}

/** Who names a bucket means to use it. */
export function storeWarningsOf(settings: StoreSettings): string[] {
  const { storageBackend: chosen, s3Bucket, gcsBucket, azureContainer } = settings
  const named = { s3: s3Bucket, gcs: gcsBucket, azure: azureContainer }
  return Object.entries(named)
    .filter(([backend, name]) => name !== null && backend !== chosen)
    .map(
      ([backend, name]) =>
        `${backend} is not used for ${name}: storage-backend is ${chosen}; set STORAGE_BACKEND=${backend} to use it`,
    )
}

function s3Conflicts({ s3Bucket, s3AccessKeyId, s3SecretAccessKey, s3SessionToken }: StoreSettings): string[] {
  const conflicts = s3Bucket === null ? [missing('s3', 's3-bucket', 'S3_BUCKET')] : []
  if ((s3AccessKeyId === null) !== (s3SecretAccessKey === null)) {
    const [given, other] =
      s3AccessKeyId === null
        ? ['s3-secret-access-key', 's3-access-key-id']
        : ['s3-access-key-id', 's3-secret-access-key']
    conflicts.push(`${given} is set and ${other} is not: set both, or none to find them as the AWS tools do`)
  } else if (s3SessionToken !== null && s3AccessKeyId === null) {
    conflicts.push('s3-session-token is set without s3-access-key-id and s3-secret-access-key: it belongs to them')
  }
  return conflicts
}

function azureConflicts(settings: StoreSettings): string[] {
  const { azureContainer, azureStorageAccount, azureStorageKey, azureConnectionString } = settings
  const conflicts = azureContainer === null ? [missing('azure', 'azure-container', 'AZURE_CONTAINER')] : []
  if (azureConnectionString === null && (azureStorageAccount === null || azureStorageKey === null)) {
    conflicts.push(
      'storage-backend is azure and there are no credentials: set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, ' +
        'or AZURE_STORAGE_CONNECTION_STRING',
    )
  }
  return conflicts
}

function missing(backend: string, key: string, variable: string): string {
  return `storage-backend is ${backend} and there is no ${key}: set ${variable}`
}
