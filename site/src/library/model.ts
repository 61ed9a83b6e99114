// An open model, and what can be done with it. The worker has one model and one plan at a time: whatever another call,
// or an end of the worker, took away is opened and planned again before a call that needs it.

import { clear, lockName } from '../private/files'
import { NibbleError } from '../shared/error'
import type { Input, Output } from '../shared/messages'
import type { Place } from '../shared/place'
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
import { placeOf, relayTo, type Relay, type Target } from './target'

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
export interface ConvertOptions extends CallOptions {
  /** Called with the bytes of source that are done, and with all of them. */
  onProgress?(done: number, total: number): void
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

/** What a call that takes long is given. */
export interface CallOptions {
  /** Ends the work, and the worker with it; the next call starts another. */
  signal?: AbortSignal
}

export class Model {
  /** The report of the last conversion. */
  report: Report | undefined

  private constructor(
    private readonly engine: Engine,
    private readonly inputs: Input[],
    private readonly parts: readonly string[],
    private readonly ownEngine: boolean,
    /** What is in the model: tensors, parameters, dtypes, parts, notes, and shards that are missing. */
    readonly inspection: Inspection,
  ) {}

  /** @internal Opens files; for open of nibble.ts. ownEngine says whether the engine ends with the model. */
  static open(engine: Engine, inputs: Input[], parts: readonly string[], ownEngine: boolean): Promise<Model> {
    return engine.inTurn(async () => {
      engine.has = {}
      const inspection = await engine.call('inspect', { inputs, parts: [...parts] })
      const model = new Model(engine, inputs, parts, ownEngine, inspection)
      engine.has = { model }
      return model
    })
  }

  get name() {
    return this.inspection.name
  }

  /** What there is to choose for this model: containers, dtypes, granularities, classes; and the defaults. */
  get offers(): Choices {
    return this.inspection.choices
  }

  /** Opens the model again where the worker does not have it: after it was ended, or another model was opened. */
  reopen(): Promise<void> {
    return this.engine.inTurn(() => this.inspect())
  }

  /** Decides what becomes of every tensor; reads no weights. */
  plan(recipe: Recipe = {}, { signal }: CallOptions = {}): Promise<Plan> {
    const { engine } = this
    return engine.stoppable(signal, async () => {
      const request = requestOf(recipe, this.offers)
      const plan: { request: PlanRequest; report?: Report } = { request }
      const { answer } = await engine.inTurn(async () => {
        await this.inspect()
        engine.has.plan = plan // the worker takes calls in their order
        return engine.posted('plan', request)
      })
      try {
        plan.report = await answer
      } catch (err) {
        if (engine.has.plan === plan) engine.has.plan = undefined
        throw err
      }
      engine.enlist(this.workers())
      return plan as Plan
    })
  }

  /** Quantizes a few tensors as a plan says, for their errors alone. Another call ends it. */
  measure(plan: Plan, names: string[], { signal }: CallOptions = {}): Promise<Record<string, Figures>> {
    return this.engine.stoppable(signal, async () => {
      const { answer } = await this.engine.inTurn(async () => {
        await this.replan(plan)
        return this.engine.posted('measure', { names })
      })
      return answer
    })
  }

  /** Converts into a target; the answer is the files that were made. Other calls wait until it is done. */
  convert(plan: Plan, target: Target = 'private', options: ConvertOptions = {}): Promise<Output[]> {
    return this.engine.stoppable(options.signal, () =>
      this.engine.inTurn(async () => {
        await this.replan(plan)
        const file = `${lockName(this.engine.tab)}-${Date.now()}`
        return this.convertTo(await placeOf(target, plan.report, file), plan, relayTo(target), options)
      }),
    )
  }

  private async convertTo(place: Place, plan: Plan, relay: Relay | undefined, options: ConvertOptions) {
    const { folder, output } = plan.report
    const zip = folder && (place.kind === 'private' || place.kind === 'file')
    const name = options.name ?? (zip ? `${output.name}.zip` : output.name)
    const request = { name, hash: options.hash ?? false, place, workers: this.workers() }
    try {
      options.signal?.throwIfAborted()
      const made = await this.engine.call('convert', request, {
        progress: options.onProgress,
        relay: relay && (step => relay.take(step)),
      })
      this.report = made.report
      this.engine.has.converted = this
      return made.output
    } catch (err) {
      // The worker takes away what it can; of one that was ended all is left.
      await Promise.all([clear(place), Promise.resolve(relay?.end(err)).catch(() => undefined)])
      throw err
    }
  }

  /** Holds files of a result against the model: every number is computed once more. */
  verify(files: Output[], { onProgress: progress, signal }: ConvertOptions = {}): Promise<Verification> {
    const output = files.flatMap(({ name, blob }) => (blob ? [{ name, blob }] : []))
    return this.engine.stoppable(signal, async () => {
      const { answer } = await this.engine.inTurn(async () => {
        await this.inspect()
        return { answer: this.engine.call('verify', { output }, { progress }) }
      })
      return answer
    })
  }

  /** A plan's recipe as a coremltools config; notes say what no config can. */
  config(plan: Plan): Promise<Exported> {
    return this.engine.inTurn(async () => {
      await this.replan(plan)
      return this.engine.call('config', {})
    })
  }

  /** The report of the last conversion in another form. The worker has it until it is ended. */
  reportAs(form: 'csv' | 'html'): Promise<string> {
    return this.engine.inTurn(async () => {
      this.needConversion()
      return this.engine.call('report', { form })
    })
  }

  /** The lines of Python that take the last conversion's output to Core ML. The worker has them until it is ended. */
  python(name: string): Promise<string> {
    return this.engine.inTurn(async () => {
      this.needConversion()
      return this.engine.call('python', { name })
    })
  }

  private needConversion() {
    if (this.engine.has.converted !== this) throw new NibbleError('unsupported', words.noReport)
  }

  /** Ends the model's own worker, and lets go of results in the browser's private files. */
  close() {
    if (this.ownEngine) this.engine.close()
  }

  /** How many workers the model is worth. */
  private workers() {
    return this.inspection.bytes < worthPool ? 0 : this.engine.workers
  }

  /** Sees to it, in turn, that the worker has the model. */
  private async inspect() {
    const { engine } = this
    if (engine.has.model === this) return
    engine.has = {}
    await engine.call('inspect', { inputs: this.inputs, parts: [...this.parts] })
    engine.has = { model: this }
  }

  /** Sees to it, in turn, that the worker has the plan. */
  private async replan(plan: Plan) {
    await this.inspect()
    const { engine } = this
    if (engine.has.plan === plan) return
    engine.has.plan = undefined
    await engine.call('plan', plan.request)
    engine.has.plan = plan
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
