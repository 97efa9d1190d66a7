/** Datasets, batches and their order. */
import { describe, expect, expectTypeOf, test } from 'vitest'
import * as torch from '../src/index.ts'

const { data, tensor, arange } = torch
const numbers = (t: torch.Tensor): unknown => t.tolist()
const rows = (n: number): torch.Tensor => arange(2 * n).reshape([n, 2])

describe('TensorDataset', () => {
  test('examples are rows', () => {
    const d = new data.TensorDataset(rows(3), arange(3))
    expect(d.length).toBe(3)
    expect(d.get(1).map(numbers)).toEqual([[2, 3], 1])
    expect(() => new data.TensorDataset(rows(3), arange(4))).toThrow('Size mismatch between tensors')
    expect(() => new data.TensorDataset()).toThrow('Size mismatch between tensors')
  })

  test('batches have the form of the examples', () => {
    const loader = new data.DataLoader(new data.TensorDataset(rows(5), arange(5)), { batchSize: 2 })
    expect(loader.length).toBe(3)
    const found: unknown[] = []
    for (const [x, y] of loader) {
      expectTypeOf(x).toEqualTypeOf<torch.Tensor>()
      found.push([x.tolist(), y.tolist()])
    }
    expect(found).toEqual([
      [
        [
          [0, 1],
          [2, 3],
        ],
        [0, 1],
      ],
      [
        [
          [4, 5],
          [6, 7],
        ],
        [2, 3],
      ],
      [[[8, 9]], [4]],
    ])
  })

  test('a batch changed in place leaves the dataset alone', () => {
    const x = rows(4)
    for (const shuffle of [false, true]) {
      for (const [batch] of new data.DataLoader(new data.TensorDataset(x), { batchSize: 2, shuffle })) batch.fill_(-1)
      expect(x.tolist()).toEqual(rows(4).tolist())
    }
  })
})

describe('order', () => {
  const epoch = (loader: Iterable<[torch.Tensor]>): number[] => [...loader].flatMap(([x]) => x.tolist() as number[])
  const make = (options: object): torch.data.DataLoader<[torch.Tensor]> =>
    new data.DataLoader(new data.TensorDataset(arange(100)), { batchSize: 7, ...options })

  test('shuffled: all examples once, a fresh order each time, the same for the same seed', () => {
    const [a, b] = [make({ shuffle: true, seed: 5 }), make({ shuffle: true, seed: 5 })]
    const first = epoch(a)
    const second = epoch(a)
    expect(first).not.toEqual(second)
    expect([...first].sort((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(epoch(b)).toEqual(first)
    expect(epoch(b)).toEqual(second)
    expect(epoch(make({ shuffle: true, seed: 6 }))).not.toEqual(first)
  })

  test('the order is the same on every machine', () => {
    expect(epoch(make({ shuffle: true, seed: 5 })).slice(0, 8)).toMatchInlineSnapshot(`
      [
        45,
        44,
        69,
        38,
        6,
        87,
        32,
        95,
      ]
    `)
  })

  test('without a seed the default generator decides', () => {
    torch.manualSeed(3)
    const first = epoch(make({ shuffle: true }))
    torch.manualSeed(3)
    expect(epoch(make({ shuffle: true }))).toEqual(first)
    expect(epoch(make({ shuffle: true }))).not.toEqual(first)
  })

  test('a generator or a sampler of one’s own', () => {
    const generator = new torch.Generator(5)
    expect(epoch(make({ shuffle: true, generator }))).toEqual(epoch(make({ shuffle: true, seed: 5 })))
    expect(epoch(make({ sampler: [3, 1, 1, 99] }))).toEqual([3, 1, 1, 99])
    expect(make({ sampler: [3, 1, 1, 99] }).length).toBe(1)
  })

  test('dropLast', () => {
    const loader = make({ dropLast: true })
    expect(loader.length).toBe(14)
    expect(epoch(loader)).toHaveLength(98)
  })
})

describe('other sources', () => {
  test('a dataset of one’s own, collated by form', () => {
    const squares: torch.data.Dataset<{ x: torch.Tensor; name: string; pair: [number, boolean] }> = {
      length: 3,
      get: (i) => ({ x: tensor([i, i * i]), name: `n${i}`, pair: [i, i > 0] }),
    }
    const loader = new data.DataLoader(squares, { batchSize: 3 })
    const [batch] = [...loader]
    expectTypeOf(batch!).toEqualTypeOf<{ x: torch.Tensor; name: string[]; pair: [torch.Tensor, torch.Tensor] }>()
    expect(batch!.x.tolist()).toEqual([
      [0, 0],
      [1, 1],
      [2, 4],
    ])
    expect(batch!.name).toEqual(['n0', 'n1', 'n2'])
    expect(batch!.pair.map(numbers)).toEqual([
      [0, 1, 2],
      [false, true, true],
    ])
  })

  test('a collate function', () => {
    const loader = new data.DataLoader([1, 2, 3, 4, 5], { batchSize: 2, collate: (examples) => examples.reduce((a, b) => a + b) })
    expectTypeOf([...loader]).toEqualTypeOf<number[]>()
    expect([...loader]).toEqual([3, 7, 5])
  })

  test('an iterable, one after the other', () => {
    function* stream(): IterableIterator<number> {
      for (let i = 0; i < 5; i++) yield i
    }
    const loader = new data.DataLoader({ [Symbol.iterator]: stream }, { batchSize: 2 })
    expect([...loader].map(numbers)).toEqual([[0, 1], [2, 3], [4]])
    expect([...loader].map(numbers)).toEqual([[0, 1], [2, 3], [4]])
    expect(() => loader.length).toThrow('not known')
    expect(() => new data.DataLoader({ [Symbol.iterator]: stream }, { shuffle: true })).toThrow('expected unspecified shuffle option')
  })

  test('Subset and randomSplit', () => {
    const d = new data.TensorDataset(arange(10))
    const part = new data.Subset(d, [7, 3])
    expect([...new data.DataLoader(part, { batchSize: 2 })].map(([x]) => x.tolist())).toEqual([[7, 3]])
    expect(() => new data.Subset(d, [10])).toThrow('out of range')
    const [a, b] = data.randomSplit(d, [0.75, 0.25], { generator: new torch.Generator(1) })
    expect([a!.length, b!.length]).toEqual([8, 2])
    expect([...a!.indices, ...b!.indices].sort((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(data.randomSplit(d, [4, 6]).map((s) => s.length)).toEqual([4, 6])
    expect(() => data.randomSplit(d, [4, 5])).toThrow('Sum of input lengths does not equal the length of the input dataset')
  })

  test('refusals', () => {
    const d = new data.TensorDataset(arange(4))
    expect(() => new data.DataLoader(d, { batchSize: 0 })).toThrow('batch_size should be a positive integer value, but got batch_size=0')
    expect(() => new data.DataLoader(d, { shuffle: true, sampler: [1] })).toThrow('sampler option is mutually exclusive with shuffle')
    expect(() => new data.DataLoader(d, { seed: 1, generator: new torch.Generator() })).toThrow('not both')
    expect(() => new data.DataLoader(5 as never)).toThrow('expected a dataset')
    expect(() => [...new data.DataLoader([[1, 2], [3]], { batchSize: 2 })]).toThrow('each element in list of batch should be of equal size')
    expect(() => [...new data.DataLoader([new Date(0)] as never)]).toThrow('default_collate: batch must contain tensors')
  })
})
