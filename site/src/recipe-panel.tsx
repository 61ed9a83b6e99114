import { useEffect, useState } from 'preact/hooks'
import { choices, defaults, type Options } from './recipe'
import type { Session } from './session'
import type { State } from './state'
import { text } from './text'

type Choose = (change: Partial<Options>) => void

/** The recipe and the container. */
export function Recipe({ state, session }: { state: State, session: Session }) {
  const { options } = state
  const choose: Choose = c => session.choose(c)
  const busy = state.phase === 'converting'
  const custom = options.config.trim() !== ''
  return (
    <section class="recipe" aria-label={text.recipe}>
      <div class="fields">
        <Select label={text.weightDtype} id="weight-dtype" value={options.weightDtype} from={choices.weightDtype} off={busy || custom}
          pick={weightDtype => choose({ weightDtype })} />
        <Select label={text.granularity} id="granularity" value={options.granularity} from={choices.granularity} off={busy || custom}
          pick={granularity => choose({ granularity })} />
        <label class="field narrow">
          <span>{text.blockSize}</span>
          <input data-testid="block-size" inputMode="numeric" list="block-sizes" value={options.blockSize}
            disabled={busy || custom || options.granularity !== 'per_block'} onInput={e => choose({ blockSize: e.currentTarget.value })} />
          <datalist id="block-sizes">{[16, 32, 64, 128].map(n => <option value={n} />)}</datalist>
        </label>
        <Select label={text.scheme} id="quantization-scheme" value={options.scheme} from={choices.scheme} off={busy || custom}
          pick={scheme => choose({ scheme })} />
        <Select label={text.container} id="container" value={options.container} from={choices.container} off={busy}
          pick={container => choose({ container })} />
        {options.container === 'int8' && (
          <Select label={text.highNibble} id="high-nibble" value={options.highNibble} from={choices.highNibble} off={busy}
            pick={highNibble => choose({ highNibble })} />
        )}
      </div>
      <p class="fine">{text.containerNotes[options.container]}</p>
      <Config state={state} session={session} />
      <More options={options} busy={busy} choose={choose} />
      <Check id="hash" label={text.hash} on={options.hash} off={busy} set={hash => choose({ hash })} />
    </section>
  )
}

/** A coremltools config, in and out. */
function Config({ state, session }: { state: State, session: Session }) {
  const { options, exported } = state
  const busy = state.phase === 'converting'
  const custom = options.config.trim() !== ''
  const [open, setOpen] = useState(false)
  useEffect(() => { if (custom) setOpen(true) }, [custom])
  const off = busy || !state.report || state.stale
  return (
    <details class="config" open={open} onToggle={e => setOpen(e.currentTarget.open)}>
      <summary>{text.config}</summary>
      <p class="fine">{custom ? state.refused ? text.configRefused : text.configActive : text.configHint}
        {options.edits.size > 0 && <> {text.editsOnTop(options.edits.size)} <button type="button" class="quiet" data-testid="clear-edits" disabled={busy} onClick={() => session.edit([...options.edits.keys()], undefined)}>{text.clearEdits}</button></>}
      </p>
      <textarea data-testid="config-input" spellcheck={false} rows={6} disabled={busy} value={options.config} aria-label={text.config}
        placeholder={'global_config:\n  weight_dtype: int4\nmodule_name_configs:\n  lm_head: null'}
        onInput={e => session.choose({ config: e.currentTarget.value })} />
      <div class="export">
        <span class="fine">{text.exportHint}</span>
        <button type="button" data-testid="export-json" disabled={off} onClick={() => void session.exportConfig('json')}>JSON</button>
        <button type="button" data-testid="export-yaml" disabled={off} onClick={() => void session.exportConfig('yaml')}>YAML</button>
      </div>
      {exported && exported.notes.length > 0 && (
        <div class="notice" data-testid="export-notes"><p>{text.exportNotes}</p><ul>{exported.notes.map(n => <li>{n}</li>)}</ul></div>
      )}
    </details>
  )
}

/** What is seldom asked for. */
function More({ options, busy, choose }: { options: Options, busy: boolean, choose: Choose }) {
  return (
    <details class="config">
      <summary>{text.options}</summary>
      <Check id="embeddings" label={text.embeddings} on={options.embeddings} off={busy} set={embeddings => choose({ embeddings })} />
      <Check id="coremltools-skips" label={text.coremltoolsSkips} on={options.coremltoolsSkips} off={busy} set={coremltoolsSkips => choose({ coremltoolsSkips })} />
      <Check id="keep-unfit" label={text.keepUnfit} on={options.keepUnfit} off={busy} set={keepUnfit => choose({ keepUnfit })} />
      <label class="check">
        <select data-testid="workers" value={String(options.workers)} disabled={busy} onChange={e => choose({ workers: Number(e.currentTarget.value) })}>
          {Array.from({ length: defaults.workers }, (_, i) => <option value={String(i + 1)} selected={i + 1 === options.workers}>{i + 1}</option>)}
        </select>
        {text.workers}
      </label>
    </details>
  )
}

function Check({ id, label, on, off, set }: { id: string, label: string, on: boolean, off: boolean, set(on: boolean): void }) {
  return (
    <label class="check">
      <input type="checkbox" data-testid={id} checked={on} disabled={off} onChange={e => set(e.currentTarget.checked)} />
      {label}
    </label>
  )
}

interface SelectProps { label: string, id: string, value: string, from: readonly string[], off: boolean, pick(value: string): void }

function Select({ label, id, value, from, off, pick }: SelectProps) {
  // "int8" names a dtype in one list and a container in another.
  const word = (v: string) => text.labels[`${v}_${id}`] ?? text.labels[v] ?? v
  return (
    <label class="field">
      <span>{label}</span>
      <select data-testid={id} value={value} disabled={off} onChange={e => pick(e.currentTarget.value)}>
        {from.map(v => <option value={v} selected={v === value}>{word(v)}</option>)}
      </select>
    </label>
  )
}
