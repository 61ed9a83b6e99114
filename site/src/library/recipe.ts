// What a site asks for, and what the core is asked.

import { NibbleError } from '../shared/error'
import type {
  Choices,
  ContainerName,
  Global,
  HighNibble,
  Options,
  PlanRequest,
  RuntimeName,
  SetType,
} from '../shared/protocol'
import { words } from '../shared/words'

/** What layers become; what is left out is the default. group_size counts where layers are cut into blocks alone. */
export type Entry = Partial<Omit<Global, 'group_size'>> & { group_size?: string | number }

/**
 * What a user wants. for is where the result is to run, which has a container and defaults of its own. A model's
 * folder whose config.json names an architecture is for Transformers where neither that, a container nor a config is
 * given. config is a coremltools PostTrainingQuantizerConfig, as an object or as JSON or YAML; without it global says
 * what all layers become. edits win over both.
 */
export interface Recipe {
  config?: string | object
  global?: Entry
  /** What single modules become; null keeps one. */
  edits?: readonly { readonly module: string; readonly entry: Entry | null }[]
  /** The classes of single modules. */
  types?: readonly SetType[]
  /** What is asked for beyond a config, as reports have it; its for counts where the recipe has none. */
  options?: Partial<Options>
  for?: RuntimeName | ''
  container?: ContainerName | ''
  /** Of a container that offers it. */
  high_nibble?: HighNibble | null
}

/** What a recipe may hold: a key that is none, such as a misspelt one, would be a default in silence. */
const keys = ['config', 'global', 'edits', 'types', 'options', 'for', 'container', 'high_nibble']

/** What the core is asked; what a recipe leaves out is the default. */
export function requestOf(recipe: Recipe, { defaults, runtimes, containers, grains }: Choices): PlanRequest {
  const stranger = Object.keys(recipe).find(key => !keys.includes(key))
  if (stranger !== undefined) throw new NibbleError('unsupported', words.noKey(stranger))
  const { config = '', global = {}, edits = [], types = [], options } = recipe
  const { container = '' } = recipe
  const runtime = recipe.for || options?.for || ''
  const found = containers.find(c => c.name === (container || defaults.container))
  if (!found) throw new NibbleError('unsupported', words.noContainer(container))
  if (runtime && !runtimes.some(r => r.name === runtime)) throw new NibbleError('unsupported', words.noRuntime(runtime))
  const meant = runtime || (container || config ? '' : defaults.for)
  const usual = runtimes.find(r => r.name === meant)?.global ?? defaults.global
  const whole = (entry: Entry): Global => {
    const granularity = entry.granularity || usual.granularity
    const blocks = grains.some(g => g.name === granularity && g.blocks)
    const size = blocks ? `${entry.group_size ?? ''}` : ''
    return { dtype: '', granularity: '', scheme: '', ...entry, group_size: size }
  }
  return {
    config: typeof config === 'string' ? config : JSON.stringify(config),
    global: whole(global),
    edits: Array.from(edits, ({ module, entry }) => ({ module, entry: entry && whole(entry) })),
    types: [...types],
    options: { ...defaults.options, ...options },
    // What is "" has its default, which the types do not say.
    for: runtime as RuntimeName,
    container: container as ContainerName,
    high_nibble: found.high_nibbles ? (recipe.high_nibble ?? defaults.high_nibble) : null,
  }
}
