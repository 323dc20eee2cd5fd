export interface Command {
  readonly name: string
  /** One line. */
  readonly summary: string
  help(): string
  /** Returns the exit code. Throws UsageError for arguments it does not understand. */
  run(argv: readonly string[]): Promise<number>
}

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads `--name value` and `--name=value`; options named in `flags` take no value. Anything else is a UsageError. */
export function readOptions<Name extends string, Flag extends string>(
  argv: readonly string[],
  names: readonly Name[],
  flags: readonly Flag[],
): Partial<Record<Name, string>> & Partial<Record<Flag, true>> {
  const read: Partial<Record<string, string | true>> = {}
  for (let i = 0; i < argv.length; i++) {
    const [option = '', inline] = splitOption(argv[i]!)
    if ((flags as readonly string[]).includes(option) && inline === undefined) read[option] = true
    else if ((names as readonly string[]).includes(option)) {
      const value = inline ?? argv[++i]
      if (value === undefined) throw new UsageError(`--${option} needs a value`)
      read[option] = value
    } else {
      throw new UsageError(
        `unknown option '${argv[i]}'. Options: ${[...names, ...flags].map(n => `--${n}`).join(', ')}`,
      )
    }
  }
  return read as Partial<Record<Name, string>> & Partial<Record<Flag, true>>
}

function splitOption(argument: string): [option: string | undefined, value: string | undefined] {
  const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(argument)
  return [match?.[1], match?.[2]]
}
