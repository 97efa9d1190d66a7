/** Jobs over 2-d windows of images in WebAssembly: windows as matrix columns, the transpose, and max pooling. */
import { type DType, dtypes } from '../../dtype.ts'
import type { LinearMemory, MaxPoolKernel, Window2d, WindowKernel } from '../backend.ts'
import { type Body, type Emitted, F32, F64, I32, instantiate, type Local, moduleFor, order, type ValType, V128 } from './assembler.ts'
import { bump, Element } from './indexing.ts'

type WindowNumbers = [kh: Local, kw: Local, sh: Local, sw: Local, ph: Local, pw: Local, dh: Local, dw: Local]

const sizes = ({ kernel, stride, padding, dilation }: Window2d): readonly number[] => [...kernel, ...stride, ...padding, ...dilation]

const params = (count: number): ValType[] => new Array<ValType>(count).fill(I32)

/** base + a·b */
const plus = (f: Body, base: () => Emitted, a: Local, b: Local): Emitted => f.i32.add(base(), f.i32.mul(f.get(a), f.get(b)))

const least = (f: Body, a: () => Emitted, b: () => Emitted): Emitted => f.select(a(), b(), f.i32.lt_s(a(), b()))
const most = (f: Body, a: () => Emitted, b: () => Emitted): Emitted => f.select(a(), b(), f.i32.gt_s(a(), b()))

/** Runs `body` `count` times; count is used up. */
function times(f: Body, count: Local, body: () => void): void {
  f.while(() => f.i32.gt_s(f.get(count), f.i32.const(0)), () => {
    body()
    bump(f, count, -1)
  })
}

/** The run of positions t = from … end within 0 … count for which 0 ≤ start + t·step < size; empty runs have end ≤ from. */
function inside(f: Body, from: Local, end: Local, start: Local, step: Local, count: Local, size: Local): void {
  // ⌈−start / step⌉ and ⌈(size − start) / step⌉, where what is divided is above −step.
  const ceil = (value: () => Emitted): Emitted => f.i32.div_s(f.i32.add(value(), f.i32.sub(f.get(step), f.i32.const(1))), f.get(step))
  const zero = (): Emitted => f.i32.const(0)
  f.set(from, ceil(() => most(f, zero, () => f.i32.sub(zero(), f.get(start)))))
  f.set(end, ceil(() => most(f, zero, () => f.i32.sub(f.get(size), f.get(start)))))
  f.set(end, least(f, () => f.get(end), () => f.get(count)))
}

/**
 * Both directions of the windows: `fold` adds columns to the image, else columns are written from it. A run of neighbours along a
 * row of the map is a run of the image too, of every sw-th element.
 */
