package quant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// projectFiles walks the files of the project with such endings; what is built or fetched is no part of it.
func projectFiles(t *testing.T, endings []string, each func(path, text string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (slices.Contains([]string{"node_modules", "dist", "build", "__pycache__"}, d.Name()) ||
			strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if d.IsDir() || !slices.Contains(endings, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		n++
		each(filepath.ToSlash(path), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 10 {
		t.Fatalf("only %d files were seen", n)
	}
}

// retiredWords are those of the table in README.md: words that no name may have, and what to say.
func retiredWords(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "| retired | say |\n|---|---|\n")
	words := map[string]string{}
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			break
		}
		for _, word := range strings.Split(cells[1], ",") {
			words[strings.TrimSpace(word)] = strings.TrimSpace(cells[2])
		}
	}
	if !found || len(words) < 10 || words["hand"] != "worker" {
		t.Fatalf("README.md has no table of retired words: %v", words)
	}
	return words
}

// camel finds the words of a name.
var camel = regexp.MustCompile(`[A-Z]+[a-z0-9]*|[a-z0-9]+`)

// wrongWord is the first retired word in a name; "" when there is none. run is a verb: it begins a name, or is in none.
func wrongWord(name string, retired map[string]string) string {
	for i, word := range camel.FindAllString(name, -1) {
		word = strings.ToLower(word)
		if _, found := retired[word]; found {
			return word
		}
		if i > 0 && (word == "run" || word == "runs") {
			return word
		}
	}
	return ""
}

// topLevel finds the names that a file of TypeScript declares at its top.
var topLevel = regexp.MustCompile(`(?m)^(?:export )?(?:async )?(?:function\*?|const|let|class|interface|type) (\w+)`)

// One idea has one word, and one word one meaning: no name of a package, of a method or of a field, in Go or
// TypeScript, has a word that README.md retired.
func TestNamesHaveNoRetiredWords(t *testing.T) {
	retired := retiredWords(t)
	for name, want := range map[string]string{
		"Hand": "hand", "newHands": "hands", "sentTold": "told", "quantizeRun": "run",
		"Run": "", "runOf": "", "Handle": "", "shorthand": "",
	} {
		if got := wrongWord(name, retired); got != want {
			t.Errorf("in %s the word %q is found, not %q", name, got, want)
		}
	}
	names := 0
	check := func(path, name string) {
		names++
		if word := wrongWord(name, retired); word != "" {
			t.Errorf("%s: the name %s has the word %q: say %s", path, name, word, retired[word])
		}
	}
	projectFiles(t, []string{".go"}, func(path, text string) {
		f, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		check(path, f.Name.Name)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				check(path, d.Name.Name)
			case *ast.GenDecl:
				ast.Inspect(d, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.FuncLit:
						return false
					case *ast.TypeSpec:
						check(path, n.Name.Name)
					case *ast.ValueSpec:
						for _, name := range n.Names {
							check(path, name.Name)
						}
					case *ast.Field:
						for _, name := range n.Names {
							check(path, name.Name)
						}
					}
					return true
				})
			}
		}
	})
	projectFiles(t, []string{".ts", ".tsx", ".mjs"}, func(path, text string) {
		for _, found := range topLevel.FindAllStringSubmatch(text, -1) {
			check(path, found[1])
		}
	})
	if names < 2000 {
		t.Errorf("only %d names were seen", names)
	}
}

// No line of code or prose is longer than 120 characters, but for tables, and what cannot be cut: a policy in HTML. No
// file of code has more than 350 lines.
func TestLinesAndFilesAreShort(t *testing.T) {
	endings := []string{".go", ".tmpl", ".py", ".ts", ".tsx", ".mjs", ".js", ".c", ".css", ".html", ".md", ".sh"}
	projectFiles(t, endings, func(path, text string) {
		lines := strings.Split(text, "\n")
		if len(lines) > 351 && filepath.Ext(path) != ".md" {
			t.Errorf("%s has %d lines", path, len(lines)-1)
		}
		for i, line := range lines {
			table := strings.HasSuffix(path, ".md") && strings.HasPrefix(line, "|")
			if utf8.RuneCountInString(line) > 120 && !table && !strings.Contains(line, "Content-Security-Policy") {
				t.Errorf("%s:%d has %d characters", path, i+1, utf8.RuneCountInString(line))
			}
		}
	})
}
