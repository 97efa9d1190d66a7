/** Values that arguments can't be, and what state tensors are in. */
import * as torch from '../../src/index.ts'

/** What no argument may be, but where a text or a function belongs. */
export const never: Readonly<Record<string, () => unknown>> = {
  "'text'": () => 'text',
  function: () => () => 1,
}

/** What an argument may be at most by chance. */
export const rarely: Readonly<Record<string, () => unknown>> = {
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-7': () => -7,
  '1.5': () => 1.5,
  '1e12': () => 1e12,
  null: () => null,
  undefined: () => undefined,
  true: () => true,
  '[]': () => [],
  '[1, 2]': () => [1, 2],
  '[[1]]': () => [[1]],
  '[[1], [2, 3]]': () => [[1], [2, 3]],
  '[NaN]': () => [Number.NaN],
  '[1e6, 1e6]': () => [1e6, 1e6],
  "['a']": () => ['a'],
  '[null]': () => [null],
  object: () => ({ bogus: 1 }),
  'int32 [2, 3]': () => torch.ones([2, 3], { dtype: 'int32' }),
  'float64 [7, 5]': () => torch.ones([7, 5], { dtype: 'float64' }),
  'bool [3]': () => torch.ones([3], { dtype: 'bool' }),
  'float64 [0]': () => torch.zeros([0], { dtype: 'float64' }),
  'float32 [2, 1, 1, 2, 3]': () => torch.ones([2, 1, 1, 2, 3]),
  'large int32 [2]': () => torch.tensor([1 << 30, -(1 << 30)], { dtype: 'int32' }),
}

/** The tensors among values, and in lists among them. */
export const tensorsOf = (values: readonly unknown[]): torch.Tensor[] =>
  values.flatMap((v) => (Array.isArray(v) ? v : [v])).filter((v) => v instanceof torch.Tensor) as torch.Tensor[]

/** What a refused call must not change. */
export const state = (t: torch.Tensor): string => `${t._version} ${t.toTypedArray()}`

/** What is wrong with an error that should name `op` (or one of several, as in a pattern) and say something; null: nothing. */
export function fault(e: unknown, op: string): string | null {
  if (!(e instanceof torch.AutogradError)) return `${String(e)}, which is no typed error`
  // Memory knows no operations, but says what did not fit.
  if (!(e instanceof torch.MemoryError) && !new RegExp(op.replaceAll('.', '\\.'), 'i').test(e.message))
    return `an error that doesn't name it: ${e.message}`
  return e.message.length < 20 ? `an error that says little: ${e.message}` : null
}
