// The kinds of value a setting can have. Each reads the text of a flag, variable or file key, and prints a value so that
// reading it back gives the same value.

export type Parsed<T> = { ok: true; value: T } | { ok: false; problem: string }

export interface SettingType<T> {
  /** For the help: what stands behind the flag. */
  readonly placeholder: string
  /** For the docs: which values there are. */
  readonly accepts: string
  /** The values, where they are words to choose from. */
  readonly choices?: readonly string[]
  /** Never shown, wherever it comes from. */
  readonly isSecret?: true
  parse(text: string): Parsed<T>
  show(value: T): string
}

interface Range {
  min: number
  max: number
}

const good = <T>(value: T): Parsed<T> => ({ ok: true, value })
const bad = (problem: string): Parsed<never> => ({ ok: false, problem })

/** Finds the factor of a text like `64MiB`; NaN if it is no whole number with one of the units. */
function scaled(text: string, factors: Readonly<Record<string, number>>): number {
  const match = /^(-?\d+) *([a-z]*)$/i.exec(text)
  const unit = match?.[2]?.toLowerCase() ?? ''
  return unit === '' ? Number(match?.[1] ?? Number.NaN) : Number(match?.[1]) * (factors[unit] ?? Number.NaN)
}

/** `what` names the kind of number in errors; the units are explained once for all settings in the docs. */
function numberType(
  placeholder: string,
  what: string,
  range: Range,
  factors: Record<string, number>,
): SettingType<number> {
  const min = showNumber(range.min, factors)
  const accepts = range.max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `${min} to ${showNumber(range.max, factors)}`
  return {
    placeholder,
    accepts,
    parse(text) {
      const value = scaled(text, factors)
      if (value >= range.min && value <= range.max) return good(value)
      return bad(`must be ${what}, ${accepts}`)
    },
    show: value => showNumber(value, factors),
  }
}

/** In the largest unit that says it exactly. */
function showNumber(value: number, factors: Readonly<Record<string, number>>): string {
  const units = Object.entries(factors).filter(([, factor]) => value > 0 && value % factor === 0)
  const largest = units.reduce<[string, number]>((best, unit) => (unit[1] >= best[1] ? unit : best), ['', 1])
  return `${value / largest[1]}${UNIT_SPELLING[largest[0]] ?? largest[0]}`
}

const BYTE_FACTORS = { kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 }
const TIME_FACTORS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const UNIT_SPELLING: Readonly<Record<string, string>> = { kib: 'KiB', mib: 'MiB', gib: 'GiB', tib: 'TiB' }

/** To listen on. */
export const port: SettingType<number> = numberType('PORT', 'a port', { min: 0, max: 65535 }, {})

/** To connect to. */
export const reachablePort: SettingType<number> = numberType('PORT', 'a port', { min: 1, max: 65535 }, {})

export const count = (min: number, max: number): SettingType<number> => {
  return numberType('N', 'a whole number', { min, max }, {})
}

/** Plain numbers are bytes. */
export const bytes = (min: number, max: number): SettingType<number> => {
  return numberType('BYTES', 'a size (bytes, or with KiB, MiB, GiB or TiB)', { min, max }, BYTE_FACTORS)
}

/** Plain numbers are milliseconds. */
export const duration = (min: number, max: number): SettingType<number> => {
  return numberType('MS', 'a time (milliseconds, or with ms, s, m, h or d)', { min, max }, TIME_FACTORS)
}

/** A number type whose -1 means: no limit. */
export function orUnlimited(type: SettingType<number>): SettingType<number> {
  return {
    placeholder: type.placeholder,
    accepts: `${type.accepts}; -1 for no limit`,
    parse(text) {
      if (text === '-1') return good(-1)
      const parsed = type.parse(text)
      return parsed.ok ? parsed : bad(`${parsed.problem}; or -1 for no limit`)
    },
    show: value => (value === -1 ? '-1' : type.show(value)),
  }
}

const TRUTHS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

export const boolean: SettingType<boolean> = {
  placeholder: 'true|false',
  accepts: '`true`, `false`',
  parse(text) {
    const value = TRUTHS[text.toLowerCase()]
    return value === undefined ? bad('must be true or false') : good(value)
  },
  show: String,
}

export function choice<const Values extends readonly string[]>(
  placeholder: string,
  values: Values,
): SettingType<Values[number]> {
  const accepts = values.join(', ')
  return {
    placeholder,
    accepts: values.map(value => `\`${value}\``).join(', '),
    choices: values,
    parse(text) {
      const value = values.find(candidate => candidate === text.toLowerCase())
      return value === undefined ? bad(`must be one of ${accepts}`) : good(value)
    },
    show: value => value,
  }
}

