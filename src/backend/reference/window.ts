/** Jobs over 2-d windows of images: max pooling, windows as matrix columns, and their transpose. */
import type { DType } from '../../dtype.ts'
import type { LinearMemory, MaxPoolKernel, Window2d, WindowKernel } from '../backend.ts'
import { bytesOf, viewOf, wordsOf } from './views.ts'

/** The least t ≥ 0 with start + t·step ≥ 0: where a window that starts outside the image enters it. */
function entry(start: number, step: number): number {
  return start >= 0 ? 0 : Math.ceil(-start / step)
}

/** How many of `count` positions start, start + step, … lie before `size`. */
function exit(start: number, step: number, count: number, size: number): number {
  return Math.min(count, Math.max(0, Math.ceil((size - start) / step)))
}

const LOWEST: Readonly<Record<DType, number>> = { float32: -Infinity, float64: -Infinity, int32: -2147483648, uint8: 0, bool: 0 }

/** A window without a pixel of the image (dilation and padding can make one) gives the lowest value, at position 0. */
export function maxPool2dKernel(memory: LinearMemory, dtype: DType): MaxPoolKernel {
  const bytes = bytesOf(dtype)
  const lowest = LOWEST[dtype]
  return (planes, h, w, oh, ow, window, input, output, indices) => {
    const {
      kernel: [kh, kw],
      stride: [sh, sw],
      padding: [ph, pw],
      dilation: [dh, dw],
    } = window
    const view = viewOf(memory, dtype)
    const places = memory.i32
    let to = output / bytes
    let place = indices / 4
    for (let plane = 0; plane < planes; plane++) {
      const image = input / bytes + plane * h * w
      for (let oy = 0; oy < oh; oy++) {
        const y0 = oy * sh - ph
        const yFrom = y0 + entry(y0, dh) * dh
        const yEnd = Math.min(h, y0 + (kh - 1) * dh + 1)
        for (let ox = 0; ox < ow; ox++) {
          const x0 = ox * sw - pw
          const xFrom = x0 + entry(x0, dw) * dw
          const xEnd = Math.min(w, x0 + (kw - 1) * dw + 1)
          let best = lowest
          let at = -1
          for (let y = yFrom; y < yEnd; y += dh) {
            for (let x = xFrom; x < xEnd; x += dw) {
              const v = view[image + y * w + x]!
              // Nothing is larger than a NaN but the next one, as in torch.
              if (v > best || at < 0 || Number.isNaN(v)) {
                best = v
                at = y * w + x
              }
            }
          }
          view[to++] = best
          places[place++] = Math.max(at, 0)
        }
      }
    }
  }
}

/** Visits every row of windows at one place of the window: where its pixels lie, or undefined in the padding, and its columns. */
function eachRow(
  [planes, h, w, first, rows, ow, window]: readonly [number, number, number, number, number, number, Window2d],
  visit: (pixels: number | undefined, columns: number, xFrom: number, xTo: number) => void,
): void {
  const {
    kernel: [kh, kw],
    stride: [sh, sw],
    padding: [ph, pw],
    dilation: [dh, dw],
  } = window
  let columns = 0
  for (let plane = 0; plane < planes; plane++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++) {
        const x0 = kx * dw - pw
        const xFrom = entry(x0, sw)
        const xTo = exit(x0, sw, ow, w)
        for (let oy = first; oy < first + rows; oy++, columns += ow) {
          const y = oy * sh + ky * dh - ph
          visit(y >= 0 && y < h ? (plane * h + y) * w + x0 : undefined, columns, xFrom, xTo)
        }
      }
    }
  }
}

/** columns[plane, ky, kx, oy, ox] = image[plane, oy·stride + ky·dilation − padding, …], 0 outside the image. */
export function unfold2dKernel(memory: LinearMemory, dtype: DType): WindowKernel {
  const bytes = bytesOf(dtype)
  return (planes, h, w, first, rows, ow, window, image, columns) => {
    // Zero is all zero bits in every dtype, so elements move without being read as numbers.
    const view = wordsOf(memory, bytes)
    const [from, to] = [image / bytes, columns / bytes]
    eachRow([planes, h, w, first, rows, ow, window], (pixels, column, xFrom, xTo) => {
      for (let ox = 0; ox < ow; ox++) {
        view[to + column + ox] = pixels !== undefined && ox >= xFrom && ox < xTo ? view[from + pixels + ox * window.stride[1]]! : 0
      }
    })
  }
}

/** The transpose of `unfold2d`: every element of a window is added to the pixel it came from. */
export function fold2dKernel(memory: LinearMemory, dtype: DType): WindowKernel {
  const bytes = bytesOf(dtype)
  const either = dtype === 'bool'
  return (planes, h, w, first, rows, ow, window, image, columns) => {
    const view = viewOf(memory, dtype)
    const [to, from] = [image / bytes, columns / bytes]
    eachRow([planes, h, w, first, rows, ow, window], (pixels, column, xFrom, xTo) => {
      if (pixels === undefined) return
      for (let ox = xFrom; ox < xTo; ox++) {
        const p = to + pixels + ox * window.stride[1]
        view[p] = either ? view[p]! | view[from + column + ox]! : view[p]! + view[from + column + ox]!
      }
    })
  }
}
