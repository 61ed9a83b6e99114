// The recipe on the page: configs, mixed precision, layer types, reports and the lines
// of Python, each against what the command does.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  choosePerChannel,
  convert,
  download,
  drop,
  fill,
  fixture,
  id,
  nibble,
  nibbleError,
  openPage,
  pick,
  planned,
  root,
  row,
  start,
  textOf,
  waitForRow,
  waitForText,
} from './browser.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

const sample = join(root, 'dist/sample-tiny-transformer.safetensors')

/** Converts on the page and natively with a config, and holds the two against each other. */
async function sameAsCommand(page, file, config, ...more) {
  await convert(page)
  const out = join(site.folder, 'native')
  await nibble('convert', file, '--config', config, '-o', out, ...more)
  assert.ok((await download(site, page)).equals(readFileSync(out)), 'the bytes differ')
}

test('mixed precision: pick rows, change them, see it, undo, export, and get the same elsewhere', async () => {
  const { page, problems } = await openPage(site)
  await choose(page, sample)
  const size = () => page.$eval('.strip .figure', e => e.innerText)
  const unedited = await size()

  // A stretch by shift-click: four matrices, the norms between them are left out.
  await pick(page, 'model.layers.0.mlp.up_proj.weight')
  await page.keyboard.down('Shift')
  await pick(page, 'model.layers.1.self_attn.k_proj.weight')
  await page.keyboard.up('Shift')
  assert.match(await textOf(page, 'edit-bar'), /4 selected/)
  await page.click(id('edit-apply'))
  await waitForRow(page, 'model.layers.1.self_attn.q_proj.weight', 'int8 per channel by hand')
  await waitForRow(page, 'model.layers.0.mlp.down_proj.weight', 'dB')
  const [, was, now] = /([\d.]+) → ([\d.]+) dB/.exec(await row(page, 'model.layers.0.mlp.down_proj.weight'))
  assert.ok(Number(now) > Number(was) + 15, `${was} → ${now}`)
  await waitForText(page, 'edit-change', 'from your edits')
  assert.match(await textOf(page, 'edit-change'), /^\+[\d.]+ kB from your edits$/)
  await page.click(id('edit-done'))
  assert.equal(await page.$(id('edit-bar')), null)

  // All that a regular expression finds: keep some, give others blocks of 64.
  await fill(page, 'filter', 'layers\\.[23]\\..*(q|k)_proj')
  await waitForText(page, 'filter-count', '4 matches')
  await page.click(id('select-all'))
  await page.click(id('edit-keep'))
  await waitForRow(page, 'model.layers.3.self_attn.k_proj.weight', 'kept the recipe keeps it by hand')
  await page.click(id('select-all'))
  await fill(page, 'filter', 'lm_head')
  await pick(page, 'lm_head.weight')
  await page.select(id('edit-dtype'), 'uint4')
  await page.select(id('edit-granularity'), 'per_block')
  await fill(page, 'edit-block-size', '64')
  await page.click(id('edit-apply'))
  await waitForRow(page, 'lm_head.weight', 'uint4 block 64 by hand')

  // Undo takes back one edit at a time, by button or key.
  await page.click(id('edit-keep'))
  await waitForRow(page, 'lm_head.weight', 'kept')
  await page.click(id('undo'))
  await waitForRow(page, 'lm_head.weight', 'uint4 block 64')
  await fill(page, 'filter', '')
  await page.$eval(id('tensor-table'), e => {
    e.tabIndex = -1
    e.focus()
  })
  await page.keyboard.down('Control')
  await page.keyboard.press('z')
  await page.keyboard.up('Control')
  await waitForRow(page, 'lm_head.weight', 'int4 block 32')
  await pick(page, 'lm_head.weight')
  await page.waitForFunction(q => document.querySelector(q) === null, {}, id('edit-bar'))
  await pick(page, 'lm_head.weight')
  await page.click(id('edit-apply'))
  await waitForRow(page, 'lm_head.weight', 'uint4 block 64 by hand')
  await page.click(id('edit-done'))
  await planned(page)

  await page.$eval('details.config', e => {
    e.open = true
  })
  const config = join(site.folder, 'exported.json'),
    yaml = join(site.folder, 'exported.yaml')
  writeFileSync(config, await download(site, page, 'export-json', 'nibble-config.json'))
  writeFileSync(yaml, await download(site, page, 'export-yaml', 'nibble-config.yaml'))
  const names = JSON.parse(readFileSync(config, 'utf8')).module_name_configs
  assert.deepEqual(names['model\\.layers\\.0\\.mlp\\.up_proj'], { weight_dtype: 'int8', granularity: 'per_channel' })
  assert.equal(names['model\\.layers\\.2\\.self_attn\\.q_proj'], null)
  assert.deepEqual(names.lm_head, { weight_dtype: 'uint4', granularity: 'per_block', block_size: 64 })
  assert.equal(Object.keys(names).length, 9)
  await sameAsCommand(page, sample, config)
  assert.ok((await nibble('convert', sample, '--config', yaml, '-o', join(site.folder, 'by-yaml'))).length > 0)
  assert.ok(
    readFileSync(join(site.folder, 'by-yaml')).equals(readFileSync(join(site.folder, 'native'))),
    'YAML gives other bytes',
  )
  assert.match(await row(page, 'model.layers.0.mlp.down_proj.weight'), /→ [\d.]+ dB/, 'the error before is forgotten')

  // Undoing everything gives the first plan again.
  while (!(await page.$eval(id('undo'), b => b.disabled))) {
    await page.click(id('undo'))
    await planned(page)
  }
  assert.equal(await size(), unedited)
  assert.deepEqual(problems, [])
  await page.close()
})

