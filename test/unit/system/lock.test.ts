import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { lockDirectory, lockForReading } from '#system/lock.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const holder = fileURLToPath(new URL('./hold-lock.ts', import.meta.url))

/** Another process that tries to lock the directory, and what it said. */
async function otherProcess(directory: string): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, [holder, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout!, 'data')) as [Buffer]
  return { child, said: line.toString().trim() }
}

describe('the lock of a data directory', () => {
  it('refuses a second owner and names the first', async () => {
    const directory = await temporaryDirectory()
    const { child, said } = await otherProcess(directory)
    expect(said).toBe('locked')
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_LOCKED',
      kind: 'conflict',
      message: expect.stringMatching(new RegExp(`${directory}.*process ${child.pid} `)),
    })
  })

  it('is free again as soon as its owner was killed', async () => {
    const directory = await temporaryDirectory()
    const { child } = await otherProcess(directory)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await lockDirectory(directory)
    expect((await otherProcess(directory)).said).toContain(`process ${process.pid} `)
    await lock.release()
  })

  it('does not believe a file that names a living process', async () => {
    const directory = await temporaryDirectory()
    await writeFile(`${directory}/lock.owner`, `process ${process.ppid} on here\n`)
    await (await lockDirectory(directory)).release()
  })

  it('refuses a second owner in the same process', async () => {
    const directory = await temporaryDirectory()
    const lock = await lockDirectory(directory)
    await expect(lockDirectory(directory)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_LOCKED' })
    await lock.release()
    await (await lockDirectory(directory)).release()
  })

  it('is given to one of many that start at once', async () => {
    const directory = await temporaryDirectory()
    const said = (await Promise.all(Array.from({ length: 6 }, () => otherProcess(directory)))).map(other => other.said)
    expect(said.filter(line => line === 'locked')).toHaveLength(1)
    expect(said.filter(line => line.startsWith('DATA_DIRECTORY_LOCKED'))).toHaveLength(5)
  })

  it('says what is wrong with a directory that cannot be locked', async () => {
    const directory = await temporaryDirectory()
    await expect(lockDirectory(`${directory}/none`)).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_UNUSABLE',
      kind: 'invalid',
      message: expect.stringContaining(`${directory}/none`),
    })
  })

  it('is refused to readers while somebody has it, and kept from owners while somebody reads', async () => {
    const directory = await temporaryDirectory()
    const owner = await lockDirectory(directory)
    await expect(lockForReading(directory)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_LOCKED' })
    await owner.release()
    const readers = [await lockForReading(directory), await lockForReading(directory)]
    expect((await otherProcess(directory)).said).toContain('DATA_DIRECTORY_LOCKED')
    for (const reader of readers) await reader.release()
    expect((await otherProcess(directory)).said).toBe('locked')
  })

  it('leaves nothing behind where somebody only reads', async () => {
    const directory = await temporaryDirectory()
    await (await lockForReading(directory)).release()
    expect(await readdir(directory)).toEqual([])
  })
})
