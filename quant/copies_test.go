package quant_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nibble/quant/container"
	"nibble/quant/layer"
	"nibble/quant/scheme"
)

// literal is a text in quotes.
var literal = regexp.MustCompile(`'([^'\n]*)'|"([^"\n]*)"` + "|`([^`\n]*)`")

// choices are the words of which the core has the list: containers and their endings, dtypes, granularities, schemes,
// high nibbles and classes.
func choices() (words []string) {
	for _, row := range container.Table {
		words = append(words, row.Name, row.Extension)
	}
	for _, d := range scheme.DTypes {
		words = append(words, string(d))
	}
	for _, g := range []scheme.Granularity{scheme.PerTensor, scheme.PerChannel, scheme.PerBlock} {
		words = append(words, string(g))
	}
	words = append(words, string(scheme.Symmetric), string(scheme.Affine))
	words = append(words, container.HighNibbles...)
	for _, c := range layer.Table {
		words = append(words, c.Name)
	}
	return words
}

// The page learns from the core what there is to choose: no word of these stands in its code. Its texts have a sentence
// for each, as keys, and the types that hold them to it are made of the core's own.
func TestThePageHasNoCopies(t *testing.T) {
	words := choices()
	if len(words) < 20 {
		t.Fatalf("only %d words: %v", len(words), words)
	}
	texts := 0
	for _, path := range pageSources(t) {
		if strings.HasSuffix(path, "/shared/protocol.ts") {
			continue
		}
		if strings.Contains(path, "/page/text/") {
			if !strings.Contains(filepath.Base(path), "-") { // one-of-its-parts.ts
				texts++
			}
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(source), "\n") {
			for _, found := range literal.FindAllStringSubmatch(line, -1) {
				if word := found[1] + found[2] + found[3]; slices.Contains(words, word) {
					t.Errorf("%s:%d has a word of which the core has the list: %q", path, i+1, word)
				}
			}
		}
	}
	if texts != 2 {
		t.Errorf("%d languages were left out", texts)
	}
}

// rooms are the folders of the page's source and which others each may import.
var rooms = map[string][]string{
	"shared": nil, "pool": {"shared"}, "private": {"shared"},
	"worker": {"shared", "pool", "private"}, "library": {"shared", "pool", "private"}, "page": {"shared", "library"},
}

var imported = regexp.MustCompile(`(?m)^(?:import|export) [^\n]*from '(\.[^']*)'|^} from '(\.[^']*)'`)

// The rooms of the page: each imports only what lies before it, and no file comes back to itself.
func TestRoomsOfThePage(t *testing.T) {
	edges := map[string][]string{}
	for _, path := range pageSources(t) {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		own := strings.TrimPrefix(path, "../site/src/")
		room, _, inside := strings.Cut(own, "/")
		others, known := rooms[room]
		if !inside || !known {
			t.Errorf("%s lies in no room", path)
			continue
		}
		for _, m := range imported.FindAllStringSubmatch(string(source), -1) {
			to := resolve(own, m[1]+m[2])
			if other, _, _ := strings.Cut(to, "/"); other != room && !slices.Contains(others, other) {
				t.Errorf("%s imports %s: %s knows only %v", path, to, room, others)
			}
			file := strings.TrimSuffix(strings.TrimSuffix(own, ".tsx"), ".ts")
			edges[file] = append(edges[file], to)
		}
	}
	if len(edges) < 15 {
		t.Fatalf("only %d files import others", len(edges))
	}
	for file := range edges {
		if circle := around(edges, file, file, map[string]bool{}); circle != nil {
			t.Errorf("a circle: %s", strings.Join(append([]string{file}, circle...), " -> "))
		}
	}
}

// resolve is the file that an import names, without its ending.
func resolve(from, to string) string {
	parts := strings.Split(from, "/")
	parts = parts[:len(parts)-1]
	for _, p := range strings.Split(to, "/") {
		switch p {
		case ".":
		case "..":
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "/")
}

// around finds a way from a file back to where it began; nil when there is none.
func around(edges map[string][]string, at, goal string, seen map[string]bool) []string {
	for _, to := range edges[at] {
		if to == goal {
			return []string{to}
		}
		if seen[to] {
			continue
		}
		seen[to] = true
		if rest := around(edges, to, goal, seen); rest != nil {
			return append([]string{to}, rest...)
		}
	}
	return nil
}
