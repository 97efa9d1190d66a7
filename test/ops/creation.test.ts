/** Tensors from nothing: sizes, types, shared memory, seeds, refusals. */
import ndarray from 'ndarray'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { arange, empty, eye, fromNumpy, linspace, manualSeed, rand, randint, randn, randperm, tensor } from '../../src/index.ts'

describe('values', () => {
  test('arange, linspace, eye', () => {
    expect(arange(3).tolist()).toEqual([0, 1, 2])
    expect(arange(3).dtype).toBe('int32')
    expect(arange(1, 2, 0.25).tolist()).toEqual([1, 1.25, 1.5, 1.75])
    expect(arange(5, 0, -2, { dtype: 'float64' }).tolist()).toEqual([5, 3, 1])
    expect(arange(4, { dtype: 'float64' }).dtype).toBe('float64')
    expect(linspace(0, 1, 5).tolist()).toEqual([0, 0.25, 0.5, 0.75, 1])
    expect(linspace(3, 4, 1).tolist()).toEqual([3])
    expect(eye(2, 3).tolist()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ])
    expect(eye(1, { requiresGrad: true }).requiresGrad).toBe(true)
    expect(empty([2, 0]).shape).toEqual([2, 0])
  })
  test('like another tensor', () => {
    const x = tensor([[1, 2]], { dtype: 'float64' })
    expect(torch.fullLike(x, 3).tolist()).toEqual([[3, 3]])
    for (const y of [torch.randLike(x), torch.randnLike(x), torch.emptyLike(x), torch.randintLike(x, 0, 3)]) {
      expect([y.shape, y.dtype]).toEqual([[1, 2], 'float64'])
    }
  })
})

describe('random numbers', () => {
  const draws = (): unknown[] => [
    rand([3]).tolist(),
    randn(5, { dtype: 'float64' }).tolist(),
    randint(10, [4]).tolist(),
    randperm(6).tolist(),
    torch.normal(1, 2, [2]).tolist(),
    tensor([0, 1, 0.5]).bernoulli().tolist(),
    empty([3, 2]).t().uniform_(1, 2).tolist(),
    empty(3).normal_().tolist(),
    empty(3).bernoulli_(0.5).tolist(),
  ]
  test('a seed decides', () => {
    manualSeed(7)
    const first = draws()
    const second = draws()
    manualSeed(7)
    expect(draws()).toEqual(first)
    expect(second).not.toEqual(first)
  })
  test('a generator of its own leaves the default alone', () => {
    manualSeed(1)
    const expected = rand([2]).tolist()
    manualSeed(1)
    const generator = new torch.Generator(1)
    expect(rand([2], { generator }).tolist()).toEqual(expected)
    expect(rand([2]).tolist()).toEqual(expected)
  })
  test('ranges', () => {
    const u = torch.uniform(-2, 3, [1000]).toTypedArray()
    expect(Math.min(...u)).toBeGreaterThanOrEqual(-2)
    expect(Math.max(...u)).toBeLessThan(3)
    expect(new Set(randint(-1, 2, [200]).tolist() as number[])).toEqual(new Set([-1, 0, 1]))
    expect((randperm(50).tolist() as number[]).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(randint(0, 2, [5], { dtype: 'bool' }).dtype).toBe('bool')
  })
  test('draws are constants: no gradient', () => {
    const p = tensor([0.5, 0.5], { requiresGrad: true })
    const y = p.bernoulli()
    expect(y.gradFn!.name()).toBe('BernoulliBackward0')
    y.sum().backward()
    expect(p.grad!.tolist()).toEqual([0, 0])
    expect(() => p.uniform_()).toThrow(/leaf/)
  })
})

describe('shared memory', () => {
  test('both ways, through operations and in place', () => {
    const data = new Float64Array([1, 2, 3, 4, 5, 6])
    const x = fromNumpy(ndarray(data, [2, 2], [3, 1], 1))
    expect(x.tolist()).toEqual([
      [2, 3],
      [5, 6],
    ])
    x.mul_(10)
    expect([...data]).toEqual([1, 20, 30, 4, 50, 60])
    data[1] = -1
    expect(x.add(1).sum().item()).toBe(-1 + 30 + 50 + 60 + 4)
    x.set([[0, 1], 0], 7)
    x.scatter_(1, tensor([[1]], { dtype: 'int32' }), 8)
    expect([...data]).toEqual([1, 7, 8, 4, 7, 60])
    expect(x.matmul(x).tolist()).toEqual([
      [7 * 7 + 8 * 7, 7 * 8 + 8 * 60],
      [7 * 7 + 60 * 7, 7 * 8 + 60 * 60],
    ])
    expect(x.numpy().data).toBe(data)
    x.uniform_()
    expect(data[1]).toBeLessThan(1)
    expect(x.gather(0, tensor([[0, 1]], { dtype: 'int32' })).tolist()).toEqual([[data[1], data[5]]])
  })
  test('typed arrays', () => {
    expect(fromNumpy(new Uint8Array([1, 2])).dtype).toBe('uint8')
    expect(fromNumpy(new Int32Array(3).subarray(1)).shape).toEqual([2])
    expect(fromNumpy(new Float32Array(0)).sum().item()).toBe(0)
    expect(() => fromNumpy(new Int16Array(2) as unknown as Int32Array)).toThrow(/Int16Array/)
    expect(() => fromNumpy([1] as unknown as Int32Array)).toThrow(torch.DTypeError)
    expect(() => fromNumpy(null as unknown as Int32Array)).toThrow(torch.DTypeError)
    expect(() => fromNumpy(ndarray(new Float32Array(2)).step(-1))).toThrow(/negative/)
    expect(() => fromNumpy(ndarray(new Float32Array(2), [3], [1], 0))).toThrow(/leave the 2 elements/)
  })
})

test('impossible sizes give typed errors', () => {
  for (const size of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e12, 2 ** 60]) {
    for (const make of [
      () => torch.zeros([size]),
      () => torch.ones(size),
      () => empty([2, size]),
      () => torch.full([size], 1),
      () => rand([size]),
      () => randn(size),
      () => randint(3, [size]),
      () => randperm(size),
      () => linspace(0, 1, size),
      () => eye(size),
      () => torch.normal(0, 1, [size]),
    ]) {
      expect(make, `${make} with ${size}`).toThrow(torch.AutogradError)
    }
  }
  for (const make of [
    () => arange(0, 5, -1),
    () => arange(0, 5, 0),
    () => arange(Number.NaN),
    () => arange(0, 1e12),
    () => arange(0, 1, 1e-300),
    () => randint(3, 1, [2]),
    () => torch.normal(0, -1, [2]),
    () => torch.uniform(2, 1, [2]),
    () => rand([2], { dtype: 'int32' }),
    () => tensor([2]).bernoulli(),
    () => empty(2).bernoulli_(2),
    () => torch.zeros([2], { dtype: 'int64' as 'int32' }),
    () => torch.zeros('2' as unknown as number),
    () => torch.full([2], 1.5e10, { dtype: 'int32' }),
    () => tensor([1]).repeat([2 ** 40]),
    () => tensor([1, 2]).expand([-1, -2]),
  ]) {
    expect(make, String(make)).toThrow(torch.AutogradError)
  }
})

