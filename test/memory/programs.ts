/**
 * Random programs of public calls beside a model of plain arrays: whenever a tensor's bytes are given to somebody else too
 * early, or an address is read too early, the two disagree.
 */
import * as autograd from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'

type Tensor = torch.Tensor

/** A tensor and what it must hold: elements of a shared plain array. */
interface Pair {
  readonly t: Tensor
  /** The elements of the storage, shared by its views. */
  readonly store: { readonly data: number[]; external: boolean }
  /** Where each element of this tensor lies in `store`, row-major. */
  readonly cells: readonly number[]
  readonly rows: number
  readonly cols: number
}

/** A parameter with its optimizer, stepped from time to time. */
interface Trained {
  readonly p: Tensor
  readonly optimizer: torch.optim.SGD
  readonly values: number[]
  readonly momentum: number[]
  steps: number
}

/** Thrown inside scopes and hooks, and expected there. */
class Deliberate extends Error {}

const MOMENTUM = 0.5
const RATE = 0.125

/** Numbers in [0, 1), the same for the same seed (xorshift). */
function generator(seed: number): () => number {
  let s = (seed * 2654435761) | 1
  return () => {
    s ^= s << 13
    s ^= s >>> 17
    s ^= s << 5
    return (s >>> 0) / 4294967296
  }
}

class Cube extends autograd.Function {
  static forward(ctx: autograd.FunctionCtx<object, [Tensor]>, x: Tensor): Tensor {
    ctx.saveForBackward(x)
    return x.mul(x).mul(x)
  }
  static backward(ctx: autograd.FunctionCtx<object, [Tensor]>, g: Tensor): Tensor {
    const [x] = ctx.savedTensors
    return g.mul(x!.mul(x!)).mul(3)
  }
}

/** One random program. `run` it; it throws where a tensor differs from its model. */
export class RandomProgram {
  private readonly random: () => number
  private readonly seed: number
  private readonly dtype: 'float32' | 'float64'
  private pool: Pair[] = []
  private readonly trained: Trained[] = []
  private depth = 0
  private step = 0
  private last = ''

  constructor(seed: number) {
    this.seed = seed
    this.random = generator(seed)
    this.dtype = seed % 2 === 0 ? 'float64' : 'float32'
  }

  run(steps: number): void {
    for (this.step = 0; this.step < steps; this.step++) {
      this.act()
      if (this.step % 8 === 0) this.verify(this.pool)
    }
    collector().sweep()
    this.verify(this.pool)
    for (const m of this.trained) this.compare(m.p, m.values)
  }

  private act(): void {
    const actions = [
      this.create,
      this.unary,
      this.binary,
      this.product,
      this.reduce,
      this.join,
      this.view,
      this.view,
      this.change,
      this.change,
      this.share,
      this.drop,
      this.drop,
      this.scoped,
      this.firstOrder,
      this.secondOrder,
      this.accumulated,
      this.failing,
      this.custom,
      this.recomputed,
      this.retain,
      this.resume,
      this.transformed,
      this.train,
    ]
    const action = actions[this.below(actions.length)]!
    this.last = action.name
    action.call(this)
    if (this.pool.length > 24) this.pool.splice(0, 8)
    if (this.random() < 0.05) this.sweep()
  }

  private sweep(): void {
    if (this.random() < 0.5) collector().sweep()
    else collector().sweepYoung()
  }

  private below(n: number): number {
    return Math.floor(this.random() * n)
  }

  private values(n: number): number[] {
    return Array.from({ length: n }, () => Math.round(this.random() * 64 - 32) / 16)
  }

  private pick(): Pair {
    return this.pool.length === 0 ? this.create() : this.pool[this.below(this.pool.length)]!
  }

  private read(p: Pair): number[] {
    return p.cells.map((c) => p.store.data[c]!)
  }

  private push(t: Tensor, data: number[], rows: number, cols: number, external = false): Pair {
    const pair = { t, store: { data, external }, cells: data.map((_, i) => i), rows, cols }
    // What goes on growing leaves the range of float32, where the model doesn't follow.
    if (data.every((v) => Math.abs(v) <= 1e6)) this.pool.push(pair)
    return pair
  }

