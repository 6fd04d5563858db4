package health

import (
	"fmt"
	"time"
)

// ReplyCounts counts the first replies of real connections: symmetric ones left by their ingress interface, stray ones by
// another.
type ReplyCounts struct {
	Symmetric uint64 `json:"symmetric"`
	Stray     uint64 `json:"stray"`
}

// CumulativeReplies makes a monotonic counter of firewall counters that restart from 0 when their rules are replaced. Its
// zero value has counted nothing.
type CumulativeReplies struct{ base, last ReplyCounts }

// CumulativeCount does so of one counter.
type CumulativeCount struct{ replies CumulativeReplies }

// Observe takes a new reading and returns the total.
func (t *CumulativeCount) Observe(count uint64) uint64 {
	return t.replies.Observe(ReplyCounts{Symmetric: count}).Symmetric
}

// Reset announces that the counter restarts from 0.
func (t *CumulativeCount) Reset() { t.replies.Reset() }

// Observe takes a new reading and returns the total. A reading below the last one means that the counter was reset.
func (t *CumulativeReplies) Observe(counts ReplyCounts) ReplyCounts {
	if counts.Symmetric < t.last.Symmetric || counts.Stray < t.last.Stray {
		t.Reset()
	}
	t.last = counts
	return t.Total()
}

// Reset announces that the counter restarts from 0: its last reading is kept in the total.
func (t *CumulativeReplies) Reset() {
	t.base, t.last = t.Total(), ReplyCounts{}
}

// Total returns the sum of all counts that were observed.
func (t *CumulativeReplies) Total() ReplyCounts {
	return ReplyCounts{t.base.Symmetric + t.last.Symmetric, t.base.Stray + t.last.Stray}
}

// StrayWindow is how long a stray reply makes the reply path count as broken.
const StrayWindow = time.Minute

// StrayCheck returns the check of so many stray replies since a time, which when says in words. examples has addresses of
// their connections, and may be empty.
func StrayCheck(count uint64, when, examples string) ProofCheck {
	return Path{}.StrayCheck(count, when, examples)
}

// StrayCheck returns the check of so many stray replies of the path.
func (p Path) StrayCheck(count uint64, when, examples string) ProofCheck {
	if count == 0 {
		return ProofCheck{Result: Yes}
	}
	other := "interface"
	if p.SharedLink {
		other = "interface or router"
	}
	c := ProofCheck{Result: No, Cause: StrayReplies, Detail: fmt.Sprintf("%d replies of real connections left by another %s %s", count, other, when),
		Remedy: "see which rule selects them: replypath explain --flow PROTOCOL SOURCE DESTINATION, with a connection that conntrack -L lists"}
	if examples != "" {
		c.Detail += ": " + examples
	}
	return c
}
