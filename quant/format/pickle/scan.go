package pickle

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"nibble/quant/fault"
)

// Limits on a pickle. Running that of a state dict is charged about 4 kB a tensor, so they
// leave room for 70,000 of them.
const (
	MaxBytes  = 48 << 20  // of a pickle
	maxStack  = 1 << 20   // values on the stack; CPython's pickler keeps it below 3,000
	maxMemo   = 1 << 20   // entries of the memo
	maxMarks  = 256       // nested MARKs, each a stack of its own
	maxMemory = 320 << 20 // bytes that running the pickle may hold, roughly
	maxInt    = 1024      // bytes of an integer
)

// operand says what follows an opcode.
type operand uint8

const (
	none operand = iota
	one          // that many bytes
	two
	four
	eight
	line // one or two lines of text
	lines
	len1 // a length of so many bytes, then that much
	len4
	len8
)

// lengthField is the bytes of a length, where a length follows.
var lengthField = map[operand]int{len1: 1, len4: 4, len8: 8}

// opcodes is the literal table of what Nibble lets a pickle do (protocols 2 to 5;
// names in CPython's Lib/pickletools.py): what follows, how many values it takes off
// the stack (toMark: all since the last MARK) and puts there, and roughly how many
// bytes the unpickler then holds, per instruction and per value taken. Text persistent
// ids, INST, OBJ, NEWOBJ_EX, extension codes and out-of-band buffers have no place in
// a file of weights.
var opcodes = map[byte]opcode{
	'(': {none, 0, 0, 300, 0}, '.': {none, 1, 0, 0, 0}, '0': {none, 1, 0, 0, 0}, '1': {none, toMark, 0, 0, 0},
	'2': {none, 0, 1, 40, 0},
	'N': {none, 0, 1, 40, 0}, 0x88: {none, 0, 1, 40, 0}, 0x89: {none, 0, 1, 40, 0},
	'F': {line, 0, 1, 48, 0}, 'I': {line, 0, 1, 48, 0}, 'L': {line, 0, 1, 48, 0}, 'G': {eight, 0, 1, 48, 0},
	'J': {four, 0, 1, 48, 0}, 'K': {one, 0, 1, 40, 0}, 'M': {two, 0, 1, 48, 0}, 0x8a: {len1, 0, 1, 64, 0},
	0x8b: {len4, 0, 1, 64, 0},
	'U':  {len1, 0, 1, 56, 0}, 'T': {len4, 0, 1, 56, 0}, 'X': {len4, 0, 1, 56, 0}, 'V': {line, 0, 1, 56, 0},
	'S':  {line, 0, 1, 56, 0},
	0x8c: {len1, 0, 1, 56, 0}, 0x8d: {len8, 0, 1, 56, 0},
	'C': {len1, 0, 1, 64, 0}, 'B': {len4, 0, 1, 64, 0}, 0x8e: {len8, 0, 1, 64, 0}, 0x96: {len8, 0, 1, 64, 0},
	']': {none, 0, 1, 80, 0}, '}': {none, 0, 1, 230, 0}, ')': {none, 0, 1, 64, 0}, 0x8f: {none, 0, 1, 200, 0},
	'l': {none, toMark, 1, 80, 32}, 't': {none, toMark, 1, 80, 32}, 'd': {none, toMark, 1, 230, 130},
	0x91: {none, toMark, 1, 200, 90},
	0x85: {none, 1, 1, 80, 0}, 0x86: {none, 2, 1, 96, 0}, 0x87: {none, 3, 1, 112, 0},
	'a': {none, 1, 0, 40, 0}, 's': {none, 2, 0, 260, 0}, 'e': {none, toMark, 0, 0, 40}, 'u': {none, toMark, 0, 0, 130},
	0x90: {none, toMark, 0, 0, 90},
	'c':  {lines, 0, 1, 64, 0}, 0x93: {none, 2, 1, 64, 0}, 'Q': {none, 1, 1, 64, 0}, 'R': {none, 2, 1, 420, 0},
	0x81: {none, 2, 1, 420, 0}, 'b': {none, 1, 0, 64, 0},
	'g': {line, 0, 1, 40, 0}, 'h': {one, 0, 1, 40, 0}, 'j': {four, 0, 1, 40, 0},
	'p': {line, 0, 0, 90, 0}, 'q': {one, 0, 0, 90, 0}, 'r': {four, 0, 0, 90, 0}, 0x94: {none, 0, 0, 90, 0},
	0x80: {one, 0, 0, 0, 0}, 0x95: {eight, 0, 0, 0, 0},
}

// makers give, and callers need below their argument, a class, a function or an object; the
// unpickler prints whatever else it finds there, however large.
const (
	makers  = "c\x93QR\x81"
	callers = "R\x81b"
)

type opcode struct {
	operand      operand
	takes, gives int
	cost, each   int
}

const toMark = -1

