/** What automatic differentiation promises, each promise as a function that measures it. */
import * as torch from '../src/index.ts'
import { graphOf } from '../src/viz/index.ts'
import { bytes, duration, heading, table } from './terminal.ts'

// --- no graph, no cost ----------------------------------------------------------------------------------------------------

/** One way of running a forward. */
export interface Cost {
  /** Bytes that stay alive while the result is held. */
  readonly bytes: number
  /** Milliseconds, the best of several. */
  readonly ms: number
}

/** Bytes of linear memory in use by tensors that are really alive. */
function alive(): number {
  torch.configureMemory({ stress: true }) // sweeps at each allocation
  torch.zeros(1)
  torch.configureMemory({ stress: false })
  return torch.memoryStats().used
}

function cost(forward: () => torch.Tensor, rounds: number): Cost {
  let ms = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    forward()
    ms = Math.min(ms, performance.now() - start)
  }
  const before = alive()
  const result = forward()
  const after = alive()
  result.item() // the result, and what hangs on it, is held until here
  return { bytes: after - before, ms }
}

/** `depth` layers of `width` on `batch` rows, with the graph and without. */
export function graphCost(depth: number, width: number, batch: number, rounds = 20): { recorded: Cost; unrecorded: Cost } {
  const x = noise([batch, width], 1)
  const weights = Array.from({ length: depth }, (_, i) =>
    noise([width, width], i + 2)
      .mul(Math.sqrt(6 / width))
      .requiresGrad_(),
  )
  const forward = (): torch.Tensor => {
    let h = x
    for (const w of weights) h = h.matmul(w).relu()
    return h.sum()
  }
  return { recorded: cost(forward, rounds), unrecorded: cost(() => torch.noGrad(forward), rounds) }
}

/** Numbers in (−1, 1), the same each time: a linear congruence, so that this file needs no generator's state. */
function noise(shape: readonly number[], seed: number, dtype: torch.DType = 'float32'): torch.Tensor {
  let state = seed * 2654435761
  const values = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state / 2 ** 31
  })
  return torch.tensor(values, { dtype }).reshape(shape)
}

// --- gradients add up -----------------------------------------------------------------------------------------------------

/** The largest difference between the gradient of one batch and that of `parts` micro-batches, added up; and the largest gradient. */
export function accumulationError(dtype: torch.DType, batch = 64, parts = 4): { difference: number; largest: number } {
  const x = noise([batch, 32], 1, dtype)
  const target = noise([batch, 8], 2, dtype)
  const w = noise([32, 8], 3, dtype).requiresGrad_()
  const loss = (from: number, count: number): torch.Tensor =>
    x
      .narrow(0, from, count)
      .matmul(w)
      .tanh()
      .sub(target.narrow(0, from, count))
      .square()
      .mean()
  loss(0, batch).backward()
  const whole = w.grad!
  w.grad = null
  for (let part = 0; part < parts; part++)
    loss((part * batch) / parts, batch / parts)
      .div(parts)
      .backward()
  const largest = (t: torch.Tensor): number => t.abs().max().item()
  return { difference: largest(whole.sub(w.grad!)), largest: largest(whole) }
}

// --- a part of the graph --------------------------------------------------------------------------------------------------

/** What a backward pass through a part of a graph fills in, and which nodes it runs. */
export interface Partial {
  /** Gradients of [a, b] after a pass for `b` alone, and after another pass for all; null: none. */
  readonly forB: readonly (number | null)[]
  readonly forAll: readonly (number | null)[]
  readonly nodesForB: readonly string[]
  readonly nodesForAll: readonly string[]
  /** What a third pass says, since the second one freed the graph. */
  readonly refusal: string
}

/** y = exp(a)·sin(b): first only towards b, keeping the graph, then all of it. */
export function partialBackward(): Partial {
  const a = torch.tensor(1, { requiresGrad: true, dtype: torch.float64 })
  const b = torch.tensor(0, { requiresGrad: true, dtype: torch.float64 })
  const y = a.exp().mul(b.sin())
  let ran: string[] = []
  const [exp, sin] = y.gradFn!.nextFunctions
  for (const node of [y.gradFn!, exp![0]!, sin![0]!]) node.registerPrehook(() => void ran.push(node.name()))
  const grads = (): (number | null)[] => [a, b].map((t) => t.grad?.item() ?? null)

  y.backward({ inputs: [b], retainGraph: true })
  const forB = grads()
  const nodesForB = ran
  ran = []
  b.grad = null
  y.backward()
  const forAll = grads()
  const nodesForAll = [...ran]
  let refusal = ''
  try {
    y.backward()
  } catch (error) {
    refusal = (error as Error).message
  }
  return { forB, forAll, nodesForB, nodesForAll, refusal }
}

