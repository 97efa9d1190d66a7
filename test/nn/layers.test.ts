/** Layers against PyTorch: outputs, gradients of inputs and parameters, state before and after. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { nn } = torch
type Tensor = torch.Tensor
interface Values {
  dtype: torch.DType
  shape: number[]
  values: number[]
}
type Named = Record<string, Values>
type Options = Record<string, unknown>
interface Recorded {
  layer: string
  arguments: unknown[]
  options: Options
  forward: Options
  before: number
  evaluate: boolean
  start: Named
  inputs: Values[]
  output: Values
  inputGrads: (Values | null)[]
  grads: Record<string, Values | null>
  end: Named
}
interface Fixture {
  layers: Recorded[]
  encoders: Recorded[]
  attention: {
    options: Options
    forward: Options
    start: Named
    inputs: Values[]
    output: Values
    weights: Values | null
    inputGrads: Values[]
    grads: Named
  }[]
  sdpa: { options: Options; inputs: Values[]; output: Values; inputGrads: Values[] }[]
}
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'))
const fixture = read('./layers.json') as Fixture
const modules = read('./modules.json') as Pick<Fixture, 'layers'>

const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase())
const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)
const isValues = (v: unknown): v is Values => typeof v === 'object' && v !== null && !Array.isArray(v) && 'values' in v
const load = (v: Values): Tensor => torch.tensor(v.values.map(Number), { dtype: v.dtype }).reshape(v.shape)
const camelCased = (options: Options): Options =>
  Object.fromEntries(Object.entries(options).map(([k, v]) => [camel(k), isValues(v) ? load(v) : v]))
const loadAll = (named: Named): torch.nn.StateDict => Object.fromEntries(Object.entries(named).map(([k, v]) => [k, load(v)]))

function close(what: string, actual: Tensor | null, wanted: Values | null): void {
  if (wanted === null) return
  expect([what, actual?.shape]).toEqual([what, wanted.shape])
  const a = actual!.toTypedArray()
  wanted.values.forEach((w, i) => {
    if (!(Math.abs(a[i]! - w) <= 1e-10 * Math.max(1, Math.abs(w)))) throw new Error(`${what}[${i}]: ${a[i]} instead of ${w}`)
  })
}
const weighted = (y: Tensor): Tensor => y.mul(torch.linspace(-1, 2, y.numel(), { dtype: 'float64' }).reshape(y.shape)).sum()
const leaf = (v: Values): Tensor => {
  const t = load(v)
  return v.dtype === 'float64' ? t.requiresGrad_() : t
}

type Layer = torch.nn.Module<(Tensor | Options)[], Tensor>
type Make = new (...args: unknown[]) => Layer
const classes = nn as unknown as Record<string, Make>

describe('layers', () => {
  for (const c of [...fixture.layers, ...fixture.encoders, ...modules.layers]) {
    test(`${c.layer}(${JSON.stringify(c.arguments).slice(1, -1)}) ${JSON.stringify(c.options)}`, () => {
      const options = Object.keys(c.options).length === 0 ? [] : [camelCased(c.options)]
      const layer = new classes[c.layer]!(...c.arguments, ...options).double()
      // Strict: the names and shapes of the state are torch's.
      expect(layer.loadStateDict(loadAll(c.start))).toEqual({ missingKeys: [], unexpectedKeys: [] })
      expect(Object.keys(layer.stateDict({ snakeCase: true })).sort()).toEqual(Object.keys(c.start).sort())
      const inputs = c.inputs.map(leaf)
      for (let i = 0; i < c.before; i++) layer.forward(...inputs)
      if (c.evaluate) layer.eval()
      const y = layer.forward(...inputs, ...(Object.keys(c.forward).length > 0 ? [camelCased(c.forward)] : []))
      close('output', y, c.output)
      weighted(y).backward()
      c.inputGrads.forEach((g, i) => close(`gradient of input ${i}`, inputs[i]!.grad, g))
      for (const [name, p] of layer.namedParameters()) close(`gradient of ${name}`, p.grad, c.grads[snake(name)]!)
      const end = layer.stateDict({ snakeCase: true })
      for (const [name, v] of Object.entries(c.end)) close(name, end[name]!, v)
    })
  }
})

describe('attention', () => {
  fixture.attention.forEach((c, i) => {
    test(`MultiheadAttention ${i}: ${JSON.stringify(c.options)} ${Object.keys(c.forward)}`, () => {
      const layer = new nn.MultiheadAttention(4, 2, camelCased(c.options)).double()
      layer.loadStateDict(loadAll(c.start))
      const inputs = c.inputs.map(leaf)
      const [q, k, v] = (inputs.length === 1 ? [inputs[0], inputs[0], inputs[0]] : inputs) as [Tensor, Tensor, Tensor]
      const [y, weights] = layer.call(q, k, v, camelCased(c.forward))
      close('output', y, c.output)
      close('weights', weights, c.weights)
      expect(weights === null).toBe(c.weights === null)
      weighted(y).backward()
      c.inputGrads.forEach((g, j) => close(`gradient of input ${j}`, inputs[j]!.grad, g))
      for (const [name, p] of layer.namedParameters()) close(`gradient of ${name}`, p.grad, c.grads[snake(name)]!)
    })
  })

  fixture.sdpa.forEach((c, i) => {
    test(`scaledDotProductAttention ${i}: ${Object.keys(c.options)}`, () => {
      const inputs = c.inputs.map(leaf)
      const [q, k, v] = inputs as [Tensor, Tensor, Tensor]
      const y = nn.functional.scaledDotProductAttention(q, k, v, camelCased(c.options))
      close('output', y, c.output)
      weighted(y).backward()
      c.inputGrads.forEach((g, j) => close(`gradient of input ${j}`, inputs[j]!.grad, g))
    })
  })

  test('refusals', () => {
    const x = torch.zeros([2, 3, 4])
    const attention = new nn.MultiheadAttention(4, 2, { batchFirst: true })
    expect(() => new nn.MultiheadAttention(4, 3)).toThrow('embed_dim must be divisible by num_heads')
    expect(() => new nn.TransformerEncoderLayer(4, 2, { activation: 'selu' as 'relu' })).toThrow(
      "activation should be relu/gelu, not 'selu'",
    )
    expect(() => attention.forward(torch.zeros([2, 3, 5]), x, x)).toThrow('was expecting embedding dimension of 4, but got 5')
    expect(() => attention.forward(x, x, x, { attnMask: torch.zeros([2, 2]) })).toThrow(
      'The shape of the 2D attn_mask is [2, 2], but should be [3, 3]',
    )
    expect(() => nn.functional.scaledDotProductAttention(x, x, x, { isCausal: true, attnMask: torch.zeros([3, 3]) })).toThrow(
      'Explicit attn_mask should not be set when is_causal=True',
    )
  })
})

describe('first values', () => {
  test('linear and convolution: uniform in ±1/√fanIn', () => {
    torch.manualSeed(1)
    for (const [layer, fan] of [
      [new nn.Linear(64, 50), 64],
      [new nn.Conv2d(4, 32, 3, { groups: 2 }), 18],
      [new nn.Conv1d(8, 32, 5), 40],
    ] as const) {
      const bound = 1 / Math.sqrt(fan)
      for (const p of layer.parameters()) {
        const v = [...p.toTypedArray()]
        expect(Math.max(...v.map(Math.abs))).toBeLessThanOrEqual(bound)
        if (v.length < 500) continue
        expect(Math.max(...v)).toBeGreaterThan(0.95 * bound)
        expect(v.reduce((a, b) => a + b * b, 0) / v.length).toBeCloseTo((bound * bound) / 3, 3)
      }
    }
  })

  test('the same seed gives the same model', () => {
    const make = (): unknown => {
      torch.manualSeed(7)
      return new nn.Linear(3, 2).weight.tolist()
    }
    expect(make()).toEqual(make())
  })

  test('init', () => {
    const { init } = nn
    const spread = (t: Tensor): [number, number] => [t.abs().max().item(), t.std().item()]
    torch.manualSeed(2)
    const w = (): torch.nn.Parameter => new nn.Parameter(torch.zeros([200, 100]))
    const uniform = (t: Tensor, bound: number): void => {
      const [largest, std] = spread(t)
      expect(largest).toBeLessThanOrEqual(bound)
      expect(std / (bound / Math.sqrt(3))).toBeCloseTo(1, 1)
    }
    uniform(init.kaimingUniform_(w()), Math.sqrt(6 / 100))
    uniform(init.kaimingUniform_(w(), { mode: 'fanOut', nonlinearity: 'relu' }), Math.sqrt(6 / 200))
    uniform(init.kaimingUniform_(w(), { a: Math.sqrt(5) }), 0.1)
    uniform(init.xavierUniform_(w(), 2), 2 * Math.sqrt(6 / 300))
    uniform(init.uniform_(w(), -3, 3), 3)
    expect(spread(init.kaimingNormal_(w()))[1] / Math.sqrt(2 / 100)).toBeCloseTo(1, 1)
    expect(spread(init.xavierNormal_(w()))[1] / Math.sqrt(2 / 300)).toBeCloseTo(1, 1)
    expect(spread(init.normal_(w(), 0, 3))[1]).toBeCloseTo(3, 1)
    expect(spread(init.truncNormal_(w(), 0, 1, -1.5, 0.5))[0]).toBeLessThanOrEqual(1.5)
    expect(init.eye_(new nn.Parameter(torch.ones([2, 3]))).tolist()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ])
    expect(init.constant_(w(), 4).mean().item()).toBe(4)
    expect(init.ones_(w()).mean().item()).toBe(1)
    const p = init.zeros_(w())
    expect([p.requiresGrad, p.isLeaf]).toEqual([true, true])
    expect(init.calculateGain('tanh')).toBe(5 / 3)
    expect(() => init.kaimingUniform_(torch.zeros(3))).toThrow(
      'Fan in and fan out can not be computed for tensor with fewer than 2 dimensions',
    )
    expect(() => init.calculateGain('swish' as never)).toThrow('Unsupported nonlinearity swish')
    expect(() => init.kaimingUniform_(w(), { mode: 'both' as never })).toThrow('Mode both not supported')
  })

  test('dtype of the parameters', () => {
    for (const layer of [
      new nn.Linear(2, 2, { dtype: 'float64' }),
      new nn.Conv2d(1, 1, 1, { dtype: 'float64' }),
      new nn.Embedding(2, 2, { dtype: 'float64' }),
      new nn.LayerNorm(2, { dtype: 'float64' }),
      new nn.MultiheadAttention(2, 1, { dtype: 'float64' }),
    ])
      expect(layer.parameters().map((p) => p.dtype)).toEqual(layer.parameters().map(() => 'float64'))
  })
})

test('dropout zeroes while training only', () => {
  torch.manualSeed(0)
  const layer = new nn.Dropout(0.25)
  const y = layer.forward(torch.ones(4000)).toTypedArray()
  const zeros = [...y].filter((v) => v === 0).length
  expect(Math.abs(zeros / 4000 - 0.25)).toBeLessThan(0.03)
  expect(new Set(y).size).toBe(2)
  expect(layer.eval().forward(torch.ones(4)).tolist()).toEqual([1, 1, 1, 1])
  expect(() => new nn.Dropout(1.5)).toThrow('dropout probability has to be between 0 and 1, but got 1.5')
})

test('dropout of channels zeroes whole channels', () => {
  torch.manualSeed(0)
  for (const [layer, shape] of [
    [new nn.Dropout1d(0.25), [40, 50, 3]],
    [new nn.Dropout2d(0.25), [40, 50, 2, 2]],
    [new nn.Dropout2d(0.25), [2000, 2, 2]],
  ] as const) {
    const y = layer.forward(torch.ones(shape, { requiresGrad: true }))
    const channels = y.detach().reshape([2000, -1])
    const [least, most] = [channels.amin(1), channels.amax(1)]
    expect(least.toTypedArray()).toEqual(most.toTypedArray())
    expect(new Set(least.toTypedArray())).toEqual(new Set([0, Math.fround(4 / 3)]))
    expect(Math.abs(least.eq(0).mean({ dtype: 'float32' }).item() - 0.25)).toBeLessThan(0.03)
    expect(() => layer.forward(torch.ones([3]))).toThrow('expected')
  }
})

test('alphaDropout keeps mean and variance', () => {
  torch.manualSeed(0)
  const layer = new nn.AlphaDropout(0.2)
  const y = layer.forward(torch.randn([20000]))
  expect(Math.abs(y.mean().item())).toBeLessThan(0.03)
  expect(Math.abs(y.std().item() - 1)).toBeLessThan(0.03)
  // With the mask known: two values for an input of ones, as torch computes them.
  const [low, high] = [...new Set(layer.forward(torch.ones(200, { dtype: 'float64' })).toTypedArray())].sort((a, b) => a - b)
  const [p, limit] = [0.2, 1.7580993408473766]
  const a = 1 / Math.sqrt((limit * limit * p + 1) * (1 - p))
  expect(low).toBeCloseTo(a * limit * (p - 1), 12)
  expect(high).toBeCloseTo(a + a * limit * p, 12)
  expect(nn.functional.alphaDropout(torch.ones(2), { p: 1 }).tolist()).toEqual([0, 0])
  expect(() => nn.functional.alphaDropout(torch.ones(2), { p: 2, training: false })).toThrow(
    'dropout probability has to be between 0 and 1',
  )
})

test('ConvTranspose with a size that is asked for', () => {
  const layer = new nn.ConvTranspose2d(2, 1, 3, { stride: 2, padding: 1 })
  const x = torch.ones([1, 2, 3, 4])
  expect(layer.call(x).shape).toEqual([1, 1, 5, 7])
  expect(layer.call(x, [6, 7]).shape).toEqual([1, 1, 6, 7])
  expect(layer.call(x, [1, 1, 5, 8]).shape).toEqual([1, 1, 5, 8])
  expect(() => layer.call(x, [7, 7])).toThrow('requested an output size of [7, 7], but valid sizes range from [5, 7] to [6, 8]')
  expect(() => layer.call(x, [7])).toThrow('ConvTranspose2D: for 4D input, output_size must have 2 or 4 elements (got 1)')
})

test('layers print what they were made with', () => {
  for (const [layer, text] of [
    [new nn.GELU(), "GELU(approximate='none')"],
    [new nn.Threshold(0.1, 2), 'Threshold(threshold=0.1, value=2)'],
    [new nn.ReflectionPad2d([1, 2, 0, 1]), 'ReflectionPad2d(padding=[1, 2, 0, 1])'],
    [new nn.ConstantPad1d(1, 3), 'ConstantPad1d(padding=[1, 1], value=3)'],
    [new nn.Upsample({ scaleFactor: 2 }), "Upsample(scaleFactor=2, mode='nearest')"],
    [new nn.GroupNorm(2, 4), 'GroupNorm(2, 4, eps=0.00001, affine=true)'],
    [
      new nn.ConvTranspose1d(2, 3, 3, { outputPadding: 1, stride: 2 }),
      'ConvTranspose1d(2, 3, kernelSize=[3], stride=[2], outputPadding=[1])',
    ],
    [new nn.PReLU(), 'PReLU(numParameters=1)'],
    [new nn.ReLU6(), 'ReLU6()'],
  ] as const)
    expect(layer.toString()).toBe(text)
})

test('layers refuse what torch refuses', () => {
  expect(() => new nn.Conv2d(3, 4, 3, { groups: 2 })).toThrow('in_channels must be divisible by groups')
  expect(() => new nn.Conv2d(4, 4, 3, { stride: 2, padding: 'same' })).toThrow("padding='same' is not supported for strided convolutions")
  expect(() => new nn.BatchNorm2d(3).forward(torch.zeros([2, 3]))).toThrow('expected 4D input (got 2D input)')
  expect(() => new nn.GroupNorm(3, 4)).toThrow('num_channels (4) must be divisible by num_groups (3)')
  expect(() => new nn.InstanceNorm2d(3).forward(torch.zeros([2, 3]))).toThrow('expected 3D or 4D input (got 2D input)')
  expect(() => new nn.InstanceNorm1d(3, { affine: true }).forward(torch.zeros([2, 4, 5]))).toThrow(
    "expected input's size at dim=1 to match num_features (3), but got: 4",
  )
  expect(() => new nn.Softmax2d().forward(torch.zeros([2, 3]))).toThrow('expected input to be 3D or 4D (got 2D input)')
  expect(() => new nn.AlphaDropout(-1)).toThrow('dropout probability has to be between 0 and 1, but got -1')
  expect(() => new nn.Embedding(3, 2, { paddingIdx: 3 })).toThrow('Padding_idx must be within num_embeddings')
})

test('Embedding over given rows', () => {
  const e = nn.Embedding.fromPretrained(
    torch.tensor([
      [1, 2],
      [3, 4],
    ]),
  )
  expect(e.weight.requiresGrad).toBe(false)
  expect(e.forward(torch.tensor([1], { dtype: 'int32' })).tolist()).toEqual([[3, 4]])
  expect(nn.Embedding.fromPretrained(torch.ones([2, 2]), { freeze: false }).weight.requiresGrad).toBe(true)
})

test("klDiv's advice about 'mean' is given once", () => {
  const log: string[] = []
  const before = torch.setWarningHandler((message) => log.push(message))
  try {
    const p = torch.tensor([[0.5, 0.5]])
    for (let i = 0; i < 3; i++) torch.nn.functional.klDiv(p.log(), p)
  } finally {
    torch.setWarningHandler(before)
  }
  expect(log).toEqual([expect.stringMatching(/'batchmean' divides only by the batch size/)])
})
