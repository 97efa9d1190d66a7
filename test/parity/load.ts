/** Reads the recorded answers of PyTorch into plain objects: cases of ops, and the table of result types. */
import { readdirSync, readFileSync } from 'node:fs'
import type { DType } from '../../src/dtype.ts'

/** A recorded tensor: row-major numbers (truth values as booleans). */
export interface Recorded {
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly data: readonly (number | boolean)[]
  /** This input is a leaf whose gradients are recorded. */
  readonly requiresGrad?: true
}

/** An argument: a tensor, a value, or a list of them. */
export type Argument = Recorded | number | string | boolean | null | readonly Argument[]

/** One call and everything torch answered. */
export interface Case {
  /** Our name of the op; in-place forms end in `_`. */
  readonly op: string
  /** The file it stands in: `unary`, `view`, … */
  readonly family: string
  /** torch's call, for messages. */
  readonly torch: string
  /** `kink`: ties and special values, without second derivatives. `wide`: magnitudes where formulas lose digits. */
  readonly tag?: 'kink' | 'wide'
  readonly args: readonly Argument[]
  readonly opts?: Readonly<Record<string, Argument>>
  /** In-place: called as a method of a clone of the first argument, or of this view (method, …arguments) of the clone. */
  readonly inplace?: true
  readonly via?: readonly [string, ...Argument[]]
  /** How the results come: one tensor, a list, or fields called `names`. */
  readonly kind?: 'array' | 'named'
  readonly names?: readonly string[]
  /** The results; of an in-place call, the clone. */
  readonly out?: readonly Recorded[]
  /** The results share the first argument's memory, and (unless 'elements' says no) its version. */
  readonly view?: true | 'elements'
  /** The clone's version counter after an in-place call. */
  readonly version?: number
  /** Options whose tensors the call changed (running statistics), and what they became. */
  readonly after?: Readonly<Record<string, Recorded>>
  /** The node of the first differentiable result; null if none has one. */
  readonly node?: string | null
  /** Gradients of Σ w·out for each input with `requiresGrad`, in order of appearance; null for none. */
  readonly grads?: readonly (Recorded | null)[]
  /** torch's own failure to differentiate. */
  readonly gradsError?: string
  readonly grads2Error?: string
  /** Gradients of Σ v·gradient with respect to the same inputs, and to each w; null for none or all zeros. */
  readonly grads2?: readonly (readonly number[] | null)[]
  readonly gradsW?: readonly (readonly number[] | null)[]
  /** The results' numbers when every float64 input is given as float32; null for results of other types. */
  readonly float32?: readonly (readonly number[] | null)[]
  /** What torch raised. */
  readonly error?: { readonly type: string; readonly message: string }
}

/** For each op, `result[left][right]`: a dtype, null where torch raises, '' where it was not asked. */
export interface Promotion {
  readonly kinds: { readonly left: readonly string[]; readonly right: readonly string[] }
  readonly ops: readonly { readonly op: string; readonly result: readonly (readonly (DType | '' | null)[])[] }[]
}

const directory = new URL('./fixtures/', import.meta.url)

const NUMBERS: Readonly<Record<string, number>> = { NaN: Number.NaN, Infinity, '-Infinity': -Infinity }

// JSON has no NaN and no infinities; no op takes a string of these names.
function read(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, directory), 'utf8'), (_, v: unknown) =>
    typeof v === 'string' && Object.hasOwn(NUMBERS, v) ? NUMBERS[v] : v,
  )
}

/** Every recorded case, family by family. */
export function loadFixtures(): Case[] {
  const files = readdirSync(directory).filter((f) => f.endsWith('.json') && f !== 'promotion.json')
  return files.sort().flatMap((file) => {
    const { cases } = read(file) as { cases: Omit<Case, 'family'>[] }
    return cases.map((c) => ({ ...c, family: file.slice(0, -'.json'.length) }))
  })
}

/** The recorded types of results. */
export function loadPromotion(): Promotion {
  return read('promotion.json') as Promotion
}

/** Is this argument a tensor? */
export function isRecorded(v: unknown): v is Recorded {
  return typeof v === 'object' && v !== null && 'shape' in v && 'data' in v
}

/** The fixed weights of gradient `seed` for n elements: the formula `generate.py` uses. */
export function weights(n: number, seed: number): number[] {
  return Array.from({ length: n }, (_, i) => (((i + 31 * seed) * 7919 + 13) % 101) / 101 - 0.4)
}
