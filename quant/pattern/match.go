package pattern

import "unicode"

// match is one attempt.
type match struct {
	text   []rune
	groups []span
	steps  int
	most   int // steps
	depth  int
}

// span is what a group caught; from is -1 when it caught nothing.
type span struct{ from, to int }

// rest is what is to be matched after a node, from a position on.
type rest func(at int) bool

// step counts; after the budget every node fails, so that the match ends soon.
func (m *match) step() bool {
	m.steps++
	return m.steps <= m.most
}

// enter counts a call that others nest in. The browser's stack is small.
func (m *match) enter() bool {
	if m.depth++; m.depth > maxDepth {
		m.steps = m.most
	}
	if !m.step() {
		m.depth--
		return false
	}
	return true
}

func (m *match) leave() { m.depth-- }

// node is one construct of a pattern. match tries every way it can match from at on,
// in Python's order, until the rest matches too. width is the least and the most
// characters it takes; most is forever when there is no bound.
type node interface {
	match(m *match, at int, k rest) bool
	width() (least, most int)
}

const forever = 1 << 30

// char is one character of a set.
type char struct{ has func(r rune) bool }

func (c char) match(m *match, at int, k rest) bool {
	return m.step() && at < len(m.text) && c.has(m.text[at]) && k(at+1)
}
func (char) width() (int, int) { return 1, 1 }

// sequence is one node after the other.
type sequence []node

func (s sequence) match(m *match, at int, k rest) bool {
	if len(s) == 0 {
		return k(at)
	}
	if !m.enter() {
		return false
	}
	defer m.leave()
	if len(s) == 1 {
		return s[0].match(m, at, k)
	}
	return s[0].match(m, at, func(next int) bool { return s[1:].match(m, next, k) })
}

func (s sequence) width() (least, most int) {
	for _, n := range s {
		a, b := n.width()
		least, most = min(least+a, forever), min(most+b, forever)
	}
	return least, most
}

// choice is alternatives, the first first.
type choice []node

func (c choice) match(m *match, at int, k rest) bool {
	for _, n := range c {
		if !m.step() {
			return false
		}
		if n.match(m, at, k) {
			return true
		}
	}
	return false
}

func (c choice) width() (least, most int) {
	least = forever
	for _, n := range c {
		a, b := n.width()
		least, most = min(least, a), max(most, b)
	}
	return least, most
}

// group catches what its body matched.
type group struct {
	number int
	body   node
}

func (g group) match(m *match, at int, k rest) bool {
	return g.body.match(m, at, func(next int) bool {
		old := m.groups[g.number]
		m.groups[g.number] = span{at, next}
		if k(next) {
			return true
		}
		m.groups[g.number] = old
		return false
	})
}
func (g group) width() (int, int) { return g.body.width() }

// back matches what a group caught, once more.
type back struct {
	number      int
	same        func(a, b rune) bool
	least, most int
}

func (b back) match(m *match, at int, k rest) bool {
	g := m.groups[b.number]
	if !m.step() || g.from < 0 || at+g.to-g.from > len(m.text) {
		return false
	}
	for i := g.from; i < g.to; i++ {
		if x, y := m.text[i], m.text[at+i-g.from]; !b.same(x, y) {
			return false
		}
	}
	return k(at + g.to - g.from)
}
func (b back) width() (int, int) { return b.least, b.most }

// repeat is a body, so many times.
type repeat struct {
	body        node
	least, most int
	lazy        bool
}

func (r repeat) match(m *match, at int, k rest) bool {
	if c, single := r.body.(char); single && !r.lazy {
		return r.stretch(m, c, at, k)
	}
	return r.round(m, at, 0, -1, k)
}

// stretch takes as many characters as there are, then gives them back one by one.
func (r repeat) stretch(m *match, c char, at int, k rest) bool {
	n := 0
	for n < r.most && at+n < len(m.text) && c.has(m.text[at+n]) && m.step() {
		n++
	}
	for ; n >= r.least; n-- {
		if !m.step() {
			return false
		}
		if k(at + n) {
			return true
		}
	}
	return false
}

