import { useEffect, useRef } from 'preact/hooks'
import { ErrorBox } from './dropzone'
import * as format from '../shared/format'
import { AskShards, Hints, Nothing } from './parts'
import type { Report, Verification } from '../library/nibble'
import type { Session } from './session'
import { isProgress, reportName, type Progress, type State } from './state'
import { text } from './text'
import { WhatsNext } from './whats-next'

/** Convert, its progress, and what came of it. */
export function Work({ state, session }: { state: State; session: Session }) {
  const section = useRef<HTMLElement>(null)
  useEffect(() => {
    // The button that had the focus is gone: the next one of its place gets it.
    if (document.activeElement === document.body)
      section.current?.querySelector<HTMLElement>('.main')?.focus({ preventScroll: true })
  }, [state.phase])
  return (
    <section class="work" ref={section}>
      {state.phase === 'converting' ? (
        <Running state={state} cancel={() => session.cancel()} />
      ) : state.result && state.report ? (
        <Result state={state} session={session} report={state.report} />
      ) : (
        <Ready state={state} session={session} />
      )}
      <ErrorBox error={state.error} />
      <Remedy state={state} session={session} />
    </section>
  )
}

function Ready({ state, session }: { state: State; session: Session }) {
  const { report, stale, refused } = state
  if (state.asking) return <AskShards state={state} session={session} />
  const convert = () => void session.convert()
  const nothing = report && !stale && report.problem_code === 'none_quantized'
  return (
    <>
      <div class={stale ? 'strip stale' : 'strip'}>
        <p class="figure">
          {report && (
            <>
              <b>{format.bytes(report.totals.bytes_weights)}</b>
              <span>→</span>
              <b>{format.bytes(report.output.bytes)}</b>
              <Change state={state} report={report} />
            </>
          )}
        </p>
        <button
          type="button"
          class="primary main"
          data-testid="convert"
          disabled={!report || refused}
          onClick={convert}
        >
          {text.convert}
        </button>
      </div>
      {/* Below, so that it does not move the button from under the pointer. */}
      {nothing && <Nothing state={state} session={session} />}
      {!nothing && <Hints state={state} session={session} />}
    </>
  )
}

/** What the edits by hand add to the file or take from it. */
function Change({ state, report }: { state: State; report: Report }) {
  const { chosen, unedited } = state
  if (chosen.edits.size === 0 || unedited === null || unedited === report.output.bytes) return null
  const more = report.output.bytes - unedited
  return (
    <small data-testid="edit-change">{text.changeOf(`${more > 0 ? '+' : '−'}${format.bytes(Math.abs(more))}`)}</small>
  )
}

/** A button for what the core's hint advises. */
function Remedy({ state, session }: { state: State; session: Session }) {
  if (state.error?.code !== 'unfit' || state.chosen.options.keep_unfit) return null
  return (
    <button type="button" data-testid="remedy" onClick={() => session.switchOn('keep_unfit')}>
      {text.switches.keep_unfit}
    </button>
  )
}

function Running({ state, cancel }: { state: State; cancel(): void }) {
  const p = state.progress ?? { done: 0, total: 1, seconds: 0 }
  const rate = p.seconds > 0 ? p.done / p.seconds : 0
  return (
    <div class="strip">
      <p class="figure fixed">
        <b>{format.percent(p)} %</b>
      </p>
      <div class="running">
        <progress data-testid="progress" max={p.total} value={p.done} aria-label={text.converting} />
        <p class="rate">
          <span>
            {format.bytes(p.done)} / {format.bytes(p.total)}
          </span>
          {rate > 0 && <span>{format.bytes(rate)}/s</span>}
          {p.seconds > 0.5 && rate > 0 && <span>{text.left(format.duration((p.total - p.done) / rate))}</span>}
        </p>
      </div>
      <button
        type="button"
        class="main"
        data-testid="cancel"
        onClick={e => {
          if (e.detail < 2) cancel()
        }}
      >
        {text.cancel}
      </button>
    </div>
  )
}

function Result({ state, session, report }: { state: State; session: Session; report: Report }) {
  const { result, verification } = state
  if (!result) return null
  const { sqnr_db } = report.totals
  const weakest = report.tensors.filter(t => t.sqnr_db !== null).sort((a, b) => a.sqnr_db! - b.sqnr_db!)[0]
  return (
    <>
      <div class="strip">
        <div class="summary">
          <p class="figure">
            <b>{format.bytes(report.output.bytes)}</b>
            {sqnr_db !== null && (
              <small title={text.signalHint}>
                {sqnr_db.toFixed(1)} dB {text.signal}
              </small>
            )}
          </p>
          {weakest && (
            <p class="fine">
              {text.worst}: <code>{weakest.name}</code>, {weakest.sqnr_db!.toFixed(1)} dB
            </p>
          )}
        </div>
        <div class="buttons">
          <button type="button" class="quiet" data-testid="convert" onClick={() => void session.convert()}>
            {text.again}
          </button>
          <button
            type="button"
            data-testid="verify"
            disabled={isProgress(verification)}
            onClick={() => void session.verify()}
          >
            {text.verify}
          </button>
          <Reports name={reportName(state)} session={session} report={report} />
          {result.url && (
            <a
              class="button primary main"
              data-testid="download"
              download={result.name}
              href={result.url}
              title={result.name}
            >
              {text.download}
            </a>
          )}
        </div>
      </div>
      {!result.url && (
        <p class="good" data-testid="saved">
          {text.saved(result.name)}
        </p>
      )}
      {result.url && report.files.length > 0 && <p class="fine">{text.zipped(report.files.length)}</p>}
      <Hints state={state} session={session} />
      {verification && <Verdict v={verification} />}
      <WhatsNext report={report} python={result.python} />
    </>
  )
}

/** The report in three forms, each made when it is asked for; models have many tensors. */
function Reports({ name, session, report }: { name: string; session: Session; report: Report }) {
  const href = (e: { currentTarget: HTMLAnchorElement }) => {
    if (!e.currentTarget.href.endsWith('#report')) return
    e.currentTarget.href = URL.createObjectURL(
      new Blob([JSON.stringify(report, null, 2)], { type: 'application/json' }),
    )
  }
  return (
    <span class="reports">
      <span>{text.report}</span>
      <button type="button" data-testid="report-html" onClick={() => void session.saveReport('html')}>
        HTML
      </button>
      <button type="button" data-testid="report-csv" onClick={() => void session.saveReport('csv')}>
        CSV
      </button>
      <a
        class="button"
        data-testid="report-download"
        download={`${name}.json`}
        href="#report"
        onPointerDown={href}
        onFocus={href}
        onClick={href}
      >
        JSON
      </a>
    </span>
  )
}

function Verdict({ v }: { v: Verification | Progress }) {
  if (isProgress(v))
    return (
      <p class="fine" data-testid="verification">
        {text.verifying(format.percent(v))}
      </p>
    )
  const wrong = v.tensors.find(t => !t.ok)
  if (wrong)
    return (
      <p class="error" data-testid="verification">
        {text.notVerified(wrong.name, wrong.problem)}
      </p>
    )
  const kept = v.tensors.filter(t => t.verdict === 'keep').length
  return (
    <p class="good" role="status" data-testid="verification">
      {text.verified(v.tensors.length - kept, kept)}
    </p>
  )
}
