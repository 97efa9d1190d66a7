/** Stochastic gradient descent, plain, with momentum, or with Nesterov's. */
import { ArgumentError } from '../errors.ts'
import { type CommonOptions, checkCommon, commonVariant, coupled, FusedOptimizer, type StepRule } from './fused.ts'
import { checkRate, type Params } from './optimizer.ts'

/** Hyper-parameters of `SGD`; lr is 1e-3. */
export interface SGDOptions extends CommonOptions {
  /** Share of the last direction that is kept. Default 0. */
  momentum: number
  /** Share of the gradient that the direction leaves out. Default 0. */
  dampening: number
  /** Looks one step ahead along the momentum. */
  nesterov: boolean
}

const MOMENTUM = 4
const NESTEROV = 8

/**
 * g ← ±gradient + weightDecay·p; b ← momentum·b + (1 − dampening)·g (at first g); p ← p − lr·b, or with Nesterov
 * p − lr·(g + momentum·b).
 * Errors: ArgumentError for impossible hyper-parameters.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
 */
export class SGD extends FusedOptimizer<SGDOptions> {
  constructor(params: Params<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super(params, { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false }, options)
  }

  protected check(o: SGDOptions): void {
    checkCommon(o)
    checkRate('momentum value', o.momentum)
    if (o.nesterov && (o.momentum <= 0 || o.dampening !== 0))
      throw new ArgumentError('Nesterov momentum requires a momentum and zero dampening')
  }

  protected variant(o: SGDOptions): number {
    return commonVariant(o) | (o.momentum === 0 ? 0 : MOMENTUM | (o.nesterov ? NESTEROV : 0))
  }

  protected rule(variant: number): StepRule {
    return {
      state: (variant & MOMENTUM) === 0 ? [] : ['momentumBuffer'],
      scalars: 4,
      next: (param, gradient, [buffer], [lr, decay, momentum, share]) => {
        const [p, g] = coupled(variant, param, gradient, decay!)
        if (buffer === undefined) return [p.sub(g.mul(lr!))]
        const b = buffer.mul(momentum!).add(g.mul(share!))
        const direction = (variant & NESTEROV) === 0 ? b : g.add(b.mul(momentum!))
        return [p.sub(direction.mul(lr!)), b]
      },
    }
  }

  protected numbersOf(o: SGDOptions, _step: number, fresh: boolean, out: Float64Array): void {
    out[0] = o.lr
    out[1] = o.weightDecay
    out[2] = o.momentum
    out[3] = fresh ? 1 : 1 - o.dampening
  }
}
