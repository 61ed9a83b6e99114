package torch

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"nibble/quant/fault"
)

// Limits on a pickle. Running that of a state dict takes about 4 kB a tensor, so they
// leave room for 60,000 of them.
const (
	maxPickle = 48 << 20
	maxStack  = 1 << 20   // values on the stack; CPython's pickler keeps it below 3,000
	maxMarks  = 256       // nested MARKs, each a stack of its own
	maxMemory = 320 << 20 // bytes that running the pickle may hold, roughly
	maxInt    = 64        // bytes of an integer
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

// opcodes is the literal table of what Nibble lets a pickle do (protocols 2 to 5;
// names in CPython's Lib/pickletools.py): what follows, how many values it takes off
// the stack (toMark: all since the last MARK) and puts there, and roughly how many
// bytes the unpickler then holds, per instruction and per value taken. Text persistent
// ids, INST, OBJ, NEWOBJ_EX, extension codes and out-of-band buffers have no place in
// a torch file.
var opcodes = map[byte]opcode{
	'(': {none, 0, 0, 300, 0}, '.': {none, 1, 0, 0, 0}, '0': {none, 1, 0, 0, 0}, '1': {none, toMark, 0, 0, 0}, '2': {none, 0, 1, 40, 0},
	'N': {none, 0, 1, 40, 0}, 0x88: {none, 0, 1, 40, 0}, 0x89: {none, 0, 1, 40, 0},
	'F': {line, 0, 1, 48, 0}, 'I': {line, 0, 1, 48, 0}, 'L': {line, 0, 1, 48, 0}, 'G': {eight, 0, 1, 48, 0},
	'J': {four, 0, 1, 48, 0}, 'K': {one, 0, 1, 40, 0}, 'M': {two, 0, 1, 48, 0}, 0x8a: {len1, 0, 1, 64, 0}, 0x8b: {len4, 0, 1, 64, 0},
	'U': {len1, 0, 1, 56, 0}, 'T': {len4, 0, 1, 56, 0}, 'X': {len4, 0, 1, 56, 0}, 'V': {line, 0, 1, 56, 0}, 'S': {line, 0, 1, 56, 0},
	0x8c: {len1, 0, 1, 56, 0}, 0x8d: {len8, 0, 1, 56, 0},
	'C': {len1, 0, 1, 64, 0}, 'B': {len4, 0, 1, 64, 0}, 0x8e: {len8, 0, 1, 64, 0}, 0x96: {len8, 0, 1, 64, 0},
	']': {none, 0, 1, 80, 0}, '}': {none, 0, 1, 230, 0}, ')': {none, 0, 1, 64, 0}, 0x8f: {none, 0, 1, 200, 0},
	'l': {none, toMark, 1, 80, 32}, 't': {none, toMark, 1, 80, 32}, 'd': {none, toMark, 1, 230, 130}, 0x91: {none, toMark, 1, 200, 90},
	0x85: {none, 1, 1, 80, 0}, 0x86: {none, 2, 1, 96, 0}, 0x87: {none, 3, 1, 112, 0},
	'a': {none, 1, 0, 40, 0}, 's': {none, 2, 0, 260, 0}, 'e': {none, toMark, 0, 0, 40}, 'u': {none, toMark, 0, 0, 130}, 0x90: {none, toMark, 0, 0, 90},
	'c': {lines, 0, 1, 64, 0}, 0x93: {none, 2, 1, 64, 0}, 'Q': {none, 1, 1, 64, 0}, 'R': {none, 2, 1, 420, 0}, 0x81: {none, 2, 1, 420, 0}, 'b': {none, 1, 0, 64, 0},
	'g': {line, 0, 1, 40, 0}, 'h': {one, 0, 1, 40, 0}, 'j': {four, 0, 1, 40, 0},
	'p': {line, 0, 0, 90, 0}, 'q': {one, 0, 0, 90, 0}, 'r': {four, 0, 0, 90, 0}, 0x94: {none, 0, 0, 90, 0},
	0x80: {one, 0, 0, 0, 0}, 0x95: {eight, 0, 0, 0, 0},
}

type opcode struct {
	operand      operand
	takes, gives int
	cost, each   int
}

const toMark = -1

// scanner walks a pickle's opcodes without running them. It keeps the stack as the
// length of each text on it, and the memo likewise: a text fetched from the memo is
// charged again, because the unpickler prints values in its errors, and a list of
// 200,000 references to one long text would print as 200,000 of them.
type scanner struct {
	file   string
	p      []byte
	base   int64 // the pickle's offset in the file
	stack  []int32
	marks  []int // stack heights
	memo   map[uint64]int32
	memory int
}

// scan finds where the pickle at the start of p ends. It refuses lengths that reach
// beyond p, opcodes outside the table, memo entries that were never written, and a pickle
// that would make the unpickler hold too much. base is the pickle's offset in the file.
// An error that more bytes might cure is a shortError.
func scan(file string, p []byte, base int64) (end int, err error) {
	s := &scanner{file: file, p: p, base: base, memo: map[uint64]int32{}}
	for at := 0; at < len(p); {
		op, ok := opcodes[p[at]]
		if !ok {
			return 0, fault.Not(file, "the pickle uses opcode 0x%02x, which no state dict needs", p[at]).At(base + int64(at)).
				Hint("save the state dict with torch.save(model.state_dict(), ...)")
		}
		n := operandBytes(op.operand, p[at+1:])
		if n < 0 {
			return 0, s.short(at, "the pickle ends inside an instruction")
		}
		if p[at] == '.' {
			return at + 1, nil
		}
		if err := s.step(at, op, p[at+1:at+1+n]); err != nil {
			return 0, err
		}
		at += 1 + n
		if len(s.marks) > maxMarks || len(s.stack) > maxStack || s.memory+at > maxMemory {
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
	return fault.Bad(s.file, what, args...).At(s.base + int64(at))
}

// step accounts for one instruction.
func (s *scanner) step(at int, op opcode, arg []byte) error {
	s.memory += op.cost
	size := int32(0)
	switch code := s.p[at]; code {
	case '(':
		s.marks = append(s.marks, len(s.stack))
	case 0x95: // the unpickler copies each frame
		frame := binary.LittleEndian.Uint64(arg)
		if frame > uint64(len(s.p)-at-9) {
			return s.short(at, "the pickle ends inside an instruction")
		}
		s.memory += int(frame)
	case 'c':
		// gopickle makes an OrderedDict itself and takes no arguments, but Python 2 pickled
		// the items as one: under this name it comes to find.
		if bytes.Equal(arg, []byte("collections\nOrderedDict\n")) {
			arg[0] = 'C'
		}
		size = int32(len(arg))
	case 'I', 'L', 0x8a, 0x8b:
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
		size = held
		s.memory += int(size)
	case '2':
		if n := len(s.stack); n > 0 {
			size = s.stack[n-1]
			s.memory += int(size)
		}
	default:
		size = int32(len(arg))
	}
	return s.move(at, op, size)
}

// move takes values off the stack and puts one of the given size there.
func (s *scanner) move(at int, op opcode, size int32) error {
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
	s.stack = s.stack[:len(s.stack)-takes]
	if op.gives == 1 {
		s.stack = append(s.stack, size)
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

// operandBytes is how many bytes of rest an operand takes, or -1 when it reaches beyond.
func operandBytes(o operand, rest []byte) int {
	n := 0
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
				return -1
			}
			n += end + 1
		}
	case len1, len4, len8:
		width := map[operand]int{len1: 1, len4: 4, len8: 8}[o]
		if len(rest) < width {
			return -1
		}
		var field [8]byte
		copy(field[:], rest[:width])
		size := binary.LittleEndian.Uint64(field[:])
		if size > uint64(len(rest)-width) {
			return -1
		}
		n = width + int(size)
	}
	if n > len(rest) {
		return -1
	}
	return n
}
