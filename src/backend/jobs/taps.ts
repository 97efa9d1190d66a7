/** Jobs of convolutions that read images where they are, tap by tap. */
import {
  DOT_WORK,
  type DotTapsKernel,
  type FloatType,
  type Job,
  type MultiplyTapsKernel,
  type PackTapsKernel,
  TAP_TILE,
} from '../backend.ts'
import { dotTapsKernel, multiplyTapsKernel, packTapsKernel } from '../reference/taps.ts'
import { compileDotTaps, compileMultiplyTaps, compilePackTaps } from '../wasm/taps.ts'

export const packTaps: Job<PackTapsKernel, FloatType> = { reference: packTapsKernel, wasm: compilePackTaps }

/** Parts at most, each with a workspace of its own. */
export const TAP_PARTS = 16

/** Images, or else lines, in parts. */
function divideMultiply(args: readonly number[], threads: number, least: number): number[][] | undefined {
  const [images, m, k, tall, height, panels, start, b, bImage, bLine, rows, cols, c, cImage, cRow, cLine, cCol, work] =
    args as Parameters<MultiplyTapsKernel>
  if (images * m * k * rows * cols < least) return undefined
  const byImage = images >= threads
  const [count, bStep, cStep] = byImage ? [images, bImage, cImage] : [rows, bLine, cLine]
  return ranges(count, Math.min(TAP_PARTS, 4 * threads), 1).map(([first, some], p) => {
    const [at, to, tile] = [b + first * bStep, c + first * cStep, work + p * TAP_TILE]
    const [i, y] = byImage ? [some, rows] : [images, some]
    return [i, m, k, tall, height, panels, start, at, bImage, bLine, y, cols, to, cImage, cRow, cLine, cCol, tile]
  })
}

/** Columns of C in parts: every sum stays one. */
function divideDot(args: readonly number[], threads: number, least: number): number[][] | undefined {
  const [images, m, n, rows, cols, a, aImage, aRow, aLine, b, bImage, bLine, table, c, cRow, width, work] =
    args as Parameters<DotTapsKernel>
  if (images * m * n * rows * cols < least) return undefined
  return ranges(n, Math.min(TAP_PARTS, 4 * threads), 2).map(([first, some], p) => {
    const [places, to, room] = [table + 4 * first, c + first * width, work + p * DOT_WORK]
    return [images, m, some, rows, cols, a, aImage, aRow, aLine, b, bImage, bLine, places, to, cRow, width, room]
  })
}

/** 0 … count cut into at most `most` ranges of whole `grains`: first and size of each. */
function ranges(count: number, most: number, grain: number): [number, number][] {
  const each = Math.ceil(count / (most * grain)) * grain
  return Array.from({ length: Math.ceil(count / each) }, (_, p) => [p * each, Math.min(each, count - p * each)])
}

export const multiplyTaps: Job<MultiplyTapsKernel, FloatType> = {
  reference: multiplyTapsKernel,
  wasm: compileMultiplyTaps,
  divide: divideMultiply,
}
export const dotTaps: Job<DotTapsKernel, FloatType> = { reference: dotTapsKernel, wasm: compileDotTaps, divide: divideDot }
