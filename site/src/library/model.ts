// An open model, and what can be done with it. The worker has one model and one plan at a time: whatever another call,
// or an end of the worker, took away is opened and planned again before a call that needs it.

import { clear, resultName } from '../private/files'
import { NibbleError } from '../shared/error'
import type { Conversion, Input, Output } from '../shared/messages'
import type { Choices, Exported, Figures, Inspection, PlanRequest, Report, Verification } from '../shared/protocol'
import { words } from '../shared/words'
import type { Engine } from './engine'
import { requestOf, type Recipe } from './recipe'
import { isOneFile, placeOf, relayTo, type Relay, type Target } from './target'

/** A smaller model is done by the leading worker before others would be of use. */
const worthPool = 32e6

/** What a conversion is given. */
export interface ConvertOptions extends CallOptions {
  /** Called with how much is done, and with all that there is to do, in bytes that are read. */
  onProgress?(done: number, total: number): void
  /** What the output is called: in the answer, in the report, in a directory; without it as the plan says. */
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
  /** Ends the call: while it waits nothing else, and once it has begun the worker with it; the next starts another. */
  signal?: AbortSignal
}

export class Model {
  /** The report of the last conversion. */
  report: Report | undefined
  private readonly plans = new WeakSet<Plan>()

  private constructor(
    private readonly engine: Engine,
    private readonly inputs: Input[],
    private readonly parts: readonly string[],
    private readonly ownEngine: boolean,
    /** What is in the model: tensors, parameters, dtypes, parts, notes, and shards that are missing. */
    readonly inspection: Inspection,
  ) {}

  /** @internal Opens files; for open of nibble.ts. ownEngine says whether the engine ends with the model. */
  static open(
    engine: Engine,
    inputs: Input[],
    parts: readonly string[],
    ownEngine: boolean,
    begin: () => void,
  ): Promise<Model> {
    return engine.inTurn(async () => {
      engine.has = {}
      const inspection = await engine.call('inspect', { inputs, parts: [...parts], folder: isFolder(inputs) })
      const model = new Model(engine, inputs, parts, ownEngine, inspection)
      engine.has = { model }
      return model
    }, begin)
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
    return engine.stoppable(signal, async begin => {
      const request = requestOf(recipe, this.offers)
      const plan: { request: PlanRequest; report?: Report } = { request }
      const { answer } = await engine.inTurn(async () => {
        await this.inspect()
        engine.has.plan = plan // the worker takes calls in their order
        return engine.posted('plan', request)
      }, begin)
      try {
        plan.report = await answer
      } catch (err) {
        if (engine.has.plan === plan) engine.has.plan = undefined
        throw err
      }
      engine.enlist(this.workers())
      this.plans.add(plan as Plan)
      return plan as Plan
    })
  }

  /** Quantizes a few tensors as a plan says, for their errors alone. Another call ends it. */
  measure(plan: Plan, names: readonly string[], { signal }: CallOptions = {}): Promise<Record<string, Figures>> {
    return this.engine.stoppable(signal, async begin => {
      const { answer } = await this.engine.inTurn(async () => {
        await this.replan(plan)
        return this.engine.posted('measure', { names: [...names] })
      }, begin)
      return answer
    })
  }

  /** Converts into a target; the answer is the files that were made. Other calls wait until it is done. */
  convert(plan: Plan, target: Target = 'private', options: ConvertOptions = {}): Promise<Output[]> {
    return this.engine.stoppable(options.signal, begin =>
      this.engine.inTurn(async () => {
        await this.replan(plan)
        const { folder, output } = plan.report
        const name = options.name ?? (folder && isOneFile(target) ? `${output.name}.zip` : output.name)
        const place = await placeOf(target, folder, name, resultName(this.engine.tab))
        const request = { name, hash: options.hash ?? false, place, workers: this.workers() }
        return this.convertTo(request, relayTo(target), options)
      }, begin),
    )
  }

  private async convertTo(request: Conversion, relay: Relay | undefined, options: ConvertOptions) {
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
      const { signal } = options
      const why = signal?.aborted ? signal.reason : relay?.failed ? relay.failed.why : err
      // The worker takes away what it can; of one that was ended all is left.
      relay?.end(why)
      await clear(request.place)
      throw why
    }
  }

  /** Holds files of a result against the model: every number is computed once more. */
  verify(files: Iterable<Output>, { onProgress: progress, signal }: ConvertOptions = {}): Promise<Verification> {
    return this.engine.stoppable(signal, async begin => {
      const output = needBlobs(Array.from(files))
      const { answer } = await this.engine.inTurn(async () => {
        await this.inspect()
        return { answer: this.engine.call('verify', { output }, { progress }) }
      }, begin)
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
    await engine.call('inspect', { inputs: this.inputs, parts: [...this.parts], folder: isFolder(this.inputs) })
    engine.has = { model: this }
  }

  /** Sees to it, in turn, that the worker has the plan. */
  private async replan(plan: Plan) {
    if (!this.plans.has(plan)) throw new NibbleError('unsupported', words.otherPlan)
    await this.inspect()
    const { engine } = this
    if (engine.has.plan === plan) return
    engine.has.plan = undefined
    await engine.call('plan', plan.request)
    engine.has.plan = plan
  }
}

/** Files of which all have bytes; an error names the first that has none. */
export function needBlobs(files: readonly Output[]): Input[] {
  return files.map(file => {
    const { name, blob } = file
    if (!blob) throw new NibbleError('unsupported', words.noBytes(String(name)))
    return { name, blob }
  })
}

/** Whether files are all of a folder: their names say so. */
const isFolder = (inputs: Input[]) => inputs.every(f => f.name.includes('/'))