// scanner walks a pickle's opcodes without running them. It keeps what it must know of
// each value on the stack and in the memo. A text fetched from the memo is charged again,
// because the unpickler prints values in its errors, and a list of 200,000 references to
// one long text would print as 200,000 of them.
type scanner struct {
	*Machine
	p      []byte
	base   int64 // the pickle's offset in the file
	stack  []held
	marks  []int // stack heights
	memo   map[uint64]held
	memory int
	module map[int32]uint8 // what a text that was renamed, or could be, was used for
	frame  int             // where the present frame ends, which no instruction may cross
	listed bool            // an odd text lies in a list
}

// held is a value: the size of a text and where it begins (0 for other values), whether it could be a
// class, a function or an object, and what scan_text.go must know of it.
type held struct {
	size, text int32
	object     bool
	unhashable bool // a list, a dict, a set, or a tuple with one of them in it
	container  bool // a class whose objects are unhashable
	odd        bool // a text that Python decodes and gopickle does not, or a tuple with one in it
	empty      bool // the empty tuple
}

// unframed stands in the place of a frame's opcode and length: it pushes and pops. The
// unpickler would copy each frame.
const unframed = "K\x010N0N0N0"

// ours are classes that gopickle makes itself, under names with a small letter; under these
// they come to Machine.find, which gives them their own names back. Python 2 pickled OrderedDict
// with its items, which gopickle refuses.
var (
	ours   = map[string]byte{"collections": 'C', "copy_reg": 'C', "__builtin__": 'B'}
	theirs = map[string]string{"Collections": "collections", "Copy_reg": "copy_reg", "B_builtin__": "__builtin__"}
)

// scan finds where the pickle at the start of p ends. It refuses lengths that reach
// beyond p, opcodes outside the table, memo entries that were never written, and a pickle
// that would make the unpickler hold too much. base is the pickle's offset in the file.
// An error that more bytes might cure is a shortError.
func (m *Machine) scan(p []byte, base int64) (end int, err error) {
	s := &scanner{Machine: m, p: p, base: base, memo: map[uint64]held{}, module: map[int32]uint8{}}
	for at := 0; at < len(p); {
		op, ok := opcodes[p[at]]
		if !ok {
			return 0, fault.Not(m.File, "the pickle uses opcode 0x%02x, which no state dict needs", p[at]).At(base+int64(at)).
				Hint("%s", m.Remedy)
		}
		n, whole := operandBytes(op.operand, p[at+1:])
		if !whole {
			return 0, s.short(at, "the pickle ends inside an instruction")
		}
		if p[at] == '.' {
			return at + 1, s.twoUses(at)
		}
		if at < s.frame && at+1+n > s.frame && s.frame != at+1 && s.frame != at+1+lengthField[op.operand] {
			return 0, s.bad(at, "the pickle is broken (an instruction reaches beyond its frame)")
		}
		if err := s.step(at, op, p[at+1:at+1+n]); err != nil {
			return 0, err
		}
		at += 1 + n
		if len(s.marks) > maxMarks || len(s.stack) > maxStack || len(s.memo) > maxMemo || s.memory+at > maxMemory {
			return 0, s.bad(at, "the pickle nests or allocates more than a state dict does")
		}
	}
	return 0, s.short(len(p), "the pickle has no end")
}

// shortError is a pickle that goes on where the bytes at hand end.
type shortError struct{ fault *fault.Error }

func (e *shortError) Error() string { return e.fault.Error() }
func (e *shortError) Unwrap() error { return e.fault }

func (s *scanner) short(at int, what string) error {
	return &shortError{s.bad(at, "%s", what).Hint("the file is damaged: copy or download it again")}
}

func (s *scanner) bad(at int, what string, args ...any) *fault.Error {
	return fault.Bad(s.File, what, args...).At(s.base + int64(at))
}

