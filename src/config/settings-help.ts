import { CONFIG_VARIABLE } from './environment.ts'
import { CONFIG_FLAG } from './flags.ts'
import { SETTING_GROUPS } from './setting.ts'
import { entryOf, keyOf, SETTING_NAMES, type SettingName } from './settings.ts'

const WIDTH = 110
const LEFT_WIDTH = 32

/** The part of `chronik start --help` that lists the settings. */
export function settingsHelp(): string {
  const lines = [
    'A setting is a flag, an environment variable or a line of the settings file. The first that is given counts:',
    '  --kafka-port 9093    CHRONIK_KAFKA_PORT=9093    kafka-port: 9093',
    '',
    'Settings file:',
    ...row(`${CONFIG_FLAG} PATH`, `YAML file with any of the settings below. [${CONFIG_VARIABLE}]`),
  ]
  for (const [group, title] of Object.entries(SETTING_GROUPS)) {
    lines.push('', `${title}:`)
    for (const name of SETTING_NAMES) {
      const { group: own, type } = entryOf(name)
      if (own === group) lines.push(...row(`--${keyOf(name)} ${type.placeholder}`, descriptionOf(name)))
    }
  }
  return lines.join('\n')
}

function descriptionOf(name: SettingName): string {
  const { type, default: fallback, about, alsoEnv = [], withoutEffect = false } = entryOf(name)
  const note = withoutEffect ? 'Without effect in this release. ' : ''
  const choices = type.choices === undefined ? '' : ` One of ${type.choices.join(', ')}.`
  const facts = [type.show(fallback), ...alsoEnv.map(variable => `also ${variable}`)].filter(fact => fact !== '')
  return `${note}${about.replaceAll('`', '')}${choices}${facts.length === 0 ? '' : ` [${facts.join('; ')}]`}`
}

/** A long flag has a line of its own. */
function row(left: string, right: string): string[] {
  const indent = ' '.repeat(LEFT_WIDTH + 4)
  const [first = '', ...others] = wrap(right, WIDTH - indent.length)
  const rest = others.map(line => indent + line)
  if (left.length > LEFT_WIDTH) return [`  ${left}`, indent + first, ...rest]
  return [`  ${left.padEnd(LEFT_WIDTH)}  ${first}`, ...rest]
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
