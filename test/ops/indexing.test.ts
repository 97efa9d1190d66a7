/** Python-like indexing: `get` and `set` against their definition, in the graph, in place and inside transforms. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import {
  autograd,
  func,
  gather,
  type IndexItem,
  index,
  indexPut,
  indexSelect,
  noGrad,
  range,
  scatter,
  type Tensor,
  tensor,
  zeros,
} from '../../src/index.ts'

const counting = (...shape: number[]): Tensor =>
  torch
    .arange(
      shape.reduce((a, b) => a * b, 1),
      { dtype: 'float64' },
    )
    .reshape(shape)
const ints = (...v: number[]): Tensor => tensor(v, { dtype: 'int32' })
const float64 = { dtype: 'float64' } as const

describe('get', () => {
  const x = counting(2, 3, 4)
  test.each<[string, IndexItem[], unknown]>([
    ['x[1, 2, 3]', [1, 2, 3], 23],
    ['x[-1, 0]', [-1, 0], [12, 13, 14, 15]],
    [
      'x[:, 1, ::2]',
      [range(), 1, range(null, null, 2)],
      [
        [4, 6],
        [16, 18],
      ],
    ],
    [
      'x[..., 0]',
      ['...', 0],
      [
        [0, 4, 8],
        [12, 16, 20],
      ],
    ],
    [
      'x[0, None, 1:, -2:]',
      [0, null, range(1), range(-2)],
      [
        [
          [6, 7],
          [10, 11],
        ],
      ],
    ],
    ['x[[0, 1], [2, -1], 0]', [[0, 1], [2, -1], 0], [8, 20]],
    [
      'x[0, :, [3, 0]]',
      [0, range(), [3, 0]],
      [
        [3, 0],
        [7, 4],
        [11, 8],
      ],
    ],
    [
      'x[[1, 0], :, [3, 0]]',
      [[1, 0], range(), [3, 0]],
      [
        [15, 19, 23],
        [0, 4, 8],
      ],
    ],
    ['x[True, 0, 0]', [true, 0, 0], [[0, 1, 2, 3]]],
    ['x[False]', [false], []],
    ['x[0, [True, False, True], 1]', [0, [true, false, true], 1], [1, 9]],
    ['x[0, 5:]', [0, range(5)], []],
  ])('%s', (_, items, expected) => {
    expect(x.get(...items).tolist()).toEqual(expected)
  })

  test('basic indices give views, positions and masks give copies', () => {
    const y = counting(3, 3)
    y.get(0, range(1)).fill_(7)
    y.get([1]).fill_(9)
    expect(y.tolist()).toEqual([
      [0, 7, 7],
      [3, 4, 5],
      [6, 7, 8],
    ])
    expect(y.get() === y).toBe(false)
    expect(y.get('...')._base === y._base).toBe(true)
  })

  test('masks of several dims', () => {
    const mask = x.get(0).gt(4).logicalAnd(x.get(0).lt(8))
    expect(x.get(range(), mask).tolist()).toEqual([
      [5, 6, 7],
      [17, 18, 19],
    ])
    expect(x.get(x.gt(21)).tolist()).toEqual([22, 23])
  })

  test('more items than four reach the method', () => {
    expect(counting(1, 1, 1, 1, 2).get(0, 0, 0, 0, 1).item()).toBe(1)
    expect(counting(2).reshape(1, 1, 1, 1, 1, 2).shape).toEqual([1, 1, 1, 1, 1, 2])
  })

  test.each<[string, IndexItem[], RegExp]>([
    ['out of range', [2], /index 2 is out of bounds for dimension 0 with size 2/],
    ['list out of range', [0, [0, 3]], /index 3 is out of bounds for dimension 0 with size 3/],
    ['too many', [0, 0, 0, 0], /too many indices for tensor of dimension 3/],
    ['two ellipses', ['...', '...'], /single ellipsis/],
    ['a fraction', [0.5], /whole numbers/],
    ['a wrong key', [{ stop: 2 } as unknown as IndexItem], /range/],
    ['undefined', [undefined as unknown as IndexItem], /indices/],
    ['mask of another shape', [[true]], /shape of the mask \[1\] at index 0/],
    ['floats', [tensor([0])], /tensors used as indices must be/],
    ['bytes', [tensor([0], { dtype: 'uint8' })], /ambiguous/],
    [
      'shapes that do not broadcast',
      [
        [0, 1],
        [0, 1, 2],
      ],
      /indexing tensors could not be broadcast together with shapes \[2\], \[3\]/,
    ],
    ['a negative step', [range(null, null, -1)], /step/],
  ])('refuses %s', (_, items, message) => {
    expect(() => x.get(...items)).toThrow(message)
    const before = x.tolist()
    expect(() => x.set(items, 1)).toThrow(torch.AutogradError)
    expect(x.tolist()).toEqual(before)
  })

  test('slices agree with arrays', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.option(fc.integer({ min: -8, max: 8 })),
        fc.option(fc.integer({ min: -8, max: 8 })),
        fc.integer({ min: 1, max: 3 }),
        (n, start, end, step) => {
          const list = Array.from({ length: n }, (_, i) => i)
          const expected = list.slice(start ?? 0, end ?? n).filter((_, i) => i % step === 0)
          expect(
            tensor(list)
              .get(range(start, end, step))
              .tolist(),
          ).toEqual(expected)
        },
      ),
    )
  })

  test('advanced indexing agrees with its definition', () => {
    const position = fc.integer({ min: -3, max: 2 })
    const item = fc.oneof(fc.constant(null), fc.array(position, { minLength: 2, maxLength: 2 }))
    fc.assert(
      fc.property(fc.array(item, { minLength: 3, maxLength: 3 }), (items) => {
        const y = counting(3, 3, 3)
        const dims = items.flatMap((v, d) => (v === null ? [] : [d]))
        if (dims.length === 0) return
        const out = index(
          y,
          items.map((v) => (v === null ? null : ints(...v))),
        )
        const together = dims.at(-1)! - dims[0]! + 1 === dims.length
        const rest = [0, 1, 2].filter((d) => !dims.includes(d))
        const place = together ? dims[0]! : 0
        // The position in the result of every (k, rest): the index dim stands at `place` among the rest.
        for (let k = 0; k < 2; k++) {
          for (let r = 0; r < 3 ** rest.length; r++) {
            const at = [0, 0, 0]
            const others: number[] = []
            rest.forEach((d, i) => {
              at[d] = Math.floor(r / 3 ** (rest.length - 1 - i)) % 3
              others.push(at[d]!)
            })
            for (const d of dims) at[d] = (items[d]![k]! + 3) % 3
            expect(out.get(...others.toSpliced(place, 0, k)).item()).toBe(at[0]! * 9 + at[1]! * 3 + at[2]!)
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('set', () => {
  test('writes, counts a change, returns the tensor', () => {
    const x = zeros([3, 3])
    expect(x.set([0, range(1, 3)], tensor([1, 2]))).toBe(x)
    x.set([[1, 2], 0], 5).set([range(), 2], tensor([[[7, 8, 9]]]).reshape([1, 3]))
    x.set(1, true)
    expect(x.tolist()).toEqual([
      [0, 1, 7],
      [1, 1, 1],
      [5, 0, 9],
    ])
    expect(x._version).toBe(4)
    x.set([x.gt(4)], -1)
    x.set([x.lt(0)], ints(4))
    expect(x.tolist()).toEqual([
      [0, 1, 4],
      [1, 1, 1],
      [4, 0, 4],
    ])
  })

  test('gradients go to what was written and to what was kept', () => {
    for (const items of [
      [1, range(0, 2)],
      [
        [1, 1],
        [0, 1],
      ],
      [range(1, 2), [0, 1]],
    ] as IndexItem[][]) {
      const x = counting(3, 3).requiresGrad_()
      const v = tensor([10, 20], float64).requiresGrad_()
      const y = x.clone().set(items, v.mul(3))
      y.mul(counting(3, 3)).sum().backward()
      expect(x.grad!.tolist()).toEqual([
        [0, 1, 2],
        [0, 0, 5],
        [6, 7, 8],
      ])
      expect(v.grad!.tolist()).toEqual([9, 12])
    }
  })

  test('leaves are protected, saved values are checked', () => {
    const x = zeros([3], { requiresGrad: true })
    expect(() => x.set(0, 1)).toThrow(/leaf Variable that requires grad/)
    expect(() => x.set([[0, 1]], 1)).toThrow(/leaf Variable that requires grad/)
    noGrad(() => x.set([[0, 1]], 1))
    expect(x.tolist()).toEqual([1, 1, 0])
    const y = x.exp()
    y.set([[0]], 0)
    expect(() => y.sum().backward()).toThrow(/modified by an inplace operation/)
  })

  test('views of every kind', () => {
    const x = zeros([2, 3])
    x.t().set([[0, 2], 1], tensor([4, 5]))
    x.get(0).indexPut_([ints(0, 0, 2)], tensor([1, 1, 1]), { accumulate: true })
    expect(x.tolist()).toEqual([
      [2, 0, 1],
      [4, 0, 5],
    ])
    x.expand([2, 2, 3])
    expect(() =>
      x
        .unsqueeze(0)
        .expand([2, 2, 3])
        .set([[0]], 1),
    ).toThrow(/single memory location/)
    expect(() => x.scatter_(0, ints(0).reshape([1, 1]), x)).toThrow(/single memory location/)
  })
})

describe('inside transforms', () => {
  const x = counting(4, 3).mul(0.1)
  const rows = tensor(
    [
      [0, 2],
      [1, 1],
      [2, 0],
      [0, 0],
    ],
    { dtype: 'int32' },
  )
  const looped = (f: (x: Tensor, i: Tensor) => Tensor): number[] =>
    [0, 1, 2, 3].flatMap((b) => Array.from(f(x.get(b), rows.get(b)).toTypedArray()))
  const ops: Record<string, (x: Tensor, i: Tensor) => Tensor> = {
    gather: (v, i) => gather(v, 0, i),
    scatter: (v, i) => scatter(v, 0, i, v.narrow(0, 0, 2)),
    indexSelect: (v, i) => indexSelect(v, 0, i),
    index: (v, i) => index(v, [i]),
    indexPut: (v, i) => indexPut(v, [i], v.narrow(0, 0, 2), { accumulate: true }),
    outer: (v, i) => index(v.unsqueeze(1).mul(v), [i, i]),
    apart: (v, i) => index(v.unsqueeze(1).mul(v).unsqueeze(1), [i, null, i]),
    single: (v, i) => v.get(i.get(0)).add(v.get(range(1), null).sum()),
    roll: (v) => v.roll(1).roll([1], [0]).flip(0).repeat([2]),
    strided: (v) => v.unfold(0, 2, 1).tril().triu(-1),
  }
  test.each(Object.keys(ops))('vmap of %s is the loop', (name) => {
    const f = ops[name]!
    expect(Array.from(func.vmap(f)(x, rows).toTypedArray())).toEqual(looped(f))
    // One of the two without a batch.
    const first = func.vmap((v: Tensor) => f(v, rows.get(0)))(x)
    expect(Array.from(first.toTypedArray())).toEqual([0, 1, 2, 3].flatMap((b) => Array.from(f(x.get(b), rows.get(0)).toTypedArray())))
  })
  test.each(Object.keys(ops))('vmap of the gradient of %s is the loop', (name) => {
    const f = (v: Tensor, i: Tensor): Tensor => ops[name]!(v, i).pow(2).sum()
    const g = func.grad(f as (...args: Tensor[]) => Tensor) as (v: Tensor, i: Tensor) => Tensor
    const expected = looped(g)
    Array.from(func.vmap(g)(x, rows).toTypedArray()).forEach((v, k) => {
      expect(v).toBeCloseTo(expected[k]!, 12)
    })
  })
  test('shapes that depend on values are refused', () => {
    expect(() => func.vmap((v: Tensor) => v.maskedSelect(v.gt(0)))(x)).toThrow(/vmap/)
    expect(() => func.vmap((v: Tensor) => v.get(v.gt(0)))(x)).toThrow(/vmap/)
    expect(() => func.vmap((v: Tensor) => v.nonzero().sum())(x)).toThrow(/vmap/)
  })
  test('third derivatives of views', () => {
    const y = tensor([0.5, 1.5, 2.5], float64).requiresGrad_()
    for (const f of [
      (v: Tensor) => v.select(0, 1),
      (v: Tensor) => v.slice(0, 0, 3, 2).sum(),
      (v: Tensor) => v.unfold(0, 2, 1).sum(),
      (v: Tensor) => v.asStrided([2], [2]).sum(),
    ]) {
      let g = f(y.pow(4))
      for (let k = 0; k < 3; k++) g = autograd.grad([g.sum()], [y], { createGraph: true })[0]!
      const chosen = autograd.grad([f(y.mul(1))], [y])[0]!
      Array.from(g.toTypedArray()).forEach((v, i) => {
        expect(v).toBeCloseTo(24 * [0.5, 1.5, 2.5][i]! * chosen.get(i).item(), 10)
      })
    }
  })
})
