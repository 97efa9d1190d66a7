/** Threads: the same bits as without, by workers that really work and keep nothing alive. */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  full,
  getBackend,
  getNumThreads,
  manualSeed,
  nn,
  randn,
  setBackend,
  setNumThreads,
  type Tensor,
  tensor,
  zeros,
} from '../../src/index.ts'
import type { Pool } from '../../src/threads/pool.ts'
import { threadTeam } from '../../src/threads/threads.ts'

const root = new URL('../../', import.meta.url).pathname
const F = nn.functional
const threadPool = (): Pool | null => threadTeam()?.pool ?? null

async function start(threads: number): Promise<void> {
  setNumThreads(threads)
  while (threadPool() !== null && threadPool()!.ready < threads - 1) await new Promise((done) => setTimeout(done, 2))
}

/** Runs `f` with one thread, then with more until workers took part; each result is the same bits. */
async function expectSame(f: () => Tensor, threads = [2, 3]): Promise<void> {
  setNumThreads(1)
  const expected = f().toTypedArray()
  for (const n of threads) {
    await start(n)
    const before = threadPool()!.helped
    // The main thread may be done with all parts before a worker wakes up.
    for (let i = 0; i === 0 || (threadPool()!.helped === before && i < 200); i++) {
      const got = f().toTypedArray()
      expect(
        Buffer.compare(
          Buffer.from(got.buffer, got.byteOffset, got.byteLength),
          Buffer.from(expected.buffer, expected.byteOffset, expected.byteLength),
        ),
      ).toBe(0)
    }
    expect(threadPool()!.helped).toBeGreaterThan(before)
  }
}

beforeAll(() => manualSeed(0))
afterAll(() => setNumThreads(1))

describe('products', () => {
  for (const dtype of ['float32', 'float64'] as const) {
    test(`${dtype}: any sizes, operands transposed or not`, async () => {
      for (const [m, k, n] of [
        [256, 256, 256],
        [301, 77, 203],
        [73, 1000, 65],
        [577, 300, 33],
        [1201, 64, 64],
      ] as const) {
        const a = randn([m, k], { dtype })
        const b = randn([k, n], { dtype })
        const at = a.t().contiguous().t()
        const bt = b.t().contiguous().t()
        await expectSame(() => a.matmul(b))
        await expectSame(() => at.matmul(bt))
      }
    })
    test(`${dtype}: batches`, async () => {
      const a = randn([5, 130, 64], { dtype })
      const b = randn([5, 64, 96], { dtype })
      await expectSame(() => a.matmul(b))
      const one = randn([64, 96], { dtype })
      await expectSame(() => a.matmul(one))
      const rows = randn([600, 1, 64], { dtype })
      await expectSame(() => rows.matmul(one))
    })
  }
  test('adding to a bias', async () => {
    const x = randn([300, 128])
    const w = randn([150, 128])
    const b = randn([150])
    await expectSame(() => F.linear(x, w, b))
  })
  test('convolution and its gradients', async () => {
    const image = randn([6, 16, 20, 20], { requiresGrad: true })
    const weight = randn([32, 16, 3, 3], { requiresGrad: true })
    await expectSame(() => F.conv2d(image, weight, null, { padding: 1 }))
    await expectSame(() => {
      image.grad = null
      F.conv2d(image, weight, null, { padding: 1 }).square().sum().backward()
      return image.grad!
    }, [2])
    await expectSame(() => {
      weight.grad = null
      F.conv2d(image, weight, null, { padding: 1 }).square().sum().backward()
      return weight.grad!
    }, [2])
    const one = randn([1, 16, 50, 41])
    await expectSame(() => F.conv2d(one, weight, null, { stride: [2, 1] }))
  })
})

