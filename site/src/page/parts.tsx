import * as format from '../shared/format'
import type { Advice, KeptCode, RemedyCode } from '../library/nibble'
import type { Session } from './session'
import { isOn, type State } from './state'
import { text } from './text'

/** The models that a file holds, to choose from: one of a live one and its average, else any number. */
export function Parts({ state, session }: { state: State; session: Session }) {
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
          <input
            type={one ? 'radio' : 'checkbox'}
            name="parts"
            checked={p.chosen}
            data-part={p.name}
            onChange={e => toggle(p.name, e.currentTarget.checked)}
          />
          <code>{p.name}</code>
          <span>
            {text.tensors(p.tensors)}, {format.bytes(p.bytes)}
            {p.ema && ` · ${text.parts.ema}`}
          </span>
        </label>
      ))}
    </fieldset>
  )
}

/** One file of several was opened: is it meant? */
export function AskShards({ state, session }: { state: State; session: Session }) {
  const missing = state.model?.missing ?? []
  return (
    <div class="notice ask" role="alert" data-testid="ask-shards">
      <p>{text.shardAlone(missing.length + 1)}</p>
      <ul>
        {missing.slice(0, 5).map(n => (
          <li>
            <code>{n}</code>
          </li>
        ))}
        {missing.length > 5 && <li>{text.andMore(missing.length - 5)}</li>}
      </ul>
      <button type="button" data-testid="go-on" onClick={() => session.goOn()}>
        {text.shardGoOn}
      </button>
    </div>
  )
}

/** What would quantize more of the model, and what lost much. */
export function Hints({ state, session }: { state: State; session: Session }) {
  const { report } = state
  if (!report || state.stale) return null
  const fits = report.advice.filter(a => a.fits)
  if (fits.length + report.warnings.length === 0) return null
  const embeddings =
    !isOn(state, 'include_embeddings') &&
    fits.some(a => a.code === 'tied' || (a.code === 'mostly' && a.args[1] === 'embedding'))
  return (
    <ul class="hints" data-testid="hints">
      {report.warnings.map(w => (
        <li class="warning">{text.warnings[w.about](w.names)}</li>
      ))}
      {fits.map(a => (
        <li>{hint(a)}</li>
      ))}
      {embeddings && (
        <li>
          <button
            type="button"
            class="quiet"
            data-testid="hint-embeddings"
            onClick={() => session.switchOn('include_embeddings')}
          >
            {text.switches.include_embeddings}
          </button>
        </li>
      )}
    </ul>
  )
}

/** The page's own sentence of what keeps most, or the core's advice, with its lines of code below. */
function hint(a: Advice) {
  if (a.code === 'mostly') {
    const [percent, code] = a.args as [string, KeptCode]
    return text.mostly(Number(percent), text.kinds[code], remedy(code))
  }
  return (
    <>
      {text.advice(a)}
      {a.python && <pre>{a.python}</pre>}
    </>
  )
}

const remedy = (code: KeptCode) => (code in text.remedies ? text.remedies[code as RemedyCode] : '')

/** Why nothing would be quantized, and what to try. */
export function Nothing({ state, session }: { state: State; session: Session }) {
  const { report } = state
  if (!report) return null
  const [code] = report.problem_args as [KeptCode?]
  return (
    <div class="notice" data-testid="nothing">
      <p>
        {text.nothing(code ? text.kinds[code] : '')} {code && remedy(code) && text.toTry(remedy(code))}
      </p>
      {(code === 'embedding' || report.advice.some(a => a.code === 'tied')) && !isOn(state, 'include_embeddings') && (
        <button type="button" data-testid="remedy" onClick={() => session.switchOn('include_embeddings')}>
          {text.switches.include_embeddings}
        </button>
      )}
    </div>
  )
}
