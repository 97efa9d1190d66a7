/** Recurrent layers over sequences: RNN, LSTM, GRU, and one step of each as a cell. */
import { zeros } from '../creation.ts'
import { dtypes } from '../dtype.ts'
import { ArgumentError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { cat, stack } from '../ops/join.ts'
import { checkKind, checkOptions, type Known } from '../options.ts'
import { sameShape } from '../shape.ts'
import { checkAddressable } from '../tensor.ts'
import { warn } from '../warnings.ts'
import { parameter } from './arguments.ts'
import * as F from './functional.ts'
import { uniform_ } from './init.ts'
import { BIASED, type BiasOptions } from './linear.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

// Note [Gates]
// The gates of a step see x·Wᵢᵀ + bᵢ and h·Wₕᵀ + bₕ, each gate its own rows of both weights, in torch's order. The first product
// doesn't wait for the state, so a layer makes it once for the whole sequence.

/** A kind of recurrence. */
interface Recurrence {
  /** How many gates, which is how many times the hidden size the weights have as rows. */
  readonly gates: number
  /** How many tensors the state has; the first is the output. */
  readonly states: number
  /** The next state from the gates' shares of the input and of the state. */
  step(fromInput: Tensor, fromState: Tensor, state: readonly Tensor[]): readonly Tensor[]
}

const simple = (nonlinearity: 'tanh' | 'relu'): Recurrence => ({
  gates: 1,
  states: 1,
  step: (x, h) => [nonlinearity === 'tanh' ? x.add(h).tanh() : x.add(h).relu()],
})

const longShortTerm: Recurrence = {
  gates: 4,
  states: 2,
  step: (x, h, [, cell]) => {
    const [input, forget, candidate, output] = x.add(h).chunk(4, -1) as [Tensor, Tensor, Tensor, Tensor]
    const next = forget.sigmoid().mul(cell!).add(input.sigmoid().mul(candidate.tanh()))
    return [output.sigmoid().mul(next.tanh()), next]
  },
}

const gated: Recurrence = {
  gates: 3,
  states: 1,
  step: (x, h, [state]) => {
    const [xr, xz, xn] = x.chunk(3, -1) as [Tensor, Tensor, Tensor]
    const [hr, hz, hn] = h.chunk(3, -1) as [Tensor, Tensor, Tensor]
    const candidate = xn.add(xr.add(hr).sigmoid().mul(hn)).tanh()
    return [candidate.add(xz.add(hz).sigmoid().mul(state!.sub(candidate)))]
  },
}

function checkSizes(op: string, inputSize: number, hiddenSize: number): void {
  for (const [name, size] of [
    ['input_size', inputSize],
    ['hidden_size', hiddenSize],
  ] as const)
    if (!(Number.isInteger(size) && size > 0))
      throw new ArgumentError(`${name} must be greater than zero, a whole number; got ${String(size)} (${op})`, { op })
}

/** Uniform in ±1/√hiddenSize, how torch starts all parameters of recurrent layers. */
function draw(parameters: readonly Parameter[], hiddenSize: number): void {
  const bound = 1 / Math.sqrt(hiddenSize)
  for (const p of parameters) uniform_(p, -bound, bound)
}

function checkNonlinearity(value: unknown): void {
  if (value !== 'tanh' && value !== 'relu')
    throw new ArgumentError(`Unknown nonlinearity '${String(value)}'. Select from 'tanh' or 'relu'. (RNN)`, { op: 'RNN' })
}

// --- cells --------------------------------------------------------------------------------------------------------------------

/** Options of `RNNCell`. */
export interface RNNCellOptions extends BiasOptions {
  /** Default 'tanh'. */
  readonly nonlinearity?: 'tanh' | 'relu'
}
const RNN_CELL: Known<RNNCellOptions> = { dtype: 'any', bias: 'boolean', nonlinearity: 'any' }

/** What cells share. */
abstract class Cell<I extends unknown[], O> extends Module<I, O> {
  readonly inputSize: number
  readonly hiddenSize: number
  readonly #kind: Recurrence
  weightIh: Parameter
  weightHh: Parameter
  biasIh: Parameter | null
  biasHh: Parameter | null

  constructor(kind: Recurrence, inputSize: number, hiddenSize: number, options: BiasOptions, known: Known<BiasOptions> = BIASED) {
    super()
    const op = this.constructor.name
    checkSizes(op, inputSize, hiddenSize)
    checkOptions(op, options, known)
    this.#kind = kind
    this.inputSize = inputSize
    this.hiddenSize = hiddenSize
    const rows = kind.gates * hiddenSize
    const bias = options.bias ?? true
    this.weightIh = parameter(op, [rows, inputSize], options)
    this.weightHh = parameter(op, [rows, hiddenSize], options)
    this.biasIh = bias ? parameter(op, [rows], options) : null
    this.biasHh = bias ? parameter(op, [rows], options) : null
    this.resetParameters()
  }

  /** Draws the first values anew. */
  resetParameters(): void {
    draw(this.parameters(), this.hiddenSize)
  }

  /** The next state; zeros before the first. */
  protected next(x: Tensor, given: readonly Tensor[] | undefined): readonly Tensor[] {
    const { inputSize, hiddenSize } = this
    const op = this.constructor.name
    if (x.ndim !== 1 && x.ndim !== 2)
      throw new ShapeError(`${op}: Expected input to be 1D or 2D, got ${x.ndim}D instead`, { op, shapes: [x.shape] })
    if (x.shape.at(-1) !== inputSize)
      throw new ShapeError(`${op}: input has inconsistent input_size: got ${x.shape.at(-1)}, expected ${inputSize}`, {
        op,
        shapes: [x.shape],
      })
    const shape = [...x.shape.slice(0, -1), hiddenSize]
    const state = given ?? Array.from({ length: this.#kind.states }, () => zeros(shape, { dtype: x.dtype }))
    state.forEach((s, i) => {
      if (!sameShape(s.shape, shape))
        throw new ShapeError(
          `${op}: hidden${i} has inconsistent hidden_size or batch size: got ${show(s.shape)}, expected ${show(shape)}`,
          {
            op,
            shapes: [s.shape, shape],
          },
        )
    })
    return this.#kind.step(F.linear(x, this.weightIh, this.biasIh), F.linear(state[0]!, this.weightHh, this.biasHh), state)
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.biasIh === null ? ', bias=false' : ''}`
  }
}

/**
 * One step of a plain recurrence, h′ = tanh(x·Wᵢᵀ + bᵢ + h·Wₕᵀ + bₕ), for x [n, inputSize] and h [n, hiddenSize] (or without n; h is zeros
 * if left out). All parameters uniform in ±1/√hiddenSize at first. Errors: ShapeError.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
 */
export class RNNCell extends Cell<[x: Tensor, h?: Tensor], Tensor> {
  readonly nonlinearity: 'tanh' | 'relu'
  constructor(inputSize: number, hiddenSize: number, options: RNNCellOptions = {}) {
    const { nonlinearity = 'tanh' } = options ?? {}
    checkNonlinearity(nonlinearity)
    super(simple(nonlinearity), inputSize, hiddenSize, options, RNN_CELL)
    this.nonlinearity = nonlinearity
  }
  forward(x: Tensor, h?: Tensor): Tensor {
    return this.next(x, h && [h])[0]!
  }
  override extraRepr(): string {
    return super.extraRepr() + (this.nonlinearity === 'tanh' ? '' : `, nonlinearity=${this.nonlinearity}`)
  }
}

/**
 * One step of an LSTM, from x [n, inputSize] and a state [h, c] of [n, hiddenSize] each (or without n; zeros if left out) to the next:
 * c′ = σ(f)·c + σ(i)·tanh(g), h′ = σ(o)·tanh(c′). All parameters uniform in ±1/√hiddenSize at first. Errors: ShapeError.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
 */
export class LSTMCell extends Cell<[x: Tensor, state?: readonly [h: Tensor, c: Tensor]], [h: Tensor, c: Tensor]> {
  constructor(inputSize: number, hiddenSize: number, options: BiasOptions = {}) {
    super(longShortTerm, inputSize, hiddenSize, options)
  }
  forward(x: Tensor, state?: readonly [h: Tensor, c: Tensor]): [h: Tensor, c: Tensor] {
    const [h, c] = this.next(x, state)
    return [h!, c!]
  }
}

/**
 * One step of a GRU, from x [n, inputSize] and h [n, hiddenSize] (or without n; zeros if left out):
 * h′ = (1 − σ(z))·ñ + σ(z)·h with ñ = tanh(xₙ + σ(r)·hₙ). All parameters uniform in ±1/√hiddenSize at first. Errors: ShapeError.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
 */
export class GRUCell extends Cell<[x: Tensor, h?: Tensor], Tensor> {
  constructor(inputSize: number, hiddenSize: number, options: BiasOptions = {}) {
    super(gated, inputSize, hiddenSize, options)
  }
  forward(x: Tensor, h?: Tensor): Tensor {
    return this.next(x, h && [h])[0]!
  }
}

// --- layers -------------------------------------------------------------------------------------------------------------------

/** Options of `LSTM` and `GRU`. */
export interface RecurrentOptions extends BiasOptions {
  /** How many layers, each over the outputs of the one below. Default 1. */
  readonly numLayers?: number
  /** Inputs and outputs are [n, length, …] rather than [length, n, …]. Default false. */
  readonly batchFirst?: boolean
  /** Dropout between the layers while training. Default 0. */
  readonly dropout?: number
  /** A second recurrence from the end to the beginning in each layer, whose outputs stand after the first one's. Default false. */
  readonly bidirectional?: boolean
}
const RECURRENT: Known<RecurrentOptions> = {
  dtype: 'any',
  bias: 'boolean',
  numLayers: 'any',
  batchFirst: 'boolean',
  dropout: 'any',
  bidirectional: 'boolean',
}

/** Options of `RNN`. */
export interface RNNOptions extends RecurrentOptions {
  /** Default 'tanh'. */
  readonly nonlinearity?: 'tanh' | 'relu'
}

const RNN_OPTIONS: Known<RNNOptions> = {
  dtype: 'any',
  bias: 'boolean',
  numLayers: 'any',
  batchFirst: 'boolean',
  dropout: 'any',
  bidirectional: 'boolean',
  nonlinearity: 'any',
}

/** What recurrent layers share. Their parameters are `weightIhL0`, `weightHhL0`, `biasIhL0`, `biasHhL0`, with `Reverse` for the way back. */
abstract class Recurrent<I extends unknown[], O> extends Module<I, O> {
  [name: `${'weight' | 'bias'}${'Ih' | 'Hh'}L${string}`]: Parameter
  readonly inputSize: number
  readonly hiddenSize: number
  readonly numLayers: number
  readonly batchFirst: boolean
  readonly dropout: number
  readonly bidirectional: boolean
  readonly #kind: Recurrence
  readonly #bias: boolean

  constructor(
    kind: Recurrence,
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions,
    known: Known<RecurrentOptions> = RECURRENT,
  ) {
    super()
    const op = this.constructor.name
    checkOptions(op, options, known)
    const { numLayers = 1, bias = true, batchFirst = false, dropout = 0, bidirectional = false } = options
    checkSizes(op, inputSize, hiddenSize)
    checkKind(op, 'dropout', dropout, 'number')
    if (!(Number.isInteger(numLayers) && numLayers > 0))
      throw new ArgumentError(`num_layers must be greater than zero, a whole number; got ${String(numLayers)} (${op})`, { op })
    if (!(dropout >= 0 && dropout <= 1))
      throw new ArgumentError(
        `dropout should be a number in range [0, 1] representing the probability of an element being zeroed; got ${dropout} (${op})`,
        { op },
      )
    if (dropout > 0 && numLayers === 1)
      warn(
        `dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, but got dropout=${dropout} and num_layers=1`,
      )
    this.#kind = kind
    this.#bias = bias
    this.inputSize = inputSize
    this.hiddenSize = hiddenSize
    this.numLayers = numLayers
    this.batchFirst = batchFirst
    this.dropout = dropout
    this.bidirectional = bidirectional
    const rows = kind.gates * hiddenSize
    checkAddressable(op, [numLayers, rows, hiddenSize], dtypes.float32)
    for (const [layer, place] of this.places()) {
      const width = layer === 0 ? inputSize : hiddenSize * (bidirectional ? 2 : 1)
      this[`weightIhL${place}`] = parameter(op, [rows, width], options)
      this[`weightHhL${place}`] = parameter(op, [rows, hiddenSize], options)
      if (!bias) continue
      this[`biasIhL${place}`] = parameter(op, [rows], options)
      this[`biasHhL${place}`] = parameter(op, [rows], options)
    }
    this.resetParameters()
  }

  /** Every recurrence: its layer, what its parameters' names end with, whether it runs backwards. */
  private places(): (readonly [layer: number, place: string, back: boolean])[] {
    return Array.from({ length: this.numLayers }, (_, layer) => [
      [layer, `${layer}`, false] as const,
      ...(this.bidirectional ? [[layer, `${layer}Reverse`, true] as const] : []),
    ]).flat()
  }

  /** Draws the first values anew. */
  resetParameters(): void {
    draw(this.parameters(), this.hiddenSize)
  }

  /** One recurrence over a sequence [length, n, …]: all outputs, and the last state. */
  private scan(sequence: Tensor, start: readonly Tensor[], place: string, back: boolean): { outputs: Tensor; state: readonly Tensor[] } {
    const shares = F.linear(sequence, this[`weightIhL${place}`]!, this[`biasIhL${place}`]).unbind(0)
    const [weight, bias] = [this[`weightHhL${place}`]!, this[`biasHhL${place}`]]
    const outputs = new Array<Tensor>(shares.length)
    let state = start
    for (let i = 0; i < shares.length; i++) {
      const t = back ? shares.length - 1 - i : i
      state = this.#kind.step(shares[t]!, F.linear(state[0]!, weight, bias), state)
      outputs[t] = state[0]!
    }
    return { outputs: stack(outputs), state }
  }

  /** The outputs of the last layer, and the last states of all recurrences. */
  protected run(x: Tensor, given: readonly Tensor[] | undefined): { output: Tensor; last: Tensor[] } {
    const { batchFirst, numLayers, hiddenSize, dropout, training } = this
    const op = this.constructor.name
    if (x.ndim !== 2 && x.ndim !== 3)
      throw new ShapeError(`${op}: Expected input to be 2D or 3D, got ${x.ndim}D tensor instead`, { op, shapes: [x.shape] })
    if (x.shape.at(-1) !== this.inputSize)
      throw new ShapeError(`input.size(-1) must be equal to input_size. Expected ${this.inputSize}, got ${x.shape.at(-1)} (${op})`, {
        op,
        shapes: [x.shape],
      })
    const batched = x.ndim === 3
    let sequence = !batched ? x.unsqueeze(1) : batchFirst ? x.transpose(0, 1) : x
    const [length, n] = sequence.shape as [number, number]
    if (length === 0)
      throw new ShapeError(`Expected sequence length to be larger than 0 in ${op}, got ${show(x.shape)}`, { op, shapes: [x.shape] })
    const places = this.places()
    const shape = batched ? [places.length, n, hiddenSize] : [places.length, hiddenSize]
    const start = given ?? Array.from({ length: this.#kind.states }, () => zeros(shape, { dtype: x.dtype }))
    start.forEach((s, i) => {
      const which = start.length === 1 ? '' : `[${i}]`
      if (s.ndim !== x.ndim)
        throw new ShapeError(
          `For ${batched ? 'batched 3-D' : 'unbatched 2-D'} input, hx should also be ${x.ndim}-D but got ${s.ndim}-D tensors (${op})`,
          { op, shapes: [s.shape] },
        )
      if (!sameShape(s.shape, shape))
        throw new ShapeError(`Expected hidden${which} size ${show(shape)}, got ${show(s.shape)} (${op})`, { op, shapes: [s.shape, shape] })
    })
    const starts = start.map((s) => (batched ? s : s.unsqueeze(1)).unbind(0))
    const last: Tensor[][] = start.map(() => [])
    for (let layer = 0; layer < numLayers; layer++) {
      const outputs: Tensor[] = []
      places.forEach(([of, place, back], k) => {
        if (of !== layer) return
        const found = this.scan(
          sequence,
          starts.map((s) => s[k]!),
          place,
          back,
        )
        outputs.push(found.outputs)
        found.state.forEach((s, i) => {
          last[i]!.push(s)
        })
      })
      sequence = outputs.length === 1 ? outputs[0]! : cat(outputs, -1)
      if (training && dropout > 0 && layer < numLayers - 1) sequence = F.dropout(sequence, { p: dropout })
    }
    return {
      output: !batched ? sequence.squeeze(1) : batchFirst ? sequence.transpose(0, 1) : sequence,
      last: last.map((states) => (batched ? stack(states) : stack(states).squeeze(1))),
    }
  }

  override extraRepr(): string {
    const { numLayers, batchFirst, dropout, bidirectional } = this
    return [
      `${this.inputSize}, ${this.hiddenSize}`,
      ...(numLayers === 1 ? [] : [`numLayers=${numLayers}`]),
      ...(this.#bias ? [] : ['bias=false']),
      ...(batchFirst ? ['batchFirst=true'] : []),
      ...(dropout === 0 ? [] : [`dropout=${dropout}`]),
      ...(bidirectional ? ['bidirectional=true'] : []),
    ].join(', ')
  }
}

/**
 * A plain recurrent network over sequences x [length, n, inputSize] (or [length, inputSize]): hₜ = tanh(xₜ·Wᵢᵀ + bᵢ + hₜ₋₁·Wₕᵀ + bₕ). Gives the outputs
 * of the last layer [length, n, hiddenSize] (twice that with two directions) and the last state of every layer and direction
 * [numLayers·directions, n, hiddenSize]; takes such a state to begin with. All parameters uniform in ±1/√hiddenSize at first.
 * Errors: ArgumentError for impossible options, ShapeError.
 * @example
 * const [output, h] = new nn.RNN(3, 5).call(torch.zeros([7, 2, 3]))
 * output.shape // [7, 2, 5]
 * h.shape // [1, 2, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html
 */
export class RNN extends Recurrent<[x: Tensor, h?: Tensor], [output: Tensor, h: Tensor]> {
  readonly nonlinearity: 'tanh' | 'relu'
  constructor(inputSize: number, hiddenSize: number, options: RNNOptions = {}) {
    const { nonlinearity = 'tanh' } = options ?? {}
    checkNonlinearity(nonlinearity)
    super(simple(nonlinearity), inputSize, hiddenSize, options, RNN_OPTIONS)
    this.nonlinearity = nonlinearity
  }
  forward(x: Tensor, h?: Tensor): [output: Tensor, h: Tensor] {
    const { output, last } = this.run(x, h && [h])
    return [output, last[0]!]
  }
}

/**
 * Long short-term memory over sequences, shapes as of `RNN`; its state is a pair [h, c]. Each step is that of `LSTMCell`.
 * Errors: ArgumentError for impossible options, ShapeError.
 * @example
 * const lstm = new nn.LSTM(3, 5, { numLayers: 2, bidirectional: true, batchFirst: true })
 * const [output, [h, c]] = lstm.call(torch.zeros([2, 7, 3]))
 * output.shape // [2, 7, 10]
 * c.shape // [4, 2, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
 */
export class LSTM extends Recurrent<[x: Tensor, state?: readonly [h: Tensor, c: Tensor]], [output: Tensor, state: [h: Tensor, c: Tensor]]> {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(longShortTerm, inputSize, hiddenSize, options)
  }
  forward(x: Tensor, state?: readonly [h: Tensor, c: Tensor]): [output: Tensor, state: [h: Tensor, c: Tensor]] {
    const { output, last } = this.run(x, state)
    return [output, [last[0]!, last[1]!]]
  }
}

/**
 * Gated recurrent units over sequences, shapes and state as of `RNN`. Each step is that of `GRUCell`.
 * Errors: ArgumentError for impossible options, ShapeError.
 * @example
 * const [output] = new nn.GRU(3, 5).call(torch.zeros([7, 2, 3]))
 * output.shape // [7, 2, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
 */
export class GRU extends Recurrent<[x: Tensor, h?: Tensor], [output: Tensor, h: Tensor]> {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(gated, inputSize, hiddenSize, options)
  }
  forward(x: Tensor, h?: Tensor): [output: Tensor, h: Tensor] {
    const { output, last } = this.run(x, h && [h])
    return [output, last[0]!]
  }
}
