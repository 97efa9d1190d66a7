/** Properties of shapes, views, indices, types and texts, held against plain arrays on random cases. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import type { IndexItem } from '../../src/ops/items.ts'
import { setPrintOptions } from '../../src/print.ts'
import { loadPromotion } from '../parity/load.ts'
import { counting, gathered, holds, type Model, nested, places, shapes, value } from './model.ts'
import { apply, chains, type Step } from './views.ts'

const { tensor } = torch
type Tensor = torch.Tensor

const made = (m: Model, scale = 1): Tensor =>
  tensor(
    m.at.map((v) => v * scale),
    { dtype: 'float64' },
  ).reshape(m.shape)

describe('broadcasting', () => {
  /** The sizes from the end, each 1 or equal; null where some are neither. */
  function together(list: readonly (readonly number[])[]): number[] | null {
    const rank = Math.max(...list.map((s) => s.length))
    const shape = Array.from({ length: rank }, (_, d) => {
      const sizes = new Set(list.map((s) => s[d - rank + s.length] ?? 1).filter((n) => n !== 1))
      return sizes.size > 1 ? -1 : ([...sizes][0] ?? 1)
    })
    return shape.includes(-1) ? null : shape
  }
  const from = (m: Model, p: readonly number[]): number[] => m.shape.map((n, d) => (n === 1 ? 0 : p[d + p.length - m.shape.length]!))

  const some = fc.array(fc.constantFrom(1, 1, 2, 3), { maxLength: 3 })

  test('values, shapes and refusals of three operands', () => {
    holds(
      fc.property(some, some, some, (...list) => {
        const [a, b, c] = list.map(counting) as [Model, Model, Model]
        const shape = together(list)
        const run = (): Tensor => made(a).addcmul(made(b, 10), made(c, 100))
        if (shape === null) {
          expect(run).toThrow(torch.ShapeError)
          return
        }
        const expected = places(shape).map((p) => value(a, from(a, p)) + 10 * value(b, from(b, p)) * 100 * value(c, from(c, p)))
        expect(run().shape).toEqual(shape)
        expect(run().tolist()).toEqual(nested(shape, expected))
      }),
      150,
    )
  })

  test('gradients are summed over what was repeated', () => {
    holds(
      fc.property(some, some, (...list) => {
        const shape = together(list)
        if (shape === null) return
        const [a, b] = list.map(counting) as [Model, Model]
        const [x, y] = [made(a).requiresGrad_(), made(b).requiresGrad_()]
        const g = counting(shape)
        x.mul(y).backward(made(g))
        const sums = a.at.map(() => 0)
        places(shape).forEach((p, i) => {
          sums[value(a, from(a, p))]! += g.at[i]! * value(b, from(b, p))
        })
        expect(x.grad!.tolist()).toEqual(nested(a.shape, sums))
      }),
      100,
    )
  })
})

describe('chains of views', () => {
  function chain(steps: readonly Step[], base: Tensor, m: Model): [Tensor, Model] {
    let now: [Tensor, Model] = [base, m]
    for (const step of steps) now = apply(step, now[0], now[1]) ?? now
    return now
  }

  test('show the elements that arrays show, share them, and pass gradients back to them', () => {
    holds(
      fc.property(shapes, chains, (shape, steps) => {
        const m = counting(shape)
        const leaf = made(m).requiresGrad_()
        const base = leaf.mul(1)
        const [view, seen] = chain(steps, base, m)
        expect(view.shape).toEqual(seen.shape)
        expect(view.tolist()).toEqual(nested(seen.shape, seen.at))
        expect(view.contiguous().isContiguous()).toBe(true)
        expect(view.contiguous().tolist()).toEqual(view.tolist())
        expect(view.reshape(-1).tolist()).toEqual([...seen.at])
        const weights = seen.at.map((_, i) => i + 1)
        const [g] = torch.autograd.grad(view, leaf, { gradOutputs: tensor(weights, { dtype: 'float64' }).reshape(seen.shape) })
        const sums = m.at.map(() => 0)
        seen.at.forEach((p, i) => {
          sums[p]! += weights[i]!
        })
        expect(g!.tolist()).toEqual(nested(shape, sums))
        const plain = made(m)
        const again = chain(steps, plain, m)[0]
        const write = (): Tensor => again.copy_(tensor(weights, { dtype: 'float64' }).reshape(seen.shape).neg())
        if (new Set(seen.at).size < seen.at.length) {
          expect(write).toThrow(torch.AutogradError)
          return
        }
        write()
        const after = m.at.map((v) => (seen.at.includes(v) ? -weights[seen.at.indexOf(v)]! : v))
        expect(plain.tolist()).toEqual(nested(shape, after))
      }),
      400,
    )
  })
})

