// The state of the page, what every step shares, and how the page lets go of what it showed.

import { discard, Engine, NibbleError, type Model, type Plan } from '../library/nibble'
import { empty, problemOf, type State } from './state'
import { language, text } from './text'
import { Walks } from './walks'

/** How long a download that was begun may go on reading a result that is gone from the page. */
const keepForDownload = 10_000

export class Store {
  state = empty
  protected engine = new Engine({
    language,
    onCrash: err => {
      this.walks.end() // whatever waits for an answer waits no more
      this.fail(err, 'empty')
    },
  })
  protected walks = new Walks()
  /** The open model; whatever needs it waits for it. */
  protected opened: Promise<Model> = Promise.reject(new Error('no file is open'))
  /** The newest plan. The state's report may be that of a conversion, which calls its result by another name. */
  protected planned: Plan | undefined
  protected timer: ReturnType<typeof setTimeout> | undefined

  constructor(private changed: () => void) {
    this.opened.catch(() => undefined)
  }

  protected set(change: Partial<State>) {
    this.state = { ...this.state, ...change }
    this.changed()
  }

  /** The errors of the engine are in the page's language, too. */
  languageChanged() {
    this.engine.language = language
  }

  /** Ends the worker and opens the same model in a new one, so that it is there when it is needed. */
  protected restart() {
    this.engine.stop()
    const walk = this.walks.current()
    void walk.steps(
      async () => walk.wait((await walk.wait(this.opened)).reopen()),
      err => this.fail(err, 'empty'),
    )
  }

  protected fail(err: unknown, phase: State['phase'], change: Partial<State> = {}) {
    const problem = problemOf(err)
    if (problem.kind === 'cancelled') return
    if (problem.kind === 'internal') {
      // The core is not to be trusted any more; the next file gets a new one.
      this.engine.stop()
      problem.message = `${text.crashed} (${problem.message.split('\n')[0]})`
      phase = 'empty'
    }
    if (phase === 'empty' || !this.state.model) {
      this.dropResult()
      phase = 'empty'
      change = { ...change, model: null, report: null, progress: null }
    }
    this.set({ ...change, phase, error: problem })
  }

  protected dropResult() {
    const { result } = this.state
    if (!result) return
    if (result.url) URL.revokeObjectURL(result.url)
    setTimeout(() => {
      for (const { blob } of result.files) if (blob) void discard(blob)
    }, keepForDownload)
    this.set({ result: null, verification: null })
  }
}

/** The error of a plan that can be shown and not converted. */
export const refusal = (conflict: { message: string }) =>
  new NibbleError('unsupported', conflict.message, { ...conflict, kind: 'unsupported' })
