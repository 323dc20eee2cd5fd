import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// Long suites live in test/long and run by `npm run test:long`; everything else is `npm test`.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^#(test|scripts)\//, replacement: `${here('.')}/$1/` },
      { find: /^#/, replacement: here('./src/') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
  },
})
