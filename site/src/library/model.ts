// An open model, and what can be done with it. The worker has one model and one plan at a time: whatever another call,
// or an end of the worker, took away is opened and planned again before a call that needs it.

import { NibbleError } from '../shared/error'
import type { Input, Output } from '../shared/messages'
import { clear, type Place } from '../shared/place'
import type {
  Choices,
  Exported,
  Figures,
  Global,
  Inspection,
  Options,
  PlanRequest,
  Report,
  Verification,
} from '../shared/protocol'
import type { Engine } from './engine'
import { words } from '../shared/words'
import { placeOf, relayTo, type Target } from './target'

/** A smaller model is done by the leading worker before others would be of use. */
const worthPool = 32e6

/**
 * What a user wants. config is a coremltools PostTrainingQuantizerConfig, as an object or as JSON or YAML; without it
 * global says what all layers become, and what it leaves out has the core's default. edits win over both.
 */
export interface Recipe extends Partial<Omit<PlanRequest, 'config' | 'global' | 'options'>> {
  config?: string | object
  global?: Partial<Global>
  options?: Partial<Options>
}

/** What a conversion is given. */
export interface ConvertOptions {
  /** Called with the bytes of source that are done, and with all of them. */
  onProgress?(done: number, total: number): void
  /** Ends the work, and takes away what it had written. */
  signal?: AbortSignal
  /** What the output is called in the report; without it as the plan says. */
  name?: string
  /** Whether the report has the SHA-256 of input and output. */
  hash?: boolean
}

/** A decided conversion. Its report is all of report.json but the errors; problem says why it cannot be converted. */
export interface Plan {
  readonly report: Report
  readonly request: PlanRequest
}

export class Model {
  /** The report of the last conversion. */
  report: Report | undefined
  private planned: Plan | undefined // in the worker
  private reopening: Promise<void> | undefined

  private constructor(
    private readonly engine: Engine,
    private readonly inputs: Input[],
    private readonly parts: readonly string[],
    private readonly ownEngine: boolean,
    /** What is in the model: tensors, parameters, dtypes, parts, notes, and shards that are missing. */
    readonly inspection: Inspection,
  ) {}

  /** Opens files; for open of nibble.ts. ownEngine says whether the engine ends with the model. */
  static async open(engine: Engine, inputs: Input[], parts: readonly string[], ownEngine: boolean): Promise<Model> {
    engine.current = undefined
    const inspection = await engine.call('inspect', { inputs, parts: [...parts] })
    const model = new Model(engine, inputs, parts, ownEngine, inspection)
    engine.current = model
    return model
  }

  get name() {
    return this.inspection.name
  }

  /** What there is to choose for this model: containers, dtypes, granularities, classes; and the defaults. */
  get offers(): Choices {
    return this.inspection.choices
  }

  /** Opens the model again where the worker does not have it: after it was ended, or another model was opened. */
  async reopen() {
    if (this.engine.current === this) return
    this.reopening ??= this.inspectAgain().finally(() => (this.reopening = undefined))
    await this.reopening
  }

  private async inspectAgain() {
    this.engine.current = undefined
    this.planned = undefined
    await this.engine.call('inspect', { inputs: this.inputs, parts: [...this.parts] })
    this.engine.current = this
  }

  /** Decides what becomes of every tensor; reads no weights. */
  async plan(recipe: Recipe = {}): Promise<Plan> {
    const request = requestOf(recipe, this.offers)
    await this.reopen()
    this.planned = undefined
    const plan = { request, report: await this.engine.call('plan', request) }
    this.planned = plan
    void this.engine.enlist(this.workers())
    return plan
  }

  /** Quantizes a few tensors as a plan says, for their errors alone. Another call ends it. */
  async measure(plan: Plan, names: string[]): Promise<Record<string, Figures>> {
    await this.replan(plan)
    return this.engine.call('measure', { names })
  }

  /** Converts into a target; the answer is the files that were made. One conversion is under way at a time. */
  async convert(plan: Plan, target: Target = 'private', options: ConvertOptions = {}): Promise<Output[]> {
    options.signal?.throwIfAborted()
    if (this.engine.converts) throw new NibbleError('unsupported', words.converts)
    this.engine.converts = true
    try {
      await this.replan(plan)
      return await this.convertTo(await placeOf(target, plan.report), plan, target, options)
    } finally {
      this.engine.converts = false
    }
  }

  private async convertTo(place: Place, plan: Plan, target: Target, options: ConvertOptions): Promise<Output[]> {
    const { signal, onProgress: progress } = options
    const relay = typeof target === 'object' && 'create' in target ? relayTo(target) : undefined
    const abort = () => {
      this.engine.stop(signal?.reason)
      void clear(place)
      relay?.({ step: 'abort' }).catch(() => undefined)
    }
    signal?.addEventListener('abort', abort)
    try {
      signal?.throwIfAborted()
      const { folder, output } = plan.report
      const zip = folder && (place.kind === 'private' || place.kind === 'file')
      const name = options.name ?? (zip ? `${output.name}.zip` : output.name)
      const request = { name, hash: options.hash ?? false, place, workers: this.workers() }
      const made = await this.engine.call('convert', request, { progress, relay })
      this.report = made.report
      return made.output
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Holds files of a result against the model: every number is computed once more. */
  async verify(files: Output[], { onProgress, signal }: ConvertOptions = {}): Promise<Verification> {
    const output = files.flatMap(({ name, blob }) => (blob ? [{ name, blob }] : []))
    signal?.throwIfAborted()
    await this.reopen()
    const abort = () => this.engine.stop(signal?.reason)
    signal?.addEventListener('abort', abort)
    try {
      return await this.engine.call('verify', { output }, { progress: onProgress })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** A plan's recipe as a coremltools config; notes say what no config can. */
  async config(plan: Plan): Promise<Exported> {
    await this.replan(plan)
    return this.engine.call('config', {})
  }

  /** The report of the last conversion in another form. The worker has it until it is ended. */
  async reportAs(form: 'csv' | 'html'): Promise<string> {
    return this.engine.call('report', { form })
  }

  /** The lines of Python that take the last conversion's output to Core ML. */
  async python(name: string): Promise<string> {
    return this.engine.call('python', { name })
  }

  /** Ends the model's own worker, and lets go of results in the browser's private files. */
  close() {
    if (this.ownEngine) this.engine.close()
  }

  /** How many workers the model is worth. */
  private workers() {
    return this.inspection.bytes < worthPool ? 0 : this.engine.workers
  }

  /** Sees to it that the worker has the plan. */
  private async replan(plan: Plan) {
    await this.reopen()
    if (this.planned === plan) return
    this.planned = undefined
    await this.engine.call('plan', plan.request)
    this.planned = plan
  }
}

/** What the core is asked; what a recipe leaves out is the default. */
function requestOf({ config = '', global = {}, options, ...rest }: Recipe, offers: Choices): PlanRequest {
  const { defaults } = offers
  const container = rest.container || defaults.container
  const found = offers.containers.find(c => c.name === container)
  if (!found) throw new NibbleError('unsupported', `there is no container ${container}`)
  return {
    config: typeof config === 'string' ? config : JSON.stringify(config),
    global: { dtype: '', granularity: '', group_size: '', scheme: '', ...global },
    edits: rest.edits ?? [],
    types: rest.types ?? [],
    options: { ...defaults.options, ...options },
    container,
    high_nibble: found.high_nibbles ? (rest.high_nibble ?? defaults.high_nibble) : null,
  }
}
