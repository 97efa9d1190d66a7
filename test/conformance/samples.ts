/** Every public operation with a few small calls of it: recorded ones where PyTorch answered some, a table for the others. */
import * as torch from '../../src/index.ts'
import * as linalg from '../../src/linalg/index.ts'
import * as functional from '../../src/nn/functional.ts'
import * as functions from '../../src/ops/functions.ts'
import * as methods from '../../src/ops/methods.ts'
import { type Argument, type Case, isRecorded, loadFixtures, type Recorded } from '../parity/load.ts'
import { table } from './table.ts'

export type Tensor = torch.Tensor
export type Callable = (...args: readonly unknown[]) => unknown

/** One call with its tensors taken out, so that laws can put others in their place. */
export interface Sample {
  readonly op: string
  /** torch's call, or ours. */
  readonly label: string
  /** The tensors of the call, in order of appearance; fresh ones each time. */
  tensors(): Tensor[]
  /** Positions of the tensors it is differentiated for. */
  readonly wrt: readonly number[]
  /** The call on these tensors: its results in a list. */
  call(x: readonly Tensor[]): Tensor[]
  /** The operation by itself, where `call` computes more. */
  readonly alone?: (x: readonly Tensor[]) => unknown
  /** The in-place form on these tensors, the first of which is overwritten; absent where there is none. */
  readonly inPlace?: (x: readonly Tensor[]) => unknown
  /** The call overwrites (a clone of) its first tensor. */
  readonly writes?: true
  /** The name of the in-place method. */
  readonly inPlaceName?: string
}

/** Names of helpers that take or give no tensor. */
const NO_OPERATION: ReadonlySet<string> = new Set(['allclose', 'equal', 'range'])

const inFolder = (folder: string, operations: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(operations).map(([name, f]) => [`${folder}.${name}`, f]))

/** The public operations by name: methods, functions, neural-network functions and those of subpaths. */
export const operations: ReadonlyMap<string, Callable> = new Map(
  Object.entries({ ...methods, ...functions, ...functional, ...inFolder('linalg', linalg) } as Record<string, unknown>)
    .filter((e): e is [string, Callable] => typeof e[1] === 'function' && !NO_OPERATION.has(e[0]))
    .sort(([a], [b]) => (a < b ? -1 : 1)),
)

export const isMethod = (op: string): boolean => Object.hasOwn(methods, op)

/** Is there a method of this name? */
export function methodOf(t: object, name: string): Callable | undefined {
  const f = (t as Record<string, unknown>)[name]
  return typeof f === 'function' ? (f as Callable) : undefined
}

/** In-place forms of views give the tensor another shape and write no elements. */
const RESHAPING: ReadonlySet<string> = new Set(['asStrided_', 'squeeze_', 't_', 'transpose_', 'unsqueeze_'])

/** In-place methods by name: tensors inherit the methods that are operations from one object. */
export const inPlaceNames: readonly string[] = Object.getOwnPropertyNames(Object.getPrototypeOf(torch.Tensor.prototype)).filter(
  (n) => n.endsWith('_') && !n.startsWith('_') && n !== 'detach_' && n !== 'requiresGrad_' && !RESHAPING.has(n),
)

export const build = (r: Recorded): Tensor => torch.tensor(r.data as number[], { dtype: r.dtype }).reshape(r.shape)

function tensorsOf(c: Case): Recorded[] {
  const found: Recorded[] = []
  const visit = (v: Argument): void => {
    if (Array.isArray(v)) v.forEach(visit)
    else if (isRecorded(v)) found.push(v)
  }
  c.args.forEach(visit)
  Object.values(c.opts ?? {}).forEach(visit)
  return found
}

/** The arguments again, with these tensors. */
function fill(c: Case, x: readonly Tensor[]): unknown[] {
  let k = 0
  const visit = (v: Argument): unknown => (Array.isArray(v) ? v.map(visit) : isRecorded(v) ? x[k++] : v)
  const args = c.args.map(visit)
  return c.opts === undefined ? args : [...args, Object.fromEntries(Object.entries(c.opts).map(([n, v]) => [n, visit(v)]))]
}

function results(c: Case, value: unknown): Tensor[] {
  if (c.kind === 'array') return [...(value as Iterable<Tensor>)]
  if (c.kind === 'named') return c.names!.map((n) => (value as Record<string, Tensor>)[n]!)
  return [value as Tensor]
}

