// Package spell finds the known name that a misspelt one is closest to, for the
// hint of an error.
package spell

// Nearest returns the name of a list that is the fewest single-character edits
// away from a name, and how many those are. Of several it returns the first, of
// an empty list "".
func Nearest(name string, known []string) (nearest string, edits int) {
	for i, k := range known {
		if d := distance(name, k); i == 0 || d < edits {
			nearest, edits = k, d
		}
	}
	return nearest, edits
}

// distance is the number of single-character edits between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