// --- graphs are made by running -------------------------------------------------------------------------------------------

/** Multiplies by x until the value passes 100, and turns the sign for odd counts: the graph depends on the values. */
export function dynamic(at: number): { value: number; gradient: number; nodes: number } {
  const x = torch.tensor(at, { requiresGrad: true, dtype: torch.float64 })
  let y = x
  let count = 1
  while (Math.abs(y.item()) < 100) {
    y = y.mul(x)
    count++
  }
  if (count % 2 === 1) y = y.neg()
  const nodes = graphOf(y).nodes.length
  y.backward()
  return { value: y.item(), gradient: x.grad!.item(), nodes }
}

// --- one node by itself ---------------------------------------------------------------------------------------------------

/** The backward pass of (3x)² at x = 2 by hand: each node's rules run alone, one after the other. */
export function byHand(): { steps: readonly (readonly [string, number])[]; gradient: number; engine: number } {
  const x = torch.tensor(2, { requiresGrad: true, dtype: torch.float64 })
  const y = x.mul(3).pow(2)
  const steps: [string, number][] = []
  let g: torch.Tensor = torch.tensor(1, { dtype: torch.float64 })
  torch.noGrad(() => {
    for (let node = y.gradFn; node !== null; node = node.nextFunctions[0]?.[0] ?? null) {
      const name = node.name()
      const [made] = node.apply(g)
      if (made !== null && made !== undefined) g = made
      steps.push([name, g.item()])
    }
  })
  const gradient = x.grad!.item()
  x.grad = null
  y.backward()
  return { steps, gradient, engine: x.grad!.item() }
}

/** Prints all of them. */
export function showClaims(): void {
  heading('What noGrad saves')
  const deep = graphCost(16, 256, 256)
  const small = graphCost(200, 4, 1, 200)
  const row = (name: string, { bytes: b, ms }: Cost): string[] => [name, bytes(b), duration(ms)]
  console.log(
    table([
      ['forward', 'kept alive', 'time'],
      row('16 layers of 256, batch 256, recorded', deep.recorded),
      row('16 layers of 256, batch 256, noGrad', deep.unrecorded),
      row('200 layers of 4, batch 1, recorded', small.recorded),
      row('200 layers of 4, batch 1, noGrad', small.unrecorded),
    ]),
  )

  heading('Gradients of four micro-batches add up to that of the batch')
  const rows = (['float32', 'float64'] as const).map((dtype) => {
    const { difference, largest } = accumulationError(dtype)
    return [dtype, difference.toExponential(1), largest.toFixed(4)]
  })
  console.log(table([['dtype', 'largest difference', 'largest gradient'], ...rows]))

  heading('Backward through a part of the graph: y = exp(a)·sin(b) at a = 1, b = 0')
  const part = partialBackward()
  const show = (values: readonly (number | null)[]): string => values.map((v) => (v === null ? 'none' : v.toFixed(4))).join(', ')
  console.log(`backward({ inputs: [b], retainGraph: true })   a.grad, b.grad: ${show(part.forB)}   ran ${part.nodesForB.join(', ')}`)
  console.log(`backward() on the kept graph                   a.grad, b.grad: ${show(part.forAll)}   ran ${part.nodesForAll.join(', ')}`)
  console.log(`backward() once more                           ${part.refusal.split('. ')[0]}`)

  heading('Graphs with if and while: x · x · … until 100 is passed, with the sign of the count')
  const cases = [2, 3, 7].map((at) => {
    const { value, gradient, nodes } = dynamic(at)
    return [String(at), String(value), String(gradient), String(nodes)]
  })
  console.log(table([['x', 'y', 'dy/dx', 'nodes'], ...cases]))

  heading('One node by itself: the backward pass of (3x)² at x = 2 by gradFn.apply(g)')
  const { steps, gradient, engine } = byHand()
  console.log(table(steps.map(([name, value]) => [name, String(value)])))
  console.log(`x.grad by hand ${gradient}, by backward() ${engine}`)
}
