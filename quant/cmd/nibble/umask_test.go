//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is written has the permissions that the umask leaves, and what is replaced keeps its own.
func TestPermissions(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027))
	dir := t.TempDir()
	in := filepath.Join("..", "..", "testkit", "fixtures", "ptq-in.pt")
	shards := filepath.Join("..", "..", "testkit", "fixtures", "shards")
	out, folder, report := filepath.Join(dir, "out.safetensors"), filepath.Join(dir, "folder"), filepath.Join(dir,
		"r.json")
	call := func(args ...string) {
		t.Helper()
		var said bytes.Buffer
		if code := run(args, &said, &said); code != 0 {
			t.Fatalf("%v: %d: %s", args, code, said.String())
		}
	}
	mode := func(path string, want os.FileMode) {
		t.Helper()
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	call("convert", "--allow-none", in, "-o", out, "--report", report)
	call("convert", shards, "-o", folder)
	mode(out, 0o640)
	mode(report, 0o640)
	mode(folder, 0o750)
	mode(filepath.Join(folder, "model.safetensors.index.json"), 0o640)
	for _, path := range []string{out, report} {
		if err := os.Chmod(path, 0o604); err != nil {
			t.Fatal(err)
		}
	}
	call("convert", "--allow-none", in, "-o", out, "--report", report, "--force")
	mode(out, 0o604)
	mode(report, 0o604)
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	call("convert", shards, "-o", folder, "--force")
	mode(folder, 0o700)
}
