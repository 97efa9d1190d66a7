/** Recurrent layers and cells against recorded outputs and gradients of PyTorch's. */
import { readFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import * as torch from '../../src/index.ts'

const { nn } = torch
type Tensor = torch.Tensor
interface Values {
  shape: number[]
  values: number[]
}
interface Case {
  layer: string
  sizes: [number, number]
  options: Record<string, unknown>
  start: Record<string, Values>
  input: Values
  state: Values[]
  results: Values[]
  inputGrad: Values
  stateGrads: Values[]
  grads: Record<string, Values>
}
const { cases } = JSON.parse(readFileSync(new URL('./recurrent.json', import.meta.url), 'utf8')) as { cases: Case[] }

const camel = (name: string): string => name.replace(/_(.)/g, (_, c: string) => c.toUpperCase())
const load = (v: Values): Tensor => torch.tensor(v.values, { dtype: 'float64' }).reshape(v.shape)
const leaf = (v: Values): Tensor => load(v).requiresGrad_()
const flat = (result: unknown): Tensor[] => (Array.isArray(result) ? result.flatMap(flat) : [result as Tensor])

function close(what: string, actual: Tensor | null, wanted: Values): void {
  expect([what, actual?.shape]).toEqual([what, wanted.shape])
  const a = actual!.toTypedArray()
  wanted.values.forEach((w, i) => {
    if (!(Math.abs(a[i]! - w) <= 1e-12 * Math.max(1, Math.abs(w)))) throw new Error(`${what}[${i}]: ${a[i]} instead of ${w}`)
  })
}

type Make = new (...args: unknown[]) => torch.nn.Module<unknown[], unknown>
const classes = nn as unknown as Record<string, Make>

describe('recorded', () => {
  for (const c of cases) {
    test(`${c.layer} ${JSON.stringify(c.options)}, input [${c.input.shape}]${c.state.length > 0 ? ', a state' : ''}`, () => {
      const options = Object.fromEntries(Object.entries(c.options).map(([k, v]) => [camel(k), v]))
      const layer = new classes[c.layer]!(...c.sizes, { ...options, dtype: 'float64' })
      // Torch's names in torch's order, and they load.
      expect(Object.keys(layer.stateDict({ snakeCase: true }))).toEqual(Object.keys(c.start))
      layer.loadStateDict(Object.fromEntries(Object.entries(c.start).map(([k, v]) => [k, load(v)])))
      const x = leaf(c.input)
      const state = c.state.map(leaf)
      const results = flat(layer.call(x, ...(state.length === 0 ? [] : [c.layer.startsWith('LSTM') ? state : state[0]])))
      expect(results.length).toBe(c.results.length)
      let loss = torch.tensor(0, { dtype: 'float64' })
      results.forEach((r, i) => {
        close(`result ${i}`, r, c.results[i]!)
        loss = loss.add(r.mul(torch.linspace(-1, 2 + i, r.numel(), { dtype: 'float64' }).reshape(r.shape)).sum())
      })
      loss.backward()
      close('gradient of the input', x.grad, c.inputGrad)
      state.forEach((s, i) => {
        close(`gradient of state ${i}`, s.grad, c.stateGrads[i]!)
      })
      const names = Object.keys(c.grads)
      ;[...layer.namedParameters()].forEach(([name, p], i) => {
        expect(name).toBe(camel(names[i]!))
        close(`gradient of ${name}`, p.grad, c.grads[names[i]!]!)
      })
    })
  }
})

test('a layer is its cell, step by step; its parameters are properties', () => {
  torch.manualSeed(3)
  const [lstm, cell] = [new nn.LSTM(3, 4), new nn.LSTMCell(3, 4)]
  cell.weightIh = lstm['weightIhL0']!
  cell.weightHh = lstm['weightHhL0']!
  cell.biasIh = lstm['biasIhL0']!
  cell.biasHh = lstm['biasHhL0']!
  const x = torch.randn([5, 2, 3])
  const [output, [h, c]] = lstm.call(x)
  let state: readonly [Tensor, Tensor] | undefined
  for (const step of x.unbind(0)) state = cell.call(step, state)
  expect(output.get(4).tolist()).toEqual(state![0].tolist())
  expect([h.get(0).tolist(), c.get(0).tolist()]).toEqual(state!.map((s) => s.tolist()))
})

test('first values: uniform in ±1/√hiddenSize', () => {
  torch.manualSeed(1)
  for (const layer of [new nn.GRU(30, 25, { bidirectional: true }), new nn.LSTMCell(30, 25)]) {
    for (const p of layer.parameters()) {
      expect(p.abs().max().item()).toBeLessThanOrEqual(0.2)
      expect(p.abs().max().item()).toBeGreaterThan(0.17)
    }
  }
})

test('dropout between layers while training only', () => {
  torch.manualSeed(0)
  const gru = new nn.GRU(3, 8, { numLayers: 2, dropout: 0.5 })
  const x = torch.randn([4, 2, 3])
  const [a, b] = [gru.call(x)[0].tolist(), gru.call(x)[0].tolist()]
  expect(a).not.toEqual(b)
  gru.eval()
  expect(gru.call(x)[0].tolist()).toEqual(gru.call(x)[0].tolist())
  // All that the second layer sees is zeros: its outputs are those of an input of zeros.
  const all = new nn.GRU(3, 2, { numLayers: 2, dropout: 1 })
  expect(all.call(torch.ones([1, 3]))[0].tolist()).toEqual(all.call(torch.zeros([1, 3]))[0].tolist())
  const warning = vi.fn()
  torch.setWarningHandler(warning)
  new nn.RNN(2, 2, { dropout: 0.1 })
  torch.setWarningHandler(null)
  expect(warning.mock.calls[0]![0]).toMatch(/^dropout option adds dropout after all but last recurrent layer/)
})

test('prints as torch does', () => {
  const lstm = new nn.LSTM(2, 3, { numLayers: 2, bidirectional: true, batchFirst: true, bias: false, dropout: 0.1 })
  expect(lstm.toString()).toBe('LSTM(2, 3, numLayers=2, bias=false, batchFirst=true, dropout=0.1, bidirectional=true)')
  expect(new nn.RNNCell(2, 3, { nonlinearity: 'relu' }).toString()).toBe('RNNCell(2, 3, nonlinearity=relu)')
})

test('refusals', () => {
  const z = torch.zeros
  expect(() => new nn.RNN(2, 0)).toThrow('hidden_size must be greater than zero')
  expect(() => new nn.RNN(2, 3, { nonlinearity: 'sin' as never })).toThrow("Unknown nonlinearity 'sin'. Select from 'tanh' or 'relu'.")
  expect(() => new nn.GRU(2, 3, { numLayers: 0 })).toThrow('num_layers must be greater than zero')
  expect(() => new nn.GRU(2, 3, { dropout: 2 })).toThrow('dropout should be a number in range [0, 1]')
  const lstm = new nn.LSTM(2, 3)
  expect(() => lstm.call(z([4]))).toThrow('LSTM: Expected input to be 2D or 3D, got 1D tensor instead')
  expect(() => lstm.call(z([4, 1, 3]))).toThrow('input.size(-1) must be equal to input_size. Expected 2, got 3')
  expect(() => lstm.call(z([0, 1, 2]))).toThrow('Expected sequence length to be larger than 0 in LSTM')
  expect(() => lstm.call(z([4, 1, 2]), [z([1, 3]), z([1, 3])])).toThrow('For batched 3-D input, hx should also be 3-D but got 2-D')
  expect(() => lstm.call(z([4, 1, 2]), [z([1, 1, 3]), z([1, 2, 3])])).toThrow('Expected hidden[1] size [1, 1, 3], got [1, 2, 3]')
  const cell = new nn.GRUCell(2, 3)
  expect(() => cell.call(z([1, 1, 2]))).toThrow('GRUCell: Expected input to be 1D or 2D, got 3D instead')
  expect(() => cell.call(z([1, 3]))).toThrow('input has inconsistent input_size: got 3, expected 2')
  expect(() => cell.call(z([1, 2]), z([1, 4]))).toThrow('hidden0 has inconsistent hidden_size or batch size: got [1, 4], expected [1, 3]')
})