test('a config that is dropped or pasted says which rule won for every row', async () => {
  const { page } = await openPage(site)
  await choose(page, fixture('ptq-in.pt'))
  const text =
    'module_type_configs:\n  Linear: {weight_dtype: uint8, quantization_scheme: affine}\n  ConvTranspose1d: null\n' +
    'module_name_configs:\n  (?!\\d).*: {weight_dtype: int4, quantization_scheme: affine}\n'
  await drop(page, 'recipe.yaml', Buffer.from(text))
  await waitForRow(page, '0.weight', 'uint8 per channel, affine module_type_configs "Linear"')
  assert.match(await row(page, '1.weight'), /^keep: .*the recipe keeps it module_type_configs "ConvTranspose1d"/)
  assert.match(await row(page, '2.weight'), /^keep: .*no rule of the recipe names it/)
  assert.match(
    await row(page, 'attn.in_proj_weight'),
    /^quantize: .*int4 per channel, affine module_name_configs "\(\?!\\d\)\.\*"/,
  )
  assert.match(await row(page, '0.bias'), /^keep: .*bias no rule reaches it/)
  const silent = await page.$$eval(
    `${id('tensor-table')} tbody tr`,
    rows => rows.filter(r => !r.querySelector('.by')?.textContent).length,
  )
  assert.equal(silent, 0)
  const config = join(site.folder, 'recipe.yaml')
  writeFileSync(config, text)
  // An edit on top takes the config's range.
  await pick(page, '2.weight')
  await page.click(id('edit-apply'))
  await waitForRow(page, '2.weight', 'int8 per channel, affine by hand')
  await page.click(id('undo'))
  await waitForRow(page, '2.weight', 'no rule of the recipe names it')
  await sameAsCommand(page, fixture('ptq-in.pt'), config)

  await fill(page, 'config-input', 'global_config: {weight_dtype: int4, granularity: per_blok}')
  await waitForText(page, 'error', 'line 1: global_config: granularity is "per_blok"; did you mean "per_block"?')
  await page.close()
})

