/**
 * Transform levels. Each open `func.grad`, `func.jvp` or `func.vmap` is one level on one stack; a tensor inside it wraps
 * a tensor of a lower level. The plain tape is level 0.
 */
import { GraphError } from '../errors.ts'
import { TensorCore } from '../tensor.ts'
import { leafOf, versionOf } from './node.ts'

export type LevelKind = 'reverse' | 'forward' | 'batch'

/** What random operations do on a batch level: refuse, draw once for all examples, or once for each. */
export type Randomness = 'error' | 'same' | 'different'

export class Level {
  readonly kind: LevelKind
  readonly depth: number
  /** Examples in the batch, for a batch level. */
  readonly size: number
  readonly randomness: Randomness
  /** The level around it. */
  readonly outer: Level | null
  open = true

  constructor(kind: LevelKind, depth: number, size: number, randomness: Randomness, outer: Level | null) {
    this.kind = kind
    this.depth = depth
    this.size = size
    this.randomness = randomness
    this.outer = outer
  }
}

/** The innermost level that is running. */
let current: Level | null = null

/** Is a transform running? */
export function insideTransform(): boolean {
  return current !== null
}

/** The batch level that random operations follow: the innermost, from `level` outwards. */
export function batchLevel(level: Level | null = current): Level | null {
  let found = level
  while (found !== null && found.kind !== 'batch') found = found.outer
  return found
}

/** What a tensor inside a transform is. */
export interface Wrapped {
  readonly level: Level
  /** The tensor one level down. */
  readonly value: TensorCore
  /** Forward levels: the tangent, or null for zero. */
  readonly tangent: TensorCore | null
  /** Batch levels: the dim of `value` that is the batch. */
  readonly dim: number
}

/** Runs `fn` inside a new level. */
export function withLevel<R>(kind: LevelKind, size: number, fn: (level: Level) => R, randomness: Randomness = 'same'): R {
  const outer = current
  const level = new Level(kind, outer === null ? 1 : outer.depth + 1, size, randomness, outer)
  current = level
  try {
    return fn(level)
  } finally {
    current = outer
    level.open = false
  }
}

/** A tensor of level `level` over `value`. */
export function wrap(level: Level, value: TensorCore, tangent: TensorCore | null = null, dim = 0): TensorCore {
  const layout = level.kind === 'batch' ? value.layout.select(dim, 0) : value.layout
  const t = new TensorCore(value.storage, layout, value.dt)
  t.vc = versionOf(value)
  t.wrap = { level, value, tangent, dim }
  return t
}

/** A tensor of a reverse level over `value`: a leaf there, if it can have gradients. */
export function leafOn(level: Level, value: TensorCore): TensorCore {
  const t = wrap(level, value)
  if (t.dt.floating) {
    t.rg = true
    leafOf(t)
  }
  return t
}

/** The highest level among the tensors of `args` (also in arrays), or null for plain tensors only. */
export function topLevel(args: readonly unknown[]): Level | null {
  let top: Level | null = null
  for (const a of args) {
    const level = Array.isArray(a) ? topLevel(a) : a instanceof TensorCore && a.wrap !== null ? a.wrap.level : null
    if (level !== null && (top === null || level.depth > top.depth)) top = level
  }
  if (top !== null && !top.open) {
    throw new GraphError(
      `a tensor of a finished ${top.kind === 'batch' ? 'vmap' : top.kind === 'forward' ? 'jvp' : 'grad'} was used outside of it; return it from the function instead`,
    )
  }
  return top
}

/** The arguments one level down: wrappers of `level` replaced by what they wrap. */
export function lower<T>(arg: T, level: Level): T {
  if (Array.isArray(arg)) return arg.map((a) => lower(a, level)) as T
  if (arg instanceof TensorCore && arg.wrap !== null && arg.wrap.level === level) return arg.wrap.value as T
  return arg
}
