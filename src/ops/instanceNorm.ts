/** Normalization of every channel of every example, as batch norm over all of them side by side. */
import { noGrad } from '../autograd/modes.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import type { Known } from '../options.ts'
import { expectTensor } from '../tensor.ts'
import { checkNorm, checkRunning } from './normArguments.ts'
import { type BatchNormOptions, batchNorm } from './normalization.ts'

/** Options of `instanceNorm`. */
export interface InstanceNormOptions extends Omit<BatchNormOptions, 'training'> {
  /** Normalize by each instance's own statistics and update the running ones, if given. Default true. */
  readonly useInputStats?: boolean
}
const INSTANCE_NORM: Known<InstanceNormOptions> = {
  useInputStats: 'boolean',
  runningMean: 'any',
  runningVar: 'any',
  weight: 'any',
  bias: 'any',
  momentum: 'number',
  eps: 'number',
}

/**
 * x [n, channels, …] normalized over all dims after the channels. Running statistics become the means over the examples.
 * Errors: ShapeError, DTypeError, ArgumentError for one element per channel, or without running statistics where they are used.
 * @example
 * nn.functional.instanceNorm(tensor([[[1, 3]]])) // tensor([[[-1.0000, 1.0000]]])
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html
 */
export function instanceNorm(x: Tensor, options: InstanceNormOptions = {}): Tensor {
  const op = 'instanceNorm'
  expectTensor(op, x, 'the input')
  if (x.ndim < 2)
    throw new ShapeError(`instanceNorm: expected at least 2 dims [n, channels, …], got ${show(x.shape)}`, { op, shapes: [x.shape] })
  checkNorm(op, 'batch_norm', x, [x.shape[1]!], options, INSTANCE_NORM)
  const { useInputStats = true, runningMean, runningVar, weight, bias, momentum, eps } = options
  if (useInputStats && x.shape.slice(2).reduce((a, b) => a * b, 1) === 1)
    throw new ArgumentError(`Expected more than 1 spatial element when training, got input size ${show(x.shape)} (instanceNorm)`, {
      op,
      shapes: [x.shape],
    })
  checkRunning(op, x, options)
  if (!useInputStats && !(runningMean && runningVar))
    throw new ArgumentError('Expected running_mean and running_var to be defined when use_input_stats is false (instanceNorm)', { op })
  const [n, channels, ...rest] = x.shape as readonly [number, number, ...number[]]
  const each = (t: Tensor | null | undefined): Tensor | null => (t ? t.repeat([n]) : null)
  const [mean, variance] = noGrad(() => [each(runningMean), each(runningVar)])
  const y = batchNorm(x.contiguous().view([1, n * channels, ...rest]), {
    runningMean: mean!,
    runningVar: variance!,
    weight: each(weight),
    bias: each(bias),
    training: useInputStats,
    ...(momentum === undefined ? {} : { momentum }),
    ...(eps === undefined ? {} : { eps }),
  })
  if (useInputStats) {
    noGrad(() => {
      if (runningMean) runningMean.copy_(mean!.view([n, channels]).mean(0))
      if (runningVar) runningVar.copy_(variance!.view([n, channels]).mean(0))
    })
  }
  return y.view(x.shape)
}
