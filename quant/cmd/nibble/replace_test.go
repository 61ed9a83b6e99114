package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A person at a terminal is asked before a model is replaced.
func TestAPersonIsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []bool{true, false} {
		asked := ""
		c := &call{ask: func(question string) bool { asked = question; return answer }}
		if err := c.mayReplace(path); (err == nil) != answer || asked != path+" is there already. Replace it? [y/N] " {
			t.Errorf("%v: %v after %q", answer, err, asked)
		}
	}
}

// full is a standard output without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room is left") }

// A result that cannot be printed is an error.
func TestFullStandardOutput(t *testing.T) {
	in := filepath.Join("..", "..", "testkit", "fixtures", "ptq-in.pt")
	for _, args := range [][]string{{"inspect", in}, {"plan", "--allow-none", in}, {"plan", "--allow-none", in, "--json"},
		{"--help"}} {
		var said bytes.Buffer
		if code := run(args, full{}, &said); code != 1 || args[0] != "--help" &&
			!bytes.Contains(said.Bytes(), []byte("no room is left")) {
			t.Errorf("%v: %d: %s", args, code, said.String())
		}
	}
}
