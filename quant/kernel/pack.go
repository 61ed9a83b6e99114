package kernel

// Pack4 packs the codes of one row two a byte, the first in the low nibble. With flip it flips bit 3 of each code,
// which makes code + 8 of two's complement int4. Unused high nibbles of the last byte, and all bytes after it, are
// zero.
func Pack4(codes []byte, flip bool, dst []byte) {
	x := byte(0)
	if flip {
		x = 0x88
	}
	n := len(codes) / 2
	pack4Of(codes[:2*n], x, dst[:n])
	rest := dst[n:]
	clear(rest)
	if len(codes)%2 == 1 {
		rest[0] = codes[2*n]&15 ^ x&15
	}
}

// pack4 packs full bytes.
func pack4(codes []byte, flip byte, dst []byte) {
	for i := range dst {
		dst[i] = (codes[2*i]&15 | codes[2*i+1]<<4) ^ flip
	}
}

// Unpack4 is the inverse of Pack4 for len(codes) codes. With flip the nibbles are code + 8 and come back as two's
// complement bytes; without, as 0 to 15.
func Unpack4(src []byte, flip bool, codes []byte) {
	for i := range codes {
		c := src[i/2] >> (4 * (i & 1)) & 15
		if flip {
			c -= 8
		}
		codes[i] = c
	}
}

// Pack8 copies codes, flipping bit 7 when flip is set, which makes code + 128 of int8, and zeroes what is left of
// dst.
func Pack8(codes []byte, flip bool, dst []byte) {
	x := byte(0)
	if flip {
		x = 0x80
	}
	maskBytesOf(codes, 0xff, x, dst[:len(codes)])
	clear(dst[len(codes):])
}

// Low4 copies codes without their high nibbles.
func Low4(codes, dst []byte) { maskBytesOf(codes, 15, 0, dst[:len(codes)]) }

// maskBytes copies codes, with a mask and then a flip of bits.
func maskBytes(codes []byte, and, flip byte, dst []byte) {
	for i, c := range codes {
		dst[i] = c&and ^ flip
	}
}
