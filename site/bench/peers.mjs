// ./build.sh bench peers: the same checkpoint through coremltools as its users run it
// (quant/testkit/oracle/peer.py: torch.load, PostTrainingQuantizer, torch.save; imports are
// not counted), through the command and through the page, in turn; medians, and peak memory.
// Then float16 arithmetic: coremltools' own function, which is numpy's, against the kernel,
// one thread each. Writes build/bench/peers.json.
//
//   node site/bench/peers.mjs PYTHON [GIGABYTES]      2 when none are given

import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '../serve.mjs'
import { browsers, convertModel, dropModel, makeModel, median, peak, root, withBrowser } from './browser.mjs'
import { table } from './table.mjs'

const [python, gigabytes = '2'] = process.argv.slice(2)
const rounds = Number(process.env.NIBBLE_ROUNDS ?? 3)
const folder = mkdtempSync(join(process.env.NIBBLE_BENCH ?? tmpdir(), 'nibble-bench-'))
const source = join(folder, 'model.pt'),
  out = join(folder, 'out'),
  config = join(folder, 'config.json')
const peer = join(root, 'quant/testkit/oracle/peer.py')
writeFileSync(
  config,
  JSON.stringify({ global_config: { weight_dtype: 'int4', granularity: 'per_block', block_size: 32 } }),
)

/** Runs a program to its end; its seconds and its peak, and what it printed last. */
async function run(command, args) {
  const began = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let most = 0,
    said = ''
  const timer = setInterval(() => {
    most = Math.max(most, peak(child.pid))
  }, 5)
  child.stdout.on('data', b => {
    said += b
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  clearInterval(timer)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`)
  return { seconds: (performance.now() - began) / 1000, peak: most, said: said.trim().split('\n').at(-1) }
}

const ways = {
  coremltools: async () => JSON.parse((await run(python, [peer, source, out, config])).said),
  'nibble, packed': () =>
    run(join(root, 'build/nibble'), [
      'convert',
      source,
      '--config',
      config,
      '--report',
      join(folder, 'report.json'),
      '-o',
      out,
      '--force',
    ]),
  'nibble, coremltools container': () =>
    run(join(root, 'build/nibble'), [
      'convert',
      source,
      '--config',
      config,
      '--to',
      'coremltools',
      '--report',
      join(folder, 'report.json'),
      '-o',
      out,
      '--force',
    ]),
}
const server = await serve(join(root, 'dist'), 0)
const site = `http://localhost:${server.address().port}/`
for (const [kind, path] of browsers) {
  ways[`page in ${kind}, packed`] = () =>
    withBrowser(kind, path, async (tab, look) => {
      await dropModel(tab, site, source)
      const seconds = (await convertModel(tab)) / 1000
      return { seconds, peak: look().page }
    })
}

const results = Object.fromEntries(Object.keys(ways).map(name => [name, []]))
let half
try {
  makeModel(source, Number(gigabytes), 'f32')
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) {
      results[name].push(await way())
      rmSync(out, { force: true })
    }
  }
  const gigabytesOf = (statSync(source).size / 1e9).toFixed(2)
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores; ${gigabytesOf} GB of float32, int4, blocks of 32, with the report;`,
  )
  console.log(`medians of ${rounds}`)
  const print = table(-32, 9, 15, 9, 15)
  print('', 'seconds', 'times as fast', 'peak MB', 'of its memory')
  const of = (name, key) => median(results[name].map(r => r[key]))
  for (const name of Object.keys(ways)) {
    const [seconds, peak] = [of(name, 'seconds'), of(name, 'peak')]
    const times = of('coremltools', 'seconds') / seconds
    const share = (100 * peak) / of('coremltools', 'peak')
    print(name, seconds.toFixed(2), times.toFixed(1), Math.round(peak / 1e6), `${share.toFixed(1)} %`)
  }
  half = []
  for (let round = 0; round < rounds; round++) {
    const theirs = JSON.parse((await run(python, [peer, '--half'])).said).bytes_per_second
    const ours = Number(
      execFileSync(join(root, 'build/kernels'), ['symmetric-b32-f16'], { encoding: 'utf8' })
        .split('\n')[0]
        .split(' ')[2],
    )
    half.push({ theirs, ours, ratio: ours / theirs })
  }
  const MB = key => (median(half.map(h => h[key])) / 1e6).toFixed(1)
  const times = median(half.map(h => h.ratio)).toFixed(0)
  console.log(`float16 arithmetic, one thread: numpy ${MB('theirs')} MB/s, the kernel ${MB('ours')} MB/s with packing`)
  console.log(`and errors: ${times} times as fast`)
} finally {
  rmSync(folder, { recursive: true, force: true })
  server.close()
}
mkdirSync(join(root, 'build/bench'), { recursive: true })
writeFileSync(
  join(root, 'build/bench/peers.json'),
  JSON.stringify(
    { machine: cpus()[0].model, cores: cpus().length, gigabytes: Number(gigabytes), results, half },
    null,
    1,
  ),
)
