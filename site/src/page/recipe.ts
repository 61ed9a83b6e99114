// The controls of the page and what they ask the core for. The core says what there is to choose, and what is meant
// where nothing was chosen.

import type {
  Choices,
  ClassName,
  Container,
  ContainerName,
  Global,
  HighNibble,
  Options,
  Recipe,
  Runtime,
  RuntimeName,
  TensorRow,
} from '../library/nibble'
import type { Text } from './text/en'

/** What a user chose; what is '' has the core's default. */
export interface Chosen {
  global: Global
  /** Where the result is to run; nowhere is a container for any use. */
  runtime: RuntimeName | typeof nowhere | ''
  container: ContainerName | ''
  highNibble: HighNibble | ''
  /** A whole config the user gave; it takes the place of global. */
  config: string
  /** By module; null keeps it. They win over the config. */
  edits: ReadonlyMap<string, Global | null>
  /** Classes by module, where the user knows better than the core. */
  types: ReadonlyMap<string, ClassName>
  /** What is switched on, or off again. */
  options: Partial<Options>
  hash: boolean
  /** How many workers a large model is given. */
  workers: number
}

/** As many as the machine has cores, up to what reading a file can feed. */
function machineWorkers() {
  return Math.min(Math.max(navigator.hardwareConcurrency || 2, 1), mostWorkers)
}

const mostWorkers = 8

/** No place in particular: coremltools' numbers, in the container that is chosen. */
export const nowhere = 'none'

export const nothing: Global = { dtype: '', granularity: '', group_size: '', scheme: '' }

export const untouched: Chosen = {
  global: nothing,
  runtime: '',
  container: '',
  highNibble: '',
  config: '',
  edits: new Map(),
  types: new Map(),
  options: {},
  hash: false,
  workers: machineWorkers(),
}

/** The words in force: those chosen of what is offered, else the ones that are usual. */
export function inForce(chosen: Global, offers: Offers, usual: Global): Global {
  const g = offered(chosen, offers)
  return {
    dtype: g.dtype || usual.dtype,
    granularity: g.granularity || usual.granularity,
    group_size: g.group_size || usual.group_size,
    scheme: g.scheme || usual.scheme,
  }
}

/**
 * Where the result is to run; undefined for nowhere in particular. A config may say it: byConfig is what the plan of it
 * has.
 */
export function runtimeOf(c: Chosen, { runtimes, defaults }: Choices, byConfig = ''): Runtime | undefined {
  const otherwise = c.container ? nowhere : c.config.trim() ? byConfig : defaults.for
  return runtimes.find(r => r.name === (c.runtime || otherwise))
}

/** What there is to choose among numbers: what the place offers, or everything. */
export function offersOf(c: Chosen, choices: Choices, byConfig = '') {
  const runtime = runtimeOf(c, choices, byConfig)
  return { ...choices, ...runtime, usual: runtime?.global ?? choices.defaults.global }
}

type Offers = ReturnType<typeof offersOf>

/** The words that are offered; others, which were chosen for another place, are the default. */
const offered = (g: Global, { dtypes, grains, schemes }: Offers): Global => ({
  ...g,
  dtype: dtypes.some(d => d === g.dtype) ? g.dtype : '',
  granularity: grains.some(k => k.name === g.granularity) ? g.granularity : '',
  scheme: schemes.some(s => s === g.scheme) ? g.scheme : '',
})

/** What stays chosen when a model is opened: not a place that it cannot go to, nor the words for that. */
export function keptFor(c: Chosen, { runtimes }: Choices): Chosen {
  return runtimes.find(r => r.name === c.runtime)?.why_not ? { ...c, runtime: '', global: nothing } : c
}

/**
 * A text as it was typed. One that was emptied is no default: it stays, as a space, and the core says what is wrong
 * with it.
 */
export const typed = (value: string) => value || ' '

/** The switches of the options. */
export type Switch = keyof Text['switches']

/** Whether a granularity takes a group size. */
export const hasBlocks = (granularity: string, { grains }: Choices) =>
  grains.some(g => g.name === granularity && g.blocks)

/** The container in force. */
export function containerOf(c: Chosen, choices: Choices, byConfig = ''): Container {
  const { containers, defaults } = choices
  const name = runtimeOf(c, choices, byConfig)?.container ?? (c.container || defaults.container)
  return containers.find(k => k.name === name)!
}

/** What the library is asked. A group size that does not go with the granularity is left where it is. */
export function recipeOf(c: Chosen, choices: Choices): Recipe {
  const runtime = runtimeOf(c, choices)
  if (runtime?.fixed) return { for: runtime.name }
  // A config may say itself where the result is to run; anything else is said.
  const said = c.container || c.runtime || !c.config.trim()
  const container = runtime || !said ? '' : containerOf(c, choices).name
  const { include_embeddings: _, coremltools_skips: __, ...others } = c.options
  return {
    config: c.config,
    global: offered(c.global, offersOf(c, choices)),
    edits: Array.from(c.edits, ([module, entry]) => ({ module, entry })),
    types: Array.from(c.types, ([module, name]) => ({ module, class: name })),
    options: runtime ? others : c.options,
    for: runtime?.name ?? '',
    container,
    high_nibble: c.highNibble || null,
  }
}

/** The module that holds a tensor, which is not always the one whose config decides. */
export const owner = (t: TensorRow) =>
  t.module === t.name ? t.name : t.name.slice(0, Math.max(0, t.name.lastIndexOf('.')))

/** Tells apart what figures were measured with. */
export const schemeKey = (t: TensorRow) => `${t.name} ${JSON.stringify(t.scheme)}`
