/** Draws by weight: how often what comes, what never comes, and what is refused. */
import { beforeEach, describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { multinomial, gumbelSoftmax, oneHot, tensor } = torch
const ints = (values: number[] | number[][]): torch.Tensor => tensor(values, { dtype: 'int32' })

/** Is `count` of n draws with probability p believable? Five standard deviations. */
function expectShare(count: number, n: number, p: number): void {
  expect(Math.abs(count - n * p)).toBeLessThan(5 * Math.sqrt(n * p * (1 - p)) + 1)
}

beforeEach(() => {
  torch.manualSeed(7)
})

describe('multinomial', () => {
  test('with replacement: as often as the weights say, and never what has none', () => {
    const n = 20_000
    const drawn = multinomial(tensor([2, 0, 1, 5]), n, { replacement: true })
    expect([drawn.dtype, drawn.shape]).toEqual(['int32', [n]])
    const counts = torch.bincount(drawn, { minlength: 4 }).tolist() as number[]
    expect(counts[1]).toBe(0)
    for (const [i, p] of [2 / 8, 0, 1 / 8, 5 / 8].entries()) expectShare(counts[i]!, n, p)
  })

  test('without: each once, in the order of drawing one after another', () => {
    const n = 5000
    let first = 0
    let second = 0
    for (let i = 0; i < n; i++) {
      const drawn = multinomial(tensor([1, 3, 0, 4]), 3).tolist() as number[]
      expect([...drawn].sort()).toEqual([0, 1, 3])
      if (drawn[0] === 3) first++
      if (drawn[0] === 3 && drawn[1] === 1) second++
    }
    expectShare(first, n, 4 / 8)
    expectShare(second, n, (4 / 8) * (3 / 4))
  })

  test('row by row, from any layout, the same for the same seed', () => {
    const p = tensor([
      [1, 0],
      [0, 1],
      [1, 0],
    ]).double()
    expect(multinomial(p, 1).tolist()).toEqual([[0], [1], [0]])
    expect(multinomial(p.T.contiguous().T, 2, { replacement: true }).tolist()).toEqual([
      [0, 0],
      [1, 1],
      [0, 0],
    ])
    const draw = (): unknown => multinomial(torch.ones(50), 20, { generator: new torch.Generator(3) }).tolist()
    expect(draw()).toEqual(draw())
  })

  test.each([
    ['inf', () => multinomial(tensor([1, Infinity]), 1), /inf.*nan.*element < 0/],
    ['negative', () => multinomial(tensor([1, -1]), 1), /element < 0/],
    ['all zero', () => multinomial(tensor([0, 0]), 1), /sum of probabilities <= 0/],
    ['too many', () => multinomial(tensor([1, 1]), 3), /without replacement: 3 > 2/],
    ['too many of some weight', () => multinomial(tensor([1, 0, 0]), 2), /not enough non-negative category.*2 wanted, 1/],
    ['none', () => multinomial(tensor([1]), 0), /n_sample <= 0/],
    ['dims', () => multinomial(torch.ones(2, 2, 2), 1), /must be 1 or 2 dim, got \[2, 2, 2\]/],
    ['dtype', () => multinomial(ints([1, 2]), 1), /floating-point dtypes.*int32/],
    ['no generator', () => multinomial(tensor([1]), 1, { generator: 3 as never }), /multinomial: expected a Generator, got 3/],
    ['inside vmap', () => torch.func.vmap((p: torch.Tensor) => multinomial(p, 1))(torch.ones(2, 3)), /multinomial: vmap/],
  ])('refused: %s', (_, call, text) => {
    expect(call).toThrow(text)
    expect(call).toThrow(torch.AutogradError)
  })
})

describe('gumbelSoftmax', () => {
  test('hard draws come as often as softmax says, with gradients of the soft ones', () => {
    const logits = tensor([0, Math.log(3)]).expand([8000, 2])
    const ones = gumbelSoftmax(logits, { hard: true })
    expect(ones.sum(1).eq(1).all().item()).toBe(1)
    expectShare(ones.select(1, 1).sum().item(), 8000, 3 / 4)
    const x = tensor([[0.5, -1, 2]], { requiresGrad: true, dtype: 'float64' })
    const gradient = (hard: boolean): unknown => {
      const y = gumbelSoftmax(x, { hard, tau: 0.7, generator: new torch.Generator(1) })
      return torch.autograd.grad(y.mul(tensor([[1, 2, 3]])).sum(), x)[0]!.tolist()
    }
    expect(gradient(true)).toEqual(gradient(false))
  })
  test('refuses integers', () => {
    expect(() => gumbelSoftmax(ints([1]))).toThrow(/gumbelSoftmax: expected float logits/)
  })
})

describe('oneHot', () => {
  test('as many classes as are needed, or as are given', () => {
    expect(oneHot(ints([[1], [0]])).tolist()).toEqual([[[0, 1]], [[1, 0]]])
    expect(oneHot(ints([1]), 4).tolist()).toEqual([[0, 1, 0, 0]])
    expect(oneHot(torch.empty(0, { dtype: 'int32' }), 3).shape).toEqual([0, 3])
  })
  test.each([
    ['negative', () => oneHot(ints([-1])), /must be non-negative, got -1/],
    ['too large', () => oneHot(ints([3]), 3), /smaller than num_classes: 3 is not below 3/],
    ['nothing to count', () => oneHot(torch.empty(0, { dtype: 'int32' })), /Can not infer/],
    ['floats', () => oneHot(tensor([1])), /index type tensors/],
    ['no classes', () => oneHot(ints([0]), 0), /number of classes above 0/],
  ])('refused: %s', (_, call, text) => {
    expect(call).toThrow(text)
  })
})
