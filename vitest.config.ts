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
    testTimeout: 20_000,
    hookTimeout: 20_000,
    expect: { poll: { timeout: 10_000 } },
    pool: 'forks',
  },
})
