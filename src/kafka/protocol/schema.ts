// The notation in which the messages of Kafka's protocol are written down (in apis/). One schema says for all
// versions of a message which fields it has, in wire order; codec.ts turns it into a reader and a writer per version,
// and TypeScript derives the types of the message from it.
//
//   name: string('2+').nullable('3+').default(null).ignorable()
//
// Versions: '2+' from 2 on, '2-4', '2'; none means all versions of what contains the field. A field that its version
// lacks has its default after decoding; encoding anything else than the default there is an error, unless the field
// is ignorable.
//
// int64 is a number and saturates: what lies beyond +-(2^53 - 1) is read as LONG_MAX or LONG_MIN, and these are
// written as Kafka's Long.MAX_VALUE and Long.MIN_VALUE. Kafka means "no limit" by such numbers, and comparisons stay
// true.
// uuid is text as Kafka's tools print it (base64url, 22 characters); '' is the zero uuid, "absent".
// bytes and records are views of the decoded frame, not copies.

export const LONG_MAX = Number.MAX_SAFE_INTEGER
export const LONG_MIN = Number.MIN_SAFE_INTEGER

/** Kafka: Readable and Writable refuse more, in every version. */
export const STRING_MAX_BYTES = 32767

export type Versions = `${number}+` | `${number}-${number}` | `${number}`

export interface VersionRange {
  readonly min: number
  readonly max: number
}

export function parseVersions(text: Versions): VersionRange {
  const [min, max] = text.split(/[+-]/)
  return { min: Number(min), max: max === undefined ? Number(min) : max === '' ? Infinity : Number(max) }
}

export function includes(range: VersionRange, version: number): boolean {
  return version >= range.min && version <= range.max
}

const ALL: VersionRange = { min: 0, max: Infinity }
export const NEVER: VersionRange = { min: Infinity, max: -Infinity }

/** Records to send that lie in several places: they follow one another on the wire. */
export interface RecordSlices {
  readonly byteLength: number
  readonly slices: readonly Buffer[]
}

export type ScalarKind =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'string'
  | 'uuid'
  | 'bytes'
  | 'records'

export type Shape =
  | { readonly kind: ScalarKind }
  | { readonly kind: 'array'; readonly of: AnyField }
  | { readonly kind: 'struct'; readonly fields: Fields }

interface FieldSpec {
  readonly shape: Shape
  readonly versions: VersionRange
  readonly nullable: VersionRange
  readonly ignorable: boolean
  /** Of a tagged field: it is written behind the others, and only when it differs from its default. */
  readonly tag: number | null
  readonly fallback: unknown
}

/** A field: `D` is its value when decoded, `E` what encoding takes; an optional one may be left out when encoding. */
export class Field<D, E, Optional extends boolean> {
  declare readonly types: { readonly decoded: D; readonly encodable: E; readonly optional: Optional }
  readonly spec: FieldSpec

  constructor(spec: FieldSpec) {
    this.spec = spec
  }

  nullable(versions?: Versions): Field<D | null, E | null, Optional> {
    return new Field({ ...this.spec, nullable: versions === undefined ? ALL : parseVersions(versions) })
  }

  default(value: D): Field<D, E, true> {
    return new Field({ ...this.spec, fallback: value })
  }

  ignorable(): Field<D, E, Optional> {
    return new Field({ ...this.spec, ignorable: true })
  }

  tag(tag: number): Field<D, E, true> {
    return new Field({ ...this.spec, tag })
  }
}

export type AnyField = Field<unknown, unknown, boolean>
export type Fields = { readonly [name: string]: AnyField }

type Simple<T> = { [K in keyof T]: T[K] }
type OptionalNames<F extends Fields> = {
  [K in keyof F]: F[K]['types']['optional'] extends true ? K : never
}[keyof F]

type DecodedFields<F extends Fields> = { readonly [K in keyof F]: F[K]['types']['decoded'] }
type EncodableFields<F extends Fields> = Simple<
  { readonly [K in Exclude<keyof F, OptionalNames<F>>]: F[K]['types']['encodable'] } & {
    readonly [K in OptionalNames<F>]?: F[K]['types']['encodable']
  }
>

