// Peak resident memory against the size of the checkpoint, for the native command and for
// the process that runs the page, with the page's own way of saving. Run by
// ./build.sh bench memory [SIZE...]; sizes are in gigabytes.
//
// Peaks are VmHWM of /proc, so this runs on Linux only. A browser is started anew for each
// conversion; its process with the page is the renderer (Chromium) or content process
// (Firefox) whose peak is highest.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import puppeteer from 'puppeteer-core'
import { serve } from '../serve.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [0.25, 1, 4, 12]
const layouts = [
  { name: 'shards f32', dtype: 'f32', file: 'model' },
  { name: 'shards bf16', dtype: 'bf16', file: 'model' },
  { name: '.pt f32', dtype: 'f32', file: 'model.pt' },
]
const browsers = [['chromium', process.env.NIBBLE_CHROMIUM], ['firefox', process.env.NIBBLE_FIREFOX]].filter(b => b[1])
const MB = n => Math.round(n / 1e6)

/** The highest resident size that a process has had, in bytes. */
function peak(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0 // it is gone
  }
}

/** All processes below one. */
function below(pid) {
  const children = new Map()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const parent = Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'utf8'))[1])
      children.set(parent, [...children.get(parent) ?? [], Number(name)])
    } catch {
      // It is gone.
    }
  }
  const found = []
  for (const queue = [pid]; queue.length;) for (const c of children.get(queue.pop()) ?? []) { found.push(c); queue.push(c) }
  return found
}

const commandLine = pid => { try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') } catch { return '' } }

/** The command's peak. */
async function native(source, folder) {
  const out = join(folder, 'out')
  const began = performance.now()
  const child = spawn(join(root, 'build/nibble'), ['convert', source, '-o', out], { stdio: ['ignore', 'ignore', 'inherit'] })
  let most = 0
  const timer = setInterval(() => { most = Math.max(most, peak(child.pid)) }, 20)
  const code = await new Promise(resolve => child.on('exit', resolve))
  clearInterval(timer)
  if (code !== 0) throw new Error(`nibble convert ${source} ended with ${code}`)
  const seconds = (performance.now() - began) / 1000
  rmSync(out, { recursive: true })
  return { peak: most, seconds }
}

/** The peak of the page's process, and of the browser's own. */
async function page(kind, executablePath, source, site) {
  const profile = mkdtempSync(join(tmpdir(), 'nibble-profile-'))
  const browser = await puppeteer.launch({
    ...kind === 'firefox' ? { browser: 'firefox' } : { args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-sync', '--no-first-run'] },
    executablePath, headless: true, userDataDir: profile, protocolTimeout: 3_600_000,
  })
  const renderer = kind === 'firefox' ? /-contentproc.* tab/ : /--type=renderer/
  let most = 0, own = 0
  const timer = setInterval(() => {
    own = Math.max(own, peak(browser.process().pid))
    for (const pid of below(browser.process().pid)) if (renderer.test(commandLine(pid))) most = Math.max(most, peak(pid))
  }, 100)
  try {
    const tab = await browser.newPage()
    await tab.goto(site)
    const files = statSync(source).isDirectory() ? readdirSync(source).map(n => join(source, n)) : [source]
    await (await tab.waitForSelector('[data-testid="file-input"]')).uploadFile(...files)
    await tab.waitForSelector('[data-testid="convert"]:not(:disabled)', { timeout: 120_000 })
    const began = performance.now()
    await tab.click('[data-testid="convert"]')
    await tab.waitForSelector('[data-testid="download"], [data-testid="error"]', { timeout: 3_600_000 })
    const seconds = (performance.now() - began) / 1000
    const wrong = await tab.$eval('[data-testid="error"]', e => e.textContent).catch(() => '')
    if (wrong) throw new Error(wrong)
    return { peak: most, browser: own, seconds }
  } finally {
    clearInterval(timer)
    await browser.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

const folder = mkdtempSync(join(process.env.NIBBLE_BENCH ?? tmpdir(), 'nibble-bench-'))
const server = await serve(join(root, 'dist'), 0)
const site = `http://localhost:${server.address().port}/`
const rows = []
try {
  console.log(`${'checkpoint'.padEnd(14)}${'GB'.padStart(6)}${'native MB'.padStart(11)}${browsers.map(([k]) => `${k} MB`.padStart(14)).join('')}   seconds`)
  for (const layout of layouts) {
    for (const size of sizes) {
      const source = join(folder, layout.file)
      execFileSync('go', ['run', './quant/testkit/model', '-bytes', String(size * 1e9), '-dtype', layout.dtype, '-o', source], { cwd: root, stdio: 'inherit' })
      const row = { layout: layout.name, gigabytes: size, native: await native(source, folder) }
      for (const [kind, path] of browsers) row[kind] = await page(kind, path, source, site)
      rmSync(source, { recursive: true })
      rows.push(row)
      const cells = ['native', ...browsers.map(([k]) => k)].map(k => row[k])
      console.log(`${row.layout.padEnd(14)}${String(size).padStart(6)}${String(MB(row.native.peak)).padStart(11)}${browsers.map(([k]) => String(MB(row[k].peak)).padStart(14)).join('')}   ${cells.map(c => c.seconds.toFixed(1)).join(' ')}`)
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
  server.close()
}
if (!existsSync(join(root, 'build/bench'))) mkdirSync(join(root, 'build/bench'), { recursive: true })
writeFileSync(join(root, 'build/bench/memory.json'), JSON.stringify(rows, null, 1))
