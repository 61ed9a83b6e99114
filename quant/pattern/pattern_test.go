package pattern

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// What Python's re answered (testkit/vectors/python_re.py): which names each pattern
// matches, or that it is no pattern.
func TestEqualsPython(t *testing.T) {
	text, err := os.ReadFile("../testkit/vectors/python_re.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Names []string
		Rows  []struct{ Pattern, Error, Match string }
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Rows) < 200 || len(v.Names) < 60 {
		t.Fatalf("%d patterns, %d names", len(v.Rows), len(v.Names))
	}
	for _, row := range v.Rows {
		p, err := Compile(row.Pattern)
		if strings.HasPrefix(row.Pattern, `\N{`) {
			if err == nil {
				t.Errorf("%q is accepted without a table of names", row.Pattern)
			}
			continue
		}
		if (err != nil) != (row.Error != "") {
			t.Errorf("%q: error %v, Python's %q", row.Pattern, err, row.Error)
		}
		if err != nil || row.Error != "" {
			continue
		}
		for i, name := range v.Names {
			got, err := p.FullMatch(name)
			if err != nil || got != (row.Match[i] == 'y') {
				t.Errorf("%q on %q: %v (%v), Python's %c", row.Pattern, name, got, err, row.Match[i])
			}
		}
	}
}

// No pattern runs without end.
func TestRunawayPatternsAreStopped(t *testing.T) {
	name := strings.Repeat("a", 200) + "!"
	for _, text := range []string{`(a+)+`, `(a|a)*`, `(a|aa)+`, `(?:a*)*`, `(.*)*x`, `(?=(a+)+$)b`, `(a*?)*?b`} {
		p, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.FullMatch(name); !errors.Is(err, ErrSteps) {
			t.Errorf("%s: error %v", text, err)
		}
		// It matches sane names as ever.
		if _, err := p.FullMatch("ab"); err != nil {
			t.Errorf("%s: error %v", text, err)
		}
	}
	if _, err := Compile(strings.Repeat("(", 5000)); err == nil {
		t.Error("a pattern of 5000 parentheses is accepted")
	}
	if _, err := Compile(strings.Repeat("(", 200) + strings.Repeat(")", 200)); err == nil {
		t.Error("groups 200 deep are accepted")
	}
}

func TestQuote(t *testing.T) {
	for _, name := range []string{"", "layers.0", `a+b[c](d){2}\e|f^g$h?*`, "a b\n-c#d&~", "名前.é"} {
		p, err := Compile(Quote(name))
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.FullMatch(name); !ok || err != nil {
			t.Errorf("%q does not match itself: %v", Quote(name), err)
		}
	}
	if got := Quote("layers.0.mlp"); got != `layers\.0\.mlp` {
		t.Errorf("got %s", got)
	}
}

func FuzzCompile(f *testing.F) {
	for _, text := range []string{`a|b`, `(?P<x>a)(?P=x)`, `[^\d-]+?`, `(?<=a)b{2,3}+`, `(?i:\x61)`, `(a)?(?(1)b|c)`,
		`(?x) a # b`} {
		f.Add(text, "layers.0.weight")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := Compile(text)
		if err != nil {
			return
		}
		p.FullMatch(name)
		if !utf8.ValidString(name) { // readers refuse such names (found by fuzzing)
			return
		}
		q, err := Compile(Quote(name))
		if err != nil {
			t.Fatalf("%q: %v", Quote(name), err)
		}
		if ok, err := q.FullMatch(name); !ok && err == nil {
			t.Fatalf("%q does not match %q", Quote(name), name)
		}
	})
}
