import * as format from './format'
import type { Session } from './session'
import type { State } from './state'
import { text } from './text'

/** The models that a file holds, to choose from: one of a live one and its average, else any number. */
export function Parts({ state, session }: { state: State, session: Session }) {
  const parts = state.model?.parts ?? []
  if (parts.length === 0) return null
  const one = parts.some(p => p.ema)
  const chosen = parts.filter(p => p.chosen).map(p => p.name)
  const toggle = (name: string, on: boolean) => {
    const next = one ? [name] : on ? [...chosen, name] : chosen.filter(n => n !== name)
    void session.take(parts.map(p => p.name).filter(n => next.includes(n)))
  }
  return (
    <fieldset class="parts" data-testid="parts" disabled={state.phase === 'converting' || state.phase === 'opening'}>
      <legend>{chosen.length > 0 ? text.parts.title : text.parts.choose}</legend>
      {parts.map(p => (
        <label class="check" key={p.name}>
          <input type={one ? 'radio' : 'checkbox'} name="parts" checked={p.chosen} data-part={p.name}
            onChange={e => toggle(p.name, e.currentTarget.checked)} />
          <code>{p.name}</code>
          <span>{text.tensors(p.tensors)}, {format.bytes(p.bytes)}{p.ema && ` · ${text.parts.ema}`}</span>
        </label>
      ))}
    </fieldset>
  )
}

/** One file of several was opened: is it meant? */
export function AskShards({ state, session }: { state: State, session: Session }) {
  const missing = state.model?.missing ?? []
  return (
    <div class="notice ask" role="alert" data-testid="ask-shards">
      <p>{text.shardAlone(missing.length + 1)}</p>
      <ul>
        {missing.slice(0, 5).map(n => <li><code>{n}</code></li>)}
        {missing.length > 5 && <li>{text.andMore(missing.length - 5)}</li>}
      </ul>
      <button type="button" data-testid="go-on" onClick={() => session.goOn()}>{text.shardGoOn}</button>
    </div>
  )
}

/** What would quantize more of the model, and what lost much. */
export function Hints({ state, session }: { state: State, session: Session }) {
  const { report, options } = state
  if (!report || state.stale) return null
  const fits = report.advice.filter(a => a.fits)
  if (fits.length + report.warnings.length === 0) return null
  const embeddings = !options.embeddings && fits.some(a => a.about === 'tied' || a.about === 'mostly_embedding')
  return (
    <ul class="hints" data-testid="hints">
      {report.warnings.map(w => <li class="warning">{text.warnings[w.about]?.(w.names) ?? w.text}</li>)}
      {fits.map(a => <li>{hint(state, a)}</li>)}
      {embeddings && (
        <li>
          <button type="button" class="quiet" data-testid="hint-embeddings" onClick={() => session.choose({ embeddings: true })}>
            {text.embeddings}
          </button>
        </li>
      )}
    </ul>
  )
}

/** The page's own sentence, or the core's, whose lines of code stand below it. */
function hint({ report }: State, a: { about: string, text: string }) {
  const code = a.about.startsWith('mostly_') ? a.about.slice(7) : ''
  if (code && report) {
    const of = report.tensors.reduce((n, t) => n + t.bytes_in, 0)
    const kept = report.tensors.reduce((n, t) => n + (t.verdict === 'keep' && t.reason_code === code ? t.bytes_in : 0), 0)
    return text.mostly(Math.floor(100 * kept / Math.max(of, 1)), text.kinds[code] ?? '', text.remedies[code] ?? '')
  }
  const [words, ...lines] = a.text.split('\n')
  return <>{text.advice[a.about] ?? words}{lines.length > 0 && <pre>{lines.join('\n')}</pre>}</>
}

/** Why nothing would be quantized, and what to try. */
export function Nothing({ state, session }: { state: State, session: Session }) {
  const { report, options } = state
  if (!report) return null
  const bytes = new Map<string, number>()
  for (const t of report.tensors) bytes.set(t.reason_code, (bytes.get(t.reason_code) ?? 0) + t.bytes_in)
  const code = [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? ''
  return (
    <div class="notice" data-testid="nothing">
      <p>{text.nothing(text.kinds[code] ?? '')} {text.remedies[code] && text.toTry(text.remedies[code])}</p>
      {(code === 'embedding' || report.advice.some(a => a.about === 'tied')) && !options.embeddings && (
        <button type="button" data-testid="remedy" onClick={() => session.choose({ embeddings: true })}>
          {text.embeddings}
        </button>
      )}
    </div>
  )
}
