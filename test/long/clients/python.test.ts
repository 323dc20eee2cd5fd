import { join } from 'node:path'
import { isMissing, runCommand } from '#test/support/commands.ts'
import { cached } from '#test/support/tool-cache.ts'
import { COORDINATION } from './catalogue.ts'
import { describeClient } from './client-program.ts'
import { here } from './here.ts'

const REQUIREMENTS = here('./python/requirements.txt')
const missing = isMissing('python3') ? 'python3' : null

/** A virtual environment with the clients, and how to run one of the programs in it. */
async function prepare(program: string) {
  const environment = await cached('python', [REQUIREMENTS], async directory => {
    await runCommand('python3', ['-m', 'venv', directory])
    await runCommand(join(directory, 'bin', 'pip'), ['install', '--quiet', '--requirement', REQUIREMENTS])
  })
  // -B: no compiled files beside the sources.
  return { file: join(environment, 'bin', 'python'), args: ['-B', here(`./python/${program}`)] }
}

describeClient({ client: 'confluent-kafka (Python)', missing, prepare: () => prepare('confluent_cases.py') })

describeClient({ client: 'kafka-python', missing, prepare: () => prepare('kafka_python_cases.py') })

describeClient({
  client: 'aiokafka',
  missing,
  lacks: { 'incremental-alter-configs': 'it has AlterConfigs only' },
  prepare: () => prepare('aiokafka_cases.py'),
})

const inGroups = (client: string, program: string) => ({
  client: `${client} in groups and transactions`,
  missing,
  catalogue: COORDINATION,
  prepare: () => prepare(program),
})

describeClient({
  ...inGroups('confluent-kafka (Python)', 'confluent_groups.py'),
  also: { 'new-protocol': 'shares partitions among members by the new protocol' },
})

describeClient(inGroups('kafka-python', 'kafka_python_groups.py'))

describeClient({
  ...inGroups('aiokafka', 'aiokafka_groups.py'),
  lacks: {
    'alter-offsets': 'its administrator changes no offsets',
    'delete-group': 'its administrator deletes no groups',
  },
})
