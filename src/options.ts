/** Checks of options, callbacks, sizes and lists: a misspelt option would silently be ignored, so it is refused. */
import { ArgumentError } from './errors.ts'

/** What an option may be, as `typeof` says it, or a whole number; 'any' where the operation looks for itself. */
export type Kind = 'number' | 'integer' | 'boolean' | 'function' | 'any'
/** The names and kinds of the options O; the compiler sees that none is missing. */
export type Known<O> = { readonly [K in keyof O]-?: Kind }

/** What came instead of what was expected. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length > 8 ? `an array of ${value.length}` : `[${value.map(describe).join(', ')}]`
  if (typeof value === 'string') return `'${value}'`
  return typeof value === 'number' || typeof value === 'boolean' || value === undefined ? String(value) : typeof value
}

/** Refuses options of other names or kinds than `known` says, and anything that isn't an object of options. Errors: ArgumentError. */
export function checkOptions<O extends object>(op: string, given: O | undefined, known: Known<O>): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ArgumentError(`${op}: expected options in an object such as { ${Object.keys(known)[0]}: … }, got ${describe(given)}`, { op })
  }
  for (const key in given) {
    const kind: unknown = known[key]
    // What every object inherits is no option: a function, not a kind.
    if (typeof kind !== 'string') throw unknownOption(op, key, Object.keys(known))
    if (given[key] !== undefined) checkKind(op, key, given[key], kind as Kind)
  }
}

/** Options that may also be given as the number that one of them is. Errors: ArgumentError. */
export function optionsOr<O extends object>(op: string, key: keyof O & string, given: number | O, known: Known<O>): O {
  const options = typeof given === 'number' ? ({ [key]: given } as O) : given
  checkOptions(op, options, known)
  return options
}

/** Refuses a value of another kind. Errors: ArgumentError. */
export function checkKind(op: string, name: string, value: unknown, kind: Kind): void {
  if (kind === 'any' || (kind === 'integer' ? Number.isInteger(value) : typeof value === kind)) return
  const what = kind === 'boolean' ? 'true or false' : kind === 'integer' ? 'a whole number' : `a ${kind}`
  throw new ArgumentError(`${op}: ${name} must be ${what}, got ${describe(value)}`, { op })
}

function unknownOption(op: string, key: string, known: readonly string[]): ArgumentError {
  const plain = (name: string): string => name.replaceAll('_', '').toLowerCase()
  const meant = known.find((name) => plain(name) === plain(key))
  const hint = meant === undefined ? `there ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}` : `here it is called ${meant}`
  return new ArgumentError(`${op}: unknown option '${key}'; ${hint}`, { op })
}

/** Refuses what can't be called. Errors: ArgumentError. */
export function checkFunction(op: string, value: unknown): void {
  if (typeof value !== 'function') throw new ArgumentError(`${op}: expected a function, got ${describe(value)}`, { op })
}

/** Refuses sizes that aren't whole numbers from `least` on. */
export function checkSizes(op: string, sizes: Readonly<Record<string, unknown>>, least = 0): void {
  for (const [name, n] of Object.entries(sizes)) {
    if (Number.isInteger(n) && (n as number) >= least) continue
    throw new ArgumentError(`${op}: ${name} must be a whole number${Number.isFinite(least) ? ` ≥ ${least}` : ''}, got ${describe(n)}`, {
      op,
    })
  }
}

/** What can be iterated as a list; a text can't. */
export function expectIterable<T>(op: string, value: Iterable<T>, what: string): Iterable<T> {
  if (typeof value === 'object' && value !== null && typeof value[Symbol.iterator] === 'function') return value
  throw new ArgumentError(`${op}: expected a list of ${what}, got ${describe(value)}`, { op })
}
