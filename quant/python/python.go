// Package python holds the lines of Python that take an output of Nibble to Core ML: docs/coreml.md shows them, the
// page shows them beside the download, `nibble python` prints them, and the oracle runs them. A container gives the
// head, which makes `state` in the form of coremltools' state dicts; the tail here is common to all.
//
// Only package quant is stable.
package python

import (
	_ "embed"
	"path"
	"strings"
)

//go:embed convert.py
var convert string

// Fill puts the name of a folder into lines, in which MODEL_FILE stands for it.
func Fill(lines, name string) string {
	return strings.ReplaceAll(lines, "MODEL_FILE", quoted(strings.TrimSuffix(name, "/")))
}

// Lines are the lines for a head of Python, in which MODEL_FILE stands for the output's name: a file's or, when it is
// one, a folder's.
func Lines(head, name string, folder bool) string {
	base := path.Base(strings.TrimSuffix(name, "/"))
	if folder {
		name = strings.TrimSuffix(name, "/")
	} else {
		base = strings.TrimSuffix(base, path.Ext(base))
	}
	return strings.NewReplacer("MODEL_FILE", quoted(name), "MODEL_PACKAGE", quoted(base+".mlpackage")).
		Replace(head + "\n" + convert)
}

// quoted is a Python string. Control characters cannot be in what is printed.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
