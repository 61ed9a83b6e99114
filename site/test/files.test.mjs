// What goes in and what comes out: broken files, models in several files, and browsers that
// have no private files or no room in them.

import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choosePerChannel,
  convert,
  download,
  fixture,
  id,
  kind,
  nibble,
  openPage,
  perChannel,
  root,
  start,
  textOf,
  waitForText,
} from './browser.mjs'
import { chooseFolder, digest, hugeFile, keepAll, nativeFolder, shardedFolder, siteWith, unzip } from './inputs.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

test('every broken file is refused in the command’s words', { timeout: 300000 }, async () => {
  const folder = join(root, 'build/broken')
  const cases = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'))
  assert.ok(cases.length >= 300)
  const { page, problems } = await openPage(site)
  const wrong = []
  const base = text => text.replace(/\b(home|m\.mlmodelc|m\.aimodel)\//g, '')
  for (const c of cases) {
    const tops = new Set(c.files.filter(f => f.includes('/')).map(f => f.split('/')[0]))
    if (tops.size > 1) continue // two folders come only by a drop, which no driver can do
    await page.evaluate(q => document.querySelector(q)?.setAttribute('data-old', ''), id('error'))
    if (tops.size === 1 && kind !== 'firefox') await chooseFolder(page, join(folder, c.folder, ...tops))
    else if (tops.size === 1 && /mlmodelc|aimodel/.test(c.files[0]))
      continue // known by their folder's name
    else await (await page.waitForSelector(id('file-input'))).uploadFile(...c.files.map(f => join(folder, c.folder, f)))
    const said = await page.waitForSelector(`${id('error')}:not([data-old])`, { timeout: 8000 }).then(
      e => e.evaluate(x => x.textContent),
      () => 'nothing',
    )
    if (base(said) !== base(c.message)) wrong.push(`${c.name}: ${said.slice(0, 300)}\nwant ${c.message.slice(0, 300)}`)
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual(problems, [])
  // The page is whole: a sound file converts.
  await choosePerChannel(page, fixture('small.safetensors'))
  await convert(page)
  await page.close()
})

test('a sharded model comes back as a zip of shards, with its index and small files', { timeout: 60000 }, async () => {
  const folder = shardedFolder(site, 'tiny-model')
  writeFileSync(join(folder, 'a:b.json'), '{}') // a name that not every system can unpack stays out of a zip
  const { page, problems } = await openPage(site)
  await chooseFolder(page, folder)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.match(await page.$eval('.meta', e => e.textContent), /safetensors · 2 files · 6 tensors/)
  await convert(page)
  const name = kind === 'firefox' ? 'model-int4.zip' : 'tiny-model-int4.zip'
  assert.equal(await page.$eval(id('download'), a => a.download), name)
  const zip = await download(site, page)
  const { 'a:b.json': copied, ...portable } = await nativeFolder(site, folder)
  assert.ok(copied)
  assert.deepEqual(Object.fromEntries(Object.entries(unzip(zip)).sort()), portable)
  await page.click(id('verify'))
  await waitForText(page, 'verification', '6')
  assert.match(
    await page.$eval(id('python'), e => e.textContent),
    /for shard in sorted\(pathlib.Path\("(tiny-)?model-int4"\)\.glob\("\*\.safetensors"\)\)/,
  )
  assert.deepEqual(problems, [])
  await page.close()
})

test('all the files of a sharded model at once, and a shard that is missing', { timeout: 60000 }, async () => {
  const folder = shardedFolder(site, 'at-once')
  const { page } = await openPage(site)
  const files = readdirSync(folder).map(n => join(folder, n))
  await (await page.waitForSelector(id('file-input'))).uploadFile(...files)
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.match(await page.$eval('.meta', e => e.textContent), /2 files · 6 tensors/)
  await (await page.waitForSelector(id('file-input'))).uploadFile(...files.filter(f => !f.includes('00002-of')))
  await waitForText(
    page,
    'error',
    '2 shards make this model and some are missing: model-00002-of-00002.safetensors; ' +
      'add them, or choose the whole folder',
  )
  await page.close()
})

test('without private files a result is kept in memory, up to a limit that is said', { timeout: 60000 }, async () => {
  const other = await siteWith(
    site,
    'navigator.storage.getDirectory = () => Promise.reject(new DOMException("no", "SecurityError"));\n',
  )
  const { page } = await openPage(other)
  await choosePerChannel(page, fixture('ptq-in.pt'))
  await convert(page)
  const bytes = await download(other, page)
  const out = join(site.folder, 'memory.safetensors')
  await nibble('convert', fixture('ptq-in.pt'), ...perChannel(site.folder), '-o', out)
  assert.equal(digest(bytes), digest(readFileSync(out)))
  await (await page.waitForSelector(id('file-input'))).uploadFile(hugeFile(site))
  await waitForText(page, 'status', 'plan ready')
  await keepAll(page)
  await page.waitForFunction(
    q =>
      !document.querySelector(q).disabled &&
      /1\.06 GB.*1\.06 GB/.test(document.querySelector('.strip').innerText.replace(/\s+/g, ' ')),
    {},
    id('convert'),
  )
  await page.click(id('convert'))
  await waitForText(page, 'error', 'a result must fit in memory: 1.00 GB at most, and this one has 1.06 GB')
  await page.close()
  other.close()
})

test('a disk that is full, at once and on the way, leaves no result', { timeout: 60000 }, async () => {
  for (const [worker, says] of [
    [
      'navigator.storage.estimate = async () => ({ quota: 5000, usage: 4000 });\n',
      'the result could not be saved: the result needs 4.14 kB and the browser gives this page 1.00 kB',
    ],
    [
      'FileSystemSyncAccessHandle.prototype.write = () => { throw new DOMException("full", "QuotaExceededError") };\n',
      'the result could not be saved: there is no more room on the disk',
    ],
    [
      'FileSystemSyncAccessHandle.prototype.write = () => 0;\n',
      'the result could not be saved: there is no more room on the disk',
    ],
  ]) {
    const other = await siteWith(site, worker)
    const { page } = await openPage(other)
    await choosePerChannel(page, fixture('ptq-in.pt'))
    await page.click(id('convert'))
    await page.waitForSelector(id('error'))
    assert.equal(await textOf(page, 'error'), says)
    assert.equal(await page.$(id('download')), null)
    assert.deepEqual(
      await page.evaluate(async () => {
        const names = []
        for await (const n of (await navigator.storage.getDirectory()).keys()) names.push(n)
        return names
      }),
      [],
    )
    await page.close()
    other.close()
  }
})
