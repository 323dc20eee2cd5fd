import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** What package.json says under `imports`. */
export const alias = [
  { find: /^#(test|scripts|bench)\//, replacement: here('./$1/') },
  { find: /^#/, replacement: here('./src/') },
]

// The long suites are in vitest.long.config.ts.
export default defineConfig({
  resolve: { alias },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**'],
    // Guards against what hangs: long enough for a machine that is five times slower than usual.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
  },
})
