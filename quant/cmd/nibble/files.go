package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"nibble/quant/checkpoint"
	"nibble/quant/fault"
	"nibble/quant/recipe"
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
			if names, err = inFolder(p); err != nil {
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

// inFolder lists the regular files of a folder, not of the folders in it.
func inFolder(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		// Stat, for model folders are often full of links.
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			names = append(names, path)
		}
	}
	return names, nil
}

// input is a file that was opened, and what it was before it was read.
type input struct {
	*os.File
	was os.FileInfo
}

// unchanged refuses what was made of a model's files when somebody wrote to them meanwhile, or put others
// in their place: a part of it would be of the old ones and a part of the new. What else lies in the
// folder may change.
func (c *call) unchanged(m *checkpoint.Checkpoint) error {
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
			return fmt.Errorf("%s changed while it was read, so what was made of it is discarded; try again when nothing writes to it", in.Name())
		}
	}
	return nil
}

func (c *call) close() {
	for _, f := range c.opened {
		f.Close()
	}
}

// recipe reads --config, or takes the default.
func (c *call) recipe() (*recipe.Recipe, error) {
	if c.config == "" {
		return recipe.Parse("", []byte(recipe.Default))
	}
	text, err := os.ReadFile(c.config)
	if err != nil {
		return nil, err
	}
	return recipe.Parse(c.config, text)
}

// writable refuses a path that is an input, a folder or a device.
func (c *call) writable(path string) error {
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || !folder.IsDir() {
		return fmt.Errorf("there is no folder %s; make it first", filepath.Dir(path))
	}
	to, err := os.Stat(path)
	if err != nil {
		return nil // it is made
	}
	for _, in := range c.opened {
		if from, err := in.Stat(); err == nil && os.SameFile(to, from) {
			return fmt.Errorf("%s is the input; choose another name for the output", path)
		}
	}
	if !to.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file that can be replaced; choose another name", path)
	}
	return nil
}

// create makes an output under a temporary name beside it; commit gives it its real
// one, so that a half-written file never carries it.
func (c *call) create(path string) (f *os.File, commit func() error, err error) {
	if err := c.writable(path); err != nil {
		return nil, nil, err
	}
	if f, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.partial"); err != nil {
		return nil, nil, err
	}
	return f, func() error {
		if err := f.Chmod(0o644); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		return os.Rename(f.Name(), path)
	}, nil
}
