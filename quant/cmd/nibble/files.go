package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nibble/quant"
	"nibble/quant/fault"
	"nibble/quant/model"
	"nibble/quant/tensor"
)

// files opens paths; a folder stands for the files in it.
func (c *call) files(paths []string) ([]*tensor.File, error) {
	if len(paths) == 0 {
		return nil, fmt.Errorf("%wno file is named", errUsage)
	}
	var out []*tensor.File
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		names := []string{p}
		if info.IsDir() {
			if names, err = c.inFolder(p); err != nil {
				return nil, err
			}
		}
		for _, n := range names {
			// Before it is opened, which a pipe would keep waiting.
			if info, err := os.Stat(n); err == nil && !info.Mode().IsRegular() {
				return nil, fmt.Errorf("%s is not a regular file; name one", n)
			}
			f, err := os.Open(n)
			if err != nil {
				return nil, err
			}
			c.opened = append(c.opened, input{File: f})
			info, err := f.Stat()
			if err != nil {
				return nil, err
			}
			c.opened[len(c.opened)-1].was = info
			out = append(out, &tensor.File{Name: filepath.ToSlash(n), Size: info.Size(), R: f})
		}
	}
	if len(out) == 0 {
		return nil, fault.Not(paths[0], "there is no file in it")
	}
	return out, nil
}

// inFolder lists the regular files of a folder, not of the folders in it, and notes which are links out of it.
func (c *call) inFolder(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		// Stat, for model folders are often full of links.
		path := filepath.Join(dir, e.Name())
		if e.Type()&os.ModeSymlink != 0 && leadsOut(dir, path) {
			c.outside[filepath.ToSlash(path)] = true
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			names = append(names, path)
		}
	}
	return names, nil
}

// leadsOut reports whether a link in a folder leads out of it; the blobs of a hub's cache, which lie beside the
// snapshots that link to them, belong to it.
func leadsOut(dir, link string) bool {
	to, err := filepath.EvalSymlinks(link)
	if err != nil {
		return true
	}
	home, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return true
	}
	if home, err = filepath.Abs(home); err != nil {
		return true
	}
	if to, err = filepath.Abs(to); err != nil {
		return true
	}
	if strings.HasPrefix(to, home+string(filepath.Separator)) {
		return false
	}
	for at := home; at != filepath.Dir(at); at = filepath.Dir(at) {
		if filepath.Base(filepath.Dir(at)) == "snapshots" {
			return filepath.Dir(to) != filepath.Join(filepath.Dir(filepath.Dir(at)), "blobs")
		}
	}
	return true
}

// input is a file that was opened, and what it was before it was read.
type input struct {
	*os.File
	was os.FileInfo
}

// unchanged refuses what was made of a model's files when somebody wrote to them meanwhile, or put others
// in their place: a part of it would be of the old ones and a part of the new. What else lies in the
// folder may change.
func (c *call) unchanged(m *model.Model) error {
	read := map[string]bool{}
	for _, f := range slices.Concat(m.Files, m.Beside) {
		read[f.Name] = true
	}
	for _, in := range c.opened {
		if !read[filepath.ToSlash(in.Name())] {
			continue
		}
		now, err := os.Stat(in.Name())
		if err != nil || !os.SameFile(now, in.was) || now.Size() != in.was.Size() || !now.ModTime().Equal(in.was.ModTime()) {
			return fmt.Errorf("%s changed while it was read, so what was made of it is discarded; try again when nothing "+
				"writes to it", in.Name())
		}
	}
	return nil
}

func (c *call) close() {
	for _, f := range c.opened {
		f.Close()
	}
}

// maxConfig bounds what is read of a config, in bytes; the recipe's own bound is lower.
const maxConfig = 2 << 20

// readConfig reads --config.
func (c *call) readConfig() error {
	if c.config == "" {
		return nil
	}
	if c.options.Global != (quant.Words{}) {
		return fmt.Errorf("%w--dtype, --granularity, --group-size and --scheme are for calls without --config", errUsage)
	}
	f, err := os.Open(c.config)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig))
	if err == nil && len(text) == 0 {
		text = []byte("\n") // a config that is empty is no default
	}
	c.options.Config, c.options.ConfigName = text, c.config
	return err
}

// resolved is the path that writing to a path writes to: links are followed, also one to what is not there yet.
func resolved(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	for range 16 {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// isInput reports whether a path leads to a file that was opened.
func (c *call) isInput(path string) bool {
	to, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, in := range c.opened {
		if from, err := in.Stat(); err == nil && os.SameFile(to, from) {
			return true
		}
	}
	return false
}

// refuseOverlap refuses a call in which two of what it writes, or the config, are one file, by whatever path.
func (c *call) refuseOverlap() error {
	roles := []struct{ what, path string }{{"the config", c.config}, {"the output", c.out}, {"the export", c.export}}
	for _, path := range c.reports {
		roles = append(roles, struct{ what, path string }{"a report", path})
	}
	for i, a := range roles {
		if a.path == "" {
			continue
		}
		for _, b := range roles[:i] {
			if b.path != "" && sameFile(a.path, b.path) {
				return fmt.Errorf("%w%s and %s are one file, %s", errUsage, b.what, a.what, a.path)
			}
		}
		if c.out != "" && a.path != c.out && strings.HasPrefix(resolved(a.path), resolved(c.out)+string(filepath.Separator)) {
			return fmt.Errorf("%w%s lies in the output, %s", errUsage, a.what, c.out)
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	if resolved(a) == resolved(b) {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// writable refuses a path that is an input, a folder or a device.
func (c *call) writable(path string) error {
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
		return fmt.Errorf("there is no folder %s; make it first", filepath.Dir(path))
	}
	if c.isInput(path) {
		return fmt.Errorf("%s is the input; choose another name for the output", path)
	}
	if to, err := os.Stat(path); err == nil && !to.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file that can be replaced; choose another name", path)
	}
	return nil
}

// create makes an output under a temporary name beside it; commit gives it its real
// one, so that a half-written file never carries it. What is replaced leaves its permissions; a link is replaced
// itself, not what it leads to. What was not there at the beginning must not be there at the end.
func (c *call) create(path string) (f *os.File, commit func() error, err error) {
	if err := c.writable(path); err != nil {
		return nil, nil, err
	}
	mode := os.FileMode(0o666) // less what the umask takes away
	there, err := os.Lstat(path)
	if err == nil && there.Mode().IsRegular() {
		mode = there.Mode().Perm()
	}
	name, err := temporary(path, func(name string) (err error) {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600|mode)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return f, func() error {
		if there != nil && there.Mode().IsRegular() {
			if err := f.Chmod(mode); err != nil {
				return err
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
		if there == nil {
			if _, err := os.Lstat(path); err == nil {
				return fmt.Errorf("%s was made meanwhile, and is left as it is; choose another name", path)
			}
		}
		return os.Rename(name, path)
	}, nil
}
