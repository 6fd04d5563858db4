package health

// Verdict is what a judge or a quorum holds to be true.
type Verdict uint8

// The verdicts. The zero one is that it is not known yet.
const (
	Undecided Verdict = iota
	Alive
	Dead
)

// String is the verdict in a word.
func (v Verdict) String() string { return [...]string{"undecided", "alive", "dead"}[v] }
