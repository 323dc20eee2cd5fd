import { once } from 'node:events'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { listenLocal, withLocalAddress } from '#system/local-socket.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

function greeter(greeting: string): Server {
  return createServer(socket => void socket.end(greeting))
}

function readFrom(path: string): Promise<string> {
  return withLocalAddress(path, async address => {
    const client = connect(address).setEncoding('utf8')
    const [text] = await once(client, 'data')
    client.destroy()
    return text as string
  })
}

async function listen(greeting: string, path: string) {
  const listener = await listenLocal(greeter(greeting), path)
  onTestFinished(() => listener.close())
  return listener
}

describe('a local socket', () => {
  it('can be used by its owner alone, and leaves nothing else in its directory', async () => {
    const directory = await temporaryDirectory()
    const listener = await listen('hello', `${directory}/a.sock`)
    expect(await readFrom(`${directory}/a.sock`)).toBe('hello')
    expect((await stat(`${directory}/a.sock`)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['a.sock'])
    await listener.close()
    expect(await readdir(directory)).toEqual([])
  })

  it('takes the place of what an earlier process left', async () => {
    const directory = await temporaryDirectory()
    await writeFile(`${directory}/a.sock`, 'stale')
    await listen('new', `${directory}/a.sock`)
    expect(await readFrom(`${directory}/a.sock`)).toBe('new')
  })

  it('does not disturb another one when it closes', async () => {
    const [one, two] = [await temporaryDirectory(), await temporaryDirectory()]
    const first = await listen('one', `${one}/a.sock`)
    await listen('two', `${two}/a.sock`)
    await withLocalAddress(`${two}/a.sock`, () => first.close())
    expect(await readFrom(`${two}/a.sock`)).toBe('two')
  })

  it.runIf(process.platform === 'linux')('may be in a directory with a long path', async () => {
    const directory = `${await temporaryDirectory()}/${'long'.repeat(50)}`
    await mkdir(directory)
    await listen('far', `${directory}/a.sock`)
    expect(await readFrom(`${directory}/a.sock`)).toBe('far')
  })

  it('says which socket it could not make', async () => {
    const directory = await temporaryDirectory()
    await mkdir(`${directory}/a.sock`)
    await expect(listenLocal(greeter(''), `${directory}/a.sock`)).rejects.toMatchObject({
      code: 'CANNOT_LISTEN',
      message: expect.stringContaining(`${directory}/a.sock`),
    })
    expect(await readdir(directory)).toEqual(['a.sock'])
  })
})