test('layer types are set on the page, and embeddings included', async () => {
  const { page } = await openPage(site)
  await choose(page, fixture('ptq-conv-f32.pt'))
  await page.select(id('granularity'), 'per_channel')
  await waitForRow(page, 'grouped_up.weight', 'Conv2d')
  await planned(page)
  await pick(page, 'grouped_up.weight')
  assert.deepEqual(await page.$eval(id('edit-type'), e => [...e.options].map(o => o.value)), [
    '',
    'Conv2d',
    'ConvTranspose2d',
    'Module',
  ])
  await page.select(id('edit-type'), 'ConvTranspose2d')
  await waitForRow(page, 'grouped_up.weight', 'ConvTranspose2d int4')
  assert.equal(await page.$eval('tr[data-name="grouped_up.weight"] .layer', e => e.title), 'set by you')
  await page.$eval(id('embeddings'), e => e.click())
  await waitForRow(page, 'embedding.weight', 'int4 per channel')
  await planned(page)
  await page.$eval('details.config', e => {
    e.open = true
  })
  await page.click(id('export-json'))
  await waitForText(page, 'export-notes', 'the type of grouped_up was set to ConvTranspose2d')
  assert.match(await textOf(page, 'export-notes'), /coremltools keeps embeddings, of which 1 are quantized here/)
  const config = join(site.folder, 'channel.json')
  writeFileSync(config, '{"global_config": {"weight_dtype": "int4", "granularity": "per_channel"}}')
  await sameAsCommand(
    page,
    fixture('ptq-conv-f32.pt'),
    config,
    '--module-type',
    'grouped_up=ConvTranspose2d',
    '--include-embeddings',
  )
  await page.close()
})

test('of tied weights both are kept, and how both are quantized is said; two verdicts are refused', async () => {
  const { page } = await openPage(site)
  const file = fixture('ptq-tied-f32.pt')
  await choosePerChannel(page, file)
  assert.match(
    await textOf(page, 'hints'),
    /"head\.weight" is one weight with "embed\.weight" \(tied\), and both are kept/,
  )
  assert.match(await row(page, 'head.weight'), /^keep: .*one weight with "embed\.weight" \(tied\)/)
  await page.click(id('hint-embeddings'))
  await waitForRow(page, 'head.weight', 'int4 per channel')
  await planned(page)
  await convert(page)
  const text = '{"global_config": {"weight_dtype": "int4"}, "module_name_configs": {"head": {"weight_dtype": "int8"}}}'
  await fill(page, 'config-input', text)
  await waitForText(page, 'error', 'it is one weight with "embed.weight" (tied)')
  const config = join(site.folder, 'two.json')
  writeFileSync(config, text)
  const said = await nibbleError(
    'convert',
    file,
    '--config',
    config,
    '--include-embeddings',
    '-o',
    join(site.folder, 'none'),
  )
  assert.equal(await textOf(page, 'error'), said.replace(file, 'ptq-tied-f32.pt'))
  assert.equal(await page.$eval(id('convert'), b => b.disabled), true)
  await pick(page, 'head.weight')
  await page.click(id('edit-keep'))
  await waitForText(page, 'error', 'head.weight is kept (the recipe keeps it)')
  await fill(page, 'config-input', '')
  await page.click(id('clear-edits'))
  await planned(page)
  assert.equal(await page.$(id('error')), null)
  await page.close()
})

test('what cannot be quantized is kept when asked', async () => {
  const { page } = await openPage(site)
  const file = join(site.folder, 'nan.safetensors')
  const header = Buffer.from(
    JSON.stringify({
      'good.weight': { dtype: 'F32', shape: [2, 64], data_offsets: [0, 512] },
      'bad.weight': { dtype: 'F32', shape: [2, 64], data_offsets: [512, 1024] },
    }),
  )
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(header.length))
  const values = new Float32Array(256).fill(0.5)
  values[200] = NaN
  writeFileSync(file, Buffer.concat([size, header, Buffer.from(values.buffer)]))
  await choose(page, file)
  await page.click(id('convert'))
  await waitForText(page, 'error', 'not a number (NaN)')
  await page.click(id('remedy'))
  await planned(page)
  await convert(page)
  assert.match(
    await row(page, 'bad.weight'),
    /^keep: .*cannot be quantized: its weights hold a value that is not a number/,
  )
  const out = join(site.folder, 'kept')
  assert.match(
    await nibble('convert', file, '-o', out, '--keep-unfit'),
    /note: bad\.weight is kept: cannot be quantized: .*NaN/,
  )
  assert.ok((await download(site, page)).equals(readFileSync(out)))
  await page.close()
})
