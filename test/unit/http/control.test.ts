import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { controlRequest, jsonAnswer, listenControl, type Route } from '#http/http.ts'
import { createLogger } from '#observe/log.ts'
import { systemClock } from '#system/clock.ts'
import { listenLocal } from '#system/local-socket.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const log = createLogger({ level: 'silent', pretty: false, output: { write: () => {}, flush: async () => {} } })
const timeoutMs = 5000

async function start(routes: Route[]) {
  const dataDirectory = await temporaryDirectory()
  const listener = await listenControl({ dataDirectory, routes, clock: systemClock, log })
  onTestFinished(() => listener.close(0))
  return { dataDirectory, listener }
}

describe('the control socket', () => {
  it('carries a question and its answer', async () => {
    const { dataDirectory } = await start([
      {
        method: 'POST',
        path: '/echo',
        handle: ({ body, query }) => jsonAnswer(200, { body: JSON.parse(body.toString()), n: query.get('n') }),
      },
    ])
    const asked = controlRequest(dataDirectory, { method: 'POST', path: '/echo?n=1', body: { a: [1] }, timeoutMs })
    expect(await asked).toEqual({ body: { a: [1] }, n: '1' })
  })

  it('throws the error that the broker answered', async () => {
    const { dataDirectory } = await start([
      {
        method: 'GET',
        path: '/x',
        handle: () => {
          throw new ChronikError('TOPIC_EXISTS', 'conflict', 'the topic exists')
        },
      },
    ])
    await expect(controlRequest(dataDirectory, { method: 'GET', path: '/x', timeoutMs })).rejects.toMatchObject({
      name: 'ChronikError',
      code: 'TOPIC_EXISTS',
      kind: 'invalid',
      message: 'the topic exists',
    })
  })

  it('says that no broker runs, where there is no socket, a dead one, or no directory', async () => {
    const { dataDirectory, listener } = await start([])
    await listener.close(0)
    const noBroker = { code: 'NO_BROKER', message: expect.stringContaining(dataDirectory) }
    const ask = (directory: string) => controlRequest(directory, { method: 'GET', path: '/', timeoutMs })
    await expect(ask(dataDirectory)).rejects.toMatchObject(noBroker)
    await expect(ask(`${dataDirectory}/none`)).rejects.toMatchObject(noBroker)
  })

  it('does not wait for ever for a broker that does not answer', async () => {
    const dataDirectory = await temporaryDirectory()
    const mute = createServer(socket => void onTestFinished(() => void socket.destroy()))
    const listener = await listenLocal(mute, `${dataDirectory}/chronik.sock`)
    onTestFinished(() => listener.close())
    await expect(controlRequest(dataDirectory, { method: 'GET', path: '/', timeoutMs: 50 })).rejects.toMatchObject({
      code: 'CONTROL_REQUEST_FAILED',
      message: expect.stringContaining('did not answer'),
    })
  })
})
