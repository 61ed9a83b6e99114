// The controls of the page, their defaults, and the recipe they stand for: a config in
// the schema of coremltools' PostTrainingQuantizerConfig, and edits by hand on top.

import type { Inspection, PlanRequest, TensorRow } from './protocol'

/** A module config given by hand. */
export interface Edit { weight_dtype: string, granularity: string, block_size?: number | string }

export interface Options {
  weightDtype: string
  granularity: string
  scheme: string
  blockSize: string
  container: string
  highNibble: string
  /** A whole config the user gave; it takes the place of the first four. */
  config: string
  /** By module; null keeps it. They win over the config. */
  edits: ReadonlyMap<string, Edit | null>
  /** Classes by module, where the user knows better than the core. */
  types: ReadonlyMap<string, string>
  embeddings: boolean
  coremltoolsSkips: boolean
  keepUnfit: boolean
  hash: boolean
  /** How many workers a large model is given. */
  workers: number
}

/** As many as the machine has cores, up to what reading a file can feed. */
function machineWorkers() { return Math.min(Math.max(navigator.hardwareConcurrency || 2, 1), mostWorkers) }

export const mostWorkers = 8

export const defaults: Options = {
  weightDtype: 'int4', granularity: 'per_block', scheme: 'symmetric', blockSize: '32',
  container: 'packed', highNibble: 'sign', config: '', edits: new Map(), types: new Map(),
  embeddings: false, coremltoolsSkips: false, keepUnfit: false, hash: false, workers: machineWorkers(),
}

export const choices = {
  weightDtype: ['int4', 'uint4', 'int8', 'uint8'],
  granularity: ['per_block', 'per_channel', 'per_tensor'],
  scheme: ['symmetric', 'affine'],
  container: ['packed', 'int8', 'coremltools'],
  highNibble: ['sign', 'zero'],
} as const

/** The classes a weight of so many axes can belong to; Module is anything else. */
export const classes: Record<number, readonly string[]> = {
  2: ['Linear', 'Conv1D', 'Embedding', 'Module'],
  3: ['Conv1d', 'ConvTranspose1d', 'Module'],
  4: ['Conv2d', 'ConvTranspose2d', 'Module'],
  5: ['Conv3d', 'ConvTranspose3d', 'Module'],
}

export const extension: Record<string, string> = { packed: '.safetensors', int8: '.safetensors', coremltools: '.pt' }

/** What is no number is passed on as it is, so that the core says what is wrong with it. */
export const sizeOf = (text: string) => /^-?\d+$/.test(text.trim()) ? Number(text) : text

/** The config in JSON that the controls stand for. */
export function configOf(o: Options): string {
  if (o.config.trim()) return o.config
  const global: Record<string, unknown> = { weight_dtype: o.weightDtype, granularity: o.granularity }
  if (o.granularity === 'per_block') global.block_size = sizeOf(o.blockSize)
  // Left out where it is coremltools' default, so that the page's first recipe is, to the
  // letter, the command's.
  if (o.scheme !== 'symmetric') global.quantization_scheme = o.scheme
  return JSON.stringify({ global_config: global })
}

export function requestOf(o: Options): string {
  const request: PlanRequest = {
    config: configOf(o),
    edits: Array.from(o.edits, ([module, config]) => ({ module, config })),
    types: Array.from(o.types, ([module, name]) => ({ module, class: name })),
    embeddings: o.embeddings, coremltoolsSkips: o.coremltoolsSkips, keepUnfit: o.keepUnfit,
    container: o.container, highNibble: o.container === 'int8' ? o.highNibble : '',
  }
  return JSON.stringify(request)
}

/** Whether a recipe could reach a row at all. */
export const reachable = (t: TensorRow) => t.shape.length >= 2 && /^(F16|BF16|F32|F64)$/.test(t.dtype)

/** The module that holds a tensor, which is not always the one whose config decides. */
export const owner = (t: TensorRow) => t.module === t.name ? t.name : t.name.slice(0, Math.max(0, t.name.lastIndexOf('.')))

/** The core's code of a plan that quantizes nothing. */
export const noneQuantized = 'none_quantized'

/** Tells apart what figures were measured with. */
export const schemeKey = (t: TensorRow) => `${t.name} ${JSON.stringify(t.scheme)}`

/** A name for the result: the source's own, what it became, the container's extension; that of shards is a folder's. */
export function outputName({ name, shards }: Inspection, o: Options): string {
  const base = name.slice(name.lastIndexOf('/') + 1).replace(/\.(pt|pth|bin|ckpt|safetensors)$/i, '')
  const mixed = o.config.trim() || o.edits.size > 0
  const bytes = o.container === 'int8' && !mixed && o.weightDtype.endsWith('int4') ? '-bytes' : '' // one code a byte
  return `${base}-${mixed ? 'nibble' : o.weightDtype}${bytes}${shards > 0 ? '' : extension[o.container] ?? ''}`
}
