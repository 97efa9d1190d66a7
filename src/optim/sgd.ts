/** Stochastic gradient descent with momentum. */
import { input, Program, scalar } from '../backend/scalar.ts'
import { ArgumentError } from '../errors.ts'
import { type Kernel, kernel } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { TensorCore } from '../tensor.ts'
import { checkRate, Optimizer, type ParamGroup, type Params } from './optimizer.ts'

/** Hyper-parameters of `SGD`. */
export interface SGDOptions {
  /** Learning rate. Default 1e-3. */
  lr: number
  momentum: number
  dampening: number
  weightDecay: number
  nesterov: boolean
  maximize: boolean
}

const kernels = new Map<string, Kernel>()

/**
 * g ← ±grad + weightDecay·p; b ← momentum·b + (1 − dampening)·g (g itself at first); p ← p − lr·(b, or g + momentum·b with
 * Nesterov). Scalars: sign, weightDecay, lr, momentum, share of g in b.
 */
function stepKernel(dtype: 'float32' | 'float64', momentum: boolean, nesterov: boolean): Kernel {
  const key = `${dtype}:${momentum}:${nesterov}`
  let hit = kernels.get(key)
  if (hit === undefined) {
    const p = input(0)
    const g = input(1)
      .mul(scalar(0))
      .add(p.mul(scalar(1)))
    const b = momentum
      ? input(2)
          .mul(scalar(3))
          .add(g.mul(scalar(4)))
      : g
    const direction = nesterov ? g.add(b.mul(scalar(3))) : b
    const next = p.sub(direction.mul(scalar(2)))
    hit = momentum
      ? kernel(new Program([next, b], [dtype, dtype], [dtype, dtype, dtype], 5, dtype))
      : kernel(new Program([next], [dtype], [dtype, dtype], 3, dtype))
    kernels.set(key, hit)
  }
  return hit
}

/** @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: Params<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super(params, { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false, ...options })
  }
  protected check(o: SGDOptions): void {
    checkRate('learning rate', o.lr)
    checkRate('momentum value', o.momentum)
    checkRate('weight_decay value', o.weightDecay)
    if (o.nesterov && (o.momentum <= 0 || o.dampening !== 0))
      throw new ArgumentError('Nesterov momentum requires a momentum and zero dampening')
  }
  protected update(p: Tensor, g: TensorCore, o: ParamGroup<SGDOptions>): void {
    const k = stepKernel(p.dt.name as 'float32', o.momentum !== 0, o.nesterov)
    const sign = o.maximize ? -1 : 1
    if (o.momentum === 0) {
      this.pass(k, p, g, [], [sign, o.weightDecay, o.lr])
      return
    }
    const s = this.stateOf(p, ['momentumBuffer'])
    this.pass(k, p, g, [s.tensors['momentumBuffer']!], [sign, o.weightDecay, o.lr, o.momentum, s.step === 0 ? 1 : 1 - o.dampening])
    s.step++
  }
}