  private pushView(t: Tensor, of: Pair, cells: number[], rows: number, cols: number): void {
    this.pool.push({ t, store: of.store, cells, rows, cols })
  }

  private create(): Pair {
    // One in six has a block of its own; the rest share regions.
    const [rows, cols] = this.random() < 0.16 ? [36, 40] : [1 + this.below(5), 1 + this.below(5)]
    const data = this.values(rows * cols)
    if (this.random() < 0.2) {
      const array = this.dtype === 'float64' ? Float64Array.from(data) : Float32Array.from(data)
      const pair = this.push(torch.fromNumpy(array).reshape([rows, cols]), data, rows, cols, true)
      array[0] = 7
      data[0] = 7
      return pair
    }
    return this.push(torch.tensor(data, { dtype: this.dtype }).reshape([rows, cols]), data, rows, cols)
  }

  private unary(): void {
    const a = this.pick()
    const x = this.read(a)
    const s = this.values(1)[0]!
    const kind = this.below(4)
    const t = [() => a.t.neg(), () => a.t.tanh(), () => a.t.mul(s).tanh(), () => a.t.abs().add(s).sigmoid()][kind]!()
    const f = [(v: number) => -v, Math.tanh, (v: number) => Math.tanh(v * s), (v: number) => 1 / (1 + Math.exp(-(Math.abs(v) + s)))][kind]!
    this.push(t, x.map(f), a.rows, a.cols)
  }

  private binary(): void {
    const a = this.pick()
    const b = this.pool.find((p) => p !== a && p.cols === a.cols && (p.rows === a.rows || p.rows === 1)) ?? a
    const x = this.read(a)
    const y = this.read(b)
    const at = (i: number): number => y[b.rows === a.rows ? i : i % a.cols]!
    if (this.random() < 0.5) {
      this.push(
        a.t.maximum(b.t),
        x.map((v, i) => Math.max(v, at(i))),
        a.rows,
        a.cols,
      )
    } else {
      this.push(
        a.t.mul(b.t).tanh().sub(b.t),
        x.map((v, i) => Math.tanh(v * at(i)) - at(i)),
        a.rows,
        a.cols,
      )
    }
  }

  private product(): void {
    const a = this.pick()
    const x = this.read(a)
    const out: number[] = []
    for (let i = 0; i < a.rows; i++) {
      for (let j = 0; j < a.rows; j++) {
        let sum = 0
        for (let k = 0; k < a.cols; k++) sum += x[i * a.cols + k]! * x[j * a.cols + k]!
        out.push(sum / (1 + Math.abs(sum)))
      }
    }
    const p = a.t.matmul(a.t.t())
    this.push(p.div(p.abs().add(1)), out, a.rows, a.rows)
  }

  private reduce(): void {
    const a = this.pick()
    const x = this.read(a)
    const out = new Array<number>(a.cols).fill(0)
    for (const [i, v] of x.entries()) out[i % a.cols]! += v / a.rows
    this.push(a.t.mean(0, { keepdim: true }), out, 1, a.cols)
  }

  private join(): void {
    const a = this.pick()
    const b = this.pick()
    if (a.cols !== b.cols || a.rows + b.rows > 40) return
    this.push(torch.cat([a.t, b.t], 0), [...this.read(a), ...this.read(b)], a.rows + b.rows, a.cols)
  }

  private view(): void {
    const a = this.pick()
    const { rows, cols, cells } = a
    const kind = this.below(4)
    if (kind === 0) {
      const turned = Array.from({ length: rows * cols }, (_, i) => cells[(i % rows) * cols + Math.floor(i / rows)]!)
      this.pushView(a.t.t(), a, turned, cols, rows)
    } else if (kind === 1) {
      const start = this.below(rows)
      const length = 1 + this.below(rows - start)
      this.pushView(a.t.narrow(0, start, length), a, cells.slice(start * cols, (start + length) * cols), length, cols)
    } else if (kind === 2) {
      const c = this.below(cols)
      this.pushView(
        a.t.select(1, c).unsqueeze(1),
        a,
        cells.filter((_, i) => i % cols === c),
        rows,
        1,
      )
    } else if (rows === 1) {
      this.pushView(a.t.expand([3, cols]), a, [...cells, ...cells, ...cells], 3, cols)
    }
  }