// round tries the body for the n-th time. As in Python, a round beyond the least number
// is not tried where the one before, from last on, took nothing.
func (r repeat) round(m *match, at, n, last int, k rest) bool {
	if !m.enter() {
		return false
	}
	defer m.leave()
	if n < r.least {
		return r.body.match(m, at, func(next int) bool {
			if next == at { // more empty rounds bring nothing new, but groups that they may set
				r.least = min(r.least, n+1+len(m.groups))
			}
			return r.round(m, next, n+1, last, k)
		})
	}
	again := func() bool {
		return n < r.most && at != last && r.body.match(m, at, func(next int) bool { return r.round(m, next, n+1, at, k) })
	}
	if r.lazy {
		return k(at) || again()
	}
	return again() || k(at)
}

func (r repeat) width() (int, int) {
	a, b := r.body.width()
	if a > 0 && r.least > forever/a {
		a, r.least = 1, forever
	}
	if b > 0 && r.most > forever/b {
		b, r.most = 1, forever
	}
	return min(a*r.least, forever), min(b*r.most, forever)
}

// possessive is a repeat that gives nothing back: each round takes the first way its
// body matches, and never another.
type possessive struct{ repeat }

func (p possessive) match(m *match, at int, k rest) bool {
	old, n := append([]span(nil), m.groups...), 0
	for n < p.most {
		end := -1
		if !m.step() || !p.body.match(m, at, func(next int) bool { end = next; return true }) {
			break
		}
		n++
		if end == at {
			n = max(n, p.least) // so would be all that follow
			break
		}
		at = end
	}
	if n >= p.least && k(at) {
		return true
	}
	copy(m.groups, old)
	return false
}

// atomic takes the first way its body matches and never another.
type atomic struct{ body node }

func (a atomic) match(m *match, at int, k rest) bool {
	end, old := -1, append([]span(nil), m.groups...)
	if !a.body.match(m, at, func(next int) bool { end = next; return true }) {
		return false
	}
	if k(end) {
		return true
	}
	copy(m.groups, old)
	return false
}
func (a atomic) width() (int, int) { return a.body.width() }

// look is look-ahead, or look-behind over a body of a fixed width.
type look struct {
	body   node
	behind int // characters; 0 looks ahead (and a body of width 0 behind is the same)
	not    bool
}

func (l look) match(m *match, at int, k rest) bool {
	old := append([]span(nil), m.groups...)
	found := m.step() && at >= l.behind && l.body.match(m, at-l.behind, func(int) bool { return true })
	if l.not {
		copy(m.groups, old)
	}
	if found == l.not {
		return false
	}
	if k(at) {
		return true
	}
	copy(m.groups, old)
	return false
}
func (look) width() (int, int) { return 0, 0 }

// conditional is one node when a group caught something, else another.
type conditional struct {
	number  int
	yes, no node
}

func (c conditional) match(m *match, at int, k rest) bool {
	if m.groups[c.number].from >= 0 {
		return c.yes.match(m, at, k)
	}
	return c.no.match(m, at, k)
}
func (c conditional) width() (int, int) { return choice{c.yes, c.no}.width() }

// place is a condition on a position.
type place func(text []rune, at int) bool

func (p place) match(m *match, at int, k rest) bool { return m.step() && p(m.text, at) && k(at) }
func (place) width() (int, int)                     { return 0, 0 }

func atStart(_ []rune, at int) bool         { return at == 0 }
func atEnd(t []rune, at int) bool           { return at == len(t) }
func atLineStart(t []rune, at int) bool     { return at == 0 || t[at-1] == '\n' }
func atLineEnd(t []rune, at int) bool       { return at == len(t) || t[at] == '\n' }
func beforeLastBreak(t []rune, at int) bool { return at == len(t) || at == len(t)-1 && t[at] == '\n' }

func same(a, b rune) bool { return a == b }

// sameFoldASCII is sameFold under the flag a: only the letters of ASCII have cases.
func sameFoldASCII(a, b rune) bool { return a == b || a < 128 && b < 128 && sameFold(a, b) }

// sameFold reports whether two characters differ in case only.
func sameFold(a, b rune) bool {
	for f := unicode.SimpleFold(a); f != a; f = unicode.SimpleFold(f) {
		if f == b {
			return true
		}
	}
	return a == b
}