function field<D, E = D>(shape: Shape, fallback: unknown, versions: Versions | undefined): Field<D, E, false> {
  return new Field({
    shape,
    versions: versions === undefined ? ALL : parseVersions(versions),
    nullable: NEVER,
    ignorable: false,
    tag: null,
    fallback,
  })
}

export const bool = (versions?: Versions) => field<boolean>({ kind: 'bool' }, false, versions)
export const int8 = (versions?: Versions) => field<number>({ kind: 'int8' }, 0, versions)
export const int16 = (versions?: Versions) => field<number>({ kind: 'int16' }, 0, versions)
export const uint16 = (versions?: Versions) => field<number>({ kind: 'uint16' }, 0, versions)
export const int32 = (versions?: Versions) => field<number>({ kind: 'int32' }, 0, versions)
export const int64 = (versions?: Versions) => field<number>({ kind: 'int64' }, 0, versions)
export const float64 = (versions?: Versions) => field<number>({ kind: 'float64' }, 0, versions)
export const string = (versions?: Versions) => field<string>({ kind: 'string' }, '', versions)
export const uuid = (versions?: Versions) => field<string>({ kind: 'uuid' }, '', versions)
export const bytes = (versions?: Versions) => field<Buffer>({ kind: 'bytes' }, Buffer.alloc(0), versions)

/** Record batches, always nullable. */
export const records = (versions?: Versions) =>
  field<Buffer | null, Buffer | RecordSlices | null>({ kind: 'records' }, null, versions).nullable()

export function struct<F extends Fields>(fields: F): Field<DecodedFields<F>, EncodableFields<F>, false>
export function struct<F extends Fields>(
  versions: Versions,
  fields: F,
): Field<DecodedFields<F>, EncodableFields<F>, false>
export function struct<F extends Fields>(...args: [F] | [Versions, F]) {
  const [versions, fields] = args.length === 1 ? [undefined, args[0]] : args
  const shape: Shape = { kind: 'struct', fields }
  return field<DecodedFields<F>, EncodableFields<F>>(shape, defaultsOf(fields), versions)
}

/** Of scalars (`array(int32())`) or of structs (`array({ ... })`). */
export function array<D, E>(of: Field<D, E, boolean>): Field<readonly D[], readonly E[], false>
export function array<D, E>(versions: Versions, of: Field<D, E, boolean>): Field<readonly D[], readonly E[], false>
export function array<F extends Fields>(
  fields: F,
): Field<readonly DecodedFields<F>[], readonly EncodableFields<F>[], false>
export function array<F extends Fields>(
  versions: Versions,
  fields: F,
): Field<readonly DecodedFields<F>[], readonly EncodableFields<F>[], false>
export function array(...args: [AnyField | Fields] | [Versions, AnyField | Fields]) {
  const [versions, of] = args.length === 1 ? [undefined, args[0]] : args
  const shape: Shape = { kind: 'array', of: of instanceof Field ? of : struct(of) }
  return field<readonly unknown[]>(shape, Object.freeze([]), versions)
}

/** A struct with every field at its default: frozen, and shared by all that have it. */
export function defaultsOf(fields: Fields): Readonly<Record<string, unknown>> {
  return Object.freeze(Object.fromEntries(Object.entries(fields).map(([name, of]) => [name, of.spec.fallback])))
}

export interface ApiId {
  readonly key: number
  readonly name: string
  readonly versions: Versions
  /** The first version with compact lengths and tagged fields, or null: none ever. */
  readonly flexibleFrom: number | null
}

export interface Message<F extends Fields = Fields> {
  readonly api: ApiId
  readonly name: string
  readonly versions: VersionRange
  readonly flexibleFrom: number
  readonly fields: F
}

export type Decoded<M extends Message> = DecodedFields<M['fields']>
export type Encodable<M extends Message> = EncodableFields<M['fields']>

export function request<F extends Fields>(api: ApiId, fields: F): Message<F> {
  return message(api, 'Request', fields)
}

export function response<F extends Fields>(api: ApiId, fields: F): Message<F> {
  return message(api, 'Response', fields)
}

function message<F extends Fields>(api: ApiId, suffix: string, fields: F): Message<F> {
  const flexibleFrom = api.flexibleFrom ?? Infinity
  return { api, name: api.name + suffix, versions: parseVersions(api.versions), flexibleFrom, fields }
}
