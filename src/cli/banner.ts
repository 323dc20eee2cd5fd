import { advertisedFor, hostPort } from '#config/advertised.ts'
import { isWildcard } from '#config/setting-types.ts'
import type { Settings } from '#config/settings.ts'
import type { Server } from '#server/server.ts'
import { VERSION } from './version.ts'

/** What a person sees when the broker runs: what listens where, what is promised, what to try first. */
export function banner(settings: Settings, server: Server): string[] {
  const host = isWildcard(settings.bindAddr) ? 'localhost' : settings.bindAddr
  const kafka = hostPort(host, server.kafka.port)
  const metrics = `http://${hostPort(host, server.metricsPort ?? 0)}`
  const advertised = advertisedFor(settings, { address: 'the address they reached', port: server.kafka.port })
  const promise =
    settings.walSync.kind === 'always'
      ? 'acknowledged records are synced to disk: they survive kill -9 and power loss'
      : `acknowledged records are synced within ${settings.walSync.intervalMs} ms: they survive kill -9, not a power loss`
  return [
    '',
    `Chronik Stream ${VERSION}`,
    `  Kafka      ${hostPort(settings.bindAddr, server.kafka.port)}; clients are told ${hostPort(advertised.host, advertised.port)}`,
    `  Metrics    ${metrics}/metrics, health on /health/ready`,
    `  Data       ${settings.dataDir}`,
    `  Promise    ${promise}`,
    '  Security   none: nobody is authenticated, everybody who reaches the port may do everything',
    '',
    'Try:',
    `  echo hello | kcat -P -b ${kafka} -t first`,
    `  kcat -C -b ${kafka} -t first -o beginning -e`,
    `  kafka-topics.sh --bootstrap-server ${kafka} --create --topic second --partitions 3`,
    `  curl ${metrics}/health/ready`,
    '',
  ]
}
