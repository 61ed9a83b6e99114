package torch

import (
	"bytes"
	"encoding/binary"

	"nibble/quant/fault"
)

// Limits on a pickle. A state dict of 100,000 tensors pickles to about 15 MB.
const (
	maxPickle = 64 << 20
	maxMarks  = 256       // nested MARKs, each a stack of its own
	maxMemory = 384 << 20 // bytes that running the pickle may hold, roughly
)

// operand says what follows an opcode.
type operand uint8

const (
	illegal operand = iota
	none
	one // that many bytes
	two
	four
	eight
	line // one or two lines of text
	lines
	len1 // a length of so many bytes, then that much
	len4
	len8
	frame // an 8-byte length of what follows, which is scanned in turn
)

// opcodes is the literal table of what Nibble lets a pickle do (protocols 2 to 5;
// names in CPython's Lib/pickletools.py), with the bytes each may make the
// unpickler hold. Text persistent ids, INST, OBJ, NEWOBJ_EX, extension codes and
// out-of-band buffers have no place in a torch file.
var opcodes = map[byte]struct {
	operand operand
	cost    int
}{
	'(': {none, 280}, '.': {none, 0}, '0': {none, 0}, '1': {none, 0}, '2': {none, 16},
	'F': {line, 24}, 'I': {line, 24}, 'L': {line, 24},
	'J': {four, 24}, 'K': {one, 16}, 'M': {two, 24}, 'N': {none, 16}, 'G': {eight, 24},
	'Q': {none, 64}, 'R': {none, 400}, 'b': {none, 64}, 'c': {lines, 64}, 0x81: {none, 400}, 0x93: {none, 64},
	'U': {len1, 40}, 'T': {len4, 40}, 'X': {len4, 40}, 'V': {line, 40}, 'S': {line, 40},
	0x8c: {len1, 40}, 0x8d: {len8, 40}, 'C': {len1, 40}, 'B': {len4, 40}, 0x8e: {len8, 40}, 0x96: {len8, 40},
	'a': {none, 32}, 'e': {none, 0}, 's': {none, 160}, 'u': {none, 0}, 'd': {none, 160}, 0x90: {none, 0},
	']': {none, 64}, '}': {none, 200}, ')': {none, 64}, 0x8f: {none, 160}, 'l': {none, 64}, 't': {none, 64}, 0x91: {none, 160},
	0x85: {none, 64}, 0x86: {none, 80}, 0x87: {none, 96},
	'g': {line, 16}, 'h': {one, 16}, 'j': {four, 16},
	'p': {line, 80}, 'q': {one, 80}, 'r': {four, 80}, 0x94: {none, 80},
	0x80: {one, 0}, 0x88: {none, 16}, 0x89: {none, 16}, 0x8a: {len1, 40}, 0x8b: {len4, 40}, 0x95: {frame, 0},
}

// scan walks the opcodes of a pickle without running it. It refuses lengths that
// reach beyond the pickle, opcodes outside the table, integers of more than 64
// bytes, and a pickle that would make the unpickler hold too much. base is the
// pickle's offset in the file.
func scan(file string, p []byte, base int64) error {
	marks, memory, frames := 0, len(p), 0
	for at := 0; at < len(p); {
		op, ok := opcodes[p[at]]
		if !ok {
			return fault.Not(file, "the pickle uses opcode 0x%02x, which no state dict needs", p[at]).At(base + int64(at)).
				Hint("save the state dict with torch.save(model.state_dict(), ...)")
		}
		code, n := p[at], operandBytes(op.operand, p[at+1:])
		if n < 0 {
			return fault.Bad(file, "the pickle ends inside an instruction").At(base + int64(at)).
				Hint("the file is damaged: copy or download it again")
		}
		switch code {
		case '.':
			return nil
		case '(':
			marks++
		case '1', 'e', 'u', 'd', 'l', 't', 0x90, 0x91:
			marks = max(marks-1, 0)
		case 0x95:
			frames++
			n = 8
			// gopickle copies each frame once.
			memory += int(binary.LittleEndian.Uint64(p[at+1:]))
		case 0x8a, 0x8b, 'L':
			if n > 64+4 || n == 1 && p[at+1] == 0 {
				return fault.Bad(file, "the pickle holds an integer of %d bytes", n).At(base + int64(at))
			}
		}
		memory += op.cost
		if marks > maxMarks || memory > maxMemory {
			return fault.Bad(file, "the pickle nests or allocates more than a state dict does").At(base + int64(at))
		}
		at += 1 + n
	}
	return fault.Bad(file, "the pickle has no end").At(base + int64(len(p))).Hint("the file is damaged: copy or download it again")
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
	case len1, len4, len8, frame:
		width := map[operand]int{len1: 1, len4: 4, len8: 8, frame: 8}[o]
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
