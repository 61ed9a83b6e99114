package quant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nibble/quant/fault"
	"nibble/quant/plan"
	"nibble/quant/recipe/coremltools"
	"nibble/quant/report"
)

// constants are the values of a package's constants of a type, as its source has them.
func constants(t *testing.T, dir, typed string) (values []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Type == nil {
				return true
			}
			name := ""
			switch x := spec.Type.(type) {
			case *ast.Ident:
				name = x.Name
			case *ast.SelectorExpr:
				name = x.X.(*ast.Ident).Name + "." + x.Sel.Name
			}
			for _, v := range spec.Values {
				if text, ok := v.(*ast.BasicLit); ok && name == typed {
					values = append(values, strings.Trim(text.Value, `"`))
				}
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("%s has no constants of type %s", dir, typed)
	}
	return values
}

// Every code of a reason has a sentence in English, with a place for each argument; those that a tensor is kept for say
// what such tensors are. That the page has all of them in its languages is for its types to see.
func TestEveryCodeHasASentence(t *testing.T) {
	codes := append(constants(t, "plan", "Code"), constants(t, "recipe/coremltools", "plan.Code")...)
	for _, c := range codes {
		s, ok := coremltools.Own[plan.Code(c)]
		if !ok {
			s, ok = plan.Own[plan.Code(c)]
		}
		if !ok || s.Text == "" {
			t.Errorf("the reason %s has no sentence", c)
		}
	}
	for _, c := range constants(t, "fault", "Code") {
		if !slices.Contains(fault.Codes, fault.Code(c)) {
			t.Errorf("the error %s is in no list", c)
		}
	}
	for _, c := range constants(t, "report", "AdviceCode") {
		if !slices.Contains(report.AdviceCodes, report.AdviceCode(c)) {
			t.Errorf("the advice %s is in no list", c)
		}
	}
	for _, c := range constants(t, "report", "WarningCode") {
		if !slices.Contains(report.WarningCodes, report.WarningCode(c)) {
			t.Errorf("the warning %s is in no list", c)
		}
	}
	for name, sentences := range map[string]plan.Sentences{"plan": plan.Own, "coremltools": coremltools.Own} {
		for c, s := range sentences {
			if strings.TrimSpace(s.Text) != s.Text || strings.HasSuffix(s.Text, ".") || s.Remedy != "" && s.Many == "" {
				t.Errorf("%s: the sentence of %s is %+v", name, c, s)
			}
		}
	}
}

// searches is code that looks into what is said to people: an error's text, a reason's, an advice's or a note's.
var searches = regexp.MustCompile(`(strings\.(Contains|HasPrefix|HasSuffix|Index|Cut|Split)|\.(MatchString|` +
	`FindString))\w*\([^,)\n]*` + said +
	`|` + said + ` ?[!=]= ?"[^"]`)

// said are the fields and calls that hold sentences.
const said = `(\.Error\(\)|\.(What|Do|Text|Reason|Problem|Notes|Remedy)[^.\w(])`

// searchesOnThePage finds messages, texts, reasons and notes of the page that are searched.
var searchesOnThePage = regexp.MustCompile(
	`\.(message|text|reason|problem|notes|beyond_coremltools|rule)\??` +
		`\.(includes|startsWith|endsWith|match|search|replace|indexOf|split)\(` +
		`|\.test\([^)]*\.(message|text|reason|problem)\b`)

// No code searches a sentence: who acts on what happened has a code.
func TestNoCodeSearchesASentence(t *testing.T) {
	allowed := map[string]int{
		"../site/src/page/store.ts": 1, // the first line of a crash, whose others are the stack
	}
	found := map[string]int{}
	look := func(path string, pattern *regexp.Regexp) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if pattern.MatchString(line) {
				if found[path]++; found[path] > allowed[path] {
					t.Errorf("%s:%d searches a sentence: %s", path, i+1, strings.TrimSpace(line))
				}
			}
		}
	}
	sources(t, func(dir, path string) {
		if !strings.HasPrefix(dir, "quant/testkit") {
			look(path, searches)
		}
	})
	for _, path := range pageSources(t) {
		look(path, searchesOnThePage)
	}
	for path, n := range allowed {
		if found[path] < n {
			t.Errorf("%s searches no sentence any more: take it out of this test", path)
		}
	}
	for _, line := range []string{`if strings.Contains(err.Error(), "NaN") {`, `if r.Text == "bias" {`,
		`strings.HasPrefix(e.What, "x")`} {
		if !searches.MatchString(line) {
			t.Errorf("the test does not see %s", line)
		}
	}
	if !searchesOnThePage.MatchString(`if (err.message.includes('tied'))`) {
		t.Error("the test does not see what the page searches")
	}
}

// pageSources are the page's own files.
func pageSources(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir("../site/src", func(path string, d os.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".ts") || strings.HasSuffix(path, ".tsx")) {
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil || len(paths) < 20 {
		t.Fatal(err, len(paths))
	}
	return paths
}
