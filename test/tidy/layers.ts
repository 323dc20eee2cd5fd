// THINK ABOUT THE SHAPE OF THE WHOLE BEFORE YOU CHANGE THIS FILE. docs/ARCHITECTURE.md has the same table in words.

/** The folders of src. Each may import those above it, and none below. */
export const layers = [
  'base',
  'bytes',
  'observe',
  'config',
  'system',
  'records',
  'core',
  'segments',
  'commit',
  'object-store',
  'log',
  'tier',
  'security',
  'http',
  'kafka',
  'cluster',
  'cli',
  'server',
]

/** And these may import what is not above them. */
export const upward: Record<string, string[]> = { cli: ['server'] }

/** How far down src each of the other folders of code may look, and which of the others it may use. */
export const outside: Record<string, { lowest: string; folders: string[] }> = {
  indexer: { lowest: 'tier', folders: [] },
  query: { lowest: 'http', folders: ['indexer'] },
}

/** Folders of src that may import `indexer` and `query`: where everything is put together. */
export const compositionRoots = ['server']

/** Folders without a door: each of their files is for everyone. The others are entered through the file named after them. */
export const libraries = [
  'base',
  'bytes',
  'observe',
  'config',
  'system',
  'records',
  'core',
  'segments',
  'kafka/protocol',
]

/** Folders that are the lower half of another: it may use all of their files, nobody else any. */
export const lowerHalves: Record<string, string> = { commit: 'log' }

/** Stages of the data path that are files of their own, beside the door: one verb each. */
export const verbs: Record<string, string[]> = {
  'object-store': ['range-cache'],
  log: [
    'read-log',
    'copy-batches',
    'follow',
    'find-by-timestamp',
    'read-bounds',
    'retention',
    'dump',
    'repair',
    'directory-id',
    'place-checkpoint',
    'verify-log',
  ],
  tier: [
    'seal-plan',
    'recovery/recovery',
    'recovery/restore',
    'recovery/restore-directory',
    'recovery/pack',
    'recovery/progress',
    'verify/verify',
  ],
  server: ['restore', 'verify'],
}

/** Where the program begins, as a command and as a library. */
export const entries = ['src/cli/chronik.ts', 'src/server/embed.ts']

/** Modules of Node that only compute: for everyone. */
export const pureModules = ['node:path', 'node:util', 'node:url']

/** The others, by the folder of src that may touch them. */
export const nodeModules: Record<string, string[]> = {
  bytes: ['node:zlib', 'node:crypto', 'node:module'],
  core: ['node:crypto'],
  // The clients of the services take bodies as its streams.
  'object-store': ['node:stream'],
  security: ['node:crypto', 'node:tls'],
  http: ['node:http'],
  system: [
    'node:child_process',
    'node:crypto',
    'node:dns',
    'node:fs',
    'node:fs/promises',
    'node:net',
    'node:os',
    'node:perf_hooks',
    'node:sqlite',
    'node:worker_threads',
  ],
}

/** What comes from the surroundings: it is handed around instead (src/base/ports.ts), so that a simulation can replace it. */
export const ambient = [
  'AbortSignal.timeout',
  'Date.now',
  'Math.random',
  'console',
  'crypto',
  'fetch',
  'globalThis',
  'new Date()',
  'performance',
  'process',
  'setImmediate',
  'setInterval',
  'setTimeout',
]

/** What of it a folder of src may use. */
export const ambientIn: Record<string, string[]> = { system: ambient, config: ['process'] }

/** More lines than the rules allow, for a reason that must be named. A file that has become shorter leaves the list. */
export const longFiles: Record<string, { lines: number; reason: string }> = {}
export const longFunctions: Record<string, { lines: number; reason: string }> = {}
