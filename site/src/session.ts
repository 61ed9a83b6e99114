// What the page is doing, as one immutable state and the few things a user can do to
// it. Components only show the state.

import { Core, CoreError } from './core'
import type { Failure, Input, Inspection, Report, Verification } from './protocol'
import { configOf, defaults, outputName, type Options } from './recipe'
import { text } from './text'

export interface State {
  phase: 'empty' | 'opening' | 'ready' | 'converting' | 'done'
  model: Inspection | null
  /** The plan, and after converting the report. */
  report: Report | null
  options: Options
  progress: { done: number, total: number, seconds: number } | null
  result: { name: string, url: string, blob: Blob } | null
  verification: Verification | 'running' | null
  error: { kind: Failure['kind'] | 'cancelled', message: string } | null
}

const empty: State = {
  phase: 'empty', model: null, report: null, options: defaults,
  progress: null, result: null, verification: null, error: null,
}

export class Session {
  state = empty
  private core = new Core(err => this.fail(err, 'empty'))
  private inputs: Input[] = []
  /** The worker's answer about inputs; whatever needs the file waits for it. */
  private opened: Promise<Inspection> = Promise.reject(new Error('no file is open'))
  /** Counts what the user asked for, so that a late answer to an old question is dropped. */
  private turn = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(private changed: () => void) {
    this.opened.catch(() => undefined)
  }

  private inspect(): Promise<Inspection> {
    this.opened = this.core.call('inspect', [this.inputs])
    return this.opened
  }

  private async decide(): Promise<Report> {
    await this.opened
    const { options } = this.state
    return this.core.call('plan', [configOf(options), options.container, options.container === 'int8' ? options.highNibble : ''])
  }

  private set(change: Partial<State>) {
    this.state = { ...this.state, ...change }
    this.changed()
  }

  /** Opens files; whatever was under way ends. */
  async open(inputs: Input[]) {
    if (inputs.length === 0) return
    if (this.state.phase === 'converting' || this.state.verification === 'running') this.core.stop()
    const turn = ++this.turn
    this.inputs = inputs
    this.dropResult()
    this.set({ ...empty, options: this.state.options, phase: 'opening' })
    try {
      const model = await this.inspect()
      if (turn !== this.turn) return
      this.set({ model })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'empty')
      return
    }
    await this.planOrSay(turn)
  }

  /** Changes the recipe or the container; the plan follows. */
  choose(change: Partial<Options>) {
    this.set({ options: { ...this.state.options, ...change } })
    if (!this.state.model || this.state.phase === 'converting') return
    const turn = ++this.turn
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.planOrSay(turn), 120)
  }

  /** Plans; a recipe that the core refuses leaves the model open and the controls alive. */
  private async planOrSay(turn: number) {
    try {
      await this.plan(turn)
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'ready', { report: null, result: null, verification: null })
    }
  }

  private async plan(turn: number) {
    const report = await this.decide()
    if (turn !== this.turn) return
    this.dropResult()
    this.set({ phase: 'ready', report, result: null, verification: null, error: null })
  }

  async convert() {
    const { report, options, model } = this.state
    if (!report || !model || this.state.phase === 'converting') return
    const turn = ++this.turn
    clearTimeout(this.timer)
    this.dropResult()
    this.set({ phase: 'converting', error: null, result: null, verification: null, progress: { done: 0, total: report.totals.bytes_in, seconds: 0 } })
    const name = outputName(model.name, options)
    const began = performance.now()
    try {
      // Planned once more, so that what is converted is what the controls say.
      const plan = await this.decide()
      if (turn !== this.turn) return
      this.set({ report: plan })
      const { report, output } = await this.core.call('convert', [name, options.hash], (done, total) => {
        if (turn === this.turn) this.set({ progress: { done, total, seconds: (performance.now() - began) / 1000 } })
      })
      if (turn !== this.turn) return
      this.set({ phase: 'done', report, progress: null, result: { name, blob: output, url: URL.createObjectURL(output) } })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'ready', { progress: null })
    }
  }

  /** Ends the work at once and opens the same file in a new worker. */
  async cancel() {
    const turn = ++this.turn
    this.core.stop()
    this.set({ phase: 'ready', progress: null, verification: null, error: { kind: 'cancelled', message: text.cancelled } })
    try {
      await this.inspect() // the new worker knows no file yet
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'empty')
    }
  }

  async verify() {
    const { result } = this.state
    if (!result || this.state.verification === 'running') return
    const turn = ++this.turn
    this.set({ verification: 'running', error: null })
    try {
      const verification = await this.core.call('verify', [{ name: result.name, blob: result.blob }])
      if (turn === this.turn) this.set({ verification })
    } catch (err) {
      if (turn === this.turn) this.fail(err, 'done', { verification: null })
    }
  }

  fail(err: unknown, phase: State['phase'], change: Partial<State> = {}) {
    const kind = err instanceof CoreError ? err.kind : 'internal'
    if (kind === 'cancelled') return
    let message = err instanceof Error ? err.message : String(err)
    if (kind === 'internal') {
      // The core is not to be trusted any more; the next file gets a new one.
      this.core.stop()
      message = `${text.crashed} (${message.split('\n')[0]})`
      phase = 'empty'
    }
    if (phase === 'empty') change = { ...change, model: null, report: null, result: null, progress: null }
    this.set({ ...change, phase, error: { kind, message } })
  }

  private dropResult() {
    if (this.state.result) URL.revokeObjectURL(this.state.result.url)
  }
}
