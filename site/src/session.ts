// What the page is doing, as one immutable state and the few things a user can do to
// it. Components only show the state.

import { Core, CoreError } from './core'
import type { Failure, Input, Inspection, Report, Verification } from './protocol'
import { configOf, defaults, outputName, type Options } from './recipe'
import { discard } from './sink'
import { text } from './text'

export interface State {
  phase: 'empty' | 'opening' | 'ready' | 'converting' | 'done'
  model: Inspection | null
  /** The plan, and after converting the report. */
  report: Report | null
  /** The controls say something else than report: a new plan is under way, or was refused. */
  stale: boolean
  /** The core does not take what the controls say. */
  refused: boolean
  options: Options
  progress: Progress | null
  result: { name: string, url: string, blob: Blob } | null
  verification: Verification | Progress | null
  error: { kind: Failure['kind'] | 'cancelled', message: string } | null
}

export interface Progress { done: number, total: number, seconds: number }

const empty: State = {
  phase: 'empty', model: null, report: null, stale: false, refused: false, options: defaults,
  progress: null, result: null, verification: null, error: null,
}

/** How long a download that was begun may go on reading a result that is gone from the page. */
const keepForDownload = 10_000

export class Session {
  state = empty
  private core = new Core(err => {
    this.turn++ // whatever waits for an answer waits no more
    this.fail(err, 'empty')
  })
  private inputs: Input[] = []
  /** The worker's answer about inputs; whatever needs the file waits for it. */
  private opened: Promise<Inspection> = Promise.reject(new Error('no file is open'))
  /** Counts what the user asked for, so that a late answer to an old question is dropped. */
  private turn = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(private changed: () => void) {
    this.opened.catch(() => undefined)
  }

  private set(change: Partial<State>) {
    this.state = { ...this.state, ...change }
    this.changed()
  }

  /** Opens files, which may still be on their way; whatever was under way ends. */
  async open(coming: Input[] | Promise<Input[]>) {
    if (this.busy()) this.core.stop()
    const turn = ++this.turn
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ ...empty, options: this.state.options, phase: 'opening' })
    try {
      const inputs = await coming
      if (turn !== this.turn) return
      if (inputs.length === 0) throw new CoreError('machine', text.errors.none)
      this.inputs = inputs
      const model = await this.inspect()
      if (turn !== this.turn) return
      this.set({ model })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'empty')
      return
    }
    await this.plan(turn)
  }

  private busy() {
    const { phase, verification } = this.state
    return phase === 'opening' || phase === 'converting' || isProgress(verification)
  }

  private inspect(): Promise<Inspection> {
    this.opened = this.core.call('inspect', [this.inputs])
    return this.opened
  }

  /** Changes the recipe or the container. The result of the old one goes; a plan follows. */
  choose(change: Partial<Options>) {
    if (this.state.phase === 'converting') return
    const options = { ...this.state.options, ...change }
    if (!this.state.model || Object.keys(change).every(k => k === 'hash')) {
      this.set({ options })
      return
    }
    if (isProgress(this.state.verification)) this.restart()
    const turn = ++this.turn
    this.dropResult()
    this.set({ options, stale: true, refused: false, phase: this.state.phase === 'opening' ? 'opening' : 'ready' })
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.plan(turn), 120)
  }

  /** Plans; a recipe that the core refuses leaves the model open and the controls alive. */
  private async plan(turn: number) {
    try {
      const report = await this.decide()
      if (turn === this.turn) this.set({ phase: 'ready', report, stale: false, refused: false, error: null })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'ready', { stale: true, refused: true })
    }
  }

  private async decide(): Promise<Report> {
    await this.opened
    const { options } = this.state
    try {
      return await this.core.call('plan', [configOf(options), options.container, options.container === 'int8' ? options.highNibble : ''])
    } catch (err) {
      // A place in JSON means something only to who wrote it.
      if (err instanceof CoreError && !options.config.trim()) err.message = err.message.replace(/^at byte \d+: global_config: /, '')
      throw err
    }
  }

  async convert() {
    const { report, options, model, refused } = this.state
    if (!report || !model || refused || this.state.phase === 'converting') return
    if (isProgress(this.state.verification)) this.restart()
    const turn = ++this.turn
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ phase: 'converting', error: null, progress: { done: 0, total: report.totals.bytes_in, seconds: 0 } })
    const name = outputName(model.name, options)
    try {
      // Planned once more: the controls may just have changed, and a new worker has no plan.
      const plan = await this.decide()
      if (turn !== this.turn) return
      this.set({ report: plan, stale: false })
      const { report, output } = await this.core.call('convert', [name, options.hash], this.watch(turn, progress => ({ progress })))
      if (turn !== this.turn) return
      this.set({ phase: 'done', report, progress: null, result: { name, blob: output, url: URL.createObjectURL(output) } })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'ready', { progress: null })
    }
  }

  /** Puts progress into the state, for as long as the turn is the present one. */
  private watch(turn: number, change: (p: Progress) => Partial<State>) {
    const began = performance.now()
    return (done: number, total: number) => {
      if (turn === this.turn) this.set(change({ done, total, seconds: (performance.now() - began) / 1000 }))
    }
  }

  /** Ends the work at once. */
  cancel() {
    this.turn++
    this.restart()
    this.set({ phase: 'ready', progress: null, error: { kind: 'cancelled', message: text.cancelled } })
  }

  /** Ends the worker and opens the same file in a new one, which knows none yet. */
  private restart() {
    this.core.stop()
    const turn = this.turn
    this.inspect().catch((err: unknown) => { if (turn === this.turn) this.fail(err, 'empty') })
  }

  async verify() {
    const { result } = this.state
    if (!result || isProgress(this.state.verification)) return
    const turn = ++this.turn
    this.set({ verification: { done: 0, total: 1, seconds: 0 }, error: null })
    try {
      const verification = await this.core.call('verify', [{ name: result.name, blob: result.blob }], this.watch(turn, verification => ({ verification })))
      if (turn === this.turn) this.set({ verification })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'done', { verification: null })
    }
  }

  private fail(err: unknown, phase: State['phase'], change: Partial<State> = {}) {
    const kind = err instanceof CoreError ? err.kind : 'internal'
    if (kind === 'cancelled') return
    let message = err instanceof Error ? err.message : String(err)
    if (kind === 'internal') {
      // The core is not to be trusted any more; the next file gets a new one.
      this.core.stop()
      message = `${text.crashed} (${message.split('\n')[0]})`
      phase = 'empty'
    }
    if (phase === 'empty' || !this.state.model) {
      this.dropResult()
      phase = 'empty'
      change = { ...change, model: null, report: null, progress: null }
    }
    this.set({ ...change, phase, error: { kind, message } })
  }

  private dropResult() {
    const { result } = this.state
    if (!result) return
    URL.revokeObjectURL(result.url)
    setTimeout(() => void discard(result.blob), keepForDownload)
    this.set({ result: null, verification: null })
  }
}

export function isProgress(v: State['verification']): v is Progress { return v !== null && 'total' in v }
