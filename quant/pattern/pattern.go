// Package pattern matches names as Python's re.fullmatch does (Python 3.11, str
// patterns), because that is how coremltools reads the keys of module_name_configs.
//
// Go's regexp has no look-around, no back-references and reads a few constructs
// differently; the backtracking libraries follow .NET or Perl and can run without end,
// which nothing could interrupt in a browser. So this is a small backtracking matcher
// of its own with a budget of steps. testkit/vectors/python_re.json holds what Python
// itself answered to some hundred patterns.
//
// It refuses what Python refuses, and \N{NAME}, which needs a table of names. With the
// flag i, letters match by Unicode's simple folding. recipe compiles the config's
// patterns with it, plan those of --module-type.
package pattern

import "errors"

// maxSteps bounds one match. A sane pattern takes some hundred steps a name.
const maxSteps = 50_000

// ErrSteps says that a pattern backtracks without end in sight.
var ErrSteps = errors.New("the pattern takes too long to match (nested repeats?)")

// Pattern is a compiled pattern. It may be used from one goroutine at a time.
type Pattern struct {
	root   node
	groups int
}

// Compile reads a pattern; an error says what Python would object to, and where.
func Compile(text string) (*Pattern, error) {
	p := &parser{src: []rune(text), names: map[string]int{}}
	root, err := p.pattern()
	if err != nil {
		return nil, err
	}
	return &Pattern{root, p.groups}, nil
}

// FullMatch reports whether the whole name matches. The error is ErrSteps or nil.
func (p *Pattern) FullMatch(name string) (bool, error) {
	m := &match{text: []rune(name), groups: make([]span, p.groups+1)}
	for i := range m.groups {
		m.groups[i].from = -1
	}
	ok := p.root.match(m, 0, func(at int) bool { return at == len(m.text) })
	if m.steps > maxSteps {
		return false, ErrSteps
	}
	return ok, nil
}

// Quote is a pattern that matches exactly this name, as Python's re.escape writes it.
func Quote(name string) string {
	var out []rune
	for _, r := range name {
		switch r {
		case '\t', '\n', '\v', '\f', '\r', ' ', '#', '$', '&', '(', ')', '*', '+', '-', '.', '?', '[', '\\', ']', '^', '{', '|', '}', '~':
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}
