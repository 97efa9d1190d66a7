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

/** Strides of heads side by side, as one product makes them: [batch, l, heads, e] seen as [batch, heads, l, e]. */
const sideBySide = (lead: number[], l: number, e: number, from: number): Tensor =>
  lead.length === 2 ? wave([lead[0]!, l, lead[1]!, e], from).transpose(1, 2) : wave([...lead, l, e], from)

for (const [name, lead, l, s, options] of [
  ['kept, one block', [2], 60, 70, {}],
  ['kept, several blocks', [], 203, 401, {}],
  ['kept, causal', [], 301, 290, { isCausal: true }],
  [
    'kept, heads',
    [2, 12],
    30,
    20,
    {
      attnMask: wave([12, 30, 1], 0)
        .gt(-0.9)
        .logicalAnd(wave([20], 3).gt(0)),
    },
  ],
  ['twice, causal, heads', [3, 350], 50, 85, { isCausal: true }],
  ['twice, causal, more keys', [], 2003, 2101, { isCausal: true }],
  [
    'twice, masked',
    [],
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
    // Keys are shared by all examples, values lie the other way round.
    const keys = lead.length === 2 ? sideBySide([...lead], s, 3, 2) : wave([s, 3], 2)
    const inputs = [sideBySide([...lead], l, 3, 1), keys, wave([2, s], 5).t()]
    const g = sideBySide([...lead], l, 2, 4)
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
    found.forEach((t, i) => {
      const size = Math.max(1, expected[i]!.abs().max().item() as number)
      expect(t.sub(expected[i]!).abs().max().item(), `${i}`).toBeLessThan(1e-12 * size)
    })
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
