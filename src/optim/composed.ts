/** Several schedules made into one: one after the other, or all at once. */
import { ArgumentError } from '../errors.ts'
import type { Optimizer } from './optimizer.ts'
import { type HasRate, LRScheduler, ReduceLROnPlateau, type Schedule, type SchedulerState } from './scheduler.ts'

/** What several schedulers together need to go on. */
export interface ComposedState {
  readonly lastEpoch: number
  readonly schedulers: readonly SchedulerState[]
}

function checkSchedulers(name: string, optimizer: Optimizer<HasRate>, schedulers: readonly LRScheduler[]): void {
  if (schedulers.length === 0) throw new ArgumentError(`${name} expects at least one scheduler, but got no scheduler.`)
  schedulers.forEach((s: unknown, i) => {
    if (s instanceof ReduceLROnPlateau)
      throw new ArgumentError(
        `${name} does not support \`ReduceLROnPlateau\` scheduler as it requires additional kwargs to be specified when calling \`step\`, but got one at index ${i} in the given schedulers sequence.`,
      )
    if (!(s instanceof LRScheduler)) throw new ArgumentError(`${name}: expected schedulers, but got something else at index ${i}`)
    if (s.optimizer !== optimizer)
      throw new ArgumentError(`${name} expects all schedulers to belong to the same optimizer, but the one at index ${i} has another`)
  })
}

/** What both share. */
abstract class Composed implements Schedule {
  readonly optimizer: Optimizer<HasRate>
  protected readonly schedulers: readonly LRScheduler[]
  lastEpoch = 0
  constructor(optimizer: Optimizer<HasRate>, schedulers: readonly LRScheduler[]) {
    this.optimizer = optimizer
    this.schedulers = [...schedulers]
  }

  abstract step(): void

  /** The rates of the groups now. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr)
  }

  /** What is needed to go on later. */
  stateDict(): ComposedState {
    return { lastEpoch: this.lastEpoch, schedulers: this.schedulers.map((s) => s.stateDict()) }
  }

  /** Goes on from a saved state. The rates of the groups are the optimizer's to restore. */
  loadStateDict(state: ComposedState): void {
    this.lastEpoch = state.lastEpoch
    this.schedulers.forEach((s, i) => {
      s.loadStateDict(state.schedulers[i]!)
    })
  }
}

/**
 * One schedule after the other: the next begins, at its epoch 0, at each of the `milestones`.
 * Errors: ArgumentError for other numbers of milestones, `ReduceLROnPlateau`, and schedulers of several optimizers.
 * @example
 * const { LinearLR, CosineAnnealingLR, SequentialLR } = optim.lrScheduler
 * const optimizer = new optim.SGD(new nn.Linear(2, 1).parameters(), { lr: 0.1 })
 * const warmUp = new LinearLR(optimizer, { startFactor: 0.1, totalIters: 5 })
 * const scheduler = new SequentialLR(optimizer, [warmUp, new CosineAnnealingLR(optimizer, 95)], [5])
 * scheduler.getLastLr()[0]!.toFixed(3) // 0.010
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html
 */
export class SequentialLR extends Composed {
  private readonly milestones: readonly number[]
  constructor(optimizer: Optimizer<HasRate>, schedulers: readonly LRScheduler[], milestones: readonly number[]) {
    checkSchedulers('SequentialLR', optimizer, schedulers)
    if (milestones.length !== schedulers.length - 1)
      throw new ArgumentError(
        `Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone points, but got number of schedulers ${schedulers.length} and the number of milestones to be equal to ${milestones.length}`,
      )
    super(optimizer, schedulers)
    this.milestones = [...milestones]
    // Each scheduler has set its first rate when it was made: only that of the one whose turn it is stays.
    for (const group of optimizer.paramGroups) group.lr = group.initialLr ?? group.lr
    this.schedulers[this.turn()]!.restart(true)
  }

  /** Whose turn it is: the number of milestones passed. */
  private turn(): number {
    return this.milestones.filter((m) => m <= this.lastEpoch).length
  }

  /** Goes to the next epoch and sets the rates of all groups. */
  step(): void {
    this.lastEpoch++
    const turn = this.turn()
    const scheduler = this.schedulers[turn]!
    if (turn > 0 && this.milestones[turn - 1] === this.lastEpoch) scheduler.restart(false)
    else scheduler.step()
  }
}

/**
 * All schedules at once, one on top of the other: for those that change the rate from what it is.
 * Errors: ArgumentError for no scheduler, `ReduceLROnPlateau`, and schedulers of several optimizers.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ChainedScheduler.html
 */
export class ChainedScheduler extends Composed {
  constructor(schedulers: readonly LRScheduler[], optimizer: Optimizer<HasRate> | undefined = schedulers[0]?.optimizer) {
    checkSchedulers('ChainedScheduler', optimizer!, schedulers)
    super(optimizer!, schedulers)
  }

  /** Steps every schedule. */
  step(): void {
    this.lastEpoch++
    for (const s of this.schedulers) s.step()
  }
}
