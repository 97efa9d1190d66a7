/** Attention by blocks of queries against the same in public operations, with weights kept and computed twice. */
import { expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { gradcheck } from '../../src/testing/index.ts'

const { scaledDotProductAttention } = torch.nn.functional
type Tensor = torch.Tensor

const wave = (shape: number[], from: number): Tensor =>
  torch
    .arange(
      shape.reduce((a, b) => a * b),
      { dtype: 'float64' },
    )
    .mul(1.7)
    .add(from)
    .sin()
    .reshape(shape)

/** The result and the gradients of Σ g·result. */
function differentiated(f: (q: Tensor, k: Tensor, v: Tensor) => Tensor, inputs: readonly Tensor[], g: Tensor): Tensor[] {
  const leaves = inputs.map((t) => t.detach().requiresGrad_()) as [Tensor, Tensor, Tensor]
  const y = f(...leaves)
  return [y.detach(), ...(torch.autograd.grad([y], leaves, { gradOutputs: [g] }) as Tensor[])]
}

for (const [name, l, s, options] of [
  ['kept, one block', 60, 70, {}],
  ['kept, several blocks', 203, 401, {}],
  ['kept, causal', 301, 290, { isCausal: true }],
  ['twice, causal, more keys', 2003, 2101, { isCausal: true }],
  [
    'twice, masked',
    2003,
    2101,
    {
      attnMask: wave([2003, 1], 0)
        .gt(-0.9)
        .logicalAnd(wave([2101], 3).gt(0)),
    },
  ],
] as const) {
  test(name, () => {
    // Strided queries, and keys that are shared by two batches where few weights make that cheap.
    const batch = l < 100 ? [2] : []
    const q = wave([l, ...batch, 3], 1)
    const inputs = [batch.length > 0 ? q.transpose(0, 1) : q, wave([s, 3], 2), wave([2, s], 5).t()]
    const g = wave([...batch, l, 2], 4)
    const mask = 'attnMask' in options ? options.attnMask : 'isCausal' in options ? torch.ones([l, s], { dtype: 'bool' }).tril() : null
    const expected = differentiated(
      (a, b, c) => {
        const scores = a.matmul(b.transpose(-2, -1)).div(Math.sqrt(3))
        if (mask === null) return scores.softmax(-1).matmul(c)
        const blind = mask.any({ dim: -1, keepdim: true }).logicalNot()
        return scores.maskedFill(mask.logicalOr(blind).logicalNot(), -Infinity).softmax(-1).maskedFill(blind, 0).matmul(c)
      },
      inputs,
      g,
    )
    const found = differentiated((a, b, c) => scaledDotProductAttention(a, b, c, options), inputs, g)
    found.forEach((t, i) => expect(t.sub(expected[i]!).abs().max().item(), `${i}`).toBeLessThan(1e-12))
  })
}

test('a mask that requires a gradient gets one', () => {
  const [q, k, v] = [wave([2, 3], 0), wave([4, 3], 1), wave([4, 2], 2)]
  const check = (m: Tensor): Tensor => scaledDotProductAttention(q, k, v, { attnMask: m })
  expect(gradcheck(check, [wave([2, 4], 3).requiresGrad_()])).toBe(true)
})

test('dropped weights are scaled, none are dropped without', () => {
  torch.manualSeed(3)
  const [q, k, v] = [wave([5, 3], 0), wave([40, 3], 1), torch.ones([40, 1], { dtype: 'float64' })]
  expect(scaledDotProductAttention(q, k, v).sub(1).abs().max().item()).toBeLessThan(1e-15)
  const y = scaledDotProductAttention(q, k, v, { dropoutP: 0.5 })
  expect(y.min().item()).not.toBe(1)
  expect(Math.abs(y.mean().item() - 1)).toBeLessThan(0.2)
})
