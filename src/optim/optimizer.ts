/** The base of optimizers: parameter groups, state, and the step around an update rule. */
import { clearGrad, peekGrad } from '../autograd/accumulate.ts'
import { enableGrad, noGrad } from '../autograd/modes.ts'
import { bump } from '../autograd/record.ts'
import { ArgumentError } from '../errors.ts'
import { fillWith, type Kernel, runInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { emptyPersistent, isTensor, type TensorCore } from '../tensor.ts'

/** Parameters that share hyper-parameters. */
export type ParamGroup<H> = H & { params: Tensor[] }
/** What optimizers take: tensors, or groups with hyper-parameters of their own. */
export type Params<H> = Iterable<Tensor> | Iterable<Partial<H> & { readonly params: Iterable<Tensor> }>

/** The state of one parameter: tensors shaped like it, and numbers. */
export interface ParamState {
  step: number
  readonly tensors: Record<string, TensorCore>
}

/** @see https://docs.pytorch.org/docs/stable/optim.html#torch.optim.Optimizer */
export abstract class Optimizer<H extends object> {
  readonly paramGroups: ParamGroup<H>[] = []
  readonly state: Map<Tensor, ParamState> = new Map()
  private readonly defaults: H

  constructor(params: Params<H>, defaults: H) {
    this.defaults = defaults
    if (isTensor(params) || typeof (params as Iterable<Tensor> | undefined)?.[Symbol.iterator] !== 'function') {
      throw new ArgumentError(
        `params argument given to the optimizer should be an iterable of Tensors or groups, but got ${isTensor(params) ? params.dt.torchType : typeof params}`,
      )
    }
    const list = [...(params as Iterable<unknown>)]
    if (list.length === 0) throw new ArgumentError('optimizer got an empty parameter list')
    if (list.some((p) => typeof p === 'object' && p !== null && 'params' in p))
      for (const g of list) this.addParamGroup(g as Partial<H> & { params: Iterable<Tensor> })
    else this.addParamGroup({ params: list as Tensor[] } as unknown as Partial<H> & { params: Iterable<Tensor> })
  }

  /** More parameters, with hyper-parameters of their own where given. */
  addParamGroup(group: Partial<H> & { readonly params: Iterable<Tensor> }): void {
    const params = [...group.params]
    const known = new Set(this.paramGroups.flatMap((g) => g.params))
    for (const p of params) {
      if (!isTensor(p)) throw new ArgumentError(`optimizer can only optimize Tensors, but one of the params is ${typeof p}`)
      if (!p.isLeaf) throw new ArgumentError("can't optimize a non-leaf Tensor")
      if (known.has(p)) throw new ArgumentError('some parameters appear in more than one parameter group')
    }
    const made = { ...this.defaults, ...group, params } as ParamGroup<H>
    this.check(made)
    this.paramGroups.push(made)
  }

  /** Refuses impossible hyper-parameters. */
  protected abstract check(group: H): void
  /** One update of one parameter. */
  protected abstract update(p: Tensor, g: TensorCore, group: ParamGroup<H>): void

  /**
   * Updates every parameter that has a gradient. A closure that computes the loss and its gradients may be given; its
   * result is returned.
   */
  step(closure?: () => Tensor): Tensor | undefined {
    const loss = closure === undefined ? undefined : enableGrad(closure)
    noGrad(() => {
      for (const group of this.paramGroups) {
        for (const p of group.params) {
          const g = peekGrad(p)
          if (g !== null) this.update(p, g, group)
        }
      }
    })
    return loss
  }

  /** Forgets all gradients; with `setToNone: false` zeroes them instead. */
  zeroGrad(options: { readonly setToNone?: boolean } = {}): void {
    for (const { params } of this.paramGroups) {
      for (const p of params) {
        if (options.setToNone ?? true) clearGrad(p)
        else {
          const g = peekGrad(p)
          if (g !== null) fillWith(g, 0)
        }
      }
    }
  }

  /** The state of p, made at its first update. */
  protected stateOf(p: Tensor, names: readonly string[]): ParamState {
    let s = this.state.get(p)
    if (s === undefined) {
      s = { step: 0, tensors: {} }
      for (const name of names) {
        const t = emptyPersistent(Layout.of(p.shape), p.dt)
        fillWith(t, 0)
        s.tensors[name] = t
      }
      this.state.set(p, s)
    }
    return s
  }

  /** One fused pass over the parameter, its gradient and its state, in place. */
  protected pass(k: Kernel, p: Tensor, g: TensorCore, state: readonly TensorCore[], scalars: readonly number[]): void {
    runInto(k, [p, ...state], [p, g, ...state], scalars)
    bump(p, 'step')
  }

  /** State by position of the parameters, for saving: tensors share memory with the optimizer. */
  stateDict(): { state: Record<number, ParamState>; paramGroups: (H & { params: number[] })[] } {
    let n = 0
    const state: Record<number, ParamState> = {}
    const paramGroups = this.paramGroups.map((g) => ({
      ...g,
      params: g.params.map((p) => {
        const s = this.state.get(p)
        if (s !== undefined) state[n] = s
        return n++
      }),
    }))
    return { state, paramGroups }
  }
}

/** Refuses a learning rate that isn't a number ≥ 0. */
export function checkRate(name: string, value: number): void {
  if (!(value >= 0)) throw new ArgumentError(`Invalid ${name}: ${value}`)
}
