import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { VERSION } from '#cli/version.ts'

it('the release is the one of package.json', async () => {
  const manifest = await readFile(new URL('../../../package.json', import.meta.url), 'utf8')
  expect(VERSION).toBe((JSON.parse(manifest) as { version: string }).version)
})
