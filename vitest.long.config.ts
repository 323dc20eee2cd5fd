import { readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'
import { alias } from './vitest.config.ts'

const MINUTE_MS = 60_000

// Each folder of test/long is a project: npm run test:long -- --project crash. They share the machine, so one file at a time.
const folders = readdirSync(new URL('./test/long', import.meta.url), { withFileTypes: true })

export default defineConfig({
  test: {
    fileParallelism: false,
    projects: folders
      .filter(entry => entry.isDirectory())
      .map(({ name }) => ({
        resolve: { alias },
        test: {
          name,
          include: [`test/long/${name}/**/*.test.ts`],
          testTimeout: 60 * MINUTE_MS,
          hookTimeout: 10 * MINUTE_MS,
          expect: { poll: { timeout: 30_000 } },
          pool: 'forks',
        },
      })),
  },
})
