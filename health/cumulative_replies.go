package health

// CumulativeReplies adds up what a counter says that begins anew, at 0, whenever its firewall rules are laid anew. The zero CumulativeReplies
// has counted nothing.
type CumulativeReplies struct{ base, last ReplyCounts }

// Observe takes what the counter says now, and gives the sum. A counter that says less than before has begun anew.
func (t *CumulativeReplies) Observe(counts ReplyCounts) ReplyCounts {
	if counts.Symmetric < t.last.Symmetric || counts.Stray < t.last.Stray {
		t.Reset()
	}
	t.last = counts
	return t.Total()
}

// Reset says that the counter begins anew: what it said last is kept.
func (t *CumulativeReplies) Reset() {
	t.base, t.last = t.Total(), ReplyCounts{}
}

// Total is what was counted, as far as it was read.
func (t *CumulativeReplies) Total() ReplyCounts {
	return ReplyCounts{t.base.Symmetric + t.last.Symmetric, t.base.Stray + t.last.Stray}
}
