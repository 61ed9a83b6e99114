package coremltools

import "strings"

// nearest is the word of a list that a typo most likely meant, or "".
func nearest(got string, words []string) string {
	best, word := 3, ""
	for _, w := range words {
		if d := distance(strings.ToLower(got), strings.ToLower(w)); d < best {
			best, word = d, w
		}
	}
	return word
}

// distance is Levenshtein's, over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
