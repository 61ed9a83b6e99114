package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"nibble/quant"
)

// output is what convert writes: a file, or a folder of shards. It has a temporary name
// until commit, so that a half-written one never carries the real one.
type output struct {
	create  quant.Create
	commit  func() error
	discard func()
}

// output makes the place for what a job writes.
func (c *call) output(j *quant.Job) (*output, error) {
	if j.Checkpoint.Sharded {
		return c.outputFolder()
	}
	f, commit, err := c.create(c.out)
	if err != nil {
		return nil, err
	}
	return &output{
		create:  func(string, int64) (io.WriteCloser, error) { return left{f}, nil },
		commit:  commit,
		discard: func() { f.Close(); os.Remove(f.Name()) },
	}, nil
}

// left is a file that commit closes.
type left struct{ io.Writer }

func (left) Close() error { return nil }

// outputFolder makes a folder beside the one it will be. That one may be there, empty.
func (c *call) outputFolder() (*output, error) {
	parent := filepath.Dir(filepath.Clean(c.out))
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s; make it first", parent)
	}
	if entries, err := os.ReadDir(c.out); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is there and not empty; this model is sharded, so its output is a folder: choose a new name", c.out)
	} else if _, stat := os.Stat(c.out); err != nil && stat == nil {
		return nil, fmt.Errorf("%s is a file; this model is sharded, so its output is a folder: choose a new name", c.out)
	}
	dir, err := os.MkdirTemp(parent, "."+filepath.Base(c.out)+".*.partial")
	if err != nil {
		return nil, err
	}
	return &output{
		create: func(name string, _ int64) (io.WriteCloser, error) {
			return os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		},
		commit: func() error {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
			os.Remove(c.out) // an empty folder, as was seen above
			return os.Rename(dir, c.out)
		},
		discard: func() { os.RemoveAll(dir) },
	}, nil
}
