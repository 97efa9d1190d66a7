/** One call held against itself under every transform: finite differences, forward against reverse, vmap against a loop. */
import { expect } from 'vitest'
import * as torch from '../../src/index.ts'
import { gradcheck, gradgradcheck } from '../../src/testing/index.ts'

type Tensor = torch.Tensor
type Call = (...inputs: Tensor[]) => Tensor

let state = 1
/** Numbers in (−1, 1), the same in every run. */
export function random(...shape: number[]): Tensor {
  const n = shape.reduce((a, b) => a * b, 1)
  const data = Float64Array.from({ length: n }, () => {
    state = (state * 48271) % 2147483647
    return (state / 2147483647) * 2 - 1
  })
  return torch.tensor(data, { dtype: 'float64' }).reshape(shape)
}

/** Equal up to rounding. */
export function close(a: Tensor, b: Tensor, digits = 10): void {
  expect(a.shape).toEqual(b.shape)
  const y = b.detach().toTypedArray()
  a.detach()
    .toTypedArray()
    .forEach((v, i) => {
      if (Number.isFinite(y[i])) expect(v).toBeCloseTo(y[i]!, digits)
      else expect(v).toBe(y[i])
    })
}

const SIZE = 3

/** Inputs of a batch, those in `mask` with a batch dim of their own, at the front or (odd ones) at the back. */
function batch(shapes: readonly (readonly number[])[], mask: number): { inputs: Tensor[]; dims: (number | null)[] } {
  const dims = shapes.map((s, i) => (mask & (1 << i) ? (i % 2 === 0 ? 0 : s.length) : null))
  return { inputs: shapes.map((s, i) => (dims[i] === null ? random(...s) : random(...s.toSpliced(dims[i]!, 0, SIZE)))), dims }
}

function looped(f: Call, inputs: readonly Tensor[], dims: readonly (number | null)[]): Tensor {
  return torch.stack(Array.from({ length: SIZE }, (_, b) => f(...inputs.map((x, i) => (dims[i] === null ? x : x.select(dims[i]!, b))))))
}

/** Runs all checks on inputs of these shapes. `f` must be smooth there. */
export function checkDerivatives(f: Call, ...shapes: (readonly number[])[]): void {
  const leaves = shapes.map((s) => random(...s).requiresGrad_())
  expect(gradcheck(f, leaves)).toBe(true)
  expect(gradgradcheck(f, leaves)).toBe(true)

  // ⟨w, J·t⟩ = ⟨Jᵀ·w, t⟩
  const primals = shapes.map((s) => random(...s))
  const tangents = shapes.map((s) => random(...s))
  const [y, forward] = torch.func.jvp(f, primals, tangents)
  close(y, f(...primals))
  const w = random(...y.shape)
  const back = torch.func.vjp(f, ...primals)[1](w) as Tensor[]
  const dot = (a: Tensor, b: Tensor): Tensor => a.mul(b).sum()
  close(
    dot(w, forward),
    back.map((g, i) => dot(g, tangents[i]!)).reduce((a, b) => a.add(b)),
  )

  const loss: Call = (...x) =>
    f(...x)
      .pow(2)
      .sum()
  for (let mask = 1; mask < 1 << shapes.length; mask++) {
    const { inputs, dims } = batch(shapes, mask)
    close(torch.func.vmap(f, dims)(...inputs), looped(f, inputs, dims))
    for (const argument of shapes.keys()) {
      const gradient = torch.func.grad(loss, argument) as Call
      close(torch.func.vmap(gradient, dims)(...inputs), looped(gradient, inputs, dims))
    }
  }
}
