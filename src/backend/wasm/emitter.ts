/** Instructions of one float type, for kernels that are rendered for float32 and float64. */
import type { FloatType } from '../backend.ts'
import type { Body, Emitted, Local } from './assembler.ts'

/** The instructions of one float type: vectors of `lanes` elements of `width` bytes. */
export class Emitter {
  readonly f: Body
  readonly double: boolean
  readonly relaxed: boolean
  readonly width: 4 | 8
  readonly lanes: 4 | 2

  constructor(f: Body, dtype: FloatType, relaxed: boolean) {
    this.f = f
    this.double = dtype === 'float64'
    this.relaxed = relaxed
    this.width = this.double ? 8 : 4
    this.lanes = this.double ? 2 : 4
  }

  /** acc += x·y */
  madd(acc: Local, x: () => Emitted, y: () => Emitted): void {
    const { f } = this
    const v = this.double ? f.f64x2 : f.f32x4
    if (this.relaxed) f.set(acc, v.relaxed_madd(x(), y(), f.get(acc)))
    else f.set(acc, v.add(f.get(acc), v.mul(x(), y())))
  }
  add(x: Emitted, y: Emitted): Emitted {
    return this.double ? this.f.f64x2.add(x, y) : this.f.f32x4.add(x, y)
  }
  loadSplat(address: Emitted, offset = 0): Emitted {
    return this.double ? this.f.v128.load64_splat(address, offset) : this.f.v128.load32_splat(address, offset)
  }
  scalarAdd(x: Emitted, y: Emitted): Emitted {
    return this.double ? this.f.f64.add(x, y) : this.f.f32.add(x, y)
  }
  scalarMul(x: Emitted, y: Emitted): Emitted {
    return this.double ? this.f.f64.mul(x, y) : this.f.f32.mul(x, y)
  }
  load(address: Emitted, offset = 0): Emitted {
    return this.double ? this.f.f64.load(address, offset) : this.f.f32.load(address, offset)
  }
  store(address: Emitted, value: Emitted, offset = 0): Emitted {
    return this.double ? this.f.f64.store(address, value, offset) : this.f.f32.store(address, value, offset)
  }
  /** The sum of a vector's lanes. */
  sum(v: Local): Emitted {
    const { f } = this
    if (this.double) return f.f64.add(f.f64x2.extract_lane(f.get(v), 0), f.f64x2.extract_lane(f.get(v), 1))
    const lane = (i: number): Emitted => f.f32x4.extract_lane(f.get(v), i)
    f.f32.add(f.f32.add(lane(0), lane(1)), f.f32.add(lane(2), lane(3)))
  }

  bump(pointer: Local, by: Local | number): void {
    const { f } = this
    f.set(pointer, f.i32.add(f.get(pointer), typeof by === 'number' ? f.i32.const(by) : f.get(by)))
  }
  /** base + index · stride */
  at(base: Local, index: Local, stride: Local | number): Emitted {
    const { f } = this
    return f.i32.add(f.get(base), f.i32.mul(f.get(index), typeof stride === 'number' ? f.i32.const(stride) : f.get(stride)))
  }
  /** min(a, b), unsigned */
  min(a: () => Emitted, b: () => Emitted): Emitted {
    const { f } = this
    return f.select(a(), b(), f.i32.lt_u(a(), b()))
  }
  /** Runs `body` for counter = 0, step, 2·step, … below limit. */
  range(counter: Local, limit: Local, step: number | Local, body: () => void): void {
    const { f } = this
    f.set(counter, f.i32.const(0))
    f.while(() => f.i32.lt_u(f.get(counter), f.get(limit)), () => {
      body()
      this.bump(counter, step)
    })
  }
}
