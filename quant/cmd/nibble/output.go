package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"nibble/quant"
	"nibble/quant/model"
)

// output is what convert writes: a file, or a folder. It has a temporary name
// until commit, so that a half-written one never carries the real one.
type output struct {
	create  quant.Create
	commit  func() error
	discard func()
}

// output makes the place for what a job writes.
func (c *call) output(j *quant.Job) (*output, error) {
	if j.Output.Folder {
		return c.outputFolder(j)
	}
	if err := c.writable(c.out); err != nil {
		return nil, err
	}
	if err := c.mayReplace(c.out); err != nil {
		return nil, err
	}
	f, commit, err := c.create(c.out)
	if err != nil {
		return nil, err
	}
	return &output{
		create:  func(string, int64) (io.WriteCloser, error) { return unclosed{f}, nil },
		commit:  commit,
		discard: func() { f.Close(); os.Remove(f.Name()) },
	}, nil
}

// unclosed is a file that commit closes.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// mayReplace refuses to replace a model that is there, unless it is asked to: by --force, or by a person.
func (c *call) mayReplace(path string) error {
	if info, err := os.Stat(path); err != nil || info.IsDir() || c.force {
		return nil
	}
	if c.ask != nil && c.ask(fmt.Sprintf("%s is there already. Replace it? [y/N] ", visible(path))) {
		return nil
	}
	return fmt.Errorf("%s is there already; choose another name, or replace it with --force", path)
}

// outputFolder makes a folder beside the one it will be. That one may be there, empty, or with --force
// as the output of an earlier conversion.
func (c *call) outputFolder(j *quant.Job) (*output, error) {
	path := resolved(c.out)
	parent := filepath.Dir(path)
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s; make it first", filepath.Dir(filepath.Clean(c.out)))
	}
	mode := os.FileMode(0o777) // less what the umask takes away
	there, err := os.Stat(path)
	if err == nil {
		mode = there.Mode().Perm()
		if err := c.mayFill(c.out, there, j); err != nil {
			return nil, err
		}
	}
	dir, err := temporary(path, func(name string) error { return os.Mkdir(name, 0o700|mode) })
	if err != nil {
		return nil, err
	}
	return &output{
		create: func(name string, _ int64) (io.WriteCloser, error) {
			return os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		},
		commit: func() error {
			if there != nil {
				if err := os.Chmod(dir, mode); err != nil {
					return err
				}
			}
			return exchange(dir, path)
		},
		discard: func() { os.RemoveAll(dir) },
	}, nil
}

// mayFill refuses a folder with anything in it. With --force it may hold one model: files that are about to be
// written again, its index, and the files that the index names.
func (c *call) mayFill(path string, info os.FileInfo, j *quant.Job) error {
	if !info.IsDir() {
		return fmt.Errorf("%s is a file; the output of this model is a folder: choose a new name", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) == 0 {
		return err
	}
	if !c.force {
		return fmt.Errorf("%s is there and not empty; the output of this model is a folder: choose a new name, or "+
			"replace it with --force", path)
	}
	known, err := modelIn(path, entries)
	if err != nil {
		return err
	}
	for _, f := range j.Output.Files {
		known[f.Name] = true
	}
	for _, e := range entries {
		if c.isInput(filepath.Join(path, e.Name())) {
			return fmt.Errorf("%s is the input; choose another name for the output", path)
		}
		if !e.Type().IsRegular() || !known[e.Name()] {
			return fmt.Errorf("%s holds %s, which is no file of such a model, so --force does not replace it; "+
				"choose a new name", path, e.Name())
		}
	}
	return nil
}

// modelIn lists the files of the model in shards that a folder holds: its one index and what that names.
func modelIn(path string, entries []os.DirEntry) (map[string]bool, error) {
	known := map[string]bool{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".index.json") || len(known) > 0 {
			continue
		}
		info, err := e.Info()
		if err != nil || info.Size() > model.MaxIndex {
			continue
		}
		text, err := os.ReadFile(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, err
		}
		var index struct {
			WeightMap map[string]string `json:"weight_map"`
		}
		if json.Unmarshal(text, &index) == nil {
			known[e.Name()] = true
			for _, shard := range index.WeightMap {
				known[shard] = true
			}
		}
	}
	return known, nil
}

// exchange gives a folder its real name, and takes away what had it.
func exchange(dir, path string) error {
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("%s was made meanwhile; choose another name", path)
	}
	os.Remove(path) // an empty folder
	old := dir + ".old"
	if err := os.Rename(path, old); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.Rename(dir, path); err != nil {
		os.Rename(old, path)
		return err
	}
	return os.RemoveAll(old)
}

// temporary makes something under a name that is free, beside a path.
func temporary(path string, make func(name string) error) (string, error) {
	for n := os.Getpid(); ; n++ {
		base := filepath.Base(path) // cut, for a name has 255 bytes at most
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.partial", base[:min(len(base), 200)], n))
		if err := make(name); !os.IsExist(err) {
			return name, err
		}
	}
}
