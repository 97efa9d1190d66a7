/** Products of weights and images, tap by tap. */
import type { DotTapsKernel, FloatType, LinearMemory, MultiplyTapsKernel, PackTapsKernel } from '../backend.ts'
import { bytesOf, viewOf } from './views.ts'

export function packTapsKernel(memory: LinearMemory, dtype: FloatType): PackTapsKernel {
  const bytes = bytesOf(dtype)
  return (m, k, a, aRow, aTable, bTable, tall, height, bias, to, biasTo) => {
    for (let done = 0, tile = 0; done < m; tile++) {
      const rows = tile < tall ? height : height - 1
      for (let i = 0; i < k; i++) {
        memory.u8.copyWithin(to, bTable + 4 * i, bTable + 4 * i + 4)
        to += 4
        for (let r = 0; r < rows; r++, to += bytes) {
          const from = a + (done + r) * aRow + memory.i32[aTable / 4 + i]!
          memory.u8.copyWithin(to, from, from + bytes)
        }
      }
      done += rows
    }
    if (bias === 0) return
    for (let r = 0; r < m; r++)
      for (let p = biasTo + 32 * r; p < biasTo + 32 * (r + 1); p += bytes) memory.u8.copyWithin(p, bias + r * bytes, bias + (r + 1) * bytes)
  }
}

/** Panels are packed densely, so their numbers may lie anywhere. */
function readers(memory: LinearMemory, dtype: FloatType): { offset: (at: number) => number; weight: (at: number) => number } {
  const view = new DataView(memory.buffer)
  return {
    offset: (at) => view.getInt32(at, true),
    weight: dtype === 'float64' ? (at) => view.getFloat64(at, true) : (at) => view.getFloat32(at, true),
  }
}

export function multiplyTapsKernel(memory: LinearMemory, dtype: FloatType): MultiplyTapsKernel {
  const bytes = bytesOf(dtype)
  return (images, m, k, tall, height, panels, start, b, bImage, bLine, rows, cols, c, cImage, cRow, cLine, cCol) => {
    const view = viewOf(memory, dtype)
    const { offset, weight } = readers(memory, dtype)
    let panel = panels
    for (let done = 0, tile = 0; done < m; tile++) {
      const tileRows = tile < tall ? height : height - 1
      const step = 4 + tileRows * bytes
      for (let image = 0; image < images; image++) {
        for (let r = 0; r < tileRows; r++) {
          for (let y = 0; y < rows; y++) {
            for (let x = 0; x < cols; x++) {
              const pixel = b + image * bImage + y * bLine + x * bytes
              let sum = start === 0 ? 0 : view[(start + 32 * (done + r)) / bytes]!
              for (let i = 0; i < k; i++)
                sum += weight(panel + i * step + 4 + r * bytes) * view[(pixel + offset(panel + i * step)) / bytes]!
              view[(c + image * cImage + (done + r) * cRow + y * cLine + x * cCol) / bytes] = sum
            }
          }
        }
      }
      panel += k * step
      done += tileRows
    }
  }
}

export function dotTapsKernel(memory: LinearMemory, dtype: FloatType): DotTapsKernel {
  const bytes = bytesOf(dtype)
  return (images, m, n, rows, cols, a, aImage, aRow, aLine, b, bImage, bLine, table, c, cRow) => {
    const view = viewOf(memory, dtype)
    for (let r = 0; r < m; r++) {
      for (let j = 0; j < n; j++) {
        let sum = view[(c + r * cRow) / bytes + j]!
        for (let image = 0; image < images; image++) {
          for (let y = 0; y < rows; y++) {
            const from = (a + image * aImage + r * aRow + y * aLine) / bytes
            const pixel = (b + image * bImage + y * bLine + memory.i32[table / 4 + j]!) / bytes
            for (let x = 0; x < cols; x++) sum += view[from + x]! * view[pixel + x]!
          }
        }
        view[(c + r * cRow) / bytes + j] = sum
      }
    }
  }
}
