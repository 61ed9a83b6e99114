package quant_test

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// link finds the address of a link in Markdown.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// pathLike finds what may be a path: names with slashes between, or one with the ending of a source file.
	pathLike = regexp.MustCompile(`[\w.*-]+(?:/[\w.*-]+)+/?|(?:[\w*-]+\.)+(?:go|ts|tsx|py|mjs|sh|tmpl)\b`)
	// heading finds the headings of Markdown.
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchor is how a heading is linked to.
func anchor(heading string) string {
	low := strings.ToLower(strings.ReplaceAll(heading, "`", ""))
	return strings.ReplaceAll(regexp.MustCompile(`[^\w\s-]`).ReplaceAllString(low, ""), " ", "-")
}

// exists reports whether a path, which may have stars, is there below one of some folders.
func exists(name string, folders ...string) bool {
	for _, folder := range folders {
		if found, err := filepath.Glob(filepath.Join(folder, filepath.FromSlash(name))); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// Every link of a paper leads to a file and, where it names one, to a heading that is there.
func TestLinksLead(t *testing.T) {
	links := 0
	projectFiles(t, []string{".md"}, func(file, text string) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[1], "://") {
				t.Errorf("%s links to another site: %s", file, found[1])
				continue
			}
			links++
			name, section, _ := strings.Cut(found[1], "#")
			target := path.Join(path.Dir(file), name)
			if name == "" {
				target = file
			}
			content, err := os.ReadFile(target)
			if info, folder := os.Stat(target); folder == nil && info.IsDir() && section == "" {
				continue
			}
			if err != nil {
				t.Errorf("%s links to %s, which is not there", file, found[1])
				continue
			}
			there := section == ""
			for _, h := range heading.FindAllStringSubmatch(string(content), -1) {
				there = there || anchor(h[1]) == section
			}
			if !there {
				t.Errorf("%s links to %s, which has no such heading", file, found[1])
			}
		}
	})
	if links < 50 {
		t.Errorf("only %d links were seen", links)
	}
}

// built are paths that a build makes.
var built = regexp.MustCompile(`^(dist|build)(/|$)|\.d\.ts$`)

// checkPaths looks for the paths in a text: one whose first name is a folder of the project must be there whole, and a
// source file without a folder must be there somewhere. Other paths (of PyTorch, of a model) are none of ours.
func checkPaths(t *testing.T, names map[string]bool, file, text string) (n int) {
	t.Helper()
	folders := []string{filepath.Dir(file), "..", ".", "../site", "../site/src", "testkit"}
	for _, name := range pathLike.FindAllString(text, -1) {
		if strings.Contains(name, "...") { // a pattern of Go's
			continue
		}
		name = strings.TrimPrefix(strings.TrimSuffix(strings.TrimRight(name, "."), "/"), "./")
		first, _, several := strings.Cut(name, "/")
		switch {
		case built.MatchString(name), strings.HasPrefix(name, "nibble/"):
		case !several && path.Ext(name) == "": // the folder at the end of a sentence
		case !several:
			n++
			there := names[name]
			for other := range names {
				matches, err := path.Match(name, other)
				there = there || err == nil && matches
			}
			if !there {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		case first != ".." && exists(first, folders...):
			n++
			if !exists(name, folders...) {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
	}
	return n
}

// Every path of the project that a paper or a package comment names is there.
func TestPathsInPapersExist(t *testing.T) {
	names, n := map[string]bool{}, 0
	projectFiles(t, []string{".go", ".ts", ".tsx", ".py", ".mjs", ".sh", ".tmpl"}, func(file, _ string) {
		names[path.Base(file)] = true
	})
	projectFiles(t, []string{".md"}, func(file, text string) { n += checkPaths(t, names, file, text) })
	projectFiles(t, []string{".go"}, func(file, text string) {
		f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			n += checkPaths(t, names, file, f.Doc.Text())
		}
	})
	if n < 150 {
		t.Errorf("only %d paths were seen", n)
	}
}

// The README is read in one go.
func TestREADMEIsShort(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 120 || lines < 40 {
		t.Errorf("README.md has %d lines", lines)
	}
}

// The rooms below package quant may change, and each says so.
func TestRoomsSayThatTheyMayChange(t *testing.T) {
	rooms := map[string]bool{}
	projectFiles(t, []string{".go"}, func(file, text string) {
		dir := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") || !strings.HasPrefix(file, "../quant/") || dir == "../quant" ||
			strings.Contains(dir, "/cmd/") || strings.Contains(dir, "/testkit") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		said := f.Doc != nil && strings.Contains(strings.Join(strings.Fields(f.Doc.Text()), " "),
			"nly package quant is stable")
		rooms[dir] = rooms[dir] || said
	})
	if len(rooms) < 25 {
		t.Fatalf("only %d rooms were seen", len(rooms))
	}
	for dir, said := range rooms {
		if !said {
			t.Errorf("the package comment of %s does not say that only package quant is stable", dir)
		}
	}
}
