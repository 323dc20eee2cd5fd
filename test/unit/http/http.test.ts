import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { type HttpRequest, jsonAnswer, listenHttp, operationsRoutes, type Route } from '#http/http.ts'
import { createExposition } from '#observe/exposition.ts'
import { createLogger } from '#observe/log.ts'
import { Counter } from '#observe/metrics.ts'
import { systemClock } from '#system/clock.ts'
import { until } from '#test/support/until.ts'

async function start(routes: Route[]) {
  const lines: string[] = []
  const log = createLogger({
    level: 'info',
    pretty: false,
    output: { write: line => void lines.push(line), flush: async () => {} },
  })
  const listener = await listenHttp({ host: '127.0.0.1', port: 0, routes, clock: systemClock, log })
  onTestFinished(() => listener.close(0))
  const url = `http://127.0.0.1:${listener.port}`
  return { listener, url, lines }
}

const route = (method: Route['method'], path: string, handle: Route['handle']): Route => ({ method, path, handle })

describe('the HTTP server', () => {
  it('calls the handler of the method and path, with query and body', async () => {
    let seen: HttpRequest | undefined
    const { url } = await start([
      route('GET', '/a', () => jsonAnswer(200, 'get')),
      route('POST', '/a', request => {
        seen = request
        return jsonAnswer(201, { made: true })
      }),
    ])
    expect(await (await fetch(`${url}/a`)).json()).toBe('get')
    const answer = await fetch(`${url}/a?x=1&y=%20`, { method: 'POST', body: 'text' })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toEqual({ made: true })
    expect([...seen!.query]).toEqual([
      ['x', '1'],
      ['y', ' '],
    ])
    expect(seen!.body.toString()).toBe('text')
  })

  it('answers HEAD like GET, without the body', async () => {
    const { url } = await start([route('GET', '/a', () => jsonAnswer(200, 'text'))])
    const answer = await fetch(`${url}/a`, { method: 'HEAD' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe('7')
    expect(await answer.text()).toBe('')
  })

  it('says what there is instead of an unknown path or method', async () => {
    const { url } = await start([route('GET', '/a', () => jsonAnswer(200, 1))])
    const unknown = await fetch(`${url}/b`)
    expect(unknown.status).toBe(404)
    expect(await unknown.json()).toEqual({ error: { code: 'NOT_FOUND', message: 'there is no /b; there are /a' } })
    const wrong = await fetch(`${url}/a`, { method: 'DELETE' })
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('GET')
    expect(await wrong.json()).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED' } })
  })

  it('makes answers of errors, and tells nobody but the log what was not expected', async () => {
    const { url, lines } = await start([
      route('GET', '/conflict', () => {
        throw new ChronikError('TOPIC_EXISTS', 'conflict', 'the topic exists')
      }),
      route('GET', '/broken', async () => {
        throw new Error('the secret is 42')
      }),
    ])
    const conflict = await fetch(`${url}/conflict`)
    expect(conflict.status).toBe(409)
    expect(await conflict.json()).toEqual({ error: { code: 'TOPIC_EXISTS', message: 'the topic exists' } })
    expect(lines).toEqual([])
    const broken = await fetch(`${url}/broken`)
    expect(broken.status).toBe(500)
    expect(await broken.text()).not.toContain('secret')
    expect(lines.join()).toContain('the secret is 42')
  })

  it('refuses a body beyond the limit without calling the handler', async () => {
    const { url } = await start([route('POST', '/a', () => expect.unreachable())])
    const answer = await fetch(`${url}/a`, { method: 'POST', body: 'x'.repeat(2 ** 20 + 1) })
    expect(answer.status).toBe(413)
  })

  it('refuses headers beyond the limit and what is not HTTP', async () => {
    const { url, listener } = await start([route('GET', '/a', () => jsonAnswer(200, 1))])
    expect((await fetch(`${url}/a`, { headers: { long: 'x'.repeat(17_000) } })).status).toBe(431)
    for (const garbage of ['\0\0\0\x10garbage\r\n\r\n', 'GET // HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n']) {
      const client = connect(listener.port, '127.0.0.1').setEncoding('latin1')
      onTestFinished(() => void client.destroy())
      client.write(garbage, 'latin1')
      let said = ''
      client.on('data', text => {
        said += text
      })
      await once(client, 'close')
      expect(said).toMatch(/^HTTP\/1\.1 40[04] /)
    }
    expect((await fetch(`${url}/a`)).status).toBe(200)
  })

  it('tells a handler when its client has gone', async () => {
    let signal: AbortSignal | undefined
    const { url } = await start([
      route('GET', '/slow', async request => {
        signal = request.signal
        await once(request.signal, 'abort')
        return jsonAnswer(200, 1)
      }),
    ])
    const stop = new AbortController()
    const asking = fetch(`${url}/slow`, { signal: stop.signal }).catch(() => 'gone')
    await until('the request arrives', () => signal !== undefined)
    stop.abort()
    expect(await asking).toBe('gone')
    await until('the handler knows', () => signal?.aborted === true)
  })
})

describe('closing the HTTP server', () => {
  it('lets a request finish, and refuses new ones', async () => {
    let finish: () => void = () => {}
    let arrived = false
    const { url, listener } = await start([
      route('GET', '/slow', async () => {
        arrived = true
        await new Promise<void>(resolve => {
          finish = resolve
        })
        return jsonAnswer(200, 'finished')
      }),
    ])
    const running = fetch(`${url}/slow`)
    await until('the request arrives', () => arrived)
    const closed = listener.close(10_000)
    await expect(fetch(`${url}/slow`)).rejects.toThrow()
    finish()
    expect(await (await running).json()).toBe('finished')
    await closed
  })

  it('cuts off what has not finished by the deadline', async () => {
    let arrived = false
    const { url, listener } = await start([
      route('GET', '/never', () => {
        arrived = true
        return new Promise(() => {})
      }),
    ])
    const running = fetch(`${url}/never`).catch(() => 'cut off')
    await until('the request arrives', () => arrived)
    await listener.close(20)
    expect(await running).toBe('cut off')
  })

  it('names a port that is taken', async () => {
    const { listener } = await start([])
    const log = createLogger({ level: 'silent', pretty: false, output: { write: () => {}, flush: async () => {} } })
    const second = listenHttp({ host: '127.0.0.1', port: listener.port, routes: [], clock: systemClock, log })
    await expect(second).rejects.toMatchObject({
      code: 'CANNOT_LISTEN',
      message: expect.stringContaining(String(listener.port)),
    })
  })
})

describe('the routes for operators', () => {
  it('serve metrics and health', async () => {
    const counter = new Counter('c_total', 'help')
    let health = { reasons: ['the log is recovering'], warnings: [] as string[] }
    const { url } = await start(operationsRoutes(createExposition([counter], systemClock), () => health))
    counter.value = 7
    const metrics = await fetch(`${url}/metrics`)
    expect(metrics.headers.get('content-type')).toContain('version=0.0.4')
    expect(await metrics.text()).toContain('\nc_total 7\n')
    expect(await (await fetch(`${url}/health/live`)).json()).toEqual({ status: 'live' })
    const notReady = await fetch(`${url}/health/ready`)
    expect(notReady.status).toBe(503)
    expect(await notReady.json()).toEqual({ status: 'not ready', reasons: ['the log is recovering'] })
    health = { reasons: [], warnings: ['the store is slow'] }
    expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({
      status: 'ready',
      warnings: ['the store is slow'],
    })
    health = { reasons: [], warnings: [] }
    const ready = await fetch(`${url}/health/ready`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).toEqual({ status: 'ready' })
  })
})
