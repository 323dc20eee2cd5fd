import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isMissing, runCommand } from '#test/support/commands.ts'
import { cached } from '#test/support/tool-cache.ts'
import { COORDINATION } from './catalogue.ts'
import { describeClient } from './client-program.ts'
import { here } from './here.ts'

const MODULE = here('./go')
const missing = isMissing('go') ? 'go' : null

/** The program of the Go clients, built once per state of its sources, told which client to be. */
async function prepare(client: string) {
  const sources = readdirSync(MODULE).map(name => join(MODULE, name))
  const directory = await cached('go', sources, async built => {
    await runCommand('go', ['build', '-o', join(built, 'clients'), '.'], MODULE)
  })
  return { file: join(directory, 'clients'), args: [client] }
}

describeClient({ client: 'franz-go', missing, prepare: () => prepare('franz-go') })

describeClient({ client: 'sarama', missing, prepare: () => prepare('sarama') })

describeClient({
  client: 'kafka-go',
  missing,
  lacks: {
    idempotent: 'it has no idempotent producer',
    'delete-records': 'it has no DeleteRecords',
  },
  also: { connection: 'writes and reads over a connection of the lowest level, in the oldest versions' },
  prepare: () => prepare('kafka-go'),
})

const inGroups = (client: string) => ({
  client: `${client} in groups and transactions`,
  missing,
  catalogue: COORDINATION,
  prepare: () => prepare(`${client}-groups`),
})

describeClient({
  ...inGroups('franz-go'),
  also: {
    cooperative: 'takes away only what moves, with cooperative-sticky',
    'new-protocol': 'shares partitions among members by the new protocol',
  },
})

describeClient(inGroups('sarama'))

describeClient({
  ...inGroups('kafka-go'),
  lacks: {
    static: 'it has no static members',
    transactions: 'it has no transactional producer',
    'open-transaction': 'it has no transactional producer',
    process: 'it has no transactional producer',
    zombie: 'it has no transactional producer',
  },
})
