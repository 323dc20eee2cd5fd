import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { systemDisk } from '#system/disk.ts'
import { describeDisk } from '#test/contract/disk.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

describeDisk('the real disk', async () => ({ disk: systemDisk, directory: await temporaryDirectory() }))

describe('the real disk', () => {
  it('names the file and keeps the code of the system in errors', async () => {
    const directory = await temporaryDirectory()
    await (await systemDisk.open(`${directory}/a`, 'create')).close()
    const file = await systemDisk.open(`${directory}/a`, 'read')
    const refused = { code: 'EBADF', message: expect.stringContaining(`${directory}/a`) }
    await expect(file.write(new Uint8Array(1), 0, 1, 0)).rejects.toMatchObject(refused)
    expect(() => file.writePiecesSync([new Uint8Array(1)], 0)).toThrow(expect.objectContaining(refused))
    await file.close()
  })

  it('closes a file only when the writes under way are done', async () => {
    const file = await systemDisk.open(`${await temporaryDirectory()}/a`, 'create')
    const bytes = new Uint8Array(4 * 2 ** 20).fill(3)
    let written = 0
    const writes = Array.from({ length: 8 }, async (_, i) => {
      await file.write(bytes, 0, bytes.length, i * bytes.length)
      written++
    })
    await file.close()
    expect(written).toBe(8)
    await Promise.all(writes)
    const reader = await systemDisk.open(file.path, 'read')
    expect(await reader.sizeBytes()).toBe(8 * bytes.length)
    await reader.close()
  })

  it.runIf(process.platform === 'linux')('reads on where the system gives less than was asked for', async () => {
    // Linux gives at most about a page of this one at a time.
    const file = await systemDisk.open('/proc/self/smaps', 'read')
    expect(await file.read(new Uint8Array(20_000), 0, 20_000, 0)).toBe(20_000)
    await file.close()
  })

  it.runIf(process.platform === 'linux')('leaves no file behind when it cannot be filled', async () => {
    const directory = await temporaryDirectory()
    const script = `
      import { systemDisk } from '#system/disk.ts'
      const fill = systemDisk.createFilled('${directory}/a', ${3 * 2 ** 20})
      await fill.then(() => console.log('filled'), error => console.log(error.code))`
    // The system refuses this process files of more than 2 MiB.
    const node = `'${process.execPath}' --input-type=module-typescript --eval "$SCRIPT"`
    const { stdout } = await promisify(execFile)('bash', ['-c', `trap '' XFSZ; ulimit -f 2048; ${node}`], {
      env: { ...process.env, SCRIPT: script },
    })
    expect(stdout).toBe('EFBIG\n')
    expect(await systemDisk.list(directory)).toEqual([])
  })
})