function compileWindows(memory: LinearMemory, dtype: DType, fold: boolean): WindowKernel {
  const module = moduleFor(memory.memory)
  const element = new Element(dtype, fold)
  const { width } = element
  module.func(params(16), [], (f, planes, h, w, first, rows, ow, ...rest) => {
    const [kh, kw, sh, sw, ph, pw, dh, dw] = rest.slice(0, 8) as unknown as WindowNumbers
    const [image, columns] = rest.slice(8) as [Local, Local]
    const [ky, kx, x0, y, from, end, left, line, p, run, zeros] = f.locals(I32, 11) as
      [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local]
    const v = f.local(V128)
    const size = f.let(I32, f.i32.mul(f.i32.mul(f.get(h), f.get(w)), f.i32.const(width)))
    const pitch = f.let(I32, f.i32.mul(f.get(w), f.i32.const(width)))
    const step = f.let(I32, f.i32.mul(f.get(sw), f.i32.const(width)))
    const lineStep = f.let(I32, f.i32.mul(f.get(pitch), f.get(sh)))
    const [to, source] = fold ? [p, columns] : [columns, p]

    /** `zeros` elements of padding: written, or skipped. */
    const pad = (): void => {
      if (fold) {
        f.set(columns, f.i32.add(f.get(columns), f.i32.mul(f.get(zeros), f.i32.const(width))))
        return
      }
      times(f, zeros, () => {
        if (width === 8) f.i64.store(f.get(columns), f.i64.const(0))
        else if (width === 4) f.i32.store(f.get(columns), f.i32.const(0))
        else f.i32.store8(f.get(columns), f.i32.const(0))
        bump(f, columns, width)
      })
    }
    const eachVector = (lanes: number, more: number, imageStep: number, body: () => void): void => {
      f.while(() => f.i32.ge_s(f.get(run), f.i32.const(lanes + more)), () => {
        body()
        bump(f, columns, 16)
        bump(f, p, imageStep)
        bump(f, run, -lanes)
      })
    }
    const lanes = 16 / width
    const moveRun = (): void => {
      f.if(f.i32.eq(f.get(sw), f.i32.const(1)), () => {
        eachVector(lanes, 0, 16, () => element.putVector(f, to, source, 0))
      }, () => {
        // Every second element of two vectors, as long as there is one behind them.
        if (width === 4 && !fold) {
          f.if(f.i32.eq(f.get(sw), f.i32.const(2)), () => {
            eachVector(lanes, 1, 32, () => {
              f.set(v, f.i8x16.shuffle(f.v128.load(f.get(p)), f.v128.load(f.get(p), 16), ...order(4, 0, 2, 4, 6)))
              f.v128.store(f.get(columns), f.get(v))
            })
          })
        }
      })
      times(f, run, () => {
        element.put(f, () => f.get(to), () => f.get(source))
        bump(f, columns, width)
        bump(f, p, step)
      })
    }

    times(f, planes, () => {
      f.set(ky, f.i32.const(0))
      f.while(() => f.i32.lt_s(f.get(ky), f.get(kh)), () => {
        f.set(kx, f.i32.const(0))
        f.while(() => f.i32.lt_s(f.get(kx), f.get(kw)), () => {
          f.set(x0, f.i32.sub(f.i32.mul(f.get(kx), f.get(dw)), f.get(pw)))
          inside(f, from, end, x0, sw, ow, w)
          f.set(end, most(f, () => f.get(end), () => f.get(from)))
          f.set(from, least(f, () => f.get(from), () => f.get(ow)))
          f.set(end, least(f, () => f.get(end), () => f.get(ow)))
          f.set(y, f.i32.sub(plus(f, () => f.i32.mul(f.get(first), f.get(sh)), ky, dh), f.get(ph)))
          // Where the run's first element is in the row: only added where there is one.
          f.set(line, plus(f, () => f.get(image), y, pitch))
          f.set(line, f.i32.add(f.get(line), f.i32.mul(plus(f, () => f.get(x0), from, sw), f.i32.const(width))))
          f.set(left, f.get(rows))
          times(f, left, () => {
            f.if(f.i32.lt_u(f.get(y), f.get(h)), () => {
              f.set(zeros, f.get(from))
              pad()
              f.set(p, f.get(line))
              f.set(run, f.i32.sub(f.get(end), f.get(from)))
              moveRun()
              f.set(zeros, f.i32.sub(f.get(ow), f.get(end)))
              pad()
            }, () => {
              f.set(zeros, f.get(ow))
              pad()
            })
            bump(f, y, sh)
            bump(f, line, lineStep)
          })
          bump(f, kx, 1)
        })
        bump(f, ky, 1)
      })
      bump(f, image, size)
    })
  }, 'run')
  const run = instantiate(module.encode(), memory.memory)['run'] as (...args: number[]) => void
  return (planes, h, w, first, rows, ow, window, image, columns) =>
    run(planes, h, w, first, rows, ow, ...sizes(window), image, columns)
}

/** Compiles the kernel that writes windows as columns. */
export function compileUnfold(memory: LinearMemory, dtype: DType): WindowKernel {
  return compileWindows(memory, dtype, false)
}

