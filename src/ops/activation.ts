/** Activations that are also methods of tensors. */
import { type Unary, unary } from '../op/kinds.ts'

/**
 * 1/(1 + e^−x).
 * @example
 * sigmoid(tensor([0, 1])) // tensor([0.5000, 0.7311])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.sigmoid.html
 */
export const sigmoid: Unary = /* @__PURE__ */ unary('sigmoid', {
  result: 'float',
  value: (x) => x!.sigmoid(),
  vjp: [(g, { y }) => g.mul(y.neg().add(1).mul(y))],
})

/**
 * max(x, 0); the gradient at 0 is 0.
 * @example
 * relu(tensor([-1, 2])).tolist() // [0, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html
 */
export const relu: Unary = /* @__PURE__ */ unary('relu', {
  refuses: { below: 1, says: () => 'Boolean inputs not supported for relu' },
  value: (x) => x!.where(x!.le(0).logicalNot(), 0),
  vjp: [(g, { y }) => g.where(y.le(0).logicalNot(), 0)],
})
