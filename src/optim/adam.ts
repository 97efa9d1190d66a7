/** Adam and AdamW. */
import { input, Program, scalar } from '../backend/scalar.ts'
import { ArgumentError } from '../errors.ts'
import { type Kernel, kernel } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import type { TensorCore } from '../tensor.ts'
import { checkRate, Optimizer, type ParamGroup, type Params } from './optimizer.ts'

/** Hyper-parameters of `Adam` and `AdamW`. */
export interface AdamOptions {
  /** Learning rate. Default 1e-3. */
  lr: number
  /** Decay rates of the two averages. Default [0.9, 0.999]. */
  betas: readonly [number, number]
  eps: number
  weightDecay: number
  amsgrad: boolean
  maximize: boolean
}

const kernels = new Map<string, Kernel>()

/**
 * m ← m + (1 − β₁)(g − m), v ← β₂v + (1 − β₂)g², p ← p·shrink − rate·m/(√v/√(1 − β₂ᵗ) + eps); with AMSGrad √ of the largest v.
 * Scalars: sign, decay into g, shrink, 1 − β₁, β₂, 1 − β₂, rate, √(1 − β₂ᵗ), eps.
 */
function stepKernel(dtype: 'float32' | 'float64', amsgrad: boolean): Kernel {
  const key = `${dtype}:${amsgrad}`
  let hit = kernels.get(key)
  if (hit === undefined) {
    const p = input(0)
    const g = input(1)
      .mul(scalar(0))
      .add(p.mul(scalar(1)))
    const m = input(2).add(g.sub(input(2)).mul(scalar(3)))
    const v = input(3)
      .mul(scalar(4))
      .add(g.mul(g).mul(scalar(5)))
    const top = amsgrad ? input(4).maximum(v) : v
    const next = p.mul(scalar(2)).sub(m.mul(scalar(6)).div(top.sqrt().div(scalar(7)).add(scalar(8))))
    const outputs = amsgrad ? [next, m, v, top] : [next, m, v]
    hit = kernel(
      new Program(
        outputs,
        outputs.map(() => dtype),
        new Array(outputs.length + 1).fill(dtype),
        9,
        dtype,
      ),
    )
    kernels.set(key, hit)
  }
  return hit
}

/** @see https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html */
export class Adam extends Optimizer<AdamOptions> {
  /** Does weight decay act on the parameter itself (AdamW) instead of the gradient? */
  protected readonly decoupled: boolean = false

  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false, ...options })
  }
  protected check(o: AdamOptions): void {
    checkRate('learning rate', o.lr)
    checkRate('epsilon value', o.eps)
    checkRate('weight_decay value', o.weightDecay)
    o.betas.forEach((b, i) => {
      if (!(b >= 0 && b < 1)) throw new ArgumentError(`Invalid beta parameter at index ${i}: ${b}`)
    })
  }
  protected update(p: Tensor, g: TensorCore, o: ParamGroup<AdamOptions>): void {
    const s = this.stateOf(p, o.amsgrad ? ['expAvg', 'expAvgSq', 'maxExpAvgSq'] : ['expAvg', 'expAvgSq'])
    const t = ++s.step
    const [b1, b2] = o.betas
    const decay = this.decoupled ? 0 : o.weightDecay
    const shrink = this.decoupled ? 1 - o.lr * o.weightDecay : 1
    const { expAvg, expAvgSq, maxExpAvgSq } = s.tensors
    const state = o.amsgrad ? [expAvg!, expAvgSq!, maxExpAvgSq!] : [expAvg!, expAvgSq!]
    this.pass(stepKernel(p.dt.name as 'float32', o.amsgrad), p, g, state, [
      o.maximize ? -1 : 1,
      decay,
      shrink,
      1 - b1,
      b2,
      1 - b2,
      o.lr / (1 - b1 ** t),
      Math.sqrt(1 - b2 ** t),
      o.eps,
    ])
  }
}

/** Adam with decoupled weight decay (default 0.01). @see https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html */
export class AdamW extends Adam {
  protected override readonly decoupled: boolean = true
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { weightDecay: 1e-2, ...options })
  }
}