/** Compiles the kernel that adds columns back to the images. */
export function compileFold(memory: LinearMemory, dtype: DType): WindowKernel {
  return compileWindows(memory, dtype, true)
}

const LOWEST: Readonly<Record<DType, number>> = { float32: -Infinity, float64: -Infinity, int32: -2147483648, uint8: 0, bool: 0 }

/** Compiles max pooling. */
export function compileMaxPool(memory: LinearMemory, dtype: DType): MaxPoolKernel {
  const module = moduleFor(memory.memory)
  const { bytes, floating } = dtypes[dtype]
  const type = dtype === 'float64' ? F64 : dtype === 'float32' ? F32 : I32
  module.func(params(16), [], (f, planes, h, w, oh, ow, ...rest) => {
    const [kh, kw, sh, sw, ph, pw, dh, dw] = rest.slice(0, 8) as unknown as WindowNumbers
    const [image, output, places] = rest.slice(8) as [Local, Local, Local]
    const [oy, ox, y0, x0, yFrom, yEnd, xFrom, xEnd, y, x, p, at] = f.locals(I32, 12) as
      [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local, Local]
    const taken = f.local(I32)
    const [v, best] = f.locals(type, 2) as [Local, Local]
    const ops = dtype === 'float64' ? f.f64 : f.f32
    const plane = f.let(I32, f.i32.mul(f.i32.mul(f.get(h), f.get(w)), f.i32.const(bytes)))
    const step = f.let(I32, f.i32.mul(f.get(dw), f.i32.const(bytes)))
    const load = (): void => {
      f.get(p)
      if (floating) ops.load()
      else if (bytes === 1) f.i32.load8_u()
      else f.i32.load()
    }
    const store = (): void => {
      if (floating) ops.store(f.get(output), f.get(best))
      else if (bytes === 1) f.i32.store8(f.get(output), f.get(best))
      else f.i32.store(f.get(output), f.get(best))
    }
    /** Nothing is larger than a NaN but the next one, as in torch. */
    const larger = (): void => {
      if (floating) f.i32.or(ops.gt(f.get(v), f.get(best)), ops.ne(f.get(v), f.get(v)))
      else f.i32.gt_s(f.get(v), f.get(best))
    }
    const upTo = (counter: Local, from: Local, end: Local, by: Local | number, body: () => void): void => {
      f.set(counter, f.get(from))
      f.while(() => f.i32.lt_s(f.get(counter), f.get(end)), () => {
        body()
        bump(f, counter, by)
      })
    }
    const zero = f.local(I32)

    const [vectors, most4, steps, at4] = f.locals(V128, 4) as [Local, Local, Local, Local]
    const right = f.let(I32, f.i32.add(f.i32.mul(f.get(sw), f.i32.const(3)), f.i32.mul(f.i32.sub(f.get(kw), f.i32.const(1)), f.get(dw))))
    const next4 = f.let(I32, f.i32.mul(f.get(sw), f.i32.const(4)))
    for (let lane = 1; lane < 4; lane++) f.set(steps, f.i32x4.replace_lane(f.get(steps), f.i32.mul(f.get(sw), f.i32.const(lane)), lane))
    /** Do this window and the next three lie between the sides of the image? */
    const fourInside = (): Emitted =>
      f.i32.and(
        f.i32.and(f.i32.le_s(f.i32.add(f.get(ox), f.i32.const(4)), f.get(ow)), f.i32.ge_s(f.get(x0), f.i32.const(0))),
        f.i32.lt_s(f.i32.add(f.get(x0), f.get(right)), f.get(w)))
    /** `taken`, `p` and the positions of all four for row y. */
    const row = (): void => {
      f.set(taken, plus(f, () => f.get(x0), f.let(I32, plus(f, () => f.get(y0), y, dh)), w))
      f.set(p, f.i32.add(f.get(image), f.i32.mul(f.get(taken), f.i32.const(4))))
    }
    const load4 = (): void => {
      const q = f.let(I32, f.get(p))
      f.set(vectors, f.v128.load32_zero(f.get(q)))
      for (let lane = 1; lane < 4; lane++) {
        bump(f, q, next4)
        f.set(vectors, f.v128.load32_lane(f.get(q), f.get(vectors), 0, lane))
      }
    }
    const positions = (): Emitted => f.i32x4.add(f.get(steps), f.i32x4.splat(f.get(taken)))
    /** Four windows at once, as one. */
    const four = (): void => {
      f.set(y, f.get(yFrom))
      row()
      load4()
      f.set(most4, f.get(vectors))
      f.set(at4, positions())
      upTo(y, yFrom, yEnd, 1, () => {
        row()
        upTo(x, zero, kw, 1, () => {
          load4()
          const taking = f.let(V128, f.v128.or(f.f32x4.gt(f.get(vectors), f.get(most4)), f.f32x4.ne(f.get(vectors), f.get(vectors))))
          f.set(most4, f.v128.bitselect(f.get(vectors), f.get(most4), f.get(taking)))
          f.set(at4, f.v128.bitselect(positions(), f.get(at4), f.get(taking)))
          bump(f, taken, dw)
          bump(f, p, step)
        })
      })
      f.v128.store(f.get(output), f.get(most4))
      f.v128.store(f.get(places), f.get(at4))
      for (const pointer of [output, places]) bump(f, pointer, 16)
    }
    times(f, planes, () => {
      upTo(oy, zero, oh, 1, () => {
        f.set(y0, f.i32.sub(f.i32.mul(f.get(oy), f.get(sh)), f.get(ph)))
        inside(f, yFrom, yEnd, y0, dh, kh, h)
        f.set(ox, f.i32.const(0))
        f.while(() => f.i32.lt_s(f.get(ox), f.get(ow)), () => f.block((next) => {
          f.set(x0, f.i32.sub(f.i32.mul(f.get(ox), f.get(sw)), f.get(pw)))
          if (dtype === 'float32') {
            f.if(f.i32.and(fourInside(), f.i32.lt_s(f.get(yFrom), f.get(yEnd))), () => {
              four()
              bump(f, ox, 4)
              f.br(next)
            })
          }
          inside(f, xFrom, xEnd, x0, dw, kw, w)
          f.set(best, floating ? ops.const(LOWEST[dtype]) : f.i32.const(LOWEST[dtype]))
          f.set(at, f.i32.const(-1))
          upTo(y, yFrom, yEnd, 1, () => {
            // The position in the plane, and its address.
            f.set(taken, f.i32.mul(plus(f, () => f.get(y0), y, dh), f.get(w)))
            f.set(taken, f.i32.add(f.get(taken), plus(f, () => f.get(x0), xFrom, dw)))
            f.set(p, f.i32.add(f.get(image), f.i32.mul(f.get(taken), f.i32.const(bytes))))
            upTo(x, xFrom, xEnd, 1, () => {
              f.set(v, load())
              f.if(f.i32.or(larger(), f.i32.lt_s(f.get(at), f.i32.const(0))), () => {
                f.set(best, f.get(v))
                f.set(at, f.get(taken))
              })
              bump(f, taken, dw)
              bump(f, p, step)
            })
          })
          store()
          f.i32.store(f.get(places), most(f, () => f.get(at), () => f.i32.const(0)))
          bump(f, output, bytes)
          bump(f, places, 4)
          bump(f, ox, 1)
        }))
      })
      bump(f, image, plane)
    })
  }, 'run')
  const run = instantiate(module.encode(), memory.memory)['run'] as (...args: number[]) => void
  return (planes, h, w, oh, ow, window, input, output, indices) =>
    run(planes, h, w, oh, ow, ...sizes(window), input, output, indices)
}
