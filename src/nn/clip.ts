/** Limits on gradients, between `backward()` and `step()`. */
import { peekGrad } from '../autograd/accumulate.ts'
import { noGrad } from '../autograd/modes.ts'
import { tensor } from '../creation.ts'
import { AutogradError } from '../errors.ts'
import type { Tensor } from '../fluent.ts'

const gradients = (parameters: Tensor | readonly Tensor[]): Tensor[] =>
  (Array.isArray(parameters) ? (parameters as Tensor[]) : [parameters as Tensor])
    .map((p) => peekGrad(p) as Tensor | null)
    .filter((g) => g !== null)

/**
 * Scales all gradients together so that their joint norm is at most `maxNorm`; returns the norm before.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
 */
export function clipGradNorm_(
  parameters: Tensor | readonly Tensor[],
  maxNorm: number,
  options: { readonly normType?: number; readonly errorIfNonfinite?: boolean } = {},
): Tensor {
  const p = options.normType ?? 2
  return noGrad(() => {
    const grads = gradients(parameters)
    const norms = grads.map((g) => (p === Number.POSITIVE_INFINITY ? g.abs().max().item() : g.abs().pow(p).sum().item()))
    const total = p === Number.POSITIVE_INFINITY ? Math.max(0, ...norms) : norms.reduce((a, b) => a + b, 0) ** (1 / p)
    if (options.errorIfNonfinite && !Number.isFinite(total)) {
      throw new AutogradError(
        `The total norm of order ${p} for gradients from \`parameters\` is non-finite, so it cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set \`errorIfNonfinite: false\``,
      )
    }
    const scale = Math.min(1, maxNorm / (total + 1e-6))
    for (const g of grads) g.mul_(scale)
    return tensor(total)
  })
}

/** Limits every element of the gradients to ±clipValue. @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html */
export function clipGradValue_(parameters: Tensor | readonly Tensor[], clipValue: number): void {
  noGrad(() => {
    for (const g of gradients(parameters)) g.clamp_({ min: -clipValue, max: clipValue })
  })
}