describe('get and set', () => {
  type Item = { kind: 'int' | 'range' | 'list' | 'new' | 'mask'; a: number; b: number; c: number }
  const item: fc.Arbitrary<Item> = fc.record({
    kind: fc.constantFrom('int', 'range', 'range', 'list', 'new', 'mask'),
    a: fc.nat(20),
    b: fc.nat(20),
    c: fc.nat(20),
  })

  /** The items as users write them, and the positions that each dim of the array is asked at: one, a run of them, or a list that goes with the other lists. */
  function ask(shape: readonly number[], items: readonly Item[], from: number): { written: IndexItem[]; model: Model } {
    const written: IndexItem[] = []
    const m = counting(shape)
    // Of each dim of the result before lists: where it comes from. Lists all have the same length.
    let d = from
    let lists: number[][] = []
    const listDims: number[] = []
    const axes: ({ dim: number; positions: number[] } | { fixed: number; dim: number } | 'new')[] = m.shape
      .slice(0, from)
      .map((n, dim) => ({ dim, positions: Array.from({ length: n }, (_, i) => i) }))
    if (from > 0) written.push('...')
    for (const { kind, a, b, c } of items) {
      if (kind === 'new') {
        written.push(null)
        axes.push('new')
        continue
      }
      if (d >= shape.length) break
      const size = shape[d]!
      if (kind === 'int') {
        const i = a % size
        written.push(b % 2 === 0 ? i : i - size)
        axes.push({ fixed: i, dim: d })
      } else if (kind === 'range') {
        const start = a % size
        const step = 1 + (c % 2)
        written.push(torch.range(b % 2 === 0 ? start : start - size, b % 3 === 0 ? null : size, step))
        axes.push({ dim: d, positions: Array.from({ length: size }, (_, i) => i).filter((i) => i >= start && (i - start) % step === 0) })
      } else {
        const positions = kind === 'mask' ? [a % size] : [a % size, b % size, c % size]
        const mask = Array.from({ length: size }, (_, i) => i === a % size)
        if (kind === 'mask') written.push(mask)
        else written.push(c % 2 === 0 ? positions : tensor(positions, { dtype: 'int32' }))
        lists.push(positions)
        listDims.push(axes.length)
        axes.push({ dim: d, positions })
      }
      d++
    }
    // Without `...`, dims that nobody asked about are taken whole.
    for (; d < shape.length; d++) axes.push({ dim: d, positions: Array.from({ length: shape[d]! }, (_, i) => i) })
    const n = Math.max(0, ...lists.map((l) => l.length))
    lists = lists.map((l) => (l.length === n ? l : new Array<number>(n).fill(l[0]!)))
    const isList = (i: number): boolean => listDims.includes(i)
    // Numbers are taken first, so that they don't keep lists from being neighbours.
    const left = axes.flatMap((axis, i) => (axis !== 'new' && 'fixed' in axis ? [] : [i]))
    const advanced = listDims.map((i) => left.indexOf(i))
    const neighbours = advanced.length > 0 && advanced.at(-1)! - advanced[0]! + 1 === advanced.length
    const kept = axes.flatMap((axis, i) => (isList(i) || (axis !== 'new' && 'fixed' in axis) ? [] : [i]))
    const place = neighbours ? kept.filter((i) => i < listDims[0]!).length : 0
    const sizes = kept.map((i) => (axes[i] === 'new' ? 1 : (axes[i] as { positions: number[] }).positions.length))
    const out = listDims.length > 0 ? sizes.toSpliced(place, 0, n) : sizes
    const model = gathered(m, out, (p) => {
      const k = listDims.length > 0 ? p[place]! : 0
      const rest = listDims.length > 0 ? p.toSpliced(place, 1) : p
      const at = new Array<number>(shape.length).fill(0)
      axes.forEach((axis, i) => {
        if (axis === 'new') return
        if ('fixed' in axis) at[axis.dim] = axis.fixed
        else if (isList(i)) at[axis.dim] = lists[listDims.indexOf(i)]![k]!
        else at[axis.dim] = axis.positions[rest[kept.indexOf(i)]!]!
      })
      return at
    })
    return { written, model }
  }
  const questions = fc.tuple(
    fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
    fc.array(item, { minLength: 1, maxLength: 5 }),
    fc.nat(3),
  )

  test('read and write what arrays read and write', () => {
    holds(
      fc.property(questions, ([shape, items, skip]) => {
        const asked = items.filter((i) => i.kind !== 'new').length
        const from = skip === 0 && asked < shape.length ? shape.length - asked : 0
        const { written, model } = ask(shape, items, from)
        const x = made(counting(shape))
        const got = x.get(...written)
        expect(got.shape).toEqual(model.shape)
        expect(got.tolist()).toEqual(nested(model.shape, model.at))
        x.set(written, -1)
        expect(x.tolist()).toEqual(
          nested(
            shape,
            counting(shape).at.map((v) => (model.at.includes(v) ? -1 : v)),
          ),
        )
        if (new Set(model.at).size < model.at.length) return
        const values = model.at.map((_, i) => 100 + i)
        x.set(written, tensor(values, { dtype: 'float64' }).reshape(model.shape))
        expect(x.get(...written).tolist()).toEqual(nested(model.shape, values))
      }),
      400,
    )
  })
})