export const path: SettingType<string> = {
  placeholder: 'PATH',
  accepts: 'a path',
  parse: text => (text === '' || text.includes('\0') ? bad('must be a path') : good(text)),
  show: value => value,
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i

/** A host name or an IP address, without a port. */
export const host: SettingType<string> = {
  placeholder: 'HOST',
  accepts: 'a host name or an IP address',
  parse(text) {
    if (text.includes('://')) return bad('takes a host name or an IP address, not a URL')
    const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text
    if (bare.includes(':') && URL.canParse(`http://[${bare}]/`)) return good(bare)
    if (/^(\[.*\]|[^:]*):\d*$/.test(text)) return bad('takes a host only, without a port: the port has its own setting')
    if (/^[\d.]+$/.test(text) && !isIpv4(text)) return bad('is not an IPv4 address')
    return HOST_NAME.test(text) ? good(text) : bad('must be a host name or an IP address')
  },
  show: value => value,
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

/** Whether an address means "all of this machine", which no client can connect to. */
export function isWildcard(address: string): boolean {
  if (address.includes(':')) return /^[0:]+$/.test(address) || /^[0:]+:ffff:0\.0\.0\.0$/i.test(address)
  return /^(0+\.){0,3}0+$/.test(address)
}

/** A host that clients are told to connect to. */
export const reachableHost: SettingType<string> = {
  ...host,
  parse(text) {
    const parsed = host.parse(text)
    if (parsed.ok && isWildcard(parsed.value))
      return bad(`must be an address that clients can connect to, not a wildcard`)
    return parsed
  },
}

/** A setting that may be left unset. */
export function optional<T>(type: SettingType<T>): SettingType<T | null> {
  return { ...type, show: value => (value === null ? '' : type.show(value)) }
}

export type WalSync = { kind: 'always' } | { kind: 'interval'; intervalMs: number }

export const walSyncType: SettingType<WalSync> = {
  placeholder: 'always|MS',
  accepts: '`always`, or 1ms to 1m',
  parse(text) {
    if (text.toLowerCase() === 'always') return good({ kind: 'always' })
    const interval = duration(1, 60_000).parse(text)
    return interval.ok
      ? good({ kind: 'interval', intervalMs: interval.value })
      : bad('must be always, or an interval of 1ms to 1m')
  },
  show: value => (value.kind === 'always' ? 'always' : duration(1, 60_000).show(value.intervalMs)),
}

/** One word, without spaces: the name of something elsewhere. */
export const word = (placeholder: string, accepts: string): SettingType<string> => ({
  placeholder,
  accepts,
  parse(text) {
    if (text.includes('://')) return bad('takes a name alone, not a URL')
    return /^[\x21-\x7e]+$/.test(text) && !text.includes('/') ? good(text) : bad(`must be ${accepts}`)
  },
  show: value => value,
})

export const secret: SettingType<string> = {
  placeholder: 'SECRET',
  accepts: 'a secret',
  isSecret: true,
  parse: text => (/^[\x20-\x7e]+$/.test(text) ? good(text) : bad('must be printable ASCII')),
  show: value => (value === '' ? '' : '***'),
}

/** Where an HTTP service is; without a scheme it is plain HTTP. */
export const endpoint: SettingType<string> = {
  placeholder: 'URL',
  accepts: 'an HTTP URL',
  parse(text) {
    const url = URL.parse(/^https?:\/\//i.test(text) ? text : `http://${text}`)
    if (url === null || url.hostname === '') return bad('must be an HTTP URL, like http://host:9000')
    if (url.username !== '' || url.password !== '')
      return bad('takes no user and no password: they have settings of their own')
    if (url.search !== '' || url.hash !== '') return bad('takes no ? and no #')
    return good(url.href.replace(/\/+$/, ''))
  },
  show: value => value,
}

const LONGEST_PREFIX = 120
const PREFIXES = `up to ${LONGEST_PREFIX} letters, digits and ._=-/`

/** What all names in a bucket begin with. */
export const keyPrefix: SettingType<string> = {
  placeholder: 'PREFIX',
  accepts: PREFIXES,
  parse(text) {
    const prefix = text.replace(/^\/+|\/+$/g, '')
    const isPrefix = prefix.length <= LONGEST_PREFIX && /^([A-Za-z0-9._=-]+(\/|$))*$/.test(prefix)
    return isPrefix && !/(^|\/)\.{1,2}(\/|$)/.test(prefix) ? good(prefix) : bad(`must be ${PREFIXES}`)
  },
  show: value => value,
}

const STORE_BACKENDS = ['local', 's3', 'gcs', 'azure'] as const
export type StorageBackend = (typeof STORE_BACKENDS)[number]

export const storageBackend: SettingType<StorageBackend> = {
  ...choice('BACKEND', STORE_BACKENDS),
  accepts: '`local` (or `embedded`), `s3`, `gcs`, `azure`',
  parse: text => choice('BACKEND', STORE_BACKENDS).parse(text.toLowerCase() === 'embedded' ? 'local' : text),
}
