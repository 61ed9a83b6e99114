import { useEffect, useState } from 'preact/hooks'
import type { Choices, ContainerName, Failure, Global, HighNibble, Runtime, RuntimeName } from '../library/nibble'
import { text } from './text'
import {
  containerOf,
  hasBlocks,
  inForce,
  nothing,
  nowhere,
  offersOf,
  runtimeOf,
  typed,
  untouched,
  type Chosen,
  type Switch,
} from './recipe'
import type { Session } from './session'
import { isOn, isOnByConfig, type State } from './state'

/** The recipe and the container. */
export function Recipe({ state, session }: { state: State; session: Session }) {
  const { chosen, model } = state
  if (!model) return null
  const { choices } = model
  const busy = state.phase === 'converting'
  const custom = chosen.config.trim() !== ''
  const byConfig = state.report?.options.for
  const container = containerOf(chosen, choices, byConfig)
  const runtime = runtimeOf(chosen, choices, byConfig)
  const place = (name: string) => choices.containers.find(c => c.name === name)?.for
  return (
    <section class="recipe" aria-label={text.recipe}>
      <div class="fields first">
        <Select
          label={text.runsOn}
          id="runs-on"
          value={runtime?.name ?? nowhere}
          from={[...choices.runtimes.map(r => r.name), nowhere]}
          off={busy}
          word={v => (v === nowhere ? text.nowhere.label : text.runtimes[v as RuntimeName].label)}
          not={v => choices.runtimes.some(r => r.name === v && r.why_not)}
          pick={v => session.choose({ runtime: v as Chosen['runtime'], container: '', global: nothing })}
        />
        <p class="fine" data-testid="needs">
          {runtime ? text.runtimes[runtime.name].needs : text.nowhere.needs}
        </p>
      </div>
      <div class="fields">
        <Numbers state={state} choices={choices} off={busy || custom || !!runtime?.fixed} session={session} />
        <Select
          label={text.container}
          id="container"
          value={container.name}
          from={choices.containers.map(c => c.name)}
          off={busy}
          word={v => text.containers[v].label}
          not={v => choices.containers.some(c => c.name === v && c.why_not)}
          pick={v =>
            session.choose(
              place(v)
                ? { container: '', runtime: place(v)!, global: nothing }
                : { container: v as ContainerName, runtime: nowhere },
            )
          }
        />
        {container.high_nibbles && (
          <Select
            label={text.highNibble}
            id="high-nibble"
            off={busy}
            from={choices.high_nibbles}
            value={chosen.highNibble || choices.defaults.high_nibble}
            word={v => text.highNibbles[v]}
            pick={v => session.choose({ highNibble: v as HighNibble })}
          />
        )}
      </div>
      <p class="fine" data-testid="note">
        {runtime?.fixed
          ? text.codesStay
          : runtime
            ? text.runtimes[runtime.name].note
            : text.containers[container.name].note}
      </p>
      <WhyNot choices={choices} />
      <Config state={state} session={session} />
      <More state={state} busy={busy} session={session} />
      <Check id="hash" label={text.hash} on={chosen.hash} off={busy} set={hash => session.choose({ hash })} />
    </section>
  )
}

/** Why some places and containers cannot be chosen. */
function WhyNot({ choices }: { choices: Choices }) {
  const wantsFolder = (c: { why_not: Failure | null }) => c.why_not?.code === 'needs_folder'
  const others = [
    ...choices.runtimes.map(r => ({ ...r, label: text.runtimes[r.name].label })),
    ...choices.containers.map(c => ({ ...c, label: text.containers[c.name].label })),
  ].filter(c => c.why_not && !wantsFolder(c))
  const places = choices.runtimes.filter(wantsFolder).map(r => text.runtimes[r.name].label)
  return (
    <>
      {places.length > 0 && <p class="fine">{text.needsFolder(places)}</p>}
      {others.map(c => (
        <p class="fine" key={c.label}>
          {c.label}: {text.whyNot(text.problem(c.why_not!))}
        </p>
      ))}
    </>
  )
}

/** What all layers become. */
function Numbers({ state, choices, off, session }: { state: State; choices: Choices; off: boolean; session: Session }) {
  const { chosen } = state
  const byConfig = state.report?.options.for
  const offers = offersOf(chosen, choices, byConfig)
  const now = inForce(chosen.global, offers, offers.usual)
  const choose = (change: Partial<Global>) => session.choose({ global: { ...chosen.global, ...change } })
  return (
    <>
      <Select
        label={text.weightDtype}
        id="weight-dtype"
        value={now.dtype}
        from={offers.dtypes}
        off={off}
        word={v => (runtimeOf(chosen, choices, byConfig) ? text.bits : text.dtypes)[v]}
        pick={dtype => choose({ dtype })}
      />
      <Select
        label={text.granularity}
        id="granularity"
        value={now.granularity}
        from={offers.grains.map(g => g.name)}
        off={off}
        word={v => text.grains[v]}
        pick={granularity => choose({ granularity })}
      />
      <label class="field narrow">
        <span>{text.blockSize}</span>
        <input
          data-testid="block-size"
          inputMode="numeric"
          list="block-sizes"
          value={now.group_size.trim()}
          disabled={off || !hasBlocks(now.granularity, choices)}
          onInput={e => choose({ group_size: typed(e.currentTarget.value) })}
        />
        <datalist id="block-sizes">
          {offers.group_sizes.map(n => (
            <option value={n} />
          ))}
        </datalist>
      </label>
      <Select
        label={text.scheme}
        id="quantization-scheme"
        value={now.scheme}
        from={offers.schemes}
        off={off}
        word={v => text.schemes[v]}
        pick={scheme => choose({ scheme })}
      />
    </>
  )
}