function fromCase(c: Case): Sample {
  const recorded = tensorsOf(c)
  const { op } = c
  const f = operations.get(op)!
  const name = `${op}_`
  const hasInPlace = !c.inplace && inPlaceNames.includes(name) && isRecorded(c.args[0])
  const wrt = recorded.flatMap((r, i) => (r.requiresGrad ? [i] : []))
  const base = { op, label: c.torch, wrt, tensors: () => recorded.map(build) }
  if (c.inplace) {
    return {
      ...base,
      writes: true,
      call: (x) => {
        const target = x[0]!.clone()
        const [, ...rest] = fill(c, x)
        const method = methodOf(target, op)
        if (method === undefined) f(target, ...rest)
        else method.call(target, ...rest)
        return [target]
      },
    }
  }
  return {
    ...base,
    call: (x) => results(c, f(...fill(c, x))),
    ...(hasInPlace
      ? {
          inPlaceName: name,
          inPlace: (x: readonly Tensor[]) => {
            const [target, ...rest] = fill(c, x)
            return methodOf(target as Tensor, name)!.call(target, ...rest)
          },
        }
      : {}),
  }
}

/** What tells two calls apart: ranks and types of the arguments, kinds of numbers, names of options. */
function signature(c: Case): string {
  const one = (v: Argument): string =>
    Array.isArray(v)
      ? `[${v.map(one).join()}]`
      : isRecorded(v)
        ? `${v.dtype}${v.shape.length}${v.requiresGrad ? 'g' : ''}`
        : typeof v === 'number'
          ? String(Math.sign(v))
          : String(v)
  return `${c.args.map(one).join()} ${Object.entries(c.opts ?? {}).map(([k, v]) => `${k}:${one(v)}`)}`
}

const size = (r: Recorded): number => r.data.length

const infinite = (v: Argument): boolean => (Array.isArray(v) ? v.some(infinite) : typeof v === 'number' && !Number.isFinite(v))

/** Few, small and unlike each other; without ties, special values or nothing in them. */
function pick(cases: readonly Case[], count: number): Case[] {
  const seen = new Set<string>()
  const picked: Case[] = []
  for (const c of cases) {
    const x = tensorsOf(c)
    if (c.tag !== undefined || c.error !== undefined || c.via !== undefined || c.after !== undefined || c.args.some(infinite)) continue
    if (x.some((t) => size(t) === 0 || t.dtype === 'float32') || x.reduce((n, t) => n + size(t), 0) > 40) continue
    if (x.length > 0 && c.grads !== undefined && c.grads.every((g) => g === null)) continue
    const key = signature(c)
    if (seen.has(key)) continue
    seen.add(key)
    picked.push(c)
  }
  const smooth = [...picked.filter((c) => c.grads !== undefined), ...picked.filter((c) => c.grads === undefined)]
  // Numbers without dims have paths of their own.
  const single = smooth.slice(count).find((c) => tensorsOf(c)[0]?.shape.length === 0)
  return single === undefined ? smooth.slice(0, count) : [...smooth.slice(0, count - 1), single]
}

function collect(): Map<string, Sample[]> {
  const recorded = new Map<string, Case[]>()
  for (const c of loadFixtures()) recorded.set(c.op, [...(recorded.get(c.op) ?? []), c])
  const all = new Map<string, Sample[]>()
  for (const op of operations.keys()) {
    const own = (table[op] ?? []).map((t, i) => ({ op, label: `${op} ${i}`, ...t }))
    const seen = new Map<string, number>()
    const theirs = pick(recorded.get(op) ?? [], 3).map((c) => {
      const s = fromCase(c)
      const times = (seen.get(s.label) ?? 0) + 1
      seen.set(s.label, times)
      return times === 1 ? s : { ...s, label: `${s.label} #${times}` }
    })
    all.set(op, [...own, ...theirs])
  }
  return all
}

/** The calls of each operation. */
export const samples: ReadonlyMap<string, readonly Sample[]> = collect()

/** The call as a function of the tensors it is differentiated for, giving its results that gradients can flow from. */
export function ofInputs(s: Sample, x: readonly Tensor[]): (...given: Tensor[]) => Tensor[] {
  return (...given) => {
    const all = [...x]
    s.wrt.forEach((i, k) => {
      all[i] = given[k]!
    })
    return s.call(all).filter((y) => y.dtype === 'float64')
  }
}

/** The tensors of a call, and those of them it is differentiated for, as leaves. */
export function leaves(s: Sample): { x: Tensor[]; wrt: Tensor[] } {
  const x = s.tensors()
  return { x, wrt: s.wrt.map((i) => x[i]!.requiresGrad_()) }
}

const known = new WeakMap<Sample, boolean>()

/** Does a gradient flow through the call? */
export function differentiable(s: Sample): boolean {
  const flows = known.get(s) ?? s.call(leaves(s).x).some((y) => y.requiresGrad)
  known.set(s, flows)
  return flows
}