  /** In-place, on tensors without gradients. */
  private change(): void {
    const a = this.pick()
    if (new Set(a.cells).size !== a.cells.length) return
    const b = this.pool.find((p) => p.store !== a.store && p.rows === a.rows && p.cols === a.cols)
    const s = this.values(1)[0]!
    let f: (v: number, i: number) => number
    if (b !== undefined && this.random() < 0.6) {
      const y = this.read(b)
      if (this.random() < 0.5) {
        a.t.copy_(b.t)
        f = (_, i) => y[i]!
      } else {
        a.t.mul_(0.5).add_(b.t, { alpha: 0.25 })
        f = (v, i) => v * 0.5 + y[i]! * 0.25
      }
    } else if (this.random() < 0.5) {
      a.t.fill_(s)
      f = () => s
    } else {
      a.t.tanh_().add_(s)
      f = (v) => Math.tanh(v) + s
    }
    const now = this.read(a).map(f)
    for (const [i, c] of a.cells.entries()) a.store.data[c] = now[i]!
  }

  private share(): void {
    const a = this.pick()
    const n = a.t.numpy()
    a.store.external = true
    const i = this.below(a.rows)
    const j = this.below(a.cols)
    const cell = a.cells[i * a.cols + j]!
    this.close(n.get(i, j), a.store.data[cell]!)
    n.set(i, j, 1.25)
    a.store.data[cell] = 1.25
  }

  private drop(): void {
    if (this.pool.length > 4) this.pool.splice(this.below(this.pool.length), 1)
  }

  /** Some steps inside a scope: what comes out, or belongs to what was outside, lives on; the rest must refuse to be read. */
  private scoped(): void {
    if (this.depth === 2) return
    const before = this.pool
    const outside = new Set(before.map((p) => p.store))
    const fails = this.random() < 0.25
    let inner: Pair[] = []
    let out: Pair[] = []
    this.depth++
    this.pool = [...before]
    try {
      torch.scope(() => {
        for (let i = 0; i < 4; i++) this.act()
        inner = this.pool.filter((p) => !outside.has(p.store))
        if (fails) throw new Deliberate()
        out = inner.filter(() => this.random() < 0.3)
        const kept = out.length > 1 ? out[0]! : null
        if (kept !== null) torch.keep(kept.t)
        return { list: out.slice(kept === null ? 0 : 1).map((p) => p.t) }
      })
    } catch (error) {
      if (!(error instanceof Deliberate)) throw error
    }
    this.depth--
    this.pool = [...before, ...out]
    for (const p of out) this.unbound.add(p.store)
    this.verify(this.pool)
    const alive = new Set(this.pool.map((p) => p.store))
    for (const p of inner) {
      if (alive.has(p.store) || p.store.external) continue
      let state = ''
      try {
        p.t.add(1)
        this.compare(p.t, this.read(p))
        state = 'alive'
      } catch (error) {
        if (!(error instanceof torch.ReleasedTensorError)) throw error
        state = 'released'
      }
      if (state === 'alive' && !this.unbound.has(p.store)) throw new Error(`${this.where()}: a tensor outlived its scope`)
    }
  }

  /** Stores that no scope releases: gradients that autograd handed out, and what a scope let live. */
  private readonly unbound = new WeakSet<Pair['store']>()

  private pushGradient(t: Tensor, data: number[], like: Pair): void {
    this.unbound.add(this.push(t, data, like.rows, like.cols).store)
  }

