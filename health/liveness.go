package health

// Liveness is what a judge or a quorum holds to be true.
type Liveness uint8

// The verdicts. The zero one is that it is not known yet.
const (
	Undecided Liveness = iota
	Alive
	Dead
)

// String is the verdict in a word.
func (v Liveness) String() string { return [...]string{"undecided", "alive", "dead"}[v] }
