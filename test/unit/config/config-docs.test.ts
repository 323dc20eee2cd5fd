import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { renderConfigDocs } from '#config/config-docs.ts'

it('docs/CONFIG.md is what the tables say; if not: node scripts/generate-config-docs.ts', () => {
  const written = readFileSync(new URL('../../../docs/CONFIG.md', import.meta.url), 'utf8')
  expect(written).toBe(renderConfigDocs())
})
