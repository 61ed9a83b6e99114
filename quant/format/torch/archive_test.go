package torch

import (
	"fmt"
	"testing"
)

// tally counts bytes and drops them.
type tally int64

func (n *tally) Write(b []byte) (int, error) { *n += tally(len(b)); return len(b), nil }

// The sizes are laid out before archive/zip writes a byte, so they must be its own,
// most of all around 4 GiB, where each of its fields changes at a place of its own.
func TestArchiveIsAsLongAsLaidOut(t *testing.T) {
	const limit = 1<<32 - 1
	zeros := make([]byte, 1<<20)
	many := make([]int64, 1<<16)
	for _, sizes := range [][]int64{
		nil, {0}, {1, 63, 64, 65}, many[:1<<16-5], many[:1<<16-4], many, {limit - 1, 5}, {limit, 5}, {limit + 1, 5},
	} {
		t.Run(fmt.Sprint(len(sizes), sizes[:min(len(sizes), 2)]), func(t *testing.T) {
			a := LayArchive([]byte("pickle"), sizes)
			var n tally
			w, err := a.Start(&n)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range sizes {
				part, err := w.Storage()
				if err != nil {
					t.Fatal(err)
				}
				for size > 0 {
					k, err := part.Write(zeros[:min(size, int64(len(zeros)))])
					if err != nil {
						t.Fatal(err)
					}
					size -= int64(k)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if int64(n) != a.Bytes {
				t.Errorf("laid out %d bytes, wrote %d", a.Bytes, n)
			}
		})
	}
}
