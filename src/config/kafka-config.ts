// Kafka's configs of topics and brokers: their types, the check of a value, and the layers a value comes from.
// Shapes and messages are those of Kafka's ConfigDef, which its tools show to people.

/** With the numbers of DescribeConfigs. */
export const CONFIG_TYPES = { BOOLEAN: 1, STRING: 2, INT: 3, SHORT: 4, LONG: 5, DOUBLE: 6, LIST: 7 } as const
export type ConfigType = keyof typeof CONFIG_TYPES

/** Where a value comes from, with the numbers of DescribeConfigs. */
export const CONFIG_SOURCES = {
  topic: 1,
  dynamicBroker: 2,
  dynamicDefaultBroker: 3,
  staticBroker: 4,
  default: 5,
  group: 8,
} as const
export type ConfigSource = (typeof CONFIG_SOURCES)[keyof typeof CONFIG_SOURCES]

/** Which values a config takes. */
export type ConfigRule =
  | { type: 'BOOLEAN' }
  | { type: 'INT' | 'SHORT' | 'LONG' | 'DOUBLE'; min?: number; max?: number; orEqual?: number }
  | { type: 'STRING'; oneOf?: readonly string[] }
  | { type: 'LIST'; oneOf: readonly string[] }
  | { type: 'LIST'; throttledReplicas: true }

/** Values of one origin, by name. */
export interface ConfigLayer {
  readonly source: ConfigSource
  readonly values: ReadonlyMap<string, string>
}

/** The first that has a value goes before the others. */
export type ConfigLayers = readonly ConfigLayer[]

export interface ConfigSynonym {
  readonly name: string
  readonly value: string | null
  readonly source: ConfigSource
}

/** One config as DescribeConfigs shows it. */
export interface DescribedConfig extends ConfigSynonym {
  readonly type: ConfigType
  readonly documentation: string
  readonly isReadOnly: boolean
  readonly isSensitive: boolean
  /** From the one that is in force to the one of least precedence. */
  readonly synonyms: readonly ConfigSynonym[]
}

export interface ConfigProblem {
  readonly ok: false
  readonly code: 'INVALID_CONFIG' | 'INVALID_REQUEST'
  readonly message: string
}

export function problem(code: ConfigProblem['code'], message: string): ConfigProblem {
  return { ok: false, code, message }
}

export const THROTTLED_REPLICAS = '[partitionId]:[brokerId],[partitionId]:[brokerId],...'

type Checked = { ok: true; value: string } | { ok: false; message: string }

/** Checks a value; the good one comes back in the one spelling that is stored and shown. */
export function checkValue(name: string, rule: ConfigRule, text: string): Checked {
  switch (rule.type) {
    case 'BOOLEAN': {
      const value = text.trim().toLowerCase()
      if (value === 'true' || value === 'false') return { ok: true, value }
      return invalid(name, text, 'Expected value to be either true or false')
    }
    case 'STRING':
      return rule.oneOf === undefined || rule.oneOf.includes(text)
        ? { ok: true, value: text }
        : invalid(name, text, `String must be one of: ${rule.oneOf.join(', ')}`)
    case 'LIST':
      return checkList(name, rule, text)
    default:
      return checkNumber(name, rule, text)
  }
}

/** What a rule admits, in the notation of Kafka's documentation; '' if everything of the type. */
export function validValuesOf(rule: ConfigRule): string {
  if ('throttledReplicas' in rule) return THROTTLED_REPLICAS
  if ('oneOf' in rule && rule.oneOf !== undefined) return `[${rule.oneOf.join(', ')}]`
  if (!('min' in rule) || rule.min === undefined) return ''
  const range = rule.max === undefined ? `[${rule.min},...]` : `[${rule.min},...,${rule.max}]`
  return rule.orEqual === undefined ? range : `${range} or ${rule.orEqual}`
}

export function listOf(text: string): string[] {
  return text.trim() === '' ? [] : text.split(',').map(part => part.trim())
}

/** The value of a name that is in force; null if it has none. */
export function valueIn(layers: ConfigLayers, name: string): string | null {
  return layers.find(layer => layer.values.has(name))?.values.get(name) ?? null
}

/**
 * The values behind a config, layer by layer. Kafka: ConfigHelper.configSynonyms begins the list at the first value of
 * the first name, so that a default that only log.retention.hours gives is not listed.
 */
export function synonymsIn(layers: ConfigLayers, names: readonly string[]): ConfigSynonym[] {
  const all = layers.flatMap(({ source, values }) => {
    return names.flatMap(name => (values.has(name) ? [{ name, value: values.get(name) ?? null, source }] : []))
  })
  const first = all.findIndex(({ name }) => name === names[0])
  return first < 0 ? [] : all.slice(first)
}

function invalid(name: string, value: string, reason: string): Checked {
  return { ok: false, message: `Invalid value ${value} for configuration ${name}: ${reason}` }
}

type NumberRule = Extract<ConfigRule, { min?: number }>

const INTEGER_BITS = { SHORT: 16, INT: 32, LONG: 64 }

function checkNumber(name: string, rule: NumberRule, text: string): Checked {
  const value = rule.type === 'DOUBLE' ? readDouble(text) : readInteger(text, INTEGER_BITS[rule.type])
  if (value === null) return invalid(name, text, `Not a number of type ${rule.type}`)
  const shown = rule.type === 'DOUBLE' && Number.isInteger(value) ? `${value}.0` : String(value)
  const { min, max, orEqual } = rule
  const isBelow = min !== undefined && value < min
  const isAbove = max !== undefined && value > max
  if ((!isBelow && !isAbove) || (orEqual !== undefined && Number(value) === orEqual)) return { ok: true, value: shown }
  if (orEqual !== undefined)
    return invalid(name, shown, `Value must be between ${min} and ${max} or equal to ${orEqual}`)
  return invalid(name, shown, isBelow ? `Value must be at least ${min}` : `Value must be no more than ${max}`)
}

/** 64-bit values are beyond what a number holds exactly. */
function readInteger(text: string, bits: number): bigint | null {
  if (!/^[+-]?\d{1,20}$/.test(text.trim())) return null
  const value = BigInt(text.trim().replace('+', ''))
  return value === BigInt.asIntN(bits, value) ? value : null
}

function readDouble(text: string): number | null {
  const match = /^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)[fd]?$/i.exec(text.trim())
  return match === null ? null : Number(match[1])
}

function checkList(name: string, rule: Extract<ConfigRule, { type: 'LIST' }>, text: string): Checked {
  const items = listOf(text)
  const value = [...new Set(items)].join(',')
  if ('throttledReplicas' in rule) {
    if (value === '*' || items.every(item => /^\d+:\d+$/.test(item))) return { ok: true, value }
    const reason = `${name} must be the literal '*' or a list of replicas in the following format: ${THROTTLED_REPLICAS}`
    return invalid(name, `[${items.join(', ')}]`, reason)
  }
  if (items.includes('')) return { ok: false, message: `Configuration '${name}' values must not be empty.` }
  const stranger = items.find(item => !rule.oneOf.includes(item))
  if (stranger === undefined) return { ok: true, value }
  return invalid(name, stranger, `String must be one of: ${rule.oneOf.join(', ')}`)
}