describe('types of results', () => {
  const { kinds, ops } = loadPromotion()
  const table = ops.find((o) => o.op === 'add')!.result
  const operands = fc.array(fc.constantFrom(...kinds.right), { minLength: 1, maxLength: 4 })

  test('sums of several have the type that the recorded sums of two lead to', () => {
    const one = (kind: string): Tensor | number | boolean => {
      if (kind === 'true') return true
      const dtype = kind.replace('[]', '')
      if (!Object.hasOwn(torch, dtype)) return Number(kind)
      const t = tensor([1]).to(dtype as torch.DType)
      return kind.endsWith('[]') ? t : t.reshape([])
    }
    holds(
      fc.property(fc.constantFrom(...kinds.left), operands, (first, rest) => {
        let kind = first
        let sum = one(first) as Tensor
        for (const next of rest) {
          sum = sum.add(one(next))
          const dtype = table[kinds.left.indexOf(kind)]![kinds.right.indexOf(next)] as string
          kind = dtype + (kind.endsWith('[]') || next.endsWith('[]') ? '[]' : '')
        }
        expect(sum.dtype).toBe(kind.replace('[]', ''))
      }),
      200,
    )
  })
})

describe('round trips', () => {
  const numbers: Readonly<Record<torch.DType, fc.Arbitrary<number>>> = {
    float64: fc.double(),
    float32: fc.float(),
    int32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    uint8: fc.nat(255),
    bool: fc.nat(1),
  }
  const tensors = fc
    .record({
      dtype: fc.constantFrom(...(Object.keys(numbers) as torch.DType[])),
      shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
    })
    .chain(({ dtype, shape }) => {
      const n = shape.reduce((a, b) => a * b, 1)
      return fc.array(numbers[dtype], { minLength: n, maxLength: n }).map((data) => ({ dtype, shape, data }))
    })
  const build = ({ dtype, shape, data }: { dtype: torch.DType; shape: number[]; data: number[] }): Tensor =>
    tensor(data, { dtype }).reshape(shape)
  const same = (a: Tensor, b: Tensor): void => {
    expect([b.dtype, b.shape]).toEqual([a.dtype, a.shape])
    const [x, y] = [a.toTypedArray(), b.toTypedArray()]
    x.forEach((v, i) => expect(Object.is(v, y[i])).toBe(true))
  }

  test('lists', () => {
    holds(
      fc.property(tensors, (t) => {
        const x = build(t)
        // The sizes of what is empty don't stand in a list.
        if (t.data.length > 0) same(x, tensor(x.tolist() as torch.Nested, { dtype: t.dtype }))
        same(x, tensor(x.toTypedArray(), { dtype: t.dtype }).reshape(t.shape))
      }),
      200,
    )
  })

  test('safetensors', () => {
    holds(
      fc.property(tensors, tensors, (a, b) => {
        const saved = { a: build(a), b: build(b) }
        const loaded = torch.io.loadSafetensors(torch.io.saveSafetensors(saved))
        same(saved.a, loaded['a']!)
        same(saved.b, loaded['b']!)
      }),
      100,
    )
  })

  test('text with enough digits', () => {
    setPrintOptions({ precision: 17, threshold: Number.POSITIVE_INFINITY, sciMode: true })
    try {
      holds(
        fc.property(tensors, (t) => {
          const x = build(t)
          const [, list] = /^tensor\((.*?)(?:,\s*(?:size|dtype)=.*)?\)$/s.exec(String(x))!
          const read = list!
            .replaceAll(/[[\]\s]/g, '')
            .split(',')
            .filter((v) => v !== '')
          const value = (v: string): number =>
            v === 'nan'
              ? Number.NaN
              : Number(
                  v
                    .replace('inf', 'Infinity')
                    .replace(/^true$/i, '1')
                    .replace(/^false$/i, '0'),
                )
          expect(read.map(value)).toEqual(Array.from(x.toTypedArray()))
        }),
        200,
      )
    } finally {
      setPrintOptions()
    }
  })
})
