// Where a client is told to go: an address that works for it, never 0.0.0.0.

import { createServer } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ChronikOptions, startChronik } from '#server/embed.ts'
import { WireClient } from '#test/support/wire-client.ts'

const hasIpv6 = await new Promise<boolean>(resolve => {
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(0, '::1', () => server.close(() => resolve(true)))
})

async function start(options: ChronikOptions) {
  const chronik = await startChronik(options)
  onTestFinished(() => chronik.close())
  const { port } = chronik.kafka
  /** What a client that connects to `host` is told, by everything that tells it. */
  const told = async (host: string) => {
    const client = await WireClient.connect({ host, port })
    const { brokers } = await client.send('Metadata', 9, { topics: [] })
    const { brokers: ofCluster } = await client.send('DescribeCluster', 0, {})
    const { coordinators } = await client.send('FindCoordinator', 4, { keyType: 0, coordinatorKeys: ['group'] })
    client.close()
    const all = [...brokers, ...ofCluster, ...coordinators].map(broker => `${broker.host} ${broker.port}`)
    expect(all.length).toBe(3)
    return [...new Set(all)]
  }
  return { chronik, port, told }
}

describe('a client is told', () => {
  it('the address that it has connected to, on all of IPv4', async () => {
    const { chronik, port, told } = await start({ bindAddr: '0.0.0.0' })
    expect(await told('127.0.0.1')).toEqual([`127.0.0.1 ${port}`])
    expect(chronik.kafka.address).toBe(`127.0.0.1:${port}`)
  })

  it.runIf(hasIpv6)('the address that it has connected to, of either kind, on all addresses', async () => {
    const { port, told } = await start({ bindAddr: '::' })
    expect(await told('127.0.0.1')).toEqual([`127.0.0.1 ${port}`])
    expect(await told('::1')).toEqual([`::1 ${port}`])
  })

  it.runIf(hasIpv6)('the one address that is listened on', async () => {
    const { chronik, port, told } = await start({ bindAddr: '::1' })
    expect(await told('::1')).toEqual([`::1 ${port}`])
    expect(chronik.kafka).toEqual({ host: '::1', port, address: `[::1]:${port}` })
  })

  it('what the settings name, each for itself', async () => {
    const both = await start({ bindAddr: '0.0.0.0', advertisedAddr: 'kafka.example', advertisedPort: 19092 })
    expect(await both.told('127.0.0.1')).toEqual(['kafka.example 19092'])
    const port = await start({ bindAddr: '0.0.0.0', advertisedPort: 19092 })
    expect(await port.told('127.0.0.1')).toEqual(['127.0.0.1 19092'])
    const host = await start({ advertisedAddr: 'kafka.example' })
    expect(await host.told('127.0.0.1')).toEqual([`kafka.example ${host.port}`])
  })
})
