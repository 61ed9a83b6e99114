// What the benches of the page share: a browser with the page in it, its peak memory, and
// checkpoints to drop.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import puppeteer from 'puppeteer-core'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
export const id = name => `[data-testid="${name}"]`

/** The browsers that build.sh found: [kind, path]. */
export const browsers = [
  ['chromium', process.env.NIBBLE_CHROMIUM],
  ['firefox', process.env.NIBBLE_FIREFOX],
].filter(([, path]) => path)

/**
 * Writes a checkpoint, and reads it once so that it lies in memory; width, where it is not 0, is the columns of a
 * matrix.
 */
export function makeModel(path, gigabytes, dtype, width = 0) {
  execFileSync(
    'go',
    [
      'run',
      './quant/testkit/model',
      '-bytes',
      String(gigabytes * 1e9),
      '-dtype',
      dtype,
      '-width',
      String(width),
      '-o',
      path,
    ],
    { cwd: root, stdio: 'inherit' },
  )
  execFileSync('sh', ['-c', 'cat "$1"* > /dev/null', 'warm', statSync(path).isDirectory() ? `${path}/` : path])
}

/** VmHWM in bytes; 0 when the process is gone. */
export function peak(pid) {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** All processes below one. */
function below(pid) {
  const children = new Map()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const parent = Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'utf8'))[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    } catch {
      // It is gone.
    }
  }
  const found = []
  for (const queue = [pid]; queue.length;)
    for (const c of children.get(queue.pop()) ?? []) {
      found.push(c)
      queue.push(c)
    }
  return found
}

const commandLine = pid => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/**
 * Runs f with a fresh browser and a tab of it; watch() tells the peaks so far of the page's process and of the
 * browser's own.
 */
export async function withBrowser(kind, executablePath, f) {
  const profile = mkdtempSync(join(tmpdir(), 'nibble-profile-'))
  const browser = await puppeteer.launch({
    ...(kind === 'firefox'
      ? { browser: 'firefox' }
      : {
          args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-dev-shm-usage',
            '--disable-background-networking',
            '--disable-sync',
            '--no-first-run',
          ],
        }),
    executablePath,
    headless: true,
    userDataDir: profile,
    protocolTimeout: 3_600_000,
  })
  const renderer = kind === 'firefox' ? /-contentproc.* tab/ : /--type=renderer/
  const peaks = { page: 0, browser: 0 }
  const look = () => {
    peaks.browser = Math.max(peaks.browser, peak(browser.process().pid))
    for (const pid of below(browser.process().pid))
      if (renderer.test(commandLine(pid))) peaks.page = Math.max(peaks.page, peak(pid))
    return peaks
  }
  try {
    return await f(await browser.newPage(), look)
  } finally {
    await browser.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Drops a checkpoint on a fresh page; resolves to the milliseconds until its plan was there. */
export async function dropModel(tab, site, source) {
  await tab.goto(site)
  return dropAnother(tab, source)
}

/** Drops a checkpoint where one may be open. */
export async function dropAnother(tab, source) {
  const files = statSync(source).isDirectory() ? readdirSync(source).map(n => join(source, n)) : [source]
  const input = await tab.waitForSelector(id('file-input'))
  await tab.evaluate(
    (chooser, ready) => {
      globalThis.planned = undefined
      document.querySelector(chooser).addEventListener(
        'change',
        e => {
          globalThis.dropped = [...e.target.files]
          const began = performance.now()
          let old = document.querySelector(ready) !== null // it goes with the plan before
          const watch = new MutationObserver(() => {
            const there = document.querySelector(ready) !== null
            if (there && !old) {
              watch.disconnect()
              globalThis.planned = performance.now() - began
            }
            old &&= there
          })
          watch.observe(document.body, { subtree: true, childList: true, attributes: true })
        },
        { capture: true },
      )
    },
    id('file-input'),
    `${id('convert')}:not(:disabled)`,
  )
  await input.uploadFile(...files)
  await tab.waitForFunction(() => globalThis.planned !== undefined, { timeout: 120_000 })
  return tab.evaluate(() => globalThis.planned)
}

/** Converts what is open; resolves to the milliseconds from the click to the result. */
export async function convertModel(tab) {
  return tab.evaluate(
    (button, result, error) =>
      new Promise((resolve, reject) => {
        const began = performance.now()
        const watch = new MutationObserver(() => {
          const wrong = document.querySelector(error)
          if (wrong) reject(new Error(wrong.textContent))
          if (!document.querySelector(result)) return
          watch.disconnect()
          resolve(performance.now() - began)
        })
        document.querySelector(button).click()
        requestAnimationFrame(() => watch.observe(document.body, { subtree: true, childList: true }))
      }),
    id('convert'),
    id('download'),
    id('error'),
  )
}

/** Puts a config into the page, and waits for its plan. */
export async function chooseConfig(tab, config) {
  await tab.$eval(
    id('config-input'),
    (e, t) => {
      e.value = t
      e.dispatchEvent(new Event('input', { bubbles: true }))
    },
    JSON.stringify(config),
  )
  await new Promise(resolve => setTimeout(resolve, 400))
  await tab.waitForSelector(`${id('convert')}:not(:disabled)`)
}

export const median = list => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)]
