/** A backend whose float32 and float64 matrix products go to a BLAS, in place in the tensors' memory. */
import type { Backend, LinearMemory, MatmulKernel } from '../backend/backend.ts'
import type { Blas, Gemm } from './library.ts'

/** Below so many multiplications the call costs more than it gains. */
const SMALL = 4096

/** How BLAS sees a matrix: stored transposed or not, elements from stored row to stored row. */
interface Stored {
  readonly transposed: boolean
  readonly step: number
}

/** The stored form of a matrix with these element strides; null if neither axis is contiguous, or rows overlap. */
function stored(rows: number, columns: number, rowStep: number, columnStep: number): Stored | null {
  if ((columnStep === 1 || columns === 1) && (rowStep >= columns || rows === 1))
    return { transposed: false, step: rows === 1 ? columns : rowStep }
  if ((rowStep === 1 || rows === 1) && (columnStep >= rows || columns === 1))
    return { transposed: true, step: columns === 1 ? rows : columnStep }
  return null
}

/** Writes `rows` copies of the row of `bytes` at `row` to `at`, twice as many at each turn. */
function repeatRow(u8: Uint8Array, at: number, row: number, bytes: number, rows: number): void {
  u8.copyWithin(at, row, row + bytes)
  for (let done = 1; done < rows; done *= 2) u8.copyWithin(at + done * bytes, at, at + Math.min(done, rows - done) * bytes)
}

/** `inner` with its products replaced; `threads()` says how many threads the library may use. */
export function blasBackend(inner: Backend, memory: LinearMemory, blas: Blas, threads: () => number, least: number = SMALL): Backend {
  let set = 0
  // The bytes may move when the memory grows: then its buffer is another object.
  let buffer: ArrayBufferLike | undefined
  let base = 0
  const kernel = (gemm: Gemm, bytes: number, fallback: MatmulKernel): MatmulKernel => {
    return (batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start, work) => {
      // A matrix times a vector runs at the speed of memory anyway.
      const small = m === 1 || n === 1 || m * n * k < least
      const left = small ? null : stored(m, k, aRow, aCol)
      const right = left === null ? null : stored(k, n, bRow, bCol)
      if (left === null || right === null) {
        fallback(batch, m, n, k, a, aBatch, aRow, aCol, b, bBatch, bRow, bCol, c, cBatch, start, work)
        return
      }
      if (set !== threads()) blas.setThreads((set = threads()))
      if (buffer !== memory.buffer) base = blas.base((buffer = memory.buffer))
      // One B for matrices of A that follow each other: their rows are one tall matrix.
      const tall = bBatch === 0 && !left.transposed && aBatch === m * aRow && cBatch === m * n
      const [rows, times] = tall ? [m * batch, batch === 0 ? 0 : 1] : [m, batch]
      for (let i = 0; i < times; i++) {
        if (start > 1) repeatRow(memory.u8, c + i * cBatch * bytes, start, n * bytes, rows)
        gemm(
          rows,
          n,
          k,
          base + a + i * aBatch * bytes,
          left.transposed,
          left.step,
          base + b + i * bBatch * bytes,
          right.transposed,
          right.step,
          start === 0 ? 0 : 1,
          base + c + i * cBatch * bytes,
          n,
        )
      }
    }
  }
  return {
    ...inner,
    name: 'blas',
    matmul: (dtype) => {
      const fallback = inner.matmul(dtype)
      if (dtype === 'float32') return kernel(blas.sgemm, 4, fallback)
      return dtype === 'float64' ? kernel(blas.dgemm, 8, fallback) : fallback
    },
  }
}