// step accounts for one instruction.
func (s *scanner) step(at int, op opcode, arg []byte) error {
	s.memory += op.cost
	value := held{object: strings.IndexByte(makers, s.p[at]) >= 0}
	if n := len(s.stack); n >= 2 && strings.IndexByte(callers, s.p[at]) >= 0 && !s.stack[n-2].object {
		return s.bad(at, "the pickle is broken (it calls or fills what is no function, class or object)")
	}
	switch code := s.p[at]; code {
	case '(':
		s.marks = append(s.marks, len(s.stack))
	case 0x95:
		if frame := binary.LittleEndian.Uint64(arg); frame > uint64(len(s.p)-at-9) {
			return s.short(at, "the pickle ends inside an instruction")
		}
		if at < s.frame {
			return s.bad(at, "the pickle is broken (a frame begins inside another)")
		}
		s.frame = at + 9 + int(binary.LittleEndian.Uint64(arg))
		copy(s.p[at:], unframed)
	case 'c':
		if !utf8.Valid(arg) {
			return s.bad(at, "the pickle names a class that is not UTF-8 text")
		}
		value.container = containers[string(arg)]
		s.rename(at+1, bytes.IndexByte(arg, '\n'))
	case 0x93:
		if n := len(s.stack); n >= 2 && s.rename(int(s.stack[n-2].text), int(s.stack[n-2].size)) {
			s.module[s.stack[n-2].text] |= renamed
		}
	case 'I', 'L', 'F', 'V', 'S':
		fits, odd := lineFits(code, arg[:len(arg)-1])
		if !fits || len(arg) > maxInt && (code == 'I' || code == 'L') {
			return s.bad(at, "the pickle holds a number or text in a form that no pickler writes (%.80q)", arg)
		}
		value.size, value.odd = int32(len(arg)), odd
	case 0x8a, 0x8b:
		if len(arg) > maxInt+4 || code == 0x8a && len(arg) == 1 || code == 0x8b && len(arg) == 4 {
			return s.bad(at, "the pickle holds an integer of %d bytes", len(arg))
		}
	case 'p', 'q', 'r', 0x94:
		if len(s.stack) == 0 {
			return s.bad(at, "the pickle is broken (it memoizes nothing)")
		}
		key, ok := uint64(len(s.memo)), true
		if code != 0x94 {
			key, ok = memoKey(code, arg)
		}
		if !ok {
			return s.bad(at, "the pickle is broken (%q is no memo index)", arg)
		}
		s.memo[key] = s.stack[len(s.stack)-1]
	case 'g', 'h', 'j':
		key, ok := memoKey(code, arg)
		held, known := s.memo[key]
		if !ok || !known {
			return s.bad(at, "the pickle is broken (it fetches memo entry %d, which it never wrote)", key).
				Hint("the file is damaged: copy or download it again")
		}
		value = held
		s.memory += int(value.size)
	case '2':
		if n := len(s.stack); n > 0 {
			value = s.stack[n-1]
			s.memory += int(value.size)
		}
	case 'X', 0x8c, 0x8d:
		width := map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8}[code]
		value.size, value.text = int32(len(arg)-width), int32(at+1+width)
		if !pythonText(arg[width:], true) {
			return s.bad(at, "the pickle holds a text that is not UTF-8")
		}
	case 'U', 'T':
		if value.size = int32(len(arg)); !pythonText(arg[map[byte]int{'U': 1, 'T': 4}[code]:], false) {
			return s.bad(at, "the pickle holds a text that is not UTF-8")
		}
	default:
		value.size = int32(len(arg))
	}
	value.empty = s.p[at] == ')'
	value.unhashable = value.unhashable || strings.IndexByte("]}ld\x8f", s.p[at]) >= 0
	return s.move(at, op, value)
}

// rename gives a module of ours the name under which it comes to find.
func (s *scanner) rename(at, size int) bool {
	if size <= 0 || size > 16 {
		return false
	}
	text := string(s.p[at : at+size])
	if first, ok := ours[text]; ok {
		s.p[at] = first
		return true
	}
	return theirs[text] != ""
}

// move takes values off the stack and puts one of the given size there.
func (s *scanner) move(at int, op opcode, value held) error {
	floor, takes := 0, op.takes
	if n := len(s.marks); n > 0 {
		floor = s.marks[n-1]
	}
	if takes == toMark {
		if len(s.marks) == 0 {
			return s.bad(at, "the pickle is broken (a MARK is missing)")
		}
		takes = len(s.stack) - floor
		s.marks = s.marks[:len(s.marks)-1]
		s.memory += takes * op.each
	} else if len(s.stack)-takes < floor {
		return s.bad(at, "the pickle is broken (it takes a value from an empty stack)")
	}
	if what := s.taken(s.p[at], s.stack[len(s.stack)-takes:], &value); what != "" {
		return s.bad(at, "the pickle is broken (%s)", what)
	}
	s.stack = s.stack[:len(s.stack)-takes]
	if op.gives == 1 {
		s.stack = append(s.stack, value)
	}
	return nil
}

func memoKey(code byte, arg []byte) (uint64, bool) {
	switch code {
	case 'g', 'p':
		n, err := strconv.ParseUint(string(arg[:len(arg)-1]), 10, 31)
		return n, err == nil
	case 'h', 'q':
		return uint64(arg[0]), true
	}
	return uint64(binary.LittleEndian.Uint32(arg)), true
}

// operandBytes is how many bytes of rest an operand takes; whole is false when it reaches beyond.
func operandBytes(o operand, rest []byte) (n int, whole bool) {
	switch o {
	case one:
		n = 1
	case two:
		n = 2
	case four:
		n = 4
	case eight:
		n = 8
	case line, lines:
		for range int(o - line + 1) {
			end := bytes.IndexByte(rest[n:], '\n')
			if end < 0 {
				return 0, false
			}
			n += end + 1
		}
	case len1, len4, len8:
		width := lengthField[o]
		if len(rest) < width {
			return 0, false
		}
		var field [8]byte
		copy(field[:], rest[:width])
		size := binary.LittleEndian.Uint64(field[:])
		if size > uint64(len(rest)-width) {
			return 0, false
		}
		n = width + int(size)
	}
	return n, n <= len(rest)
}
