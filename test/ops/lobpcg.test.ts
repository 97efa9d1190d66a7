/** Eigenpairs of large matrices: against all eigenpairs, with preconditioners, at limits; and what is refused. */
import { describe, expect, test } from 'vitest'
import * as torch from '../../src/index.ts'
import { gradcheck, gradgradcheck } from '../../src/testing/index.ts'

type T = torch.Tensor
const { linalg } = torch
const f64 = { dtype: 'float64' } as const

/** The second differences of a line of m points, with unequal springs: symmetric and positive definite. */
function chain(m: number): T {
  const k = torch.arange(m, f64).mul(0.7).sin().add(2)
  return torch
    .diag(k.mul(2))
    .sub(torch.diag(k.narrow(0, 1, m - 1), 1))
    .sub(torch.diag(k.narrow(0, 1, m - 1), -1))
}
const residual = (a: T, b: T, [values, vectors]: readonly T[]): number =>
  a.matmul(vectors!).sub(b.matmul(vectors!).mul(values!)).abs().max().item()
const close = (ours: T, theirs: T, digits: number): void => {
  expect(ours.shape).toEqual(theirs.shape)
  expect(ours.sub(theirs).abs().max().item()).toBeLessThan(10 ** -digits)
}

describe('linalg.lobpcg', () => {
  const a = chain(40)
  const eye = torch.eye(40, f64)
  const all = linalg.eigvalsh(a)

  test('finds both ends of the spectrum', () => {
    const most = linalg.lobpcg(a, { k: 3 })
    close(most[0], all.narrow(0, 37, 3).flip(0), 11)
    const least = linalg.lobpcg(a, { k: 3, largest: false })
    close(least[0], all.narrow(0, 0, 3), 11)
    for (const found of [most, least]) expect(residual(a, eye, found)).toBeLessThan(1e-6)
    close(most[1].t().matmul(most[1]), torch.eye(3, f64), 12)
    // The same call gives the same numbers.
    expect(linalg.lobpcg(a, { k: 3 })[1].tolist()).toEqual(most[1].tolist())
  })

  test('starts where it is told, with more columns than are asked for, and stops', () => {
    const X = linalg.eigh(a).eigenvectors.narrow(1, 36, 4)
    const [values] = linalg.lobpcg(a, { X, k: 2, niter: 0 })
    close(values, all.narrow(0, 38, 2).flip(0), 12)
    expect(linalg.lobpcg(a, { X })[0].shape).toEqual([4])
    const rough = linalg.lobpcg(a, { niter: 2 })
    const fine = linalg.lobpcg(a, { niter: -1, n: 5, tol: 1e-12 })
    expect(residual(a, eye, rough)).toBeGreaterThan(1e-3)
    expect(residual(a, eye, fine)).toBeLessThan(1e-10)
  })

  test('a preconditioner saves steps', () => {
    const options = { k: 2, largest: false, niter: 6 }
    const [plain, helped] = [linalg.lobpcg(a, options), linalg.lobpcg(a, { ...options, iK: linalg.inv(a) })]
    expect(residual(a, eye, helped)).toBeLessThan(residual(a, eye, plain) / 100)
  })

  test('A·x = λ·B·x', () => {
    const B = chain(40).add(eye)
    const found = linalg.lobpcg(a, { B, k: 2, tol: 1e-12 })
    expect(residual(a, B, found)).toBeLessThan(1e-9)
    close(found[1].t().matmul(B).matmul(found[1]), torch.eye(2, f64), 12)
    const root = linalg.inv(linalg.cholesky(B))
    close(found[0], linalg.eigvalsh(root.matmul(a).matmul(root.t())).narrow(0, 38, 2).flip(0), 12)
  })

  test('float32, batches', () => {
    const batch = torch.stack([a, a.mul(2)])
    const [values, vectors] = linalg.lobpcg(batch, { k: 2 })
    close(values, torch.stack([all.narrow(0, 38, 2).flip(0), all.narrow(0, 38, 2).flip(0).mul(2)]), 11)
    expect(vectors.shape).toEqual([2, 40, 2])
    const single = linalg.lobpcg(a.to('float32'), { k: 2 })
    expect(single[0].dtype).toBe('float32')
    // Residuals of 10⁻³, squared, by the distance of the next eigenvalue.
    close(single[0].to('float64'), values.get(0), 3)
  })

  test('gradients of both orders, also of B', () => {
    const pair = (x: T, y: T): T[] => {
      const B = y.matmul(y.t()).add(torch.eye(6, f64))
      const [values, vectors] = linalg.lobpcg(x.add(x.t()), { B, k: 2, tol: 1e-14 })
      return [values, vectors.mul(vectors.get(0).sign())]
    }
    const x = torch.arange(36, f64).mul(1.3).sin().reshape([6, 6]).detach().requiresGrad_()
    const y = torch.arange(36, f64).mul(0.9).cos().reshape([6, 6]).mul(0.3).detach().requiresGrad_()
    expect(gradcheck(pair as (...x: T[]) => T[], [x, y], { fastMode: true })).toBe(true)
    expect(gradgradcheck((t: T) => pair(t, y.detach()).map((r) => r.sin()), [x], null, { fastMode: true })).toBe(true)
  })

  test('the gradient of A is symmetric; that of eigenvalues exists where they coincide', () => {
    const leaf = a.detach().requiresGrad_()
    linalg.lobpcg(leaf, { k: 2 })[1].square().narrow(0, 0, 3).sum().backward()
    close(leaf.grad!, leaf.grad!.t(), 12)
    const twice = torch.diag(torch.tensor([1, 4, 4, 2, 0, 1], f64)).requiresGrad_()
    const [values, vectors] = linalg.lobpcg(twice, { k: 2 })
    const [g] = torch.autograd.grad(values.sum(), twice, { retainGraph: true })
    close(g!, torch.diag(torch.tensor([0, 1, 1, 0, 0, 0], f64)), 7)
    expect(vectors.requiresGrad).toBe(true)
  })

  test('what makes no sense is refused', () => {
    const eye5 = torch.eye(5)
    expect(() => linalg.lobpcg(eye5, { k: 2 })).toThrow(/^LOBPCG algorithm is not applicable when the number of A rows \(=5\)/)
    expect(() => linalg.lobpcg(torch.ones([3, 4]))).toThrow(torch.ShapeError)
    expect(() => linalg.lobpcg(torch.ones([3, 3], { dtype: 'int32' }))).toThrow(torch.DTypeError)
    expect(() => linalg.lobpcg(eye5, { k: 0 })).toThrow(/1 ≤ k ≤ n/)
    expect(() => linalg.lobpcg(eye5, { B: torch.eye(4) })).toThrow(/B must be \[5, 5\], got \[4, 4\]/)
    expect(() => linalg.lobpcg(eye5, { X: torch.ones([5, 1], f64) })).toThrow(/must have the dtype of A/)
    expect(() => linalg.lobpcg(torch.eye(6), { X: torch.ones([6, 2]) })).toThrow(/columns of X are linearly dependent/)
  })
})