test('sizes one by one or as a list', () => {
  for (const make of [torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn]) {
    expect(make(2, 3).shape).toEqual([2, 3])
    expect(make([2, 3]).shape).toEqual([2, 3])
    expect(make(4).shape).toEqual([4])
    expect(make([]).shape).toEqual([])
    expect(make(2, 3, { dtype: 'float64' }).dtype).toBe('float64')
    expect(make([2], { requiresGrad: true }).requiresGrad).toBe(true)
    expect(() => make()).toThrow(/expected a shape such as \[2, 3\], got undefined/)
    expect(() => make(2, -1)).toThrow(/sizes must be whole numbers/)
    expect(() => make(2, 3, { dtyp: 'float64' } as never)).toThrow(/dtyp/)
    expect(() => make([2], 3 as never)).toThrow(torch.AutogradError)
  }
})

test('T, mT, and conversions by name', () => {
  const x = torch.arange(6).reshape(1, 2, 3)
  expect([x.T.shape, x.mT.shape, x.dim(), x.size(), x.size(-1)]).toEqual([[3, 2, 1], [1, 3, 2], 3, [1, 2, 3], 3])
  expect(x.select(0, 0).T.tolist()).toEqual([
    [0, 3],
    [1, 4],
    [2, 5],
  ])
  expect(() => torch.ones(3).mT).toThrow(/only supported on matrices/)
  expect([x.float(), x.double(), x.int(), x.bool()].map((t) => t.dtype)).toEqual(['float32', 'float64', 'int32', 'bool'])
  expect(x.bool().sum().item()).toBe(5)
  const w = torch.ones(2, 3, { requiresGrad: true })
  w.T.double().sum().backward()
  expect(w.grad!.tolist()).toEqual([
    [1, 1, 1],
    [1, 1, 1],
  ])
})
