// The controls of the page, their defaults, and the config they stand for, in the
// schema of coremltools' PostTrainingQuantizerConfig.

export interface Options {
  weightDtype: string
  granularity: string
  scheme: string
  blockSize: string
  container: string
  highNibble: string
  /** A whole config the user gave; it takes the place of the first four. */
  config: string
  hash: boolean
}

export const defaults: Options = {
  weightDtype: 'int4', granularity: 'per_block', scheme: 'symmetric', blockSize: '32',
  container: 'packed', highNibble: 'sign', config: '', hash: false,
}

export const choices = {
  weightDtype: ['int4', 'uint4', 'int8', 'uint8'],
  granularity: ['per_block', 'per_channel', 'per_tensor'],
  scheme: ['symmetric', 'affine'],
  container: ['packed', 'int8', 'coremltools'],
  highNibble: ['sign', 'zero'],
} as const

export const extension: Record<string, string> = { packed: '.safetensors', int8: '.safetensors', coremltools: '.pt' }

/** The config in JSON that the options stand for. */
export function configOf(o: Options): string {
  if (o.config.trim()) return o.config
  const global: Record<string, unknown> = { weight_dtype: o.weightDtype, granularity: o.granularity }
  // What is no number is passed on as it is, so that the core says what is wrong with it.
  if (o.granularity === 'per_block') global.block_size = /^-?\d+$/.test(o.blockSize.trim()) ? Number(o.blockSize) : o.blockSize
  // Left out where it is coremltools' default, so that the page's first recipe is, to the
  // letter, the command's.
  if (o.scheme !== 'symmetric') global.quantization_scheme = o.scheme
  return JSON.stringify({ global_config: global })
}

/** A name for the result: the source's own, what it became, the container's extension. */
export function outputName(source: string, o: Options): string {
  const base = source.slice(source.lastIndexOf('/') + 1).replace(/\.(pt|pth|bin|ckpt|safetensors)$/i, '')
  const bytes = o.container === 'int8' && !o.config.trim() && o.weightDtype.endsWith('int4') ? '-bytes' : '' // one code a byte
  return `${base}-${o.config.trim() ? 'nibble' : o.weightDtype}${bytes}${extension[o.container] ?? ''}`
}
