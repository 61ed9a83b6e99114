package pattern

import (
	"strconv"
	"strings"
	"unicode"
)

// group reads what begins with a parenthesis; nil for a comment.
func (p *parser) group() (node, error) {
	p.at++
	if !p.eat("?") {
		return p.capture("")
	}
	switch {
	case p.eat("P<"):
		name, err := p.name('>')
		if err != nil {
			return nil, err
		}
		if _, twice := p.names[name]; twice {
			return nil, p.fail("the group %q is defined twice", name)
		}
		return p.capture(name)
	case p.eat("P="):
		name, err := p.name(')')
		if err != nil {
			return nil, err
		}
		return p.reference(name)
	case p.eat("#"):
		for p.more() && p.src[p.at] != ')' {
			p.at++
		}
		return nil, p.close()
	case p.eat(":"):
		return p.scoped(p.flags)
	case p.eat(">"):
		n, err := p.scoped(p.flags)
		return atomic{n}, err
	case p.eat("="):
		return p.look(false, false)
	case p.eat("!"):
		return p.look(false, true)
	case p.eat("<="):
		return p.look(true, false)
	case p.eat("<!"):
		return p.look(true, true)
	case p.eat("("):
		return p.conditional()
	}
	return p.flagged()
}

func (p *parser) close() error {
	if !p.eat(")") {
		return p.fail("missing ), unterminated group")
	}
	return nil
}

// scoped reads the inside of a group; flags set within it end with it.
func (p *parser) scoped(outer flags) (node, error) {
	n, err := p.choice()
	if err == nil {
		err = p.close()
	}
	p.flags = outer
	return n, err
}

// capture reads a group that is numbered.
func (p *parser) capture(name string) (node, error) {
	if p.groups++; p.groups > maxGroups {
		return nil, p.fail("more than %d groups", maxGroups)
	}
	number := p.groups
	p.widths = append(p.widths, nil)
	if name != "" {
		p.names[name] = number
	}
	p.open[number] = true
	body, err := p.scoped(p.flags)
	delete(p.open, number)
	p.widths[number] = &body
	return group{number, body}, err
}

// name reads an identifier up to its end.
func (p *parser) name(end rune) (string, error) {
	from := p.at
	for p.more() && p.src[p.at] != end {
		p.at++
	}
	if !p.more() {
		return "", p.fail("missing %c, unterminated name", end)
	}
	name := string(p.src[from:p.at])
	p.at++
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return "", p.fail("bad character in group name %q", name)
		}
	}
	if name == "" {
		return "", p.fail("missing group name")
	}
	return name, nil
}

// reference reads a group's name or number as a back-reference.
func (p *parser) reference(name string) (node, error) {
	number, err := p.find(name)
	if err != nil {
		return nil, err
	}
	if err := p.reachable(number, true); err != nil {
		return nil, err
	}
	b := back{number: number, same: p.alike()}
	b.least, b.most = (*p.widths[number]).width()
	return b, nil
}

func (p *parser) find(name string) (int, error) {
	if n, ok := p.names[name]; ok {
		return n, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= p.groups {
		return n, nil
	}
	return 0, p.fail("unknown group %q", name)
}

// reachable refuses a group that is not closed yet, and in a look-behind one of its own.
func (p *parser) reachable(number int, closed bool) error {
	switch {
	case (closed || p.behind >= 0) && (p.open[number] || number > p.groups):
		return p.fail("cannot refer to an open group")
	case p.behind >= 0 && number > p.behind:
		return p.fail("cannot refer to group defined in the same lookbehind subpattern")
	}
	return nil
}

// condition is find, but a number may name a group that comes later.
func (p *parser) condition(name string) (int, error) {
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n < 100 {
		p.ahead = max(p.ahead, n)
		return n, p.reachable(n, false)
	}
	n, err := p.find(name)
	if err == nil {
		err = p.reachable(n, false)
	}
	return n, err
}

func (p *parser) look(behind, not bool) (node, error) {
	outer := p.behind
	if behind && outer < 0 {
		p.behind = p.groups
	}
	body, err := p.scoped(p.flags)
	p.behind = outer
	if err != nil {
		return nil, err
	}
	l := look{body: body, not: not}
	if behind {
		least, most := body.width()
		if least != most {
			return nil, p.fail("look-behind requires fixed-width pattern")
		}
		l.behind = least
	}
	return l, nil
}

// conditional reads (?(group)yes|no).
func (p *parser) conditional() (node, error) {
	from := p.at
	for p.more() && p.src[p.at] != ')' {
		p.at++
	}
	name := string(p.src[from:p.at])
	if err := p.close(); err != nil {
		return nil, err
	}
	number, err := p.condition(name)
	if err != nil {
		return nil, err
	}
	c := conditional{number: number, no: sequence{}}
	if c.yes, err = p.sequence(); err != nil {
		return nil, err
	}
	if p.eat("|") {
		if c.no, err = p.sequence(); err != nil {
			return nil, err
		}
		if p.more() && p.src[p.at] == '|' {
			return nil, p.fail("conditional backref with more than two branches")
		}
	}
	return c, p.close()
}

// flagged reads (?i:...) and (?i-m:...).
func (p *parser) flagged() (node, error) {
	outer, on, start, seen := p.flags, true, p.at, map[rune]bool{}
	for p.more() && p.src[p.at] != ':' {
		switch c := p.src[p.at]; {
		case c == '-' && on:
			on = false
			p.at++
		case c == ')':
			return nil, p.fail("global flags not at the start of the expression")
		case !strings.ContainsRune("aimsux", c) || !on && strings.ContainsRune("au", c):
			return nil, p.fail("unknown extension ?%s", string(p.src[start:min(len(p.src), p.at+1)]))
		case !on && seen[c]:
			return nil, p.fail("flag %c is turned on and off", c)
		default:
			seen[c] = true
			if err := p.flag(on); err != nil {
				return nil, err
			}
		}
	}
	if p.at == start || p.src[p.at-1] == '-' {
		return nil, p.fail("missing flag")
	}
	if !p.eat(":") {
		return nil, p.fail("missing :")
	}
	return p.scoped(outer)
}