/** A coremltools config, in and out. */
function Config({ state, session }: { state: State; session: Session }) {
  const { chosen, exported } = state
  const busy = state.phase === 'converting'
  const custom = chosen.config.trim() !== ''
  const [open, setOpen] = useState(false)
  useEffect(() => {
    if (custom) setOpen(true)
  }, [custom])
  const off = busy || !state.report || state.stale
  return (
    <details class="config" open={open} onToggle={e => setOpen(e.currentTarget.open)}>
      <summary>{text.config}</summary>
      <p class="fine">
        {custom ? (state.refused ? text.configRefused : text.configActive) : text.configHint}
        {chosen.edits.size > 0 && (
          <>
            {' '}
            {text.editsOnTop(chosen.edits.size)}{' '}
            <button
              type="button"
              class="quiet"
              data-testid="clear-edits"
              disabled={busy}
              onClick={() => session.edit([...chosen.edits.keys()], undefined)}
            >
              {text.clearEdits}
            </button>
          </>
        )}
      </p>
      <textarea
        data-testid="config-input"
        spellcheck={false}
        rows={6}
        disabled={busy}
        value={chosen.config}
        aria-label={text.config}
        placeholder={'global_config:\n  weight_dtype: int4\nmodule_name_configs:\n  lm_head: null'}
        onInput={e => session.choose({ config: e.currentTarget.value })}
      />
      <div class="export">
        <span class="fine">{text.exportHint}</span>
        <button
          type="button"
          data-testid="export-json"
          disabled={off}
          onClick={() => void session.exportConfig('json')}
        >
          JSON
        </button>
        <button
          type="button"
          data-testid="export-yaml"
          disabled={off}
          onClick={() => void session.exportConfig('yaml')}
        >
          YAML
        </button>
      </div>
      {exported && exported.notes.length > 0 && (
        <div class="notice" data-testid="export-notes">
          <p>{text.exportNotes}</p>
          <ul>
            {exported.notes.map(n => (
              <li>{n}</li>
            ))}
          </ul>
        </div>
      )}
    </details>
  )
}

/** The switches, and the names by which tests know them. */
const switches: Record<Switch, string> = {
  include_embeddings: 'embeddings',
  coremltools_skips: 'coremltools-skips',
  keep_unfit: 'keep-unfit',
}

/** Whether a switch means something where a result is to run: which layers are quantized is the place's own rule. */
const isForPlaces = (name: Switch, { fixed }: Runtime) => name === 'keep_unfit' && !fixed

/** What is seldom asked for. */
function More({ state, busy, session }: { state: State; busy: boolean; session: Session }) {
  const { chosen, model } = state
  const runtime = runtimeOf(chosen, model!.choices, state.report?.options.for)
  return (
    <details class="config">
      <summary>{text.options}</summary>
      {(Object.keys(switches) as Switch[])
        .filter(name => !runtime || isForPlaces(name, runtime))
        .map(name => (
          <Check
            key={name}
            id={switches[name]}
            label={text.switches[name]}
            on={isOn(state, name)}
            off={busy || isOnByConfig(state, name)}
            set={on => session.switchOn(name, on)}
          />
        ))}
      <label class="check">
        <select
          data-testid="workers"
          value={String(chosen.workers)}
          disabled={busy}
          onChange={e => session.choose({ workers: Number(e.currentTarget.value) })}
        >
          {Array.from({ length: untouched.workers }, (_, i) => (
            <option value={String(i + 1)} selected={i + 1 === chosen.workers}>
              {i + 1}
            </option>
          ))}
        </select>
        {text.workers}
      </label>
    </details>
  )
}

function Check({
  id,
  label,
  on,
  off,
  set,
}: {
  id: string
  label: string
  on: boolean
  off: boolean
  set(on: boolean): void
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        data-testid={id}
        checked={on}
        disabled={off}
        onChange={e => set(e.currentTarget.checked)}
      />
      {label}
    </label>
  )
}

interface SelectProps<T extends string> {
  label: string
  id: string
  value: string
  from: readonly T[]
  off: boolean
  word(value: T): string
  /** Values that cannot be chosen. */
  not?(value: T): boolean
  pick(value: string): void
}

function Select<T extends string>({ label, id, value, from, off, word, not, pick }: SelectProps<T>) {
  return (
    <label class="field">
      <span>{label}</span>
      <select data-testid={id} value={value} disabled={off} onChange={e => pick(e.currentTarget.value)}>
        {from.map(v => (
          <option value={v} selected={v === value} disabled={not?.(v)}>
            {word(v)}
          </option>
        ))}
      </select>
    </label>
  )
}
