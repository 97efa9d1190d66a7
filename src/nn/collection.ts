/** `nn.utils`: what is done to many parameters at once: limits on their gradients, one vector of them all. */
import { peekGrad } from '../autograd/accumulate.ts'
import { noGrad } from '../autograd/modes.ts'
import { tensor } from '../creation.ts'
import { ArgumentError, AutogradError, ShapeError, within } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { cat } from '../ops/join.ts'
import { checkKind, checkOptions, expectIterable } from '../options.ts'
import { expectTensor, isTensor } from '../tensor.ts'

function listed(op: string, parameters: Tensor | Iterable<Tensor>): Tensor[] {
  const list = isTensor(parameters) ? [parameters as Tensor] : [...expectIterable(op, parameters, 'parameters')]
  for (const p of list) expectTensor(op, p, 'a parameter')
  return list
}

const gradients = (op: string, parameters: Tensor | Iterable<Tensor>): Tensor[] =>
  listed(op, parameters)
    .map((p) => peekGrad(p) as Tensor | null)
    .filter((g) => g !== null)

/** Options of `getTotalNorm` and `clipGradNorm_`. */
export interface ClipOptions {
  /** Order of the norm; `Infinity` takes the largest element. Default 2. */
  readonly normType?: number
  /** Throw when the norm is NaN or infinite? */
  readonly errorIfNonfinite?: boolean
}

/** The norm of all tensors seen as one vector. */
function jointNorm(op: string, tensors: readonly Tensor[], options: ClipOptions): number {
  checkOptions(op, options, { normType: 'number', errorIfNonfinite: 'boolean' })
  const p = options.normType ?? 2
  if (!(p > 0)) throw new ArgumentError(`${op}: normType must be positive, got ${p}`, { op })
  let total = 0
  if (p === Number.POSITIVE_INFINITY) {
    // Math.max drops no NaN.
    total = Math.max(0, ...tensors.filter((g) => g.numel() > 0).map((g) => g.abs().amax().item()))
  } else {
    for (const g of tensors) total += (p === 2 ? g.mul(g) : g.abs().pow(p)).sum().item()
    total = p === 2 ? Math.sqrt(total) : total ** (1 / p)
  }
  if (options.errorIfNonfinite && !Number.isFinite(total)) {
    throw new AutogradError(
      `The total norm of order ${p} for gradients from \`parameters\` is non-finite, so it cannot be clipped. ` +
        `To disable this error and scale the gradients by the non-finite norm anyway, set \`errorIfNonfinite: false\` (${op})`,
    )
  }
  return total
}

const scaleTo = (grads: readonly Tensor[], maxNorm: number, total: number): void => {
  const scale = Math.min(1, maxNorm / (total + 1e-6))
  if (scale !== 1) for (const g of grads) g.mul_(scale)
}

/**
 * The norm of all tensors seen as one vector, outside of any graph.
 * Errors: AutogradError for a norm that isn't finite, when asked to.
 * @example
 * nn.utils.getTotalNorm([tensor([3, 0]), tensor([4])]).item() // 5
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.get_total_norm.html
 */
export function getTotalNorm(tensors: Tensor | Iterable<Tensor>, options: ClipOptions = {}): Tensor {
  const list = listed('getTotalNorm', tensors)
  return noGrad(() => tensor(jointNorm('getTotalNorm', list, options), { dtype: list[0]?.dtype ?? 'float32' }))
}

/**
 * Scales all gradients together as if their joint norm were `totalNorm`, so that it would be at most `maxNorm`.
 * @example
 * const x = tensor([3, 4], { requiresGrad: true })
 * x.pow(2).div(2).sum().backward()
 * const norm = nn.utils.getTotalNorm([x.grad!])
 * nn.utils.clipGradsWithNorm_([x], 1, norm)
 * x.grad!.norm().item().toFixed(3) // 1.000
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grads_with_norm_.html
 */
export function clipGradsWithNorm_(parameters: Tensor | Iterable<Tensor>, maxNorm: number, totalNorm: Tensor | number): void {
  const op = 'clipGradsWithNorm_'
  checkKind(op, 'maxNorm', maxNorm, 'number')
  if (!isTensor(totalNorm)) checkKind(op, 'totalNorm', totalNorm, 'number')
  noGrad(() => scaleTo(gradients(op, parameters), maxNorm, typeof totalNorm === 'number' ? totalNorm : within(op, () => totalNorm.item())))
}

/**
 * Scales all gradients together so that their joint norm is at most `maxNorm`; returns the norm before.
 * Errors: AutogradError for a norm that isn't finite, when asked to.
 * @example
 * const x = tensor([3, 4], { requiresGrad: true })
 * x.pow(2).div(2).sum().backward()
 * nn.utils.clipGradNorm_(x, 1).item() // 5
 * x.grad!.norm().item().toFixed(3) // 1.000
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
 */
export function clipGradNorm_(parameters: Tensor | Iterable<Tensor>, maxNorm: number, options: ClipOptions = {}): Tensor {
  checkKind('clipGradNorm_', 'maxNorm', maxNorm, 'number')
  return noGrad(() => {
    const grads = gradients('clipGradNorm_', parameters)
    const total = jointNorm('clipGradNorm_', grads, options)
    scaleTo(grads, maxNorm, total)
    return tensor(total, { dtype: grads[0]?.dtype ?? 'float32' })
  })
}

/**
 * Limits every element of the gradients to ±clipValue.
 * @example
 * const x = tensor([1, 2], { requiresGrad: true })
 * x.pow(2).sum().backward()
 * nn.utils.clipGradValue_([x], 3)
 * x.grad!.tolist() // [2, 3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
 */
export function clipGradValue_(parameters: Tensor | Iterable<Tensor>, clipValue: number): void {
  checkKind('clipGradValue_', 'clipValue', clipValue, 'number')
  noGrad(() => {
    for (const g of gradients('clipGradValue_', parameters)) g.clamp_({ min: -clipValue, max: clipValue })
  })
}

/**
 * All elements of all parameters, one after the other; differentiable.
 * @example
 * nn.utils.parametersToVector(new nn.Linear(2, 1).parameters()).shape // [3]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parameters_to_vector.html
 */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  return within('parametersToVector', () => cat(listed('parametersToVector', parameters).map((p) => p.reshape([p.numel()]))))
}

/**
 * Copies a vector, piece by piece, into the parameters.
 * Errors: ShapeError when the vector doesn't have exactly as many elements as they do.
 * @example
 * const layer = new nn.Linear(2, 1)
 * nn.utils.vectorToParameters(tensor([1, 2, 3]), layer.parameters())
 * layer.weight.tolist() // [[1, 2]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.vector_to_parameters.html
 */
export function vectorToParameters(vector: Tensor, parameters: Iterable<Tensor>): void {
  if (!isTensor(vector)) throw new ArgumentError(`expected torch.Tensor, but got: ${typeof vector} (vectorToParameters)`)
  const list = listed('vectorToParameters', parameters)
  const total = list.reduce((n, p) => n + p.numel(), 0)
  if (vector.ndim !== 1 || vector.numel() !== total)
    throw new ShapeError(`vectorToParameters: expected a vector of ${total} elements, got shape [${vector.shape.join(', ')}]`, {
      shapes: [vector.shape],
    })
  noGrad(() => {
    let at = 0
    for (const p of list) {
      p.copy_(vector.detach().narrow(0, at, p.numel()).reshape(p.shape))
      at += p.numel()
    }
  })
}
