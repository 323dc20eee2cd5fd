import { BROKER_CONFIGS } from './broker-config-table.ts'
import { CONFIG_VARIABLE } from './environment.ts'
import { CONFIG_FLAG } from './flags.ts'
import { validValuesOf } from './kafka-config.ts'
import { SETTING_GROUPS } from './setting.ts'
import { entryOf, keyOf, PRODUCE_PROFILES, SETTING_NAMES, type SettingName, variablesOf } from './settings.ts'
import { TOPIC_CONFIG_NAMES, topicConfigOf } from './topic-config-table.ts'

const INTRODUCTION = `# Configuration

<!-- Written from src/config by npm run docs: edit the tables there. -->

Chronik Stream starts without any configuration. Three kinds of knobs exist:

- [Settings](#settings) belong to the process: ports, directories, limits. They are read once, at the start.
- [Topic configs](#topic-configs) belong to a topic and have Kafka's names. They are changed while the broker runs.
- [Broker configs](#broker-configs) are what Kafka's tools see of a broker. Those that give topics their defaults can be
  changed while the broker runs.

## Settings

The same setting can be given in three ways; where several are used, the first of these counts:

| | |
|---|---|
| a flag | \`chronik start --kafka-port 9093\` or \`--kafka-port=9093\` |
| an environment variable | \`CHRONIK_KAFKA_PORT=9093\` |
| a line of the settings file, named by \`${CONFIG_FLAG} PATH\` or \`${CONFIG_VARIABLE}\` | \`kafka-port: 9093\` |

Sizes are bytes, or carry a unit: \`64KiB\`, \`128MiB\`, \`1GiB\`. Times are milliseconds, or carry a unit: \`100ms\`, \`5s\`,
\`10m\`, \`1h\`, \`7d\`. Switches are \`true\` or \`false\`; as a flag, the name alone is \`true\`.

An unknown flag, an unknown key in the file or a bad value stops the start; every mistake is reported at once, a line each.
An unknown \`CHRONIK_*\` variable is a warning. Variables that Kubernetes sets for a service (\`CHRONIK_KAFKA_PORT=tcp://...\`)
are ignored with a warning, and so is a variable that is empty.
`

const TOPIC_INTRODUCTION = `## Topic configs

Every topic config of Kafka 4.4 is known, checked and described. Those marked with a dash are stored and shown, but nothing
in this release reads them. A topic that does not set a value follows the broker config of the last column.
`

const BROKER_INTRODUCTION = `## Broker configs

What \`kafka-configs --describe --entity-type brokers\` shows. Those marked *yes* can be altered while the broker runs, for one
broker or for all; the others show the settings of the process.
`

/** The text of docs/CONFIG.md. */
export function renderConfigDocs(): string {
  const groups = Object.entries(SETTING_GROUPS).map(([group, title]) => {
    const names = SETTING_NAMES.filter(name => entryOf(name).group === group)
    const rows = names.map(name => [
      `\`${keyOf(name)}\``,
      variablesCell(name),
      defaultCell(name),
      valuesCell(name),
      aboutCell(name),
    ])
    return `### ${title}\n\n${table(['setting', 'environment', 'default', 'values', 'what it does'], rows)}`
  })
  const sections = [INTRODUCTION, ...groups, profiles(), TOPIC_INTRODUCTION, topicConfigs(), BROKER_INTRODUCTION]
  return `${[...sections, brokerConfigs()].join('\n').trimEnd()}\n`
}

function profiles(): string {
  const rows = Object.entries(PRODUCE_PROFILES).map(([name, profile]) => [
    `\`${name}\``,
    String(profile.gatherBatches),
    `${profile.gatherMs} ms`,
    profile.gathersWhenIdle ? 'waits as well' : 'is synced at once',
  ])
  return `### Produce profiles

Under load, batches are gathered before a sync until either limit is reached.

${table(['profile', 'batches', 'time', 'a record that comes alone'], rows)}`
}

function topicConfigs(): string {
  const rows = TOPIC_CONFIG_NAMES.map(name => {
    const config = topicConfigOf(name)!
    const values = [config.rule.type.toLowerCase(), validValuesOf(config.rule)].join(' ').trim()
    return [
      `\`${name}\``,
      values,
      shownDefault(config.default),
      { full: 'yes', part: 'in part', none: '-' }[config.effect],
      config.about,
      config.broker.map(synonym => `\`${synonym}\``).join(', '),
    ]
  })
  return table(['config', 'values', 'default', 'effect', 'what it does', 'broker config'], rows)
}

function brokerConfigs(): string {
  const rows = [...BROKER_CONFIGS].map(([name, config]) => [
    `\`${name}\``,
    config.type.toLowerCase(),
    shownDefault(config.default),
    config.alterable === null ? '-' : 'yes',
    config.from.map(setting => `\`${keyOf(setting)}\``).join(', '),
    config.topicConfig === null ? config.documentation : `Default of the topic config \`${config.topicConfig}\`.`,
  ])
  return table(['config', 'type', 'default', 'alterable', 'setting', 'what it is'], rows)
}

function variablesCell(name: SettingName): string {
  return variablesOf(name)
    .map(variable => `\`${variable}\``)
    .join(', ')
}

function defaultCell(name: SettingName): string {
  const { type, default: fallback } = entryOf(name)
  const shown = type.show(fallback)
  return shown === '' ? '' : `\`${shown}\``
}

function valuesCell(name: SettingName): string {
  return entryOf(name).type.accepts
}

function aboutCell(name: SettingName): string {
  const { about, withoutEffect = false } = entryOf(name)
  return `${withoutEffect ? '**Without effect in this release.** ' : ''}${about}`
}

function shownDefault(value: string | null): string {
  return value === null ? '' : value === '' ? '(empty)' : `\`${value}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')}\n`
}
