// Somebody else's site, for the tests of the library: the demo, an empty page, and the library in another folder.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from '../serve.mjs'
import { nibble, root, start } from './browser.mjs'

/** Starts a browser and the site; large is a model that several workers convert. */
export async function startElsewhere() {
  const site = await start()
  // The page lies deeper than the library, as on a site that has both somewhere.
  const www = join(site.folder, 'www')
  cpSync(join(root, 'site/demo'), join(www, 'pages/demo'), { recursive: true })
  cpSync(join(root, 'dist'), join(www, 'pages/demo/nibble'), { recursive: true })
  cpSync(join(root, 'dist'), join(www, 'lib/deep/er'), { recursive: true })
  mkdirSync(join(www, 'empty'))
  const page = '<!doctype html><link rel="icon" href="data:,"><input type="file" multiple>'
  writeFileSync(join(www, 'empty/index.html'), page)
  const server = await serve(www, 0)
  const address = `http://localhost:${server.address().port}`
  const large = join(site.folder, 'large.pt')
  execFileSync('go', ['run', './quant/testkit/model', '-bytes', '130e6', '-width', '2048', '-o', large], { cwd: root })

  /** A page with what it logged and asked for. */
  async function open(path) {
    const page = await site.browser.newPage()
    const problems = [],
      requests = []
    // Firefox asks for an icon, whatever the page's policy.
    const problem = text => text.includes('/favicon.ico') || problems.push(text)
    page.on('pageerror', err => problem(err.message))
    page.on('console', m => m.type() === 'error' && problem(m.text()))
    page.on('request', r => requests.push(r.url()))
    await page.goto(address + path)
    return { page, problems, requests }
  }

  return {
    ...site,
    address,
    large,
    open,
    /** An empty page in which files of the machine are chosen. */
    async withFiles(...paths) {
      const opened = await open('/empty/')
      await (await opened.page.$('input')).uploadFile(...paths)
      return opened
    },
    /** What the command makes of a file. */
    async native(path) {
      const out = join(site.folder, 'native')
      await nibble('convert', path, '-o', out, '--dtype', 'int4')
      return readFileSync(out)
    },
    async stop() {
      server.close()
      await site.stop()
    },
  }
}
