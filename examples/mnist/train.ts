/** Trains a classifier of handwritten digits, shows how well it reads, and saves it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import cliProgress from 'cli-progress'
import * as torch from '../../src/index.ts'
import { bytes, heading, table } from '../terminal.ts'
import { type Digits, readDigits } from './idx.ts'
import { lossCurve, type Misread, misreadSheet } from './pictures.ts'

const { data, io, nn, noGrad, optim } = torch

/** 784 pixels to 10 classes. */
function classifier(): torch.nn.Sequential {
  return new nn.Sequential(new nn.Linear(784, 256), new nn.ReLU(), new nn.Linear(256, 128), new nn.ReLU(), new nn.Linear(128, 10))
}

/** Pixels as floats around 0, one row per image. */
function pixels(digits: Digits): torch.Tensor {
  return torch.scope(() => torch.tensor(digits.images).reshape([digits.count, 784]).to('float32').div(255).sub(0.1307).div(0.3081))
}

/** The class read from each image. */
function read(model: torch.nn.Module, images: torch.Tensor): Int32Array {
  const found = new Int32Array(images.shape[0]!)
  noGrad(() => {
    for (let start = 0; start < found.length; start += 1000) {
      const size = Math.min(1000, found.length - start)
      found.set(
        model
          .forward(images.narrow(0, start, size))
          .argmax(1)
          .toTypedArray(),
        start,
      )
    }
  })
  return found
}

/** What happened during training. */
interface Run {
  readonly losses: number[]
  readonly seconds: number
  readonly imagesPerSecond: number
}

/** Trains by Adam for some epochs, with a progress bar on a terminal and a line per epoch elsewhere. */
function train(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: number, batchSize = 128): Run {
  const loader = new data.DataLoader(new data.TensorDataset(images, labels), { batchSize, shuffle: true, seed: 1 })
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 })
  const losses: number[] = []
  const start = performance.now()
  const rate = (): number => (losses.length * batchSize) / ((performance.now() - start) / 1000)
  const tty = process.stdout.isTTY
  const bar = new cliProgress.SingleBar(
    { format: ' {bar} {percentage}% | loss {loss} | {rate} images/s | {memory} of tensors', hideCursor: true },
    cliProgress.Presets.shades_classic,
  )
  if (tty) bar.start(epochs * loader.length, 0, { loss: '–', rate: '–', memory: '–' })
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const group of optimizer.paramGroups) group.lr = 1e-3 * 0.5 ** epoch
    for (const [x, y] of loader) {
      const loss = nn.functional.crossEntropy(model.forward(x!), y!)
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      losses.push(loss.item())
      if (tty && losses.length % 10 === 0)
        bar.update(losses.length, { loss: losses.at(-1)!.toFixed(3), rate: rate().toFixed(0), memory: bytes(torch.memoryStats().used) })
    }
    if (!tty)
      console.log(
        `  epoch ${epoch + 1}/${epochs}: loss ${losses
          .slice(-100)
          .reduce((a, b) => a + b / 100, 0)
          .toFixed(4)}, ${rate().toFixed(0)} images/s, ${bytes(torch.memoryStats().used)} of tensors`,
      )
  }
  if (tty) bar.stop()
  return { losses, seconds: (performance.now() - start) / 1000, imagesPerSecond: rate() }
}

/** The whole job: train, test, pictures, save and load. Returns the share of test digits read rightly. */
export async function trainOnDigits(folder: string, epochs = 4): Promise<number> {
  heading('A network that reads handwritten digits')
  torch.manualSeed(0)
  const [training, test] = [await readDigits('train'), await readDigits('t10k')]
  const model = classifier()
  console.log(model.toString())
  const images = pixels(training)
  const run = train(model, images, torch.tensor(Int32Array.from(training.labels)), epochs)
  const testImages = pixels(test)
  const found = read(model, testImages)
  const confusion = Array.from({ length: 10 }, () => new Array<number>(10).fill(0))
  const misread: Misread[] = []
  found.forEach((f, i) => {
    const label = test.labels[i]!
    confusion[label]![f]!++
    if (f !== label) misread.push({ image: test.images.subarray(i * 784, (i + 1) * 784), label, read: f })
  })
  const accuracy = 1 - misread.length / found.length
  console.log(`\n${run.seconds.toFixed(1)} s, ${run.imagesPerSecond.toFixed(0)} images/s; test accuracy ${(accuracy * 100).toFixed(2)} %\n`)
  console.log(table([['', ...confusion.map((_, i) => `as ${i}`)], ...confusion.map((row, i) => [`a ${i}`, ...row.map(String)])]))
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}/loss.svg`, lossCurve(run.losses, Math.ceil(training.count / 128)))
  await writeFile(`${folder}/misread.png`, misreadSheet(misread))
  await writeFile(`${folder}/mnist.safetensors`, io.saveSafetensors(model.stateDict()))
  const again = classifier()
  again.loadStateDict(io.loadSafetensors(await readFile(`${folder}/mnist.safetensors`)))
  const same = read(again, testImages).every((f, i) => f === found[i])
  console.log(
    `\n${folder}/loss.svg, ${folder}/misread.png; weights saved to ${folder}/mnist.safetensors and loaded into a new model: ${same ? 'the same answers' : 'DIFFERENT ANSWERS'}`,
  )
  if (!same) throw new Error('the loaded model reads differently')
  return accuracy
}
