/** Random view operations: what they do to a tensor, and what they do to a model. */
import fc from 'fast-check'
import type { Tensor } from '../../src/index.ts'
import { gathered, type Model } from './model.ts'

/** A step that is drawn before it is known what it is applied to: numbers are taken modulo what fits. */
export interface Step {
  readonly kind: (typeof kinds)[number]
  readonly a: number
  readonly b: number
  readonly c: number
}

const kinds = [
  'select',
  'narrow',
  'slice',
  'transpose',
  'permute',
  'unsqueeze',
  'squeeze',
  'expand',
  'diagonal',
  'unfold',
  'movedim',
  'split',
  'unbind',
] as const

/** Chains of views. */
export const chains: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...kinds), a: fc.nat(23), b: fc.nat(23), c: fc.nat(23) }),
  { minLength: 1, maxLength: 6 },
)

const without = <T>(list: readonly T[], d: number): T[] => list.toSpliced(d, 1)
const into = <T>(list: readonly T[], d: number, v: T): T[] => list.toSpliced(d, 0, v)

/** One step on both; null where it means nothing for this shape. */
export function apply({ kind, a, b, c }: Step, t: Tensor, m: Model): [Tensor, Model] | null {
  const rank = m.shape.length
  if (kind === 'unsqueeze') {
    const d = a % (rank + 1)
    return [t.unsqueeze(d), gathered(m, into(m.shape, d, 1), (p) => without(p, d))]
  }
  if (kind === 'permute') {
    const order = m.shape.map((_, d) => d).sort((i, j) => ((i * 7 + a) % 5) - ((j * 7 + a) % 5) || i - j)
    const back = (p: readonly number[]): number[] => order.reduce<number[]>((q, from, to) => q.with(from, p[to]!), [...p])
    return [
      t.permute(order),
      gathered(
        m,
        order.map((d) => m.shape[d]!),
        back,
      ),
    ]
  }
  if (rank === 0) return null
  const d = a % rank
  const size = m.shape[d]!
  // Dims count from the end as well.
  const dim = c % 2 === 0 ? d : d - rank
  switch (kind) {
    case 'select':
    case 'unbind': {
      const i = b % size
      const y = kind === 'select' ? t.select(dim, c % 3 === 0 ? i - size : i) : t.unbind(dim)[i]!
      return [y, gathered(m, without(m.shape, d), (p) => into(p, d, i))]
    }
    case 'narrow': {
      const start = b % size
      const length = 1 + (c % (size - start))
      return [t.narrow(dim, start, length), gathered(m, m.shape.with(d, length), (p) => p.with(d, p[d]! + start))]
    }
    case 'slice': {
      const start = b % size
      const step = 1 + (c % 3)
      const length = Math.ceil((size - start) / step)
      return [t.slice(dim, start - size, undefined, step), gathered(m, m.shape.with(d, length), (p) => p.with(d, start + step * p[d]!))]
    }
    case 'split': {
      const part = 1 + (b % size)
      const i = c % Math.ceil(size / part)
      const length = Math.min(part, size - i * part)
      return [t.split(part, dim)[i]!, gathered(m, m.shape.with(d, length), (p) => p.with(d, p[d]! + i * part))]
    }
    case 'transpose': {
      const e = b % rank
      const swapped = <T>(list: readonly T[]): T[] => list.with(d, list[e]!).with(e, list[d]!)
      return [t.transpose(dim, e), gathered(m, swapped(m.shape), swapped)]
    }
    case 'movedim': {
      const e = b % rank
      const moved = into(without(m.shape, d), e, size)
      return [t.movedim(dim, e), gathered(m, moved, (p) => into(without(p, e), d, p[e]!))]
    }
    case 'squeeze':
      if (size !== 1) return null
      return [t.squeeze(dim), gathered(m, without(m.shape, d), (p) => into(p, d, 0))]
    case 'expand': {
      if (size !== 1) return null
      const to = m.shape.with(d, 1 + (b % 3))
      return [t.expand(c % 2 === 0 ? to : to.map((n, i) => (i === d ? n : -1))), gathered(m, to, (p) => p.with(d, 0))]
    }
    case 'diagonal': {
      const e = b % rank
      if (e === d) return null
      const offset = (c % (size + m.shape[e]! - 1)) - (size - 1)
      const [down, right] = [Math.max(0, -offset), Math.max(0, offset)]
      const length = Math.min(size - down, m.shape[e]! - right)
      const rest = m.shape.filter((_, i) => i !== d && i !== e)
      return [
        t.diagonal({ offset, dim1: dim, dim2: e }),
        gathered(m, [...rest, length], (p) => {
          const k = p.at(-1)!
          let next = 0
          return m.shape.map((_, i) => (i === d ? k + down : i === e ? k + right : p[next++]!))
        }),
      ]
    }
    case 'unfold': {
      const window = 1 + (b % size)
      const step = 1 + (c % 2)
      const windows = Math.floor((size - window) / step) + 1
      return [
        t.unfold(dim, window, step),
        gathered(m, [...m.shape.with(d, windows), window], (p) => p.slice(0, -1).with(d, p[d]! * step + p.at(-1)!)),
      ]
    }
  }
}
