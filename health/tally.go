package health

// Tally adds up what a counter says that begins anew, at 0, whenever its firewall rules are laid anew. The zero Tally
// has counted nothing.
type Tally struct{ kept, last Seen }

// Read takes what the counter says now, and gives the sum. A counter that says less than before has begun anew.
func (t *Tally) Read(now Seen) Seen {
	if now.Symmetric < t.last.Symmetric || now.Stray < t.last.Stray {
		t.Renew()
	}
	t.last = now
	return t.Sum()
}

// Renew says that the counter begins anew: what it said last is kept.
func (t *Tally) Renew() {
	t.kept, t.last = t.Sum(), Seen{}
}

// Sum is what was counted, as far as it was read.
func (t *Tally) Sum() Seen {
	return Seen{t.kept.Symmetric + t.last.Symmetric, t.kept.Stray + t.last.Stray}
}
