package pattern

import (
	"strconv"
	"strings"
	"unicode"
)

// escape reads what begins with a backslash, outside a set.
func (p *parser) escape() (node, error) {
	if p.at+1 >= len(p.src) {
		return nil, p.fail("bad escape (end of pattern)")
	}
	c := p.src[p.at+1]
	switch c {
	case 'A':
		p.at += 2
		return place(atStart), nil
	case 'Z':
		p.at += 2
		return place(atEnd), nil
	case 'b', 'B':
		p.at += 2
		word := p.category('w')
		edge := func(t []rune, at int) bool {
			return (at > 0 && word(t[at-1])) != (at < len(t) && word(t[at]))
		}
		if c == 'B' {
			// Python's \B matches nowhere in an empty text.
			return place(func(t []rune, at int) bool { return len(t) > 0 && !edge(t, at) }), nil
		}
		return place(edge), nil
	}
	if c >= '1' && c <= '9' {
		return p.numbered()
	}
	has, r, err := p.escaped()
	if err != nil {
		return nil, err
	}
	if has != nil {
		return char{has}, nil
	}
	return p.literal(r), nil
}

// numbered reads \1 to \99, or three octal digits.
func (p *parser) numbered() (node, error) {
	d := p.src[p.at+1 : min(len(p.src), p.at+4)]
	octal := len(d) == 3
	for _, c := range d {
		octal = octal && c >= '0' && c <= '7'
	}
	if octal {
		n, _ := strconv.ParseInt(string(d), 8, 32)
		if n > 0o377 {
			return nil, p.fail("octal escape value \\%s outside of range 0-0o377", string(d))
		}
		p.at += 4
		return p.literal(rune(n)), nil
	}
	digits := 1
	if len(d) > 1 && d[1] >= '0' && d[1] <= '9' {
		digits = 2
	}
	number := string(d[:digits])
	if n, _ := strconv.Atoi(number); n > p.groups {
		return nil, p.fail("invalid group reference %s", number)
	}
	p.at += 1 + digits
	return p.reference(number)
}

// escaped reads an escape that stands for a set of characters or for one.
func (p *parser) escaped() (has func(rune) bool, r rune, err error) {
	if p.at+1 >= len(p.src) {
		return nil, 0, p.fail("bad escape (end of pattern)")
	}
	c := p.src[p.at+1]
	p.at += 2
	switch c {
	case 'd', 'D', 's', 'S', 'w', 'W':
		return p.category(c), 0, nil
	case 'x':
		r, err = p.hex(2)
	case 'u':
		r, err = p.hex(4)
	case 'U':
		r, err = p.hex(8)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		r, err = p.octal(c)
	case 'N':
		err = p.fail("\\N{NAME} is not supported")
	default:
		if i := strings.IndexRune("afnrtv", c); i >= 0 {
			r = []rune("\a\f\n\r\t\v")[i]
		} else if c < 128 && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			err = p.fail("bad escape \\%c", c)
		} else {
			r = c
		}
	}
	return nil, r, err
}

func (p *parser) hex(digits int) (rune, error) {
	end := min(len(p.src), p.at+digits)
	n, err := strconv.ParseUint(string(p.src[p.at:end]), 16, 32)
	if err != nil || end-p.at < digits || n > unicode.MaxRune {
		return 0, p.fail("incomplete or bad escape of %d hexadecimal digits", digits)
	}
	p.at = end
	return rune(n), nil
}

// octal reads up to two more digits.
func (p *parser) octal(first rune) (rune, error) {
	n := first - '0'
	for i := 0; i < 2 && p.more() && p.src[p.at] >= '0' && p.src[p.at] <= '7'; i++ {
		n = n*8 + p.src[p.at] - '0'
		p.at++
	}
	if n > 0o377 {
		return 0, p.fail("octal escape value outside of range 0-0o377")
	}
	return n, nil
}

// category is \d \s \w and their negations, for Unicode or for ASCII.
func (p *parser) category(c rune) func(rune) bool {
	ascii := p.flags.ascii
	var in func(rune) bool
	switch unicode.ToLower(c) {
	case 'd':
		in = unicode.IsDigit
	case 's':
		// Python counts the four separators of ASCII as space, too.
		in = func(r rune) bool { return unicode.IsSpace(r) || !ascii && r >= 0x1c && r <= 0x1f }
	default:
		in = func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
	}
	return func(r rune) bool {
		return (in(r) && !(ascii && r > 127)) == (c >= 'a')
	}
}

// set reads [...].
func (p *parser) set() (node, error) {
	start := p.at
	p.at++
	not := p.eat("^")
	var in []func(rune) bool
	for first := true; ; first = false {
		if !p.more() {
			p.at = start
			return nil, p.fail("unterminated character set")
		}
		if p.src[p.at] == ']' && !first {
			p.at++
			break
		}
		has, low, err := p.member()
		if err != nil {
			return nil, err
		}
		high := low
		if p.at+1 < len(p.src) && p.src[p.at] == '-' && p.src[p.at+1] != ']' {
			p.at++
			var upper func(rune) bool
			if upper, high, err = p.member(); err != nil {
				return nil, err
			}
			if has != nil || upper != nil || high < low {
				return nil, p.fail("bad character range")
			}
		}
		if has == nil {
			has = func(r rune) bool { return r >= low && r <= high }
		}
		in = append(in, has)
	}
	fold, ascii := p.flags.fold, p.flags.ascii
	return char{func(r rune) bool {
		for _, has := range in {
			if has(r) || fold && anyFold(r, ascii, has) {
				return !not
			}
		}
		return not
	}}, nil
}

// member reads one character or category of a set.
func (p *parser) member() (has func(rune) bool, r rune, err error) {
	if p.src[p.at] != '\\' {
		p.at++
		return nil, p.src[p.at-1], nil
	}
	if p.at+1 < len(p.src) && p.src[p.at+1] == 'b' {
		p.at += 2
		return nil, '\b', nil
	}
	if p.at+1 < len(p.src) && (p.src[p.at+1] == '8' || p.src[p.at+1] == '9') {
		return nil, 0, p.fail("bad escape \\%c", p.src[p.at+1])
	}
	return p.escaped()
}

// anyFold reports whether another case of a character is in a set.
func anyFold(r rune, ascii bool, has func(rune) bool) bool {
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		if has(f) && !(ascii && (r > 127 || f > 127)) {
			return true
		}
	}
	return false
}
