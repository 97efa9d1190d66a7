/** Passes inside of passes: each runs in a hook of the one around it. As a program: `nested.ts 2000` prints the outcome. */
import { fileURLToPath } from 'node:url'
import * as torch from '../../src/index.ts'

export interface Outcome {
  /** How often the innermost gradient was counted; null after an error. */
  readonly grad: number | null
  /** Grad and inference mode afterwards. */
  readonly modes: readonly boolean[]
  readonly error: string | null
}

/** Runs `depth` backward passes, each from a hook of the last. */
export function nested(depth: number): Outcome {
  const sum = torch.tensor(0, { dtype: 'float64', requiresGrad: true })
  const enter = (left: number): void => {
    const x = torch.tensor(1, { dtype: 'float64', requiresGrad: true })
    const y = torch.enableGrad(() => x.mul(1).add(sum))
    if (left > 1) x.registerHook(() => enter(left - 1))
    y.backward()
  }
  let error: string | null = null
  try {
    enter(depth)
  } catch (e) {
    error = `${(e as Error).constructor.name}: ${(e as Error).message}`
  }
  return {
    grad: error === null ? Number(sum.grad!.item()) : null,
    modes: [torch.isGradEnabled(), torch.isInferenceModeEnabled()],
    error,
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(nested(Number(process.argv[2]))))
