package main

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// Every fault can still be made: what it replaces stands in its file once, and what comes out is Go. A line of the
// executor that is written anew takes its faults along, or this fails long before ./build.sh mutants does.
func TestFaultsCanBeMade(t *testing.T) {
	t.Chdir("../../..")
	for _, m := range mutants {
		folder := t.TempDir()
		if _, err := m.overlay(folder); err != nil {
			t.Errorf("%s: %v", m.what, err)
			continue
		}
		faulty := filepath.Join(folder, "faulty.go")
		if _, err := parser.ParseFile(token.NewFileSet(), faulty, nil, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m.what, err)
		}
	}
}
