package pattern

import (
	"fmt"
	"strconv"
	"strings"
)

// flags of a pattern or a part of it.
type flags struct{ ascii, fold, lines, dotAll, verbose bool }

// maxNesting bounds the recursion of the parser.
const maxNesting = 100

type parser struct {
	src    []rune
	at     int
	flags  flags
	groups int
	names  map[string]int
	widths []*node // body of each closed group, for back-references in look-behinds
	open   map[int]bool
	depth  int
	ahead  int // the highest group that a condition names
	behind int // within a look-behind: its groups have numbers above this; else -1

	asked struct{ ascii, unicode bool } // flags seen anywhere
}

func (p *parser) fail(what string, args ...any) error {
	return fmt.Errorf("%s (at character %d)", fmt.Sprintf(what, args...), p.at)
}

func (p *parser) more() bool { return p.at < len(p.src) }

// eat takes a text when it comes next.
func (p *parser) eat(text string) bool {
	if strings.HasPrefix(string(p.src[p.at:min(len(p.src), p.at+len(text))]), text) {
		p.at += len([]rune(text))
		return true
	}
	return false
}

// pattern reads all of it.
func (p *parser) pattern() (node, error) {
	p.open, p.widths, p.behind = map[int]bool{}, []*node{nil}, -1
	if err := p.globalFlags(); err != nil {
		return nil, err
	}
	n, err := p.choice()
	if err != nil {
		return nil, err
	}
	if p.more() {
		return nil, p.fail("unbalanced parenthesis")
	}
	if p.ahead > p.groups {
		return nil, p.fail("unknown group %d", p.ahead)
	}
	return n, nil
}

// globalFlags reads (?aims) at the start, which holds for the whole pattern.
func (p *parser) globalFlags() error {
	for {
		end, before := p.at, p.flags
		if !p.eat("(?") {
			return nil
		}
		for p.more() && strings.ContainsRune("aiLmsux", p.src[p.at]) {
			if err := p.flag(true); err != nil {
				return err
			}
		}
		if p.at == end+2 || !p.eat(")") { // another kind of group
			p.at, p.flags = end, before
			return nil
		}
	}
}

// flag reads one letter.
func (p *parser) flag(on bool) error {
	switch p.src[p.at] {
	case 'a':
		p.flags.ascii, p.asked.ascii = on, true
	case 'i':
		p.flags.fold = on
	case 'm':
		p.flags.lines = on
	case 's':
		p.flags.dotAll = on
	case 'x':
		p.flags.verbose = on
	case 'u':
		p.flags.ascii, p.asked.unicode = false, true
	default:
		return p.fail("bad inline flag %q", p.src[p.at])
	}
	if p.asked.ascii && p.asked.unicode {
		return p.fail("the flags a and u are incompatible")
	}
	p.at++
	return nil
}

// choice reads alternatives up to a closing parenthesis or the end.
func (p *parser) choice() (node, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail("groups are nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	var all choice
	for {
		s, err := p.sequence()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		if !p.eat("|") {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func (p *parser) sequence() (node, error) {
	var s sequence
	for {
		p.skipVerbose()
		if !p.more() || p.src[p.at] == '|' || p.src[p.at] == ')' {
			return s, nil
		}
		n, err := p.item()
		if err != nil {
			return nil, err
		}
		if n != nil {
			s = append(s, n)
		}
	}
}

// skipVerbose passes over what the flag x lets a pattern hold.
func (p *parser) skipVerbose() {
	for p.flags.verbose && p.more() {
		switch c := p.src[p.at]; {
		case strings.ContainsRune(" \t\n\r\v\f", c):
			p.at++
		case c == '#':
			for p.more() && p.src[p.at] != '\n' {
				p.at++
			}
		default:
			return
		}
	}
}

// skipIgnored passes over what may stand between a construct and its repeat.
func (p *parser) skipIgnored() {
	for {
		p.skipVerbose()
		start := p.at
		if !p.eat("(?#") {
			return
		}
		for p.more() && p.src[p.at] != ')' {
			p.at++
		}
		if !p.eat(")") { // it has no end, which group says
			p.at = start
			return
		}
	}
}

// item reads one construct and the repeat after it; nil for a comment.
func (p *parser) item() (node, error) {
	start := p.at
	if _, _, ok := p.repeat(); ok {
		p.at = start
		return nil, p.fail("nothing to repeat")
	}
	n, err := p.atom()
	if err != nil || n == nil {
		return nil, err
	}
	p.skipIgnored()
	least, most, ok := p.repeat()
	if !ok {
		return n, nil
	}
	if max(least, most) > forever {
		return nil, p.fail("the repetition number is too large")
	}
	if least > most {
		return nil, p.fail("min repeat greater than max repeat")
	}
	if _, zero := n.(place); zero {
		return nil, p.fail("nothing to repeat")
	}
	r := repeat{body: n, least: least, most: most}
	var out node = r
	switch {
	case p.eat("?"):
		r.lazy = true
		out = r
	case p.eat("+"):
		out = possessive{r}
	}
	p.skipIgnored()
	at := p.at
	if _, _, ok := p.repeat(); ok {
		p.at = at
		return nil, p.fail("multiple repeat")
	}
	return out, nil
}

// repeat reads * + ? {m} {m,} {,n} {m,n}; a brace that is none of these is a character.
func (p *parser) repeat() (least, most int, ok bool) {
	switch {
	case p.eat("*"):
		return 0, forever, true
	case p.eat("+"):
		return 1, forever, true
	case p.eat("?"):
		return 0, 1, true
	}
	start := p.at
	if !p.eat("{") || p.eat("}") {
		p.at = start
		return 0, 0, false
	}
	low := p.digits()
	high := low
	if p.eat(",") {
		high = p.digits()
	} else if low == "" {
		p.at = start
		return 0, 0, false
	}
	if !p.eat("}") {
		p.at = start
		return 0, 0, false
	}
	return number(low, 0), number(high, forever), true
}

func (p *parser) digits() string {
	from := p.at
	for p.more() && p.src[p.at] >= '0' && p.src[p.at] <= '9' {
		p.at++
	}
	return string(p.src[from:p.at])
}

func number(digits string, none int) int {
	if digits == "" {
		return none
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n >= forever {
		return forever + 1 // refused
	}
	return n
}

// atom reads one construct without its repeat.
func (p *parser) atom() (node, error) {
	c := p.src[p.at]
	switch c {
	case '(':
		return p.group()
	case '[':
		return p.set()
	case '\\':
		return p.escape()
	}
	p.at++
	switch c {
	case '.':
		if p.flags.dotAll {
			return char{func(rune) bool { return true }}, nil
		}
		return char{func(r rune) bool { return r != '\n' }}, nil
	case '^':
		if p.flags.lines {
			return place(atLineStart), nil
		}
		return place(atStart), nil
	case '$':
		if p.flags.lines {
			return place(atLineEnd), nil
		}
		return place(beforeLastBreak), nil
	}
	return p.literal(c), nil
}

func (p *parser) literal(c rune) node {
	alike := p.alike()
	return char{func(r rune) bool { return alike(r, c) }}
}

// alike compares two characters under the flags in force.
func (p *parser) alike() func(a, b rune) bool {
	switch {
	case p.flags.fold && p.flags.ascii:
		return sameFoldASCII
	case p.flags.fold:
		return sameFold
	}
	return same
}