  /** ∂ Σ x²·y, through hooks that keep what they see and replace it. */
  private firstOrder(): void {
    const a = this.pick()
    const x = this.read(a)
    const y = this.values(x.length)
    const leaf = a.t.clone().detach().requiresGrad_()
    const weights = torch.tensor(y, { dtype: this.dtype }).reshape([a.rows, a.cols])
    const square = leaf.mul(leaf)
    const seen: Tensor[] = []
    const hooked = this.random() < 0.5
    if (hooked) {
      square.registerHook((g) => {
        seen.push(g)
        if (this.random() < 0.5) this.sweep()
        return g.mul(2)
      })
    }
    if (this.random() < 0.5) square.retainGrad()
    square.mul(weights).sum().backward()
    const factor = hooked ? 4 : 2
    const expected = x.map((v, i) => factor * v * y[i]!)
    if (this.random() < 0.5) this.pushGradient(leaf.grad!, expected, a)
    else this.compare(leaf.grad!, expected)
    for (const g of seen) this.pushGradient(g, y, a)
    if (square.retainsGrad)
      this.pushGradient(
        square.grad!,
        y.map((v) => (hooked ? 2 * v : v)),
        a,
      )
  }

  /** ∂ Σ y·∂Σx³ = 6xy, the first derivative being recorded. */
  private secondOrder(): void {
    const a = this.pick()
    const x = this.read(a)
    const leaf = a.t.clone().detach().requiresGrad_()
    const [g] = torch.autograd.grad(leaf.pow(3).sum(), leaf, { createGraph: true }) as [Tensor]
    this.compare(
      g.detach(),
      x.map((v) => 3 * v * v),
    )
    const weights = torch.full([a.rows, a.cols], 0.5, { dtype: this.dtype })
    g.mul(weights).sum().backward()
    this.pushGradient(
      leaf.grad!,
      x.map((v) => 3 * v),
      a,
    )
  }

  /** Two passes over one graph; the second adds into the gradient that was already seen. */
  private accumulated(): void {
    const a = this.pick()
    const x = this.read(a)
    const leaf = a.t.clone().detach().requiresGrad_()
    const part = leaf.tanh()
    const loss = part.mul(part.detach()).sum()
    loss.backward({ retainGraph: true })
    const seen = leaf.grad!
    loss.backward()
    const once = (v: number): number => (1 - Math.tanh(v) ** 2) * Math.tanh(v)
    this.pushGradient(
      seen,
      x.map((v) => 2 * once(v)),
      a,
    )
  }

  /** A hook that throws in the middle of a pass leaves everything usable. */
  private failing(): void {
    const a = this.pick()
    const x = this.read(a)
    const leaf = a.t.clone().detach().requiresGrad_()
    const middle = leaf.mul(3)
    const handle = middle.registerHook(() => {
      throw new Deliberate()
    })
    const loss = middle.add(middle.mul(2)).sum()
    let thrown = false
    try {
      loss.backward({ retainGraph: true })
    } catch (error) {
      if (!(error instanceof Deliberate)) throw error
      thrown = true
    }
    if (!thrown) throw new Error(`${this.where()}: the hook did not run`)
    handle.remove()
    loss.backward()
    this.pushGradient(
      leaf.grad!,
      x.map(() => 9),
      a,
    )
  }

  /** A Function, and saved tensors that wait outside: what is packed is copied by way of numpy(). */
  private custom(): void {
    const a = this.pick()
    const x = this.read(a)
    const leaf = a.t.clone().detach().requiresGrad_()
    const loss = autograd.graph.savedTensorsHooks(
      (t) => (this.random() < 0.5 ? { t, n: null } : { t: null, n: t.contiguous().clone().numpy() }),
      ({ t, n }) => t ?? torch.fromNumpy(n!.data as Float64Array).reshape([...n!.shape]),
      () => Cube.apply(leaf).mul(leaf).sum(),
    )
    if (this.random() < 0.5) this.sweep()
    loss.backward()
    this.pushGradient(
      leaf.grad!,
      x.map((v) => 4 * v ** 3),
      a,
    )
  }

  /** A checkpoint, whose input is changed through `data` where nobody counts. */
  private recomputed(): void {
    const a = this.pick()
    const x = this.read(a)
    const leaf = a.t.clone().detach().requiresGrad_()
    const y = autograd.checkpoint((t: Tensor) => t.tanh().mul(t), leaf)
    if (this.random() < 0.3) this.sweep()
    y.sum().backward()
    this.compare(
      leaf.grad!,
      x.map((v) => Math.tanh(v) + v * (1 - Math.tanh(v) ** 2)),
    )
    leaf.data.mul_(2)
    this.push(
      leaf.data,
      x.map((v) => 2 * v),
      a.rows,
      a.cols,
    )
  }

