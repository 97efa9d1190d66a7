/** Peak bytes of tensors that a training step can reach, beside PyTorch's: `npx tsx bench/memory.ts`. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as torch from '../src/index.ts'
import { collector } from '../src/memory/collector.ts'

const { nn } = torch

interface Job {
  readonly model: torch.nn.Sequential
  readonly x: torch.Tensor
  readonly y: torch.Tensor
}

const jobs: Record<string, () => Job> = {
  mlp: () => ({
    model: new nn.Sequential(new nn.Linear(784, 512), new nn.Tanh(), new nn.Linear(512, 10)),
    x: torch.randn([256, 784]),
    y: torch.randn([256, 10]),
  }),
  cnn: () => ({
    model: new nn.Sequential(
      new nn.Conv2d(1, 16, 3, { padding: 1 }),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Conv2d(16, 32, 3, { padding: 1 }),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(32 * 49, 10),
    ),
    x: torch.randn([64, 1, 28, 28]),
    y: torch.randn([64, 10]),
  }),
}

/** Sweeping at every allocation, what is used is what can be reached: in whole blocks. What kernels keep as scratch is not counted, here as there. */
function peak(make: () => Job): number {
  const c = collector()
  c.sweep()
  const before = torch.memoryStats()
  const { model, x, y } = make()
  const optimizer = new torch.optim.SGD(model.parameters(), { lr: 0.01 })
  const step = (): void => {
    optimizer.zeroGrad()
    const d = (model.forward(x) as torch.Tensor).sub(y)
    d.mul(d).mean().backward()
    optimizer.step()
  }
  step()
  step()
  torch.configureMemory({ stress: true })
  c.sweep()
  c.peak = 0
  step()
  torch.configureMemory({ stress: false })
  const after = torch.memoryStats()
  return after.peak - after.workspace - (before.used - before.workspace)
}

const peer = spawnSync('python3', [fileURLToPath(new URL('./peers/torch_memory.py', import.meta.url))], { encoding: 'utf8' })
const theirs = (peer.status === 0 ? JSON.parse(peer.stdout.trim().split('\n').at(-1)!) : {}) as Record<string, number>
const mb = (bytes: number | undefined): string => (bytes === undefined ? '–' : `${(bytes / 1e6).toFixed(2)} MB`)
for (const [name, make] of Object.entries(jobs)) {
  const ours = peak(make)
  const torchs = theirs[name]
  console.log(`${name}: gradtape ${mb(ours)}, torch ${mb(torchs)}${torchs === undefined ? '' : `, ratio ${(ours / torchs).toFixed(2)}`}`)
}
