// Large models, which several workers convert: the command's very bytes and report, however
// many there are, and nothing left running.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  convert,
  download,
  fill,
  id,
  kind,
  nibble,
  openPage,
  root,
  start,
  textOf,
  waitForText,
} from './browser.mjs'

let site, model
before(async () => {
  site = await start()
  // An embedding that is kept, and one weight of 67 MB, more than a worker is given at a time.
  model = join(site.folder, 'large.pt')
  execFileSync('go', ['run', './quant/testkit/model', '-bytes', '130e6', '-width', '2048', '-o', model], { cwd: root })
})
after(() => site?.stop())

const configs = {
  blocks: { weight_dtype: 'int4', granularity: 'per_block', block_size: 32 },
  'one scale for all, affine': { weight_dtype: 'uint8', granularity: 'per_tensor', quantization_scheme: 'affine' },
}

for (const [what, config] of Object.entries(configs)) {
  test(`several workers make what the command makes: ${what}`, { timeout: 110_000 }, async () => {
    const out = join(site.folder, 'out'),
      report = join(site.folder, 'report.json'),
      recipe = join(site.folder, 'recipe.json')
    execFileSync('sh', ['-c', 'cat > "$1"', 'sh', recipe], { input: JSON.stringify({ global_config: config }) })
    await nibble('convert', model, '--config', recipe, '-o', out, '--report', report)
    const wanted = readFileSync(out),
      { totals } = JSON.parse(readFileSync(report, 'utf8'))
    const { page, problems } = await openPage(site)
    await choose(page, model)
    await fill(page, 'config-input', JSON.stringify({ global_config: config }))
    for (const workers of ['1', '2']) {
      await page.waitForFunction(() => !document.querySelector('.strip.stale'))
      await page.select(id('workers'), workers)
      await convert(page)
      const made = await download(site, page)
      assert.ok(
        wanted.equals(made),
        `${workers} workers make another file: ${made.length} bytes, ${wanted.length} wanted`,
      )
      const report = JSON.parse(await download(site, page, 'report-download'))
      assert.deepEqual(report.totals, totals)
    }
    if (kind !== 'firefox') {
      // its driver does not see workers of workers
      assert.equal(page.workers().length, 3) // one that leads, two in its pool
      const other = site.address.replace('localhost', '127.0.0.1')
      for (const w of page.workers()) {
        assert.equal(
          await w.evaluate(
            url =>
              fetch(url, { mode: 'no-cors' }).then(
                () => 'reached',
                () => 'refused',
              ),
            other,
          ),
          'refused',
        )
      }
    }
    assert.deepEqual(problems, [])
    await page.close()
  })
}

test('cancel ends all workers, and the next conversion has new ones', { timeout: 110_000 }, async () => {
  const { page, problems } = await openPage(site)
  await choose(page, model)
  await page.click(id('convert'))
  await page.waitForSelector(id('cancel'))
  await page.click(id('cancel'))
  await waitForText(page, 'error', 'ancelled')
  await convert(page)
  assert.match(await textOf(page, 'status'), /done$/)
  if (kind !== 'firefox') assert.equal(page.workers().length, 3)
  assert.deepEqual(problems, [])
  await page.close()
})
