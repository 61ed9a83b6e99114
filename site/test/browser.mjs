// What the page's tests share: the browser that build.sh found, the site on localhost,
// the native command, and files to drop.

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import puppeteer from 'puppeteer-core'
import { serve } from '../serve.mjs'

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const fixture = name => join(root, 'quant/testkit/fixtures', name)
export const kind = process.env.NIBBLE_BROWSER_KIND
const browserPath = process.env.NIBBLE_BROWSER
if (!kind || !browserPath) throw new Error('run these tests with ./build.sh test page')

/** Runs the native command; resolves to its standard output. */
export async function nibble(...args) {
  if (args[0] === 'convert') args = [...args, '--force'] // outputs are written over each other
  return (await promisify(execFile)(join(root, 'build/nibble'), args, { maxBuffer: 1 << 28 })).stdout
}

/** The error line of a native command that must fail, without its "nibble: ". */
export async function nibbleError(...args) {
  try {
    await nibble(...args)
  } catch (err) {
    // The command adds its option, and the error's code, which the page does not show.
    return err.stderr
      .trim()
      .replace(/^nibble: /, '')
      .replace(/( \([^()]*\))? \[\w+\]$/, '')
  }
  throw new Error(`nibble ${args.join(' ')} did not fail`)
}

/** One browser, one site, one scratch folder. The browser can be another one, and Chromium given more arguments. */
export async function start({ executablePath = browserPath, more = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'nibble-test-'))
  const downloads = mkdtempSync(join(folder, 'downloads-'))
  // From a sub-path, as on many static hosts.
  const server = await serve(root, 0)
  const address = `http://localhost:${server.address().port}/dist/`
  const browser = await puppeteer.launch(
    kind === 'firefox'
      ? {
          browser: 'firefox',
          executablePath,
          headless: true,
          extraPrefsFirefox: {
            'browser.download.dir': downloads,
            'browser.download.folderList': 2,
            'browser.download.useDownloadDir': true,
          },
        }
      : {
          executablePath,
          headless: true,
          args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-dev-shm-usage',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            '--no-first-run',
            ...more,
          ],
        },
  )
  if (kind !== 'firefox') {
    const session = await browser.target().createCDPSession()
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads })
  }
  return {
    address,
    browser,
    folder,
    downloads,
    async stop() {
      await browser.close()
      server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A fresh page, with what it logged and asked for. */
export async function openPage(site) {
  const page = await site.browser.newPage()
  await page.setViewport({ width: 1280, height: 900 })
  const requests = [],
    problems = []
  page.on('request', r => requests.push(r.url()))
  page.on('pageerror', err => problems.push(err.message))
  await page.goto(site.address)
  await page.waitForSelector(id('file-input'))
  return { page, requests, problems }
}

export const id = name => `[data-testid="${name}"]`

/** Types over what a field holds. */
export async function fill(page, name, text) {
  await page.$eval(
    id(name),
    (e, t) => {
      e.value = t
      e.dispatchEvent(new Event('input', { bubbles: true }))
    },
    text,
  )
}

/** The text of a tensor's row, after its verdict. */
export const row = (page, name) =>
  page.$eval(`tr[data-name="${name}"]`, e => `${e.dataset.verdict}: ${e.innerText.replace(/\s+/g, ' ')}`)

/** Picks a tensor's row, or lets it go. */
export const pick = (page, name) => page.click(`tr[data-name="${name}"] .name`)

/** Waits until the plan that is shown is what the controls say. */
export const planned = page =>
  page.waitForFunction(
    q => !document.querySelector('.scroll.stale') && !document.querySelector(q).disabled,
    {},
    id('convert'),
  )

/** Waits until a tensor's row says something. */
export async function waitForRow(page, name, part) {
  await page.waitForFunction(
    (q, p) => document.querySelector(q)?.innerText.replace(/\s+/g, ' ').includes(p),
    {},
    `tr[data-name="${name}"]`,
    part,
  )
}

/** Drops a file on the page. */
export async function drop(page, name, bytes) {
  await page.evaluate(
    (n, b) => {
      const data = new DataTransfer()
      data.items.add(new File([new Uint8Array(b)], n))
      for (const type of ['dragenter', 'dragover', 'drop']) {
        document
          .querySelector('header')
          .dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }))
      }
    },
    name,
    [...bytes],
  )
}

/** Chooses a file and waits for its plan, which may say that nothing would be quantized. */
export async function choose(page, path) {
  const input = await page.waitForSelector(id('file-input'))
  await input.uploadFile(path)
  await page.waitForSelector(`${id('convert')}:not(:disabled), ${id('nothing')}`)
}

/** Chooses a small file, whose rows are too short for blocks of 32, and one scale per channel. */
export async function choosePerChannel(page, path) {
  await choose(page, path)
  await page.select(id('granularity'), 'per_channel')
  await page.waitForFunction(
    q => !document.querySelector('.stale') && document.querySelector(q)?.disabled === false,
    {},
    id('convert'),
  )
}

/** The same recipe for the command. */
export function perChannel(folder) {
  const config = join(folder, 'per-channel.json')
  writeFileSync(config, JSON.stringify({ global_config: { weight_dtype: 'int4', granularity: 'per_channel' } }))
  return ['--config', config]
}

/** Converts and waits for the result; that of a conversion before stays on the page until this one begins. */
export async function convert(page) {
  const before = await page.evaluate(q => document.querySelector(q)?.href, id('download'))
  await page.click(id('convert'))
  await page.waitForFunction(
    (q, old) => {
      const link = document.querySelector(q)
      return link && link.href !== old
    },
    {},
    id('download'),
    before,
  )
}

/**
 * Clicks a download link, or a button that gives a file of a known name; resolves to the bytes that arrived on the
 * disk.
 */
export const download = (site, page, link = 'download', name = undefined) => downloadBy(site, page, id(link), name)

/** The same for the element that a selector names. */
export async function downloadBy(site, page, selector, name = undefined) {
  name ??= await page.$eval(selector, a => a.download)
  for (const old of readdirSync(site.downloads)) rmSync(join(site.downloads, old))
  await page.click(selector)
  for (let size = -1, tries = 0; tries < 300; tries++) {
    await sleep(50)
    const names = readdirSync(site.downloads)
    if (names.length !== 1 || names[0] !== name) continue
    const bytes = readFileSync(join(site.downloads, name))
    if (bytes.length > 0 && bytes.length === size) return bytes
    size = bytes.length
  }
  throw new Error(`the download of ${name} did not arrive: ${readdirSync(site.downloads)}`)
}

export const textOf = (page, name) => page.$eval(id(name), e => e.textContent)

/** Waits until the text of an element satisfies a test. */
export async function waitForText(page, name, part) {
  await page.waitForFunction((q, p) => document.querySelector(q)?.textContent.includes(p), {}, id(name), part)
}
