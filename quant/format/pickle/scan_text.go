package pickle

import (
	"bytes"
	"regexp"
	"unicode/utf8"

	"nibble/quant/fault"
)

// What gopickle reads otherwise than Python does, or takes where Python does not, is refused before it runs:
// numbers in odd forms, texts with escapes where they would decide what is read, and keys that are none.

// containers are the classes, as GLOBAL names them, whose objects cannot be keys.
var containers = map[string]bool{
	"collections\nOrderedDict\n": true, "builtins\ndict\n": true, "builtins\nlist\n": true, "builtins\nset\n": true,
	"__builtin__\ndict\n": true,
	"__builtin__\nlist\n": true, "__builtin__\nset\n": true, "collections\ndefaultdict\n": true,
	"collections\nCounter\n": true,
	"builtins\nbytearray\n":  true,
}

// taken checks the values that an instruction takes off the stack, and says of what it makes whether it
// could be a key, and whether it has an odd text in it: one that stands where it decides what is read is
// refused. what says what is wrong.
func (s *scanner) taken(code byte, values []held, made *held) (what string) {
	n, odd := len(values), false
	if code != 0x93 && code != '0' && code != '1' {
		for _, v := range values {
			if v.text > 0 && v.size >= 8 && v.size <= 16 {
				text := string(s.p[v.text : v.text+v.size])
				if _, ours := ours[text]; ours || theirs[text] != "" {
					s.module[v.text] |= otherwise
				}
			}
		}
	}
	for i, v := range values {
		odd = odd || v.odd && (code != 's' && code != 'u' && code != 'd' || i%2 == 0)
	}
	switch code {
	case 'R', 0x81:
		made.unhashable = values[0].container
		odd = odd || s.listed && values[0].container && !values[1].empty
	case 't', 0x85, 0x86, 0x87:
		made.odd, odd = odd, false
		for _, v := range values {
			made.unhashable = made.unhashable || v.unhashable
		}
	case 'a', 'e', 'l':
		s.listed = s.listed || odd
		odd = false
	case 0x90, 0x91:
		for _, v := range values {
			if v.unhashable {
				return noKey
			}
		}
	case '0', '1', '.', 'b':
		odd = false
	case 's':
		if values[0].unhashable {
			return noKey
		}
	case 'u', 'd':
		if n%2 != 0 {
			return "a dict has a key without a value"
		}
		for i := 0; i < n; i += 2 {
			if values[i].unhashable {
				return noKey
			}
		}
	}
	if odd {
		return "a name in it is a text with escapes"
	}
	return ""
}

// Uses of a text.
const (
	renamed   = 1 // as the name of a module of ours, which was changed for it
	otherwise = 2
)

// twoUses refuses a text that is the name of such a module and anything else, too: what else it is would read
// otherwise than in the file.
func (s *scanner) twoUses(at int) error {
	for _, uses := range s.module {
		if uses == renamed|otherwise {
			return fault.Not(s.File, "a name in it is that of a module of Python's (collections, copy_reg), which Nibble "+
				"cannot tell apart").
				At(s.base+int64(at)).Hint("%s", s.Remedy)
		}
	}
	return nil
}

const noKey = "a dict or a set has a key that cannot be one"

// Forms of numbers that Python and gopickle read alike: a 0 before others, and a sign or an underscore, they
// do not.
var (
	wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	fraction    = regexp.MustCompile(`^-?([0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|inf|nan)$`)
)

// escapes of texts that Python cannot decode are those where too few digits follow.
var (
	wideEscape  = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|U00(0[0-9a-fA-F]|10)[0-9a-fA-F]{4})`)
	anyEscape   = regexp.MustCompile(`\\[\\'"abfnrtvx0-7\n]`)
	shortEscape = regexp.MustCompile(`\\x([^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)`)
)

// lineFits reports whether the operand of an instruction of the oldest protocols, a line without its end, is one
// that both read, and whether it is odd: a text in which Python decodes escapes, or takes bytes for Latin-1.
func lineFits(code byte, line []byte) (fits, odd bool) {
	switch code {
	case 'I':
		return wholeNumber.Match(line) || string(line) == "00" || string(line) == "01", false
	case 'L':
		return wholeNumber.Match(bytes.TrimSuffix(line, []byte("L"))), false
	case 'F':
		return fraction.Match(line), false
	case 'V':
		wide := bytes.Count(line, []byte(`\u`)) + bytes.Count(line, []byte(`\U`))
		return wide == len(wideEscape.FindAll(line, -1)), wide > 0 || !ascii(line)
	}
	n := len(line)
	quoted := n >= 2 && line[0] == line[n-1] && (line[0] == '\'' || line[0] == '"')
	escaped := anyEscape.Match(line)
	if !quoted || shortEscape.Match(line[1:n-1]) || line[n-2] == '\\' || !pythonText(line, false) {
		return false, false
	}
	return true, escaped
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// pythonText reports whether Python can decode a text: UTF-8, and in some instructions halves of UTF-16 pairs.
func pythonText(b []byte, surrogates bool) bool {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
			b = b[n:]
			continue
		}
		if !surrogates || len(b) < 3 || b[0] != 0xed || b[1] < 0xa0 || b[1] > 0xbf || b[2] < 0x80 || b[2] > 0xbf {
			return false
		}
		b = b[3:]
	}
	return true
}
