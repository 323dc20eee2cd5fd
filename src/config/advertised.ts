import { isWildcard } from './setting-types.ts'
import type { Settings } from './settings.ts'

export interface HostPort {
  host: string
  port: number
}

/**
 * Where a client is told to connect to. Without a setting it is the address that the client has reached us at: on a
 * wildcard bind that is the one address known to work for this client.
 */
export function advertisedFor(
  settings: Pick<Settings, 'bindAddr' | 'advertisedAddr' | 'advertisedPort'>,
  local: { address: string; port: number },
): HostPort {
  const boundHost = isWildcard(settings.bindAddr) ? withoutMapping(local.address) : settings.bindAddr
  return { host: settings.advertisedAddr ?? boundHost, port: settings.advertisedPort ?? local.port }
}

/** As clients take it: `host:port`. An IPv6 address needs brackets, or its end reads as the port. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** A socket that listens on :: sees IPv4 clients at ::ffff:10.0.0.1; the client itself knows 10.0.0.1 only. */
function withoutMapping(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}
