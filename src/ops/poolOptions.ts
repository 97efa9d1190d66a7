/** The options of pooling by name and kind, for the functions and for the layers. */
import type { Known } from '../options.ts'
import type { AvgPoolOptions, MaxPoolOptions } from './pooling.ts'

export const LARGEST: Known<MaxPoolOptions> = { stride: 'any', padding: 'any', dilation: 'any', ceilMode: 'boolean' }
export const AVERAGE: Known<AvgPoolOptions> = { stride: 'any', padding: 'any', ceilMode: 'boolean', countIncludePad: 'boolean' }