  /** Graphs that wait for `resume`, run or not. */
  private readonly waiting: { loss: Tensor; leaf: Tensor; times: number; once: number[] }[] = []

  private retain(): void {
    if (this.depth > 0 || this.waiting.length === 4) return
    const a = this.pick()
    const x = this.read(a)
    const leaf = a.t.clone().detach().requiresGrad_()
    const part = leaf.mul(leaf)
    // Moves what the graph reads out of the linear memory.
    const loss = part.t().tanh().sum()
    if (this.random() < 0.5) part.detach().numpy()
    this.waiting.push({ loss, leaf, times: 0, once: x.map((v) => 2 * v * (1 - Math.tanh(v * v) ** 2)) })
  }

  private resume(): void {
    const i = this.below(this.waiting.length)
    const w = this.waiting[i]
    if (w === undefined || this.depth > 0) return
    const last = this.random() < 0.5
    w.loss.backward({ retainGraph: !last })
    w.times++
    this.compare(
      w.leaf.grad!,
      w.once.map((v) => w.times * v),
    )
    if (last) this.waiting.splice(i, 1)
  }

  private transformed(): void {
    const a = this.pick()
    const x = this.read(a)
    if (a.store.external) return
    if (this.random() < 0.5) {
      const g = torch.func.grad((v: Tensor) => v.mul(v).mul(a.t).sum())(a.t) as Tensor
      this.push(
        g,
        x.map((v) => 2 * v * v),
        a.rows,
        a.cols,
      )
    } else {
      const y = torch.func.vmap((row: Tensor) => row.mul(2).add(row))(a.t) as Tensor
      this.push(
        y,
        x.map((v) => 3 * v),
        a.rows,
        a.cols,
      )
    }
  }

  /** A step of SGD with momentum on Σ p²; parameters and their state live on whatever scope they were made in. */
  private train(): void {
    if (this.trained.length < 2 && this.depth === 0) {
      const rows = this.random() < 0.5 ? 2 : 500
      const values = this.values(rows * 3)
      const p = new torch.nn.Parameter(torch.tensor(values, { dtype: this.dtype }).reshape([rows, 3]))
      const optimizer = new torch.optim.SGD([p], { lr: RATE, momentum: MOMENTUM })
      this.trained.push({ p, optimizer, values, momentum: values.map(() => 0), steps: 0 })
    }
    const m = this.trained[this.below(this.trained.length)]
    if (m === undefined) return
    m.optimizer.zeroGrad()
    m.p.mul(m.p).sum().backward()
    const gradient = m.values.map((v) => 2 * v)
    if (this.random() < 0.3) this.compare(m.p.grad!, gradient)
    m.optimizer.step()
    for (const [i, g] of gradient.entries()) {
      m.momentum[i] = m.steps === 0 ? g : MOMENTUM * m.momentum[i]! + g
      m.values[i]! -= RATE * m.momentum[i]!
    }
    m.steps++
    this.compare(m.p, m.values)
  }

  private verify(pairs: readonly Pair[]): void {
    for (const p of pairs) this.compare(p.t, this.read(p))
  }

  private compare(t: Tensor, expected: readonly number[]): void {
    const actual = t.detach().toTypedArray()
    if (actual.length !== expected.length) throw new Error(`${this.where()}: ${actual.length} elements, expected ${expected.length}`)
    for (const [i, v] of expected.entries()) this.close(actual[i]!, v)
  }

  private close(actual: number, expected: number): void {
    const tolerance = this.dtype === 'float64' ? 1e-9 : 1e-3
    if (!(Math.abs(actual - expected) <= tolerance * (1 + Math.abs(expected))))
      throw new Error(`${this.where()}: found ${actual}, expected ${expected}`)
  }

  private where(): string {
    return `seed ${this.seed}, step ${this.step} (${this.last})`
  }
}
