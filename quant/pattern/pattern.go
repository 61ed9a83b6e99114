// Package pattern matches names as Python's re.fullmatch does (Python 3.11, str
// patterns), because that is how coremltools reads the keys of module_name_configs.
//
// Go's regexp has no look-around, no back-references and reads a few constructs
// differently; the backtracking libraries follow .NET or Perl and can run without end,
// which nothing could interrupt in a browser. So this is a small backtracking matcher
// of its own with a budget of steps. testkit/vectors/python_re.json holds what Python
// itself answered to some hundred patterns.
//
// It refuses what Python refuses, and besides \N{NAME}, which needs a table of names, more
// than 100 groups, and global flags after a comment. With the flag i, letters match by
// Unicode's simple folding (Python adds a few pairs, such as i and the dotless i). recipe compiles the config's
// patterns with it, plan those of --module-type.
//
// Only package quant is stable.
package pattern

import (
	"errors"
	"strings"
)

// Bounds on one match and on a pattern. A sane one takes some hundred steps a name.
const (
	maxSteps  = 50_000
	maxDepth  = 1_000 // of calls: a browser's stack is small
	maxGroups = 100
)

// ErrSteps says that a pattern backtracks without end in sight.
var ErrSteps = errors.New("the pattern takes too long to match (repeats inside repeats, or a very long name)")

// Pattern is a compiled pattern.
type Pattern struct {
	root    node
	groups  int
	literal string // the one name that it matches, when plain
	plain   bool
}

// Compile reads a pattern; an error says what Python would object to, and where. What matches one name alone,
// as most patterns of a config do, is that name and nothing more: a model has thousands of them.
func Compile(text string) (*Pattern, error) {
	if literal, plain := unquoted(text); plain {
		return &Pattern{literal: literal, plain: true}, nil
	}
	p := &parser{src: []rune(text), names: map[string]int{}}
	root, err := p.pattern()
	if err != nil {
		return nil, err
	}
	return &Pattern{root: root, groups: p.groups}, nil
}

// unquoted is the inverse of Quote, false for what has more than one name.
func unquoted(text string) (string, bool) {
	var out []rune
	escaped := false
	for _, r := range text {
		word := r == '_' || r > 127 || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		switch {
		case escaped && word, !escaped && strings.ContainsRune(".^$*+?{}[]()|", r):
			return "", false
		case !escaped && r == '\\':
			escaped = true
			continue
		}
		out, escaped = append(out, r), false
	}
	return string(out), !escaped
}

// FullMatch reports whether the whole name matches. The error is ErrSteps or nil.
func (p *Pattern) FullMatch(name string) (bool, error) {
	left := maxSteps
	return p.MatchWithin(name, &left)
}

// MatchWithin is FullMatch within the steps that are left of a budget, from which it takes its own.
func (p *Pattern) MatchWithin(name string, left *int) (bool, error) {
	if p.plain {
		*left--
		return name == p.literal, nil
	}
	m := &match{text: []rune(name), groups: make([]span, p.groups+1), most: min(maxSteps, *left)}
	for i := range m.groups {
		m.groups[i].from = -1
	}
	ok := p.root.match(m, 0, func(at int) bool { return at == len(m.text) })
	*left -= m.steps
	if m.steps > m.most {
		return false, ErrSteps
	}
	return ok, nil
}

// Quote is a pattern that matches exactly this name, as Python's re.escape writes it.
func Quote(name string) string {
	var out []rune
	for _, r := range name {
		switch r {
		case '\t', '\n', '\v', '\f', '\r', ' ', '#', '$', '&', '(', ')', '*', '+', '-', '.', '?', '[', '\\', ']', '^', '{',
			'|', '}', '~':
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}