describe('loops', () => {
  test('elementwise, with one operand fixed, with scalars, converted', async () => {
    const a = randn([1000, 601])
    const b = randn([1000, 601])
    await expectSame(() => a.mul(b).add(3).exp())
    await expectSame(() => a.mul(tensor(2.5)).to('float64'))
    await expectSame(() => a.gt(b).to('int32'))
    await expectSame(() => a.to('float64').sin())
  })
  test('in place, on many operands', async () => {
    const step = (): Tensor => {
      manualSeed(4)
      const x = randn([1100, 500])
      return x.mul_(2).addcmul_(randn([1100, 500]), randn([1100, 500]), { value: 0.5 })
    }
    await expectSame(step)
  })
  test('functions that workers do not have stay on the main thread', async () => {
    await start(2)
    const x = randn([2 ** 19], { dtype: 'float64' })
    const before = threadPool()!.helped
    // Workers call functions of Math by name; the remainder of a division is none of them.
    for (let i = 0; i < 20; i++) expect(x.fmod(0.7).narrow(0, 5, 1).item()).toBe(x.narrow(0, 5, 1).fmod(0.7).item())
    expect(threadPool()!.helped).toBe(before)
    for (let i = 0; i < 200 && threadPool()!.helped === before; i++) x.tan()
    expect(threadPool()!.helped).toBeGreaterThan(before)
  })
})

describe('reductions', () => {
  test('over rows and over columns', async () => {
    const x = randn([1400, 450])
    for (const f of [() => x.sum(1), () => x.amax(1), () => x.argmax(1), () => x.gt(0).any(1), () => x.to('int32').sum(1)])
      await expectSame(f)
    await expectSame(() => x.amax(0))
  })
  test('whole sums are the same each time, and right', async () => {
    const x = randn([2 ** 20])
    const exact = [...x.toTypedArray()].reduce((s, v) => s + v, 0)
    await start(2)
    const first = x.sum().item()
    expect(Math.abs(first - exact)).toBeLessThan(1e-3)
    for (let i = 0; i < 50; i++) expect(x.sum().item()).toBe(first)
    const columns = x.reshape([2 ** 14, 64])
    const sums = columns.sum(0).tolist() as number[]
    setNumThreads(1)
    columns
      .sum(0)
      .toTypedArray()
      .forEach((v, i) => expect(Math.abs(v - sums[i]!)).toBeLessThan(1e-3))
  })
  test('what does not fit int32 is seen wherever it was', async () => {
    await start(2)
    const x = zeros([4096, 128], { dtype: 'int32' })
    x.narrow(0, 4000, 1).copy_(full([1, 128], 2 ** 30, { dtype: 'int32' }))
    for (let i = 0; i < 20; i++) expect(() => x.sum(1)).toThrow('does not fit int32')
  })
})

test('a backend that is chosen later is divided too', async () => {
  const a = randn([256, 256])
  try {
    setBackend('wasm-strict')
    await expectSame(() => a.matmul(a))
    expect(getBackend()).toBe('wasm-strict')
  } finally {
    setBackend('wasm')
  }
})

test('small work stays on this thread', async () => {
  await start(2)
  const before = threadPool()!.helped
  const x = randn([64, 64])
  for (let i = 0; i < 100; i++) x.matmul(x).add(x).sum()
  expect(threadPool()!.helped).toBe(before)
})

test('the number of threads', () => {
  setNumThreads(3)
  expect(getNumThreads()).toBe(3)
  expect(() => setNumThreads(0)).toThrow('setNumThreads expects a positive integer')
  expect(() => setNumThreads(1.5)).toThrow('setNumThreads expects an int, but got 1.5')
  expect(() => setNumThreads('2' as never)).toThrow('setNumThreads expects an int, but got string')
  expect(getNumThreads()).toBe(3)
  setNumThreads(1)
  expect(threadPool()).toBe(null)
})

test('a process with workers ends by itself', () => {
  const program = `
    import { ones, setNumThreads } from '${root}src/index.ts'
    setNumThreads(3)
    const x = ones([256, 256])
    for (let i = 0; i < 20; i++) x.matmul(x)
    console.log(x.matmul(x).sum().item())`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: root,
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect(stderr).toBe('')
  expect(stdout.trim()).toBe(String(256 ** 3))
  expect(status).toBe(0)
})
