/** What graphs keep, and what checkpoints spare. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'

const { autograd, nn } = torch
const { listSavedTensors } = autograd.graph
const leaf = (shape: number[]): torch.Tensor => torch.ones(shape, { requiresGrad: true })

describe('listSavedTensors', () => {
  test('names nodes, tensors, bytes; storages count once, leaves not', () => {
    const x = leaf([8, 4])
    const h = x.mul(2).tanh()
    const list = listSavedTensors(h.mul(h).sum())
    expect(list.entries.map(({ node, name, shape, bytes, shared, leaf: l }) => [node, name, shape, bytes, shared, l])).toEqual([
      ['MulBackward0', 'other', [8, 4], 128, false, false],
      ['MulBackward0', 'self', [8, 4], 128, true, false],
      ['TanhBackward0', 'result', [8, 4], 128, true, false],
    ])
    expect(list.bytes).toBe(128)
    expect(listSavedTensors(x.mul(x).sum())).toMatchObject({
      bytes: 0,
      byNode: [],
      entries: [{ leaf: true }, { leaf: true, shared: true }],
    })
  })

  test('parameters by name; nothing is left after a backward; constants have no graph', () => {
    const model = new nn.Linear(3, 2)
    new torch.optim.SGD(model.parameters(), { lr: 0.1 })
    const x = torch.ones([1, 3], { requiresGrad: true })
    const loss = model.forward(x).exp().sum()
    expect(listSavedTensors(loss).entries.map((e) => e.parameter)).toContain('weight')
    loss.backward()
    expect(listSavedTensors(loss).entries).toEqual([])
    expect(listSavedTensors(torch.ones([2]))).toEqual({ entries: [], bytes: 0, byNode: [] })
  })

  test('packed tensors hold no bytes here', () => {
    const y = autograd.graph.savedTensorsHooks(
      (t) => t.tolist(),
      (packed) => torch.tensor(packed),
      () => leaf([2]).mul(1).exp(),
    )
    expect(listSavedTensors(y)).toMatchObject({ bytes: 0, entries: [{ packed: true, bytes: 0 }] })
  })

  test('a checkpoint keeps its input and nothing within', () => {
    const layers = Array.from({ length: 8 }, () => (t: torch.Tensor) => t.mul(1.1).tanh().mul(0.9).exp().log())
    const run = (segments: number): { bytes: number; grad: unknown } => {
      const x = leaf([64, 64])
      const input = x.mul(1)
      const y = segments === 0 ? layers.reduce((t, f) => f(t), input) : autograd.checkpointSequential(layers, segments, input)
      const loss = y.sum()
      const { bytes } = listSavedTensors(loss)
      loss.backward()
      return { bytes, grad: x.grad!.tolist() }
    }
    const plain = run(0)
    const spared = run(4)
    expect(spared.grad).toEqual(plain.grad)
    // Results of tanh and exp, 16 KiB each, without checkpoints; the last segment isn't checkpointed.
    expect(plain.bytes).toBe(16 * 16384)
    expect(spared.bytes).toBeLessThanOrEqual(plain.bytes / 3)
  })
})
