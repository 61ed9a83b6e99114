//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// mostMemory is what refusing a file may take, in kB.
const mostMemory = 256 << 10

// code ends the line of an error that has one.
var code = regexp.MustCompile(` \[[a-z_]+\]$`)

// Every broken file is refused by inspect, plan and convert in the core's words, in little
// memory, and convert leaves nothing behind. (The files are made by another process: what
// a child is said to have taken includes its parent at the time it was started.)
func TestBrokenFiles(t *testing.T) {
	all := t.TempDir()
	nibble := filepath.Join(all, "nibble")
	for _, args := range [][]string{{"build", "-o", nibble, "."}, {"run", "../../testkit/broken/write", all}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(all, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Folder, Message string
		Files                 []string
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 300 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			folder := filepath.Join(all, c.Folder)
			before := entries(t, folder)
			paths := c.Files
			if len(paths) > 1 { // a folder, or two
				paths = before
			}
			for _, args := range [][]string{{"inspect"}, {"plan"}, {"convert", "-o", "out"}} {
				run := exec.Command(nibble, append(args, paths...)...)
				var stderr bytes.Buffer
				run.Dir, run.Stderr = folder, &stderr
				if err := run.Run(); run.ProcessState.ExitCode() != 1 {
					t.Errorf("%s: %v", args[0], err)
				}
				got := code.ReplaceAllString(strings.TrimSpace(stderr.String()), "")
				if got != "nibble: "+c.Message {
					t.Errorf("%s says %q, want %q", args[0], got, c.Message)
				}
				if used := run.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; used > mostMemory {
					t.Errorf("%s took %d kB", args[0], used)
				}
			}
			if after := entries(t, folder); strings.Join(after, " ") != strings.Join(before, " ") {
				t.Errorf("%v is left", after)
			}
		})
	}
}

func entries(t *testing.T, folder string) (names []string) {
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
