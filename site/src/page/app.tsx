// The one screen: drop zone, then the model as a picture, the recipe, the work, the table. What listens to the window
// does so in layout effects, before anything is painted: an effect comes later, and a drop or a closed tab could come
// between.

import { useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks'
import { DropZone } from './dropzone'
import { fromDrop, sample } from './files'
import { percent } from '../shared/format'
import { Mark } from './mark'
import { Picture } from './picture'
import { Recipe } from './recipe-panel'
import { Session } from './session'
import { Table } from './table'
import { language, chooseLanguage, text } from './text'
import { Work } from './work'

export function App() {
  const [, redraw] = useState(0)
  const [session] = useState(() => new Session(() => redraw(n => n + 1)))
  const { state } = session
  const over = useDropAnywhere(session)
  useUndoKey(session)
  useEffect(() => {
    document.documentElement.lang = language
    document.title =
      state.phase === 'converting' && state.progress
        ? `${percent(state.progress)} % · Nibble`
        : state.model
          ? `${state.model.name} · Nibble`
          : 'Nibble'
  })
  useLayoutEffect(() => {
    if (state.phase !== 'converting') return
    const ask = (e: BeforeUnloadEvent) => e.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [state.phase])
  // While work is under way the state changes many times a second, but in its progress alone:
  // what does not show that is left as it is.
  const { progress, ...rest } = state
  const still = [...Object.values(rest), language]
  const picture = useMemo(() => <Picture state={state} session={session} open={f => void session.open(f)} />, still)
  const recipe = useMemo(() => <Recipe state={state} session={session} />, still)
  const table = useMemo(
    () => state.report && <Table key={state.model?.name} state={state} session={session} report={state.report} />,
    still,
  )
  return (
    <div
      class={over ? 'page over' : 'page'}
      data-testid="drop-zone"
      onPointerDown={e => {
        if (e.target instanceof Element && e.target.closest('.button')) session.expect()
      }}
    >
      <header>
        <a class="brand" href="." aria-label="Nibble">
          <Mark />
          Nibble
        </a>
        <p class="privacy" title={text.privacyDetail}>
          <Shield />
          {text.privacy}
          <button
            type="button"
            class="quiet language"
            data-testid="language"
            onClick={() => {
              chooseLanguage(language === 'en' ? 'zh' : 'en')
              session.languageChanged()
              redraw(n => n + 1)
            }}
          >
            {text.otherLanguage}
          </button>
        </p>
      </header>
      <main>
        {state.phase === 'empty' || state.phase === 'opening' ? (
          <DropZone
            opening={state.phase === 'opening'}
            open={f => void session.open(f)}
            sample={() => void session.open(sample())}
            error={state.error}
          />
        ) : (
          <>
            {picture}
            <div class="bench">
              {recipe}
              <Work state={state} session={session} />
            </div>
            {table}
          </>
        )}
        <p class="status" data-testid="status" data-state={state.phase} role="status" aria-live="polite">
          {text.status[state.phase]}
        </p>
      </main>
      {over && (
        <div class="veil">
          <p>{text.dropNow}</p>
        </div>
      )}
    </div>
  )
}

/** The whole page takes drops, at any time. A dropped .json or .yaml is a config when a model is open. */
function useDropAnywhere(session: Session): boolean {
  const [over, setOver] = useState(false)
  useLayoutEffect(() => {
    let depth = 0 // enter and leave come for every element that is crossed
    const files = (e: DragEvent) => e.dataTransfer?.types.includes('Files')
    const enter = (e: DragEvent) => {
      if (files(e)) {
        e.preventDefault()
        depth++
        setOver(true)
        session.expect()
      }
    }
    const leave = (e: DragEvent) => {
      if (files(e) && --depth <= 0) {
        depth = 0
        setOver(false)
      }
    }
    const hover = (e: DragEvent) => {
      if (files(e)) e.preventDefault()
    }
    const drop = (e: DragEvent) => {
      if (!e.dataTransfer || !files(e)) return
      e.preventDefault()
      depth = 0
      setOver(false)
      const [first, second] = e.dataTransfer.files
      if (session.state.model && first && !second && /\.(json|ya?ml)$/i.test(first.name)) {
        void first.text().then(config => session.choose({ config }))
      } else void session.open(fromDrop(e.dataTransfer))
    }
    addEventListener('dragenter', enter)
    addEventListener('dragleave', leave)
    addEventListener('dragover', hover)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragenter', enter)
      removeEventListener('dragleave', leave)
      removeEventListener('dragover', hover)
      removeEventListener('drop', drop)
    }
  }, [session])
  return over
}

/** Ctrl-Z outside of text fields takes the last edit back. */
function useUndoKey(session: Session) {
  useLayoutEffect(() => {
    const key = (e: KeyboardEvent) => {
      const typing = e.target instanceof Element && e.target.matches('input:not([type=checkbox]), textarea')
      if (e.key !== 'z' || !(e.ctrlKey || e.metaKey) || e.shiftKey || typing || session.state.past.length === 0) return
      e.preventDefault()
      session.undo()
    }
    addEventListener('keydown', key)
    return () => removeEventListener('keydown', key)
  }, [session])
}

function Shield() {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linejoin="round"
      stroke-linecap="round"
    >
      <path d="M8 1.6 13.4 3.6v4c0 3.4-2.3 5.7-5.4 6.9-3.1-1.2-5.4-3.5-5.4-6.9v-4z" />
      <path d="m5.6 8 1.7 1.7 3.2-3.3" />
    </svg>
  )
}
