import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { settingsFrom } from '#config/load-settings.ts'
import { startChronik } from '#server/embed.ts'
import { restoreFromStore } from '#server/restore.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

/** Every path below a directory, with what is in it and when it changed last. */
async function everythingIn(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const path of await readdir(root, { recursive: true })) {
    const { mtimeMs, isFile } = await stat(join(root, path)).then(facts => ({ ...facts, isFile: facts.isFile() }))
    const content = isFile ? (await readFile(join(root, path))).toString('hex') : ''
    found.set(path, `${mtimeMs} ${content}`)
  }
  return found
}

function look(dataDir: string, localStoragePath: string) {
  const loaded = settingsFrom({ dataDir, localStoragePath })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const wish = { atMs: null, takeOver: false, acceptsLoss: false, executes: false }
  return restoreFromStore({ ...wish, settings: loaded.settings, report() {} })
}

it('a look at what a directory would give back writes nothing there, and leaves alone what is being written', async () => {
  const root = await temporaryDirectory()
  const [dataDir, store] = [join(root, 'data'), join(root, 'store')]
  const chronik = await startChronik({ dataDir, localStoragePath: store })
  await chronik.close()
  await writeFile(join(store, '.new', 'half-an-object'), 'by another process')
  const before = await everythingIn(root)
  const { plan, owner } = await look(join(root, 'other'), store)
  expect(plan.isComplete).toBe(true)
  expect(owner).toContain('stopped in good order')
  expect(await everythingIn(root)).toEqual(before)
})

it('a look at a directory that is not there says so, and does not make it', async () => {
  const root = await temporaryDirectory()
  const looking = look(join(root, 'data'), join(root, 'store'))
  await expect(looking).rejects.toMatchObject({ code: 'BUCKET_MISSING' })
  expect(await readdir(root)).toEqual([])
})
